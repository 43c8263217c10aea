"""What is handed over: everything, in small pieces, within what the successor keeps."""

from __future__ import annotations

import random

import pytest

from glyph_fast.broker.estate import PIECE, Receiver, pieces
from glyph_fast.broker.frames import BadFrame, Kind, frame, frame_of_json
from glyph_fast.broker.history import Ask
from glyph_fast.broker.ids import ID_BYTES
from glyph_fast.broker.memory import MemoryBroker
from glyph_fast.wire import NOWHERE, Position
from tests.estates import Clock, broker, fill


def hand_over(former: MemoryBroker, successor: MemoryBroker) -> Receiver:
    receiver = Receiver(successor)
    for each in pieces(former):
        receiver.take(each)
    return receiver


def test_positions_messages_and_ids_arrive_as_they_are() -> None:
    clock = Clock()
    former, successor = broker(clock), broker(clock)
    draw = random.Random(1)
    for n in range(200):
        fill(former, f"kept:{n % 40}", [f"{n} " + "x" * draw.randrange(9000)])
        former.ids.keep(f"kept:{n % 40}", "ann", f"id-{n}", Position("e", n))
        clock.now += 0.01
    for stream in former.histories:
        former.histories.read(stream.name, Ask())
    receiver = hand_over(former, successor)
    assert (receiver.rooms, receiver.expected, receiver.messages) == (40, 40, 200)
    for stream in former.histories:
        found = successor.histories.find(stream.name)
        assert found is not None
        assert (found.position, found.kept) == (stream.position, stream.kept)
        assert (found.at, found.used, found.nbytes) == (stream.at, stream.used, stream.nbytes)
        assert found.newest == stream.newest
    assert list(successor.ids) == list(former.ids)
    assert successor.histories.nbytes == former.histories.nbytes


def test_no_piece_is_large_however_much_there_is() -> None:
    former = broker(Clock())
    fill(former, "kept:large", ["x" * 1000] * 3000)
    for n in range(2000):
        fill(former, f"kept:{n}", ["x"])
        former.ids.keep("kept:1", "", f"id-{n}", Position("e", n))
    found = list(pieces(former))
    assert max(map(len, found)) < 2 * PIECE
    assert [found[0][4], found[-1][4]] == [Kind.HANDING, Kind.HANDED]
    assert len(found) > 10


def test_a_room_counts_once_it_is_whole() -> None:
    former, successor = broker(Clock()), broker(Clock())
    fill(former, "kept:large", ["x" * 1000] * 3000)
    receiver = Receiver(successor)
    for each in list(pieces(former))[:-2]:
        receiver.take(each)
    assert (receiver.rooms, len(successor.histories), successor.histories.nbytes) == (0, 0, 0)


def test_a_program_that_keeps_less_has_the_latest_of_it() -> None:
    clock = Clock()
    former = broker(clock)
    position = fill(former, "kept:a", [str(n) for n in range(100)])
    for successor in (
        broker(clock, history_size=3),
        broker(clock, history_bytes=3 * 4),
    ):
        hand_over(former, successor)
        page = successor.histories.read("kept:a", Ask())
        assert page.position == position
        assert [offset for offset, _ in page.messages] == [98, 99, 100]
        stream = fill(successor, "kept:a", ["next"])
        assert stream == Position(position.epoch, 101)


def test_what_is_not_declared_any_more_is_left_behind() -> None:
    clock = Clock()
    former, successor = broker(clock), MemoryBroker(clock)
    fill(former, "kept:a", ["x"])
    assert hand_over(former, successor).rooms == 1
    assert len(successor.histories) == 0


def test_less_memory_keeps_the_rooms_that_were_used_last() -> None:
    clock = Clock()
    former = broker(clock)
    for n in range(100):
        fill(former, f"kept:{n}", ["x" * 10_000])
        clock.now += 1
    successor = broker(clock, 300_000)
    hand_over(former, successor)
    assert successor.histories.nbytes <= 300_000
    kept = [stream.name for stream in successor.histories if stream.kept]
    assert kept and set(kept) == {f"kept:{n}" for n in range(100 - len(kept), 100)}
    assert len(successor.histories) == 100  # the positions have room


def test_times_go_on_as_if_nothing_had_been() -> None:
    clock = Clock()
    former, successor = (
        broker(clock, history_ttl=60, history_meta_ttl=600),
        broker(clock, history_ttl=60, history_meta_ttl=600),
    )
    fill(former, "kept:a", ["x"])
    former.ids.keep("kept:a", "", "id", NOWHERE)
    clock.now += 50
    hand_over(former, successor)
    clock.now += 11
    successor.sweep()
    stream = successor.histories.find("kept:a")
    assert stream is not None and not stream.kept and stream.offset == 1
    assert successor.ids.find("kept:a", "", "id") == NOWHERE
    clock.now += 240
    assert successor.ids.find("kept:a", "", "id") is None
    clock.now += 300
    successor.sweep()
    assert len(successor.histories) == 0 and successor.histories.nbytes == 0


def test_an_id_that_is_too_old_is_not_taken() -> None:
    clock = Clock()
    former = broker(clock)
    former.ids.keep("kept:a", "", "id", NOWHERE)
    handed = list(pieces(former))
    clock.now += 301
    successor = broker(clock)
    for each in handed:
        Receiver(successor).take(each)
    assert len(successor.ids) == 0
    successor.ids.keep("a", "b", "c", NOWHERE)
    assert successor.histories.nbytes == ID_BYTES + 3


@pytest.mark.parametrize(
    "bad",
    [
        frame_of_json(Kind.HANDING, {"format": 99, "ids": 0, "rooms": 0}),
        frame_of_json(Kind.HANDING, {}),
        frame(Kind.HANDING, b"{"),
        frame(Kind.IDS, b"nothing"),
        frame(Kind.STREAMS, b""),
        frame(Kind.STREAMS, b"\x80\x04]K\x01a."),
    ],
)
def test_what_cannot_be_read_is_refused(bad: bytes) -> None:
    with pytest.raises(BadFrame):
        Receiver(broker(Clock())).take(bad)
