"""What docs/clients.md and the README show in Python, as their reader would run it; and the tables.

JavaScript's examples: `programs/page.mjs`, `test_javascript_package.py`, `tests/browser`.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest

from glyph_fast.client import Client, Room, State, connect
from glyph_fast.client.link import is_final
from glyph_fast.client.listening import OWN, ROOM_EVENTS
from tests.clients.drive import app
from tests.nodejs import LIBRARY
from tests.serving import ROOT, serving

PAGE = (ROOT / "docs" / "clients.md").read_text()
WITHIN_S = 20


def blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def block(beginning: str, text: str = PAGE) -> str:
    (found,) = (each for each in blocks(text) if each.startswith(beginning))
    return found


def function(source: str, **names: Any) -> Any:
    """A coroutine function of the lines, which know these names."""
    exec(f"async def lines():\n{textwrap.indent(source, '    ')}", names)
    return names["lines"]


def test_the_bot_answers(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(block("# app.py"))
    (tmp_path / "page").mkdir()
    with serving("app:server", cwd=tmp_path) as server:
        bot = block("# bot.py").replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
        (tmp_path / "bot.py").write_text(bot)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen([sys.executable, "bot.py"], cwd=tmp_path, env=environment)
        try:
            assert asyncio.run(asyncio.wait_for(said(server.ws("/ws")), 60)) == "You said: hello"
        finally:
            process.kill()
            process.wait()


async def said(url: str) -> Any:
    """What somebody says to a hello, who may not be there yet."""
    async with connect(url) as server:
        room = server.join("chat:1")
        messages = aiter(room)
        while True:
            await room.publish("hello")
            with suppress(TimeoutError):
                return (await asyncio.wait_for(anext(messages), 0.2)).data


@pytest.mark.slow
def test_the_bot_passes_a_strict_type_checker(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(block("# bot.py"))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "bot.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.both_cores
def test_what_there_is_is_there() -> None:
    shown: list[Any] = []
    drawn: list[Any] = []
    found: dict[str, Any] = {}

    async def ask(data: Any) -> bool:
        return True

    source = block("server = connect(")
    source = source.replace("room.leave()", "await done(server, price, older)\nroom.leave()")

    async def main(url: str) -> None:
        async def done(server: Any, price: Any, older: Any) -> None:
            found.update(price=price, older=[each.data for each in older])
            assert await server.call("ask me") is True
            await other.call("tell all", "news")
            while "news" not in shown:
                await asyncio.sleep(0.005)

        async with connect(url) as other:
            there = other.join("chat:1")
            for each in ("one", "two", "three"):
                await there.publish(each)
            given = {
                "connect": connect,
                "fetch_token": lambda: None,
                "show": lambda data, *more: shown.append(data),
                "ask": ask,
                "draw": drawn.append,
                "symbol": "A",
                "text": "hi",
                "oldest": 3,
                "done": done,
            }
            await function(source.replace("ws://127.0.0.1:8080/ws", url), **given)()

    with app() as server:
        asyncio.run(asyncio.wait_for(main(server.ws("/ws")), 60))
    assert found == {"price": 7, "older": ["one", "two"]}
    assert "three" in shown and "open" in shown
    assert len(drawn[-1]) == 2


def test_the_three_lines_of_the_readme_hear_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = "from glyph_fast import Server\nserver = Server()\n"
    readme = (ROOT / "README.md").read_text()
    (declared,) = re.findall(r"`(server\.room\(.*?\))`", readme)
    (tmp_path / "app.py").write_text(f"{program}{declared}\n")
    lines = block("async with connect(", readme)
    assert len(lines.splitlines()) == 3
    heard = asyncio.Event()

    def show(data: Any) -> None:
        print(data)
        heard.set()

    async def main(url: str) -> None:
        assert "ws://127.0.0.1:8080/ws" in lines
        listening = function(
            lines.replace("ws://127.0.0.1:8080/ws", url), connect=connect, print=show
        )
        task = asyncio.create_task(listening())
        async with connect(url) as other:
            while not heard.is_set():
                await other.join("chat:1").publish("from another")
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])

    with serving("app:server", cwd=tmp_path) as server:
        asyncio.run(asyncio.wait_for(main(server.ws("/ws")), 60))
    assert capsys.readouterr().out.startswith("from another\n")


def first_column(heading: str) -> list[str]:
    """What stands first in the rows of the table with this heading."""
    rows = PAGE[PAGE.index(heading) :].split("\n\n")[0]
    return re.findall(r"^\| `(\w+)`", rows, re.MULTILINE)


def names_of(declaration: str) -> set[str]:
    """Names of a type of the JavaScript client."""
    types = (LIBRARY / "src" / "types.ts").read_text()
    body = types[types.index(f"export {declaration}") :]
    if declaration.startswith("type"):
        return set(re.findall(r'"(\w+)"', body[: body.index(";")]))
    return set(re.findall(r"^  (\w+): \(", body[: body.index("\n}")], re.MULTILINE))


def test_every_state_is_in_the_table() -> None:
    states = first_column("| state | what happens")
    assert set(states) == names_of("type State") == {*get_args(State), "offline"}


def test_every_event_of_a_room_is_on_the_page() -> None:
    events = {*first_column("| event of a room | when"), "message", "presence"}
    assert events == names_of("interface RoomEvents") == ROOM_EVENTS
    assert names_of("interface ServerEvents") == OWN


def codes(text: str) -> set[int]:
    """The close codes that a text names, by themselves or as "3500–3999"."""
    named = re.findall(r"(\d{4})(?:–(\d{4}))?", text)
    return {code for first, last in named for code in range(int(first), int(last or first) + 1)}


def test_the_final_codes_are_those_of_the_page() -> None:
    pattern = r"^\| an end with ([^|]*) \| it is final\. (.*?) are not"
    ((final, but),) = re.findall(pattern, PAGE, re.MULTILINE)
    assert {code for code in range(1000, 5000) if is_final(code)} == codes(final) - codes(but)


def test_the_options_of_the_page_are_those_of_connect() -> None:
    table = PAGE[PAGE.index("### In Python") :].split("\n\n")[2]
    named = re.findall(r"^\| `(\w+)", table, re.MULTILINE)
    assert named == list(inspect.signature(connect).parameters)[1:]


def test_every_method_of_the_page_is_there() -> None:
    for holder, thing in (("server", Client), ("room", Room)):
        for name in set(re.findall(rf"await {holder}\.(\w+)", PAGE)):
            assert hasattr(thing, name)
