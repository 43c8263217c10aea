"""What a turn does for one peer is bounded by the work it takes, whatever its messages ask for."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from glyph_fast import Config, _pure
from glyph_fast.hub import shares
from glyph_fast.options.rooms import declaration_of_program
from tests.wired import Gate, Site, settled

pytestmark = pytest.mark.both_cores

ALL = "ping,join_room,leave_room,broadcast,history,presence,reply"
BUILT_IN: list[dict[str, Any]] = [
    {"type": "ping"},
    {"type": "join_room", "room": "r", "presence": True},
    {"type": "leave_room", "room": "r"},
    {"type": "broadcast", "room": "r", "data": 1, "id": "0123456789abcdef"},
    {"type": "history", "room": "r", "limit": 1000},
    {"type": "presence", "room": "r"},
    {"type": "reply", "id": "nobody asked"},
]


def read_in_a_turn(message: Any) -> int:
    """How many of a flood of one peer are handled before another peer has its turn."""
    site = Site(Config(client_commands=ALL.split(",")))
    site.dispatcher.on_message(lambda ctx: None)
    ada, bob = site.connect(), site.connect()
    ada.feed(*[message] * 600)
    share = ada.conn.messages_received
    bob.feed("me")
    assert bob.conn.messages_received == 1
    for _ in range(600):
        site.flush()
    assert ada.conn.messages_received == 600  # the rest goes on, a turn at a time
    return share


@pytest.mark.parametrize("message", ["text", b"bytes"])
def test_small_frames_are_many_in_a_turn(message):
    assert read_in_a_turn(message) == 256


def test_json_counts_like_five_frames():
    assert read_in_a_turn({"n": 1}) == 52


def test_long_json_counts_by_its_length():
    assert read_in_a_turn({"n": "x" * 8192}) == 7  # each like 37 frames


@pytest.mark.parametrize("message", BUILT_IN, ids=lambda message: message["type"])
def test_a_built_in_message_counts_like_a_request(message):
    assert read_in_a_turn(message) == 8


def test_a_long_answer_counts_by_its_length():
    site = Site(Config(client_commands=ALL.split(",")))
    site.hub._declare(declaration_of_program("r", {"history_size": 200}))
    ann = site.connect()
    ann.send({"type": "join_room", "room": "r"})
    for _ in range(100):
        site.hub.broadcast_to_room("r", "x" * 4096)
    ann.received()
    ann.feed(*[{"type": "history", "room": "r", "limit": 1000}] * 10)
    assert ann.conn.messages_received == 1 + 2  # each of 400 KiB


def test_an_answer_of_many_messages_counts_by_their_number():
    site = Site(Config(client_commands=ALL.split(",")))
    site.hub._declare(declaration_of_program("r", {"history_size": 1000}))
    ann = site.connect()
    ann.send({"type": "join_room", "room": "r"})
    for _ in range(1000):
        site.hub.broadcast_to_room("r", "x")
    ann.received()
    ann.feed(*[{"type": "history", "room": "r", "limit": 1000}] * 10)
    assert ann.conn.messages_received == 1 + 2
    bob = site.connect()
    join = {"type": "join_room", "room": "r", "history": 1000}
    bob.feed(*[join, {"type": "leave_room", "room": "r"}] * 10)
    assert bob.conn.messages_received == 3


@pytest.mark.parametrize(
    ("message", "share"), [("text", 256), ({"n": 1}, 52), ({"type": "history", "room": "r"}, 8)]
)
def test_what_waited_for_a_handler_is_shared_out_as_well(run, message, share):
    async def main() -> None:
        commands = ["history"]
        site = Site(Config(client_commands=commands, inbox_messages=1000)).on_loop()
        site.hub._declare(declaration_of_program("r", {"history_size": 1, "client_join": True}))
        gate, handled = Gate(), []

        @site.dispatcher.on_message("binary")
        async def wait(ctx: Any) -> None:
            await gate.passed()

        def in_between() -> None:
            """Note how much was handled whenever the loop has a turn for others."""
            handled.append(waited - len(ada.conn._inbox or ()))
            if ada.conn._inbox is not None:
                loop.call_soon(in_between)

        site.dispatcher.on_message(lambda ctx: None)
        ada = site.connect()
        loop, waited = asyncio.get_running_loop(), 600
        ada.send(b"wait", *[message] * waited)
        while len(ada.conn._inbox or ()) < waited:
            await asyncio.sleep(0)
        gate.open()
        in_between()
        await settled(ada)
        steps = [after - before for before, after in itertools.pairwise([0, *handled])]
        assert max(steps) == share and sum(steps) == waited

    run(main())


@pytest.mark.parametrize(
    ("message", "share"),
    [("text", 256), (b"bytes", 256), ('{"n":1}', 52), ("[" + "1," * 4096 + "1]", 7)],
    ids=["text", "bytes", "json", "long json"],
)
def test_what_waited_for_an_async_for_is_shared_out_as_well(run, message, share):
    async def main() -> None:
        site = Site(Config(inbox_messages=1000, inbox_bytes=1 << 30)).on_loop()
        gate = Gate()
        taken = 0

        @site.dispatcher.websocket("/a")
        async def reader(conn: Any) -> None:
            nonlocal taken
            await gate.passed()
            async for _ in conn:
                taken += 1

        ada = site.connect("/a")
        ada.feed(*[message] * 600)
        for _ in range(100):
            site.flush()
        assert len(ada.conn._stream.messages) == 600
        gate.open()
        steps, before = [], 0
        while taken < 600:
            await asyncio.sleep(0)
            steps.append(taken - before)
            before = taken
        assert max(steps) == share
        ada.vanish()
        await settled(ada)

    run(main())


def test_a_message_that_is_taken_counts_as_one_that_is_read():
    assert shares.JSON_FRAMES == _pure.dispatch.JSON_FRAMES
    assert shares.JSON_FRAME == _pure.dispatch.JSON_FRAME
    assert shares.PLAIN_FRAME == 2 * _pure.connection.INFLATED_FRAME  # of what was inflated before
    assert shares.TURN_FRAMES == _pure.connection.MAX_FRAMES
