"""docs/events.md: its program runs, its commands print what the page shows."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serving import ServeProcess, serving

pytestmark = pytest.mark.application

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/events.md").read_text()
(PROGRAM,) = re.findall(r"^```python\n(# board\.py\n.*?)^```", PAGE, re.M | re.S)
(SHOWN,) = re.findall(r"^```\n(event: open\n.*?)^```", PAGE, re.M | re.S)
LISTEN, PUBLISH, RESUME, SPEAK = (
    each.replace("\\\n", "") for each in re.findall(r"^    (curl (?:.*\\\n)?.*)$", PAGE, re.M)
)


def command(server: ServeProcess, text: str, **known: str) -> list[str]:
    """A command of the page, for a server and with what the page only shows."""
    for old, new in known.items():
        text = text.replace(old, new)
    return ["curl", "-sS", *shlex.split(text.replace("127.0.0.1:8080", server.url[7:]))[1:]]


def run(server: ServeProcess, text: str, **known: str) -> str:
    done = subprocess.run(
        command(server, text, **known), capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout


@contextmanager
def listening(server: ServeProcess, text: str, **known: str) -> Iterator[Iterator[str]]:
    """The lines of a stream, without those that are empty."""
    process = subprocess.Popen(
        command(server, text, **known), stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    try:
        yield (line.rstrip("\n") for line in process.stdout if line != "\n")
    finally:
        process.kill()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServeProcess]:
    (tmp_path / "board.py").write_text(PROGRAM)
    with serving("board:server", cwd=tmp_path) as started:
        yield started


def shape(line: str) -> str:
    """A line without what is drawn anew each time."""
    name, _, value = line.partition(": ")
    if name == "id":
        value = re.sub(r":.{8}:", ":EPOCH:", value)
    elif name == "data":
        found = json.loads(value)
        value = json.dumps({key: found[key] for key in found if key not in DRAWN}) + str([*found])
    return f"{name}: {value if name != 'retry' else len(value)}"


DRAWN = ("id", "session", "timestamp")


def test_curl_shows_what_the_page_shows(server: ServeProcess) -> None:
    shown = [line for line in SHOWN.splitlines() if line]
    with listening(server, LISTEN) as lines:
        found = [next(lines) for _ in range(4)]
        assert json.loads(run(server, PUBLISH)) == {"offset": 1}
        found += [next(lines) for _ in range(2)]
        assert [shape(line) for line in found] == [shape(line) for line in shown]
        session = json.loads(found[2].partition(": ")[2])["session"]
        assert run(server, SPEAK, **{"$SESSION": session}) == ""
        next(lines)
        answer = json.loads(next(lines).partition(": ")[2])
        assert (answer["data"], answer["id"]) == ({"read": 7}, "1")
    run(server, PUBLISH)
    id = found[4].partition(": ")[2]
    with listening(server, RESUME, **{"pVTP0g3f:jBOaaDV5:1": id}) as lines:
        data = [next(line for line in lines if line.startswith("data")) for _ in range(2)][1]
        assert json.loads(data.partition(": ")[2])["offset"] == 2


def test_who_is_not_staff_may_not_listen(server: ServeProcess) -> None:
    assert "error" in json.loads(run(server, LISTEN.replace("news:tea", "staff:tea")))
