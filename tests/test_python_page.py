"""docs/python.md is run, and checked, as its reader would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import glyph_fast
from glyph_fast import Server
from glyph_fast.testing import SyncTestClient

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/python.md").read_text()


@pytest.fixture
def programs(tmp_path: Path) -> list[str]:
    found = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for name, text in found:
        (tmp_path / name).write_text(text)
    return [name for name, _ in found]


def command(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_program_passes_the_test_beside_it(programs: list[str], tmp_path: Path) -> None:
    told = command(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    assert f"{len([name for name in programs if name.startswith('test_')])} passed" in told


def test_built_in_words_are_answered_as_the_page_says() -> None:
    rows = re.findall(r"^\| `(\{.*?\})`[^|`]*(?:`on_join`[^|`]*)?\| (.*) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 6
    server = Server()
    server.websocket("/ws")
    server.on_join("*")(lambda conn, room: room != "closed")
    with SyncTestClient(server) as client:
        member, other = client.connect(), client.connect()
        other.send_json({"type": "join_room", "room": "tea"})
        other.receive_json()
        for sent, received in rows:
            member.send(sent)
            (wanted,) = map(json.loads, re.findall(r"`(\{.*\})`", received))
            to_others = "the other members receive" in received
            found = (other if to_others else member).receive_json()
            assert {name: found[name] for name in wanted} == wanted
            assert not to_others or found["connection_id"] == member.connection.id
        member.expect_nothing()


def test_every_public_name_is_on_the_page() -> None:
    missing = [name for name in glyph_fast.__all__ if name != "__version__" and name not in PAGE]
    assert missing == []


@pytest.mark.parametrize(
    "of", ["Server", "Connection", "Hub", "Room", "RoomManager", "MessageContext", "Request"]
)
def test_what_the_page_calls_exists(of: str) -> None:
    holder = {
        "Server": r"server\.(\w+)",
        "Connection": r"conn\.(\w+)",
        "Hub": r"hub\.(\w+)",
        "Room": r"room\.(\w+)",
        "RoomManager": r"manager\.(\w+)",
        "MessageContext": r"ctx\.(\w+)",
        "Request": r"request\.(\w+)",
    }[of]
    python = re.sub(r"^```js\n.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    thing = glyph_fast.Server() if of == "Server" else getattr(glyph_fast, of)
    for name in set(re.findall(rf"(?<!\w){holder}", python)):
        assert hasattr(thing, name), name
