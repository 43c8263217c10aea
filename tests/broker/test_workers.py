"""The broker of a worker."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from glyph_fast.broker.crossing import unpack
from glyph_fast.broker.frames import HEAD, Kind, frame
from glyph_fast.broker.keeper import position_frame
from glyph_fast.broker.ordering import order, placed
from glyph_fast.broker.workers import WorkersBroker, and_elsewhere
from glyph_fast.dialects.publication import ROOM, USER, publication
from glyph_fast.errors import BrokerUnavailable
from glyph_fast.options.rooms import RoomDeclaration
from glyph_fast.wire import NOBODY, Position, SendResult

Run = Callable[[Coroutine[Any, Any, None]], None]


class Main:
    """The link to the main process, which keeps what is sent over it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.flushed = 0
        self.has_room = True

    def send(self, frame: bytes) -> bool:
        if self.has_room:
            self.sent.append(frame)
        return self.has_room

    send_always = send

    def flush(self) -> None:
        self.flushed = len(self.sent)


def broker_with(delivered: list[Any], told: list[Any] | None = None) -> tuple[WorkersBroker, Main]:
    main: Any = Main()
    broker = WorkersBroker(main)

    def deliver(publication: Any) -> SendResult:
        delivered.append(publication)
        return SendResult(1, 2, 3, displaced=4)

    broker.attach(deliver, lambda call, args: (told or []).append((call, args)))
    return broker, main


def test_members_here_are_served_first_and_the_result_says_that_there_may_be_others() -> None:
    delivered: list[Any] = []
    broker, main = broker_with(delivered)
    made = publication(ROOM, "blue", "hi", "a" * 32)
    result = broker.publish(made)
    assert delivered == [made]
    assert (tuple(result), result.displaced, result.pending) == ((1, 2, 3), 4, True)
    (sent,) = main.sent
    assert unpack(sent).payload == b"hi"


def test_a_publication_for_nobody_elsewhere_stays_here() -> None:
    broker, main = broker_with([])
    assert not broker.publish(publication(USER, object(), "hi")).pending
    assert main.sent == []


def test_of_what_main_does_not_read_no_more_waits_than_may(run: Run) -> None:
    async def wait() -> None:
        broker, main = broker_with([])
        broker.remember(
            lambda name: RoomDeclaration(pattern=name, history_size=5), 0, lambda made: None
        )
        made = publication(ROOM, "kept", "hi")
        assert broker.publish(made).pending
        main.has_room = False
        assert broker.publish(made) == NOBODY and not broker.publish(made).pending
        with pytest.raises(BrokerUnavailable, match="too much waits"):
            await broker.publish_once(made, "an id")
        assert len(main.sent) == 1

    run(wait())


def test_main_knows_of_a_member_before_the_member_does() -> None:
    broker, main = broker_with([])
    broker.subscribe("blue")
    assert main.sent == [frame(Kind.SUBSCRIBE, b"blue")]
    assert main.flushed == 1
    broker.unsubscribe("blue")
    assert main.sent[1:] == [frame(Kind.UNSUBSCRIBE, b"blue")]


def test_what_comes_late_for_a_room_that_was_left_is_not_where_it_goes_on() -> None:
    """Else the next member would get all that was published while nobody was there."""
    delivered: list[Any] = []
    broker, main = broker_with(delivered)

    def placed_at(offset: int) -> bytes:
        return placed(order(publication(ROOM, "kept", "hi"), None), "epoch", offset, 0.0)

    broker.subscribe("kept")
    broker.heard([position_frame(b"kept", Position("epoch", 0)), placed_at(1)])
    broker.unsubscribe("kept")
    broker.heard([placed_at(2), position_frame(b"kept", Position("epoch", 2))])
    main.sent.clear()
    broker.subscribe("kept")
    broker.heard([position_frame(b"kept", Position("epoch", 9)), placed_at(10)])
    assert main.sent == [frame(Kind.SUBSCRIBE, b"kept")]  # nothing was asked for
    assert [each.offset for each in delivered] == [1, 10]


def test_what_others_publish_and_tell_is_done_here() -> None:
    delivered: list[Any] = []
    told: list[Any] = [None]
    here, _ = broker_with(delivered, told)
    there, main = broker_with([])
    there.publish(publication(ROOM, "blue", b"\x01"))
    there.tell("delete_room", "blue")
    bad = frame(Kind.PUBLISH, b"\xff" * HEAD.size)
    here.heard([bad, *main.sent])
    assert [(each.name, each.payload) for each in delivered] == [("blue", b"\x01")]
    assert told[1:] == [("delete_room", ["blue"])]


def test_a_result_says_that_others_are_to_come_and_what_it_said_before() -> None:
    for made in (SendResult(1, 2, 3), SendResult(1, 2, 3), SendResult(1, 2, 3, displaced=4)):
        result = and_elsewhere(made)
        assert (tuple(result), result.displaced) == (tuple(made), made.displaced)
        assert result.pending and not made.pending
