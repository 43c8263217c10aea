"""The game of docs/python.md with two workers, changed as docs/workers.md says."""

from __future__ import annotations

import json
import re
import struct
from contextlib import ExitStack
from pathlib import Path

from websockets.sync.client import ClientConnection, connect

from tests.serving import ROOT, serving
from tests.workers.clients import TRIES, WITHIN_S

COUNTED = "Player(next(numbers))"
PAGE = (ROOT / "docs/workers.md").read_text()


def the_game() -> str:
    page = (ROOT / "docs/python.md").read_text()
    [game] = re.findall(r"^```python\n(# game\.py\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    for former, changed in (
        (COUNTED, "Player(1000 * server.worker + next(numbers))"),
        ("@server.background\n", '@server.background(on="worker")\n'),
    ):
        assert former in game and changed.strip() in PAGE
        game = game.replace(former, changed)
    return game.replace("max_room_members=2", "max_room_members=64")


def test_players_of_every_worker_move_for_everybody(tmp_path: Path) -> None:
    (tmp_path / "game.py").write_text(the_game())
    with serving("game:server", "--workers", "2", cwd=tmp_path) as server, ExitStack() as stack:
        players: dict[int, ClientConnection] = {}
        for _ in range(TRIES):
            opening = connect(server.ws("/arena/a"), compression=None, open_timeout=WITHIN_S)
            player = stack.enter_context(opening)
            first = player.recv(timeout=WITHIN_S)
            while isinstance(first, bytes):
                first = player.recv(timeout=WITHIN_S)
            number = json.loads(first)["you"]
            assert number not in players
            players[number] = player
            if len({number // 1000 for number in players}) == 2:
                break
        assert {number // 1000 for number in players} == {1, 2}
        steering, watching = players[min(players)], players[max(players)]
        steering.send(struct.pack("!ff", 5.0, 0.0))
        moved = still = False
        while not (moved and still):  # the watcher sees both: its own worker's and the other's
            frame = watching.recv(timeout=WITHIN_S)
            assert isinstance(frame, bytes)
            for number, x, _ in struct.iter_unpack("!Iff", frame):
                moved |= number == min(players) and x > 0
                still |= number == max(players) and x == 0
