"""A node of a NATS server that is cut off without a word, and comes back."""

from __future__ import annotations

import time
from contextlib import ExitStack

from tests.broker.nats.meeting import node
from tests.broker.parted import broker_behind_two_links
from tests.nats_servers import BINARY
from tests.workers.clients import Client, eventually

PORT = 4222


def test_a_link_that_is_dead_without_a_word_is_noticed_and_healed() -> None:
    command = [str(BINARY), "--addr", "0.0.0.0", "--port", str(PORT)]
    with broker_behind_two_links(command, PORT) as links, ExitStack() as stack:
        cut, whole = (stack.enter_context(node(f"nats://{each.address}:{PORT}")) for each in links)
        for each in cut, whole:
            eventually(lambda each=each: each.ready()[1].get("broker") == "up")
        there = Client(cut.server.ws("/ws"), stack)
        there.join("here:silent")
        here = Client(whole.server.ws("/ws"), stack)
        here.ask({"type": "join_room", "room": "here:silent", "presence": True, "id": "j"})
        assert there.id in str(here.next())

        links[0].cut()
        began = time.monotonic()
        eventually(lambda: cut.ready()[1]["broker"] == "lost")
        assert time.monotonic() - began < 15  # ten seconds are promised, and this machine is busy
        while there.id not in [each["id"] for each in here.next()["data"].get("left", [])]:
            pass
        assert time.monotonic() - began < 20

        links[0].heal()
        eventually(lambda: cut.ready()[1]["broker"] == "up", within=30)
        while there.id not in [each["id"] for each in here.next()["data"].get("joined", [])]:
            pass
