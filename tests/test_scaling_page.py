"""What docs/scaling.md says, done with real processes and a real broker."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
from websockets.sync.client import connect

from glyph_fast.options.broker import read_broker_url
from tests.broker_servers import redis_for_processes
from tests.serving import serving

PAGE = (Path(__file__).parents[1] / "docs/scaling.md").read_text()


def test_every_url_of_the_page_is_one():
    urls = re.findall(r"`(rediss?(?:\+\w+)?://[^`…]+)`", PAGE)
    assert len(urls) > 4
    for each in urls:
        read_broker_url(each)


def test_two_nodes_of_the_bundled_chat_are_one():
    admin = ("--admin", "127.0.0.1:0")
    with redis_for_processes() as redis:
        env = {"GLYPH_FAST_BROKER": redis.url}
        with serving(*admin, env=env) as one, serving(*admin, env=env) as two:
            assert two.process.stdout is not None
            port = two.process.stdout.readline().decode().split()[-1]
            ready = httpx.get(port + "/readyz")
            assert (ready.status_code, ready.json()) == (200, {"status": "ok", "broker": "up"})
            assert "glyph_fast_broker_up 1.0" in httpx.get(port + "/metrics").text
            with (
                connect(one.ws("/rooms/lobby/Ada"), proxy=None) as ada,
                connect(two.ws("/rooms/lobby/Bob"), proxy=None) as bob,
            ):
                for each in (ada, bob):
                    each.send(json.dumps({"type": "join_room", "room": "lobby", "id": "j"}))
                    while json.loads(each.recv(timeout=20)).get("id") != "j":
                        pass
                ada.send(json.dumps({"type": "say", "text": "hi"}))
                while (got := json.loads(bob.recv(timeout=20)))["type"] == "presence":
                    pass
                assert (got["offset"], got["data"]["text"]) == (1, "hi")
