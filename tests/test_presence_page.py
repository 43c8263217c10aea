"""docs/presence.md: its programs run, its numbers are those of the code, its bound holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from glyph_fast import Config
from glyph_fast.hub.presence import BATCH_S
from glyph_fast.hub.room_presence import LISTED, LISTED_BYTES, RELIST_S
from tests.wired import Site

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/presence.md").read_text()


def test_its_programs_run(tmp_path: Path) -> None:
    found = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 2
    for name, text in found:
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"Above {LISTED:,} members, or where their JSON is larger than 1 MiB" in PAGE
    assert LISTED_BYTES == 2**20
    assert "gathered for a tenth of a second" in PAGE and BATCH_S == 0.1
    assert "at most ten messages a second" in PAGE
    assert f"at most every {RELIST_S:g} seconds" in PAGE


def test_what_each_member_gets_when_many_come_back_is_bounded() -> None:
    count, a_batch = 3000, 250
    rooms: Any = {"r": {"client_join": True, "presence": True, "max_members": count}}
    site = Site(Config(rooms=rooms, max_connections=count))
    presence = site.hub.get_room_manager()._presence
    peers = []
    for n in range(count):
        peer = site.connect(identity=f"user{n}")
        peer.send({"type": "join_room", "room": "r", "presence": True})
        peers.append(peer)
        if n % a_batch == a_batch - 1:
            presence.tell()
    site.flush()
    batches = count // a_batch
    for n, peer in enumerate(peers):
        size, messages = len(peer.pipe.data), peer.json()
        answer, changes = messages[0], messages[1:]
        assert answer["data"]["status"] == "joined"
        # One answer, and one message for each batch since.
        assert len(changes) <= batches - n // a_batch
        listed = answer["data"]["presence"].get("members", [])
        entries = [each for push in changes for each in push["data"].get("joined", ())]
        assert len(listed) <= LISTED
        # Those of one's own batch who were there before stand in both.
        assert len(listed) + len(entries) <= LISTED + a_batch
        assert size <= 75 * (LISTED + a_batch) + 150 * batches + 300
    assert peers[-1].conn.stats["messages_sent"] == 2
