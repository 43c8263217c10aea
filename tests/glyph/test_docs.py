"""docs/glyph.md does what it says: its programs, dialogues, tables and messages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from glyph_fast.glyph.checks.signatures import BUILTINS, RESULT_METHODS, SOCKET
from tests.glyph.harness import FakePeer, World, failure_of, problems, value_of

PAGE = (Path(__file__).parents[2] / "docs" / "glyph.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PROGRAMS = [
    (text, BLOCKS[index + 1][1] if BLOCKS[index + 1 : index + 2] else "")
    for index, (language, text) in enumerate(BLOCKS)
    if language == "glyph"
]
ROWS = re.findall(r"^\| `(.+)` \| (?:`(.+)`|(fails)) \|$", PAGE, re.MULTILINE)
DECLARED = (
    "! double(x: any) { > x * 2 }\n! odd(x: any) { > x % 2 == 1 }\n"
    "! add(a: any, b: any) { > a + b }"
)


class Talk:
    """Runs a dialogue of the page."""

    def __init__(self, program: str) -> None:
        self.world = World(program)
        self.peers: dict[str, FakePeer] = {}
        self.read: dict[str, int] = {}
        self.answer: Any = None

    def line(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            target, _, body = rest.partition(" ")
            self.answer = self.world.request(word, target, body=json.loads(body) if body else None)
        elif word.isdigit():
            assert self.answer.status == int(word), self.answer
            if rest:
                assert self.answer.json == json.loads(rest)
        else:
            self.peer(word, rest)

    def peer(self, name: str, rest: str) -> None:
        if rest.startswith("connects to "):
            self.peers[name] = self.world.connect(rest.removeprefix("connects to "))
            self.read[name] = 0
        elif rest.startswith("→ "):
            self.peers[name].says(rest.removeprefix("→ "))
        elif rest.startswith("← "):
            frames, read = self.peers[name].frames, self.read[name]
            assert read < len(frames), f"{name} has heard nothing more"
            assert json.loads(frames[read]) == json.loads(rest.removeprefix("← "))
            self.read[name] += 1
        elif rest == "leaves":
            self.peers.pop(name).leaves()
        else:
            _, _, closed = rest.partition("is closed with ")
            code, _, reason = closed.partition(" ")
            assert self.peers[name].closed == (int(code), reason), rest

    def end(self) -> None:
        for name, peer in self.peers.items():
            assert self.read[name] == len(peer.frames), f"{name}: {peer.frames[self.read[name] :]}"
        if "on error" not in self.world.text:  # where the dialogue shows what becomes of them
            assert not self.world.failures


@pytest.mark.parametrize(("program", "dialogue"), PROGRAMS, ids=range(len(PROGRAMS)))
def test_programs_do_what_their_dialogue_says(program: str, dialogue: str) -> None:
    assert problems(program) == []
    assert dialogue, "each program has a dialogue"
    talk = Talk(program)
    for line in dialogue.strip().splitlines():
        talk.line(line)
    talk.end()


def test_programs_are_laid_out_as_fmt_does() -> None:
    from glyph_fast.glyph.syntax.format import format_source
    from glyph_fast.glyph.syntax.source import Source

    for program, _ in PROGRAMS:
        assert format_source(Source("docs", program)) == program


@pytest.mark.parametrize(("expression", "value", "fails"), ROWS, ids=lambda text: text)
def test_tables_of_expressions(expression: str, value: str, fails: str) -> None:
    expression = expression.replace("\\|", "|")
    if fails:
        assert failure_of(expression, declared=DECLARED)
    else:
        assert value_of(expression, declared=DECLARED) == json.loads(value)


def test_error_messages_read_as_shown() -> None:
    text = "@ ws /rooms/:room {\n  on connect { ws.join(room) }\n  on message {\n"
    text += "    ws.brodcast_to_room(room, input)\n  }\n}\n"
    (found,) = problems(text)
    shown = found.render().replace("app.glyph", "chat.glyph")
    assert "\n".join("    " + line for line in shown.splitlines()) in PAGE


def test_python_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.glyph").write_text("@ GET /:title { > slug(title) }\n")
    monkeypatch.chdir(tmp_path)
    (code,) = [text for language, text in BLOCKS if language == "python"]
    names: dict[str, Any] = {}
    exec(compile(code, "docs/glyph.md", "exec"), names)
    patterns = [route.pattern for route in names["server"].routes() if route.kind == "http"]
    assert patterns == ["/from-python", "/:title"]


def test_every_function_is_mentioned() -> None:
    for name in [*BUILTINS, *(f"ws.{name}" for name in SOCKET), *RESULT_METHODS]:
        if name != "time.now":
            assert re.search(rf"\b{re.escape(name)}\b", PAGE), name


def test_there_are_as_many_examples_as_one_would_expect() -> None:
    assert len(PROGRAMS) >= 8 and len(ROWS) >= 45


def test_the_program_of_the_readme_runs() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (program,) = re.findall(r"^```glyph\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    world = World(program)
    ada, bob = world.connect("/chat/tea"), world.connect("/chat/tea")
    ada.says("hi")
    for each in (ada, bob):
        said = f'{{"says":"{ada.id}","text":"hi"}}'
        assert each.frames == [f'{{"welcome":"{each.id}"}}', said]
    assert world.get("/status").json == {"connections": 2}
