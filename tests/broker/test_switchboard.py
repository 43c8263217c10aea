"""What main hands on, and to whom."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from glyph_fast.broker.crossing import pack
from glyph_fast.broker.frames import Kind, frame
from glyph_fast.broker.held import Held
from glyph_fast.broker.keeper import read_position
from glyph_fast.broker.link import Link
from glyph_fast.broker.nodes.main import Beyond
from glyph_fast.broker.onward import Onward
from glyph_fast.broker.questions import Questions, answer, read_question
from glyph_fast.broker.switchboard import Switchboard
from glyph_fast.dialects.publication import EVERYONE, ROOM, publication
from glyph_fast.json import dumps
from glyph_fast.options.rooms import Declarations, RoomDeclaration
from glyph_fast.wire import Position
from tests.buses import Network

Run = Callable[[Coroutine[Any, Any, None]], None]


class Worker:
    """A link that keeps what is sent over it."""

    dropped = 0

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, frame: bytes) -> bool:
        self.sent.append(frame)
        return True

    send_always = queue = send

    def flush_queued(self) -> None:
        """Nothing waits."""


class Counting(socket.socket):
    """A socket that counts what is written to it."""

    writes = 0

    def sendmsg(self, *arguments: Any) -> int:
        self.writes += 1
        return super().sendmsg(*arguments)


class Process:
    """A worker by its link to main, and what it has heard; `ours` is main's end."""

    def __init__(self, switchboard: Any) -> None:
        ours, theirs = (Counting(fileno=each.detach()) for each in socket.socketpair())
        self.frames: list[bytes] = []
        self.link = Link(theirs, self.frames.extend, list)
        self.ours, self.theirs = ours, theirs
        main = Link(ours, lambda runs: switchboard.heard(main, runs), list, joins=True)
        switchboard.add(main)
        self.main = main

    def close(self) -> None:
        """Let both ends go."""
        self.link.close()
        self.main.close()


def packed(kind: str, name: str | None) -> bytes:
    frame = pack(publication(kind, name, "hi"))
    assert frame is not None
    return frame


async def one_turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def board(*workers: Worker) -> Any:
    made: Any = Switchboard()
    for each in workers:
        made.add(each)
    return made


def test_a_room_is_for_the_workers_that_have_members_and_not_for_the_sender(run: Run) -> None:
    async def main() -> None:
        a, b, c = Worker(), Worker(), Worker()
        switchboard = board(a, b, c)
        for each in (a, b):
            switchboard.heard(each, [frame(Kind.SUBSCRIBE, b"blue")])
        message = packed(ROOM, "blue")
        switchboard.heard(a, [message])
        await one_turn()
        assert (a.sent, b.sent, c.sent) == ([], [message], [])
        switchboard.heard(b, [frame(Kind.UNSUBSCRIBE, b"blue")])
        switchboard.heard(a, [message])
        await one_turn()
        assert b.sent == [message]

    run(main())


def test_what_workers_missed_stays_counted_when_they_are_gone(run: Run) -> None:
    async def main() -> None:
        a, b = Worker(), Worker()
        switchboard = board(a, b)
        a.dropped, b.dropped = 2, 3
        assert switchboard.dropped == 5
        switchboard.remove(a)
        switchboard.remove(a)
        assert switchboard.dropped == 5

    run(main())


def test_a_burst_for_one_room_is_one_write_of_each_process(run: Run) -> None:
    async def main() -> None:
        switchboard = Switchboard()
        a, b = Process(switchboard), Process(switchboard)
        b.link.send(frame(Kind.SUBSCRIBE, b"blue"))
        while not switchboard.links_of("blue"):
            await asyncio.sleep(0.001)
        message = packed(ROOM, "blue")
        for _ in range(100):
            a.link.send(message)
        while len(b.frames) < 100:
            await asyncio.sleep(0.001)
        assert b.frames == [message] * 100
        assert (a.theirs.writes, b.ours.writes, switchboard.forwarded) == (1, 1, 100)
        a.close()
        b.close()

    run(main())


def test_everyone_is_all_others(run: Run) -> None:
    async def main() -> None:
        a, b, c = Worker(), Worker(), Worker()
        switchboard = board(a, b, c)
        message, told = packed(EVERYONE, None), frame(Kind.TELL, b'["delete_room","x"]')
        switchboard.heard(b, [message, told])
        await one_turn()
        assert (a.sent, b.sent, c.sent) == ([message, told], [], [message, told])
        assert switchboard.forwarded == 4

    run(main())


def test_a_subscription_counts_before_what_other_links_brought_in_the_same_turn(run: Run) -> None:
    async def main() -> None:
        a, b = Worker(), Worker()
        switchboard = board(a, b)
        message = packed(ROOM, "blue")
        switchboard.heard(a, [message])
        switchboard.heard(b, [frame(Kind.SUBSCRIBE, b"blue")])
        await one_turn()
        assert b.sent == [message]

    run(main())


@pytest.mark.parametrize("is_one_reading", [True, False])
def test_a_room_left_and_joined_again_in_one_turn_stays_joined(
    run: Run, is_one_reading: bool
) -> None:
    gone, there = frame(Kind.UNSUBSCRIBE, b"blue"), frame(Kind.SUBSCRIBE, b"blue")

    async def main() -> None:
        a, b = Worker(), Worker()
        switchboard = board(a, b)
        switchboard.heard(b, [there])
        await one_turn()
        message = packed(ROOM, "blue")
        readings = [[gone, there]] if is_one_reading else [[gone], [there]]
        for each in readings:
            switchboard.heard(b, each)
        switchboard.heard(a, [message])
        await one_turn()
        switchboard.heard(a, [message])
        await one_turn()
        assert b.sent == [message, message]
        switchboard.heard(b, [gone, there, gone])
        await one_turn()
        switchboard.heard(a, [message])
        await one_turn()
        assert b.sent == [message, message]

    run(main())


def test_who_joins_a_room_again_is_told_where_it_is(run: Run) -> None:
    async def main() -> None:
        worker = Worker()
        switchboard = board(worker)
        declared = Declarations(in_program=[RoomDeclaration(pattern="blue", history_size=10)])
        switchboard.keeper.remember(declared.history_of, 1_000_000)
        gone, there = frame(Kind.UNSUBSCRIBE, b"blue"), frame(Kind.SUBSCRIBE, b"blue")
        for frames in ([there], [gone, there]):
            worker.sent.clear()
            switchboard.heard(worker, frames)
            await one_turn()
            ((room, _),) = (read_position(each) for each in worker.sent)
            assert room == "blue"

    run(main())


def test_nothing_is_left_of_a_worker_that_is_gone(run: Run) -> None:
    async def main() -> None:
        a, b = Worker(), Worker()
        switchboard = board(a, b)
        switchboard.heard(b, [frame(Kind.SUBSCRIBE, b"blue")])
        await one_turn()
        switchboard.remove(b)
        switchboard.heard(b, [frame(Kind.SUBSCRIBE, b"red"), frame(Kind.UNSUBSCRIBE, b"blue")])
        switchboard.heard(a, [packed(ROOM, "blue"), packed(ROOM, "red"), packed(EVERYONE, None)])
        await one_turn()
        assert b.sent == []

    run(main())


def test_a_worker_that_comes_later_hears_what_was_noted_last(run: Run) -> None:
    async def main() -> None:
        a, late, later = Worker(), Worker(), Worker()
        switchboard = board(a)
        tea, coffee, nothing = (
            frame(Kind.TELL, dumps(["describe_room", "blue", values]))
            for values in ({"topic": "tea"}, {"topic": "coffee"}, {})
        )
        switchboard.heard(a, [tea, coffee])
        await one_turn()
        switchboard.add(late)
        assert late.sent == [coffee]
        switchboard.heard(a, [nothing])
        await one_turn()
        switchboard.add(later)
        assert later.sent == []

    run(main())


def test_what_a_former_main_process_says_reaches_all_and_what_this_one_hears_goes_on(
    run: Run,
) -> None:
    async def main() -> None:
        a, b, former, successor = Worker(), Worker(), Worker(), Worker()
        switchboard = board(a, b)
        switchboard.former = former
        assert switchboard.keeper.serves(former) and not switchboard.keeper.serves(successor)
        message, told = packed(EVERYONE, None), frame(Kind.TELL, b'["disconnect_user","x",1,""]')
        switchboard.heard(former, [message, told])
        await one_turn()
        assert a.sent == b.sent == [message, told]
        link: Any = successor
        switchboard.keeper.onward = Onward(link, Questions(link))
        switchboard.heard(a, [message, told, frame(Kind.TELL, b'["delete_room","x"]')])
        await one_turn()
        assert successor.sent == [message, told]

    run(main())


def test_a_successor_that_is_a_node_hears_by_the_broker_alone(run: Run) -> None:
    async def main() -> None:
        a, b, successor = Worker(), Worker(), Worker()
        switchboard = board(a, b)
        bus = Network().bus()
        sent: list[bytes] = []
        bus.publish = lambda subject, payload: sent.append(payload)  # type: ignore[method-assign]
        switchboard.reach(Beyond(switchboard, bus))
        link: Any = successor
        switchboard.keeper.onward = Onward(link, Questions(link))
        message, told = packed(EVERYONE, None), frame(Kind.TELL, b'["disconnect_user","x",1,""]')
        switchboard.heard(a, [message, told, frame(Kind.TELL, b'["delete_room","x"]')])
        await one_turn()
        assert b.sent[:2] == [message, told]
        assert [payload[14:] for payload in sent] == [message, b'["disconnect_user","x",1,""]']
        assert successor.sent == []

    run(main())


def test_what_other_nodes_publish_goes_to_the_workers_concerned(run: Run) -> None:
    async def main() -> None:
        a, b = Worker(), Worker()
        switchboard = board(a, b)
        bus = Network().bus()
        beyond = Beyond(switchboard, bus)
        switchboard.reach(beyond)
        switchboard.heard(a, [frame(Kind.SUBSCRIBE, b"blue")])
        await one_turn()
        assert len(bus.subjects) == 1  # that of the room
        blue, everybody = packed(ROOM, "blue"), packed(EVERYONE, None)
        beyond.deliver(blue + blue, "blue")
        beyond.deliver(everybody, None)
        await one_turn()
        assert (a.sent, b.sent) == ([blue + blue, everybody], [everybody])
        for bad in (blue, everybody + b"x"):
            with pytest.raises(ValueError, match=r"wrong place|not a frame"):
                beyond.deliver(bad, None)
        assert len(a.sent) == 2

    run(main())


def test_when_the_order_is_here_all_workers_learn_where_their_rooms_are(run: Run) -> None:
    async def main() -> None:
        a, b = Worker(), Worker()
        switchboard = board(a, b)
        declared = Declarations(in_program=[RoomDeclaration(pattern="kept", history_size=10)])
        switchboard.keeper.remember(declared.history_of, 1_000_000)
        switchboard.keeper.held = Held()
        switchboard.heard(a, [frame(Kind.SUBSCRIBE, b"kept"), frame(Kind.SUBSCRIBE, b"blue")])
        await one_turn()
        now = time.time()
        switchboard.keeper.memory.histories.adopt("kept", Position("e", 7), (now, now), [])
        assert a.sent == []
        switchboard.keeper.held = None
        switchboard.tell_positions()
        assert [read_position(each) for each in a.sent] == [("kept", Position("e", 7))]
        assert b.sent == []

    run(main())


def test_one_worker_is_asked_by_its_number(run: Run) -> None:
    async def main() -> None:
        a, b = Worker(), Worker()
        b.is_open = True
        switchboard: Any = Switchboard()
        switchboard.add(a, "1.10", 1)
        switchboard.add(b, "2.11", 2)
        asking = asyncio.ensure_future(switchboard.ask_one(2, "take", "s", "x"))
        await one_turn()
        number, call, args = read_question(b.sent[0])
        assert (a.sent, call, args) == ([], "take", ("s", "x"))
        switchboard.heard(b, [answer(number, "taken")])
        assert await asking == "taken"
        assert await switchboard.ask_one(3, "take") is None
        asking = asyncio.ensure_future(switchboard.ask_one(2, "take"))
        await one_turn()
        switchboard.remove(b)
        assert await asking is None  # it went before it had answered
        assert await switchboard.ask_one(2, "take") is None

    run(main())
