"""What rooms keep: places, pages, what becomes too old, what is too much."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from glyph_fast import core
from glyph_fast.broker.history import (
    KEPT_BYTES,
    STREAM_BYTES,
    Ask,
    Histories,
    Page,
    _Order,
    page_of,
)
from glyph_fast.dialects.stream import TEXT
from glyph_fast.options.rooms import RoomDeclaration
from glyph_fast.wire import Position


class Clock:
    """The time, which the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Kept(Histories):
    """Histories of rooms that all have the same terms, on a clock of the test's."""

    def __init__(self, limit: int | None = None, **terms: Any) -> None:
        self.time = Clock()
        super().__init__(self.time)
        declared = RoomDeclaration(pattern="*", **{"history_size": 1000, **terms})
        self.terms_of = lambda name: declared
        if limit is not None:
            self.limit = limit

    def put(self, name: str, *texts: str, exclude: Any = None) -> Position:
        for text in texts:
            stream = self.append(name, core.Frame(text).data, TEXT, exclude)
        return stream.position

    def get(self, name: str, **ask: Any) -> Page:
        return self.read(name, Ask(**ask))


def texts(page: Page) -> list[str]:
    return [kept[0][2:].decode() for _, kept in page.messages]


def offsets(page: Page) -> list[int]:
    return [offset for offset, _ in page.messages]


def numbers(first: int, last: int) -> list[str]:
    return [str(n) for n in range(first, last + 1)]


# Places.


def test_places_count_from_one_in_an_epoch_of_the_room() -> None:
    kept = Kept()
    first = kept.put("a", "x")
    assert (first.offset, len(first.epoch)) == (1, 8)
    assert kept.put("a", "y") == (first.epoch, 2)
    assert kept.put("b", "z").offset == 1
    assert kept.put("b", "z").epoch != first.epoch
    assert kept.get("a") == ((first.epoch, 2), kept.get("a").messages, False, False)
    assert (texts(kept.get("a")), offsets(kept.get("a"))) == (["x", "y"], [1, 2])


def test_a_room_that_was_only_asked_for_has_a_position() -> None:
    kept = Kept()
    page = kept.get("a")
    assert page == ((page.position.epoch, 0), [], False, False)
    assert kept.put("a", "x") == (page.position.epoch, 1)
    assert texts(kept.get("a", since=page.position)) == ["x"]


def test_the_bytes_that_were_sent_are_kept_not_copied() -> None:
    kept, frame = Kept(), core.Frame("hello").data
    kept.append("a", frame, TEXT)
    ((_, message),) = kept.get("a").messages
    assert message[0] is frame


@pytest.mark.parametrize(
    ("terms", "left"),
    [
        ({"history_size": 3}, numbers(8, 10)),
        ({"history_size": 1}, ["10"]),
        ({"history_bytes": 7}, ["9", "10"]),  # frames of 3 and 4 bytes
        ({"history_bytes": 6}, ["10"]),
        ({"history_bytes": 3}, []),  # the latest alone is too large
    ],
)
def test_a_room_keeps_so_many_and_so_much(terms: dict[str, Any], left: list[str]) -> None:
    kept = Kept(**terms)
    position = kept.put("a", *numbers(1, 10))
    assert position.offset == 10
    assert texts(kept.get("a")) == left
    stream = kept.find("a")
    assert stream is not None
    assert stream.nbytes == sum(len(text) + 2 for text in left)
    assert kept.nbytes == STREAM_BYTES + 2 + stream.nbytes + KEPT_BYTES * len(left)


# Pages.


@pytest.mark.parametrize(
    ("ask", "found", "is_lost", "has_more"),
    [
        ({}, (4, 10), False, False),
        ({"limit": 3}, (8, 10), False, False),
        ({"limit": 0}, None, False, False),
        ({"before": 7}, (4, 6), False, False),
        ({"before": 7, "limit": 2}, (5, 6), False, False),
        ({"before": 4}, None, False, False),
        ({"before": 1}, None, False, False),
        ({"before": 99, "limit": 1}, (10, 10), False, False),
        ({"since": 3}, (4, 10), False, False),
        ({"since": 8}, (9, 10), False, False),
        ({"since": 10}, None, False, False),
        ({"since": 3, "limit": 2}, (4, 5), False, False),
        ({"since": 2}, None, True, False),  # 3 is not kept any more
        ({"since": 0}, None, True, False),
        ({"since": 11}, None, True, False),  # beyond the newest
        ({"since": 3, "most": 2}, (4, 5), False, True),
        ({"most": 2}, (9, 10), False, True),
        ({"limit": 2, "most": 2}, (9, 10), False, False),
        ({"before": 7, "most": 2}, (5, 6), False, True),
        ({"since": 3, "most_bytes": 6}, (4, 5), False, True),
        ({"since": 3, "most_bytes": 5}, (4, 4), False, True),
        ({"since": 3, "most_bytes": 2}, None, False, True),
        ({"most_bytes": 7}, (9, 10), False, True),
        ({"since": 3, "most": 6, "is_whole": True}, None, True, False),
        ({"since": 3, "most": 7, "is_whole": True}, (4, 10), False, False),
        ({"since": 3, "most_bytes": 21, "is_whole": True}, None, True, False),
        ({"since": 3, "most_bytes": 22, "is_whole": True}, (4, 10), False, False),
    ],
)
def test_a_page_has_what_is_asked_for(
    ask: dict[str, Any], found: tuple[int, int] | None, is_lost: bool, has_more: bool
) -> None:
    kept = Kept(history_size=7)
    position = kept.put("a", *numbers(1, 10))
    if "since" in ask:
        ask = {**ask, "since": Position(position.epoch, ask["since"])}
    page = kept.get("a", **ask)
    expected = [] if found is None else numbers(*found)
    assert texts(page) == expected
    assert offsets(page) == [int(text) for text in expected]
    assert page[0::2] == (position, is_lost)
    assert page.has_more is has_more


def test_a_position_of_another_epoch_is_not_covered() -> None:
    kept = Kept()
    position = kept.put("a", "x", "y")
    assert kept.get("a", since=Position("other", 1)) == (position, [], True, False)
    assert kept.get("a", since=Position("", 0)) == (position, [], True, False)


def test_what_leaves_out_who_asks_does_not_come_and_does_not_count() -> None:
    kept = Kept()
    position = kept.put("a", "1")
    kept.put("a", "2", exclude="ada")
    kept.put("a", "3", exclude=frozenset(("bob", "eve")))
    kept.put("a", "4")
    ada, eve = frozenset(("ada", "")), frozenset(("eve", "max"))
    assert texts(kept.get("a", without=ada)) == ["1", "3", "4"]
    assert texts(kept.get("a", without=eve)) == ["1", "2", "4"]
    assert texts(kept.get("a", without=ada | eve, limit=2)) == ["1", "4"]
    page = kept.get("a", since=position, without=ada, most=2, is_whole=True)
    assert (texts(page), page.is_lost, page.position.offset) == (["3", "4"], False, 4)


# Too old.


def test_the_messages_go_some_time_after_the_latest_and_the_position_stays() -> None:
    kept = Kept(history_ttl=10.0, history_meta_ttl=100.0)
    kept.put("a", "1")
    kept.time.now += 9
    position = kept.put("a", "2")
    kept.time.now += 9.9
    assert texts(kept.get("a")) == ["1", "2"]
    kept.time.now += 0.1
    assert kept.get("a") == (position, [], False, False)
    assert kept.get("a", since=position) == (position, [], False, False)
    assert kept.get("a", since=Position(position.epoch, 1)).is_lost
    assert kept.nbytes == STREAM_BYTES + 2
    assert kept.put("a", "3") == (position.epoch, 3)
    assert texts(kept.get("a", since=position)) == ["3"]


def test_the_position_goes_after_longer_and_reading_does_not_hold_it() -> None:
    kept = Kept(history_ttl=10.0, history_meta_ttl=100.0)
    position = kept.put("a", "1")
    for _ in range(9):
        kept.time.now += 11
        assert kept.get("a").position == position
    kept.time.now += 1
    kept.sweep()
    assert len(kept) == 0
    assert kept.nbytes == 0
    assert kept.get("a").position.epoch != position.epoch


def test_who_empties_a_room_leaves_its_position_and_who_forgets_it_does_not() -> None:
    kept = Kept()
    position = kept.put("a", "1", "2")
    kept.empty("a")
    kept.empty("unknown")
    assert kept.get("a") == (position, [], False, False)
    kept.forget("a")
    kept.forget("unknown")
    assert (len(kept), kept.nbytes) == (0, 0)
    assert kept.put("a", "1")[1] == 1
    assert kept.get("a").position.epoch != position.epoch


# Too much.


def test_the_room_used_longest_ago_loses_its_history_and_then_its_position() -> None:
    kept = Kept()
    positions = {}
    for name in "abcd":
        kept.time.now += 1
        positions[name] = kept.put(name, "x" * 100, "x" * 100)
    kept.time.now += 1
    kept.get("a")  # is a use
    kept.limit = kept.nbytes + 1000
    kept.time.now += 1
    kept.put("e", "x" * 100)
    assert [len(stream.kept) for stream in kept] == [2, 0, 0, 2, 1]
    assert {name: kept.find(name).position for name in "abcd"} == positions  # type: ignore[union-attr]
    kept.limit = STREAM_BYTES * 2 + 50 + KEPT_BYTES + 102
    kept.count(0)
    assert [stream.name for stream in kept] == ["a", "e"]
    assert kept.nbytes <= kept.limit


def test_a_room_that_is_too_much_alone_loses_its_oldest() -> None:
    kept = Kept(limit=STREAM_BYTES + 2 + 5 * (KEPT_BYTES + 102))
    position = kept.put("a", *["x" * 100] * 50)
    assert position.offset == 50
    assert offsets(kept.get("a")) == numbers_of(46, 50)
    assert kept.nbytes == kept.limit


def numbers_of(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


def test_others_are_asked_for_room_when_no_history_is_left() -> None:
    kept = Kept(limit=STREAM_BYTES + 100)
    asked: list[int] = []
    kept.free_others = asked.append
    kept.count(200)
    kept.put("a", "x")
    assert asked[0] == 200 + STREAM_BYTES + 2 - kept.limit
    assert kept.get("a").position.offset == 1


def test_names_that_are_invented_take_no_more_than_the_limit() -> None:
    kept = Kept(limit=200_000)
    for n in range(20_000):
        kept.time.now += 0.001
        kept.get(f"room {n}")
        if not n % 3:
            kept.put(f"room {n}", "x")
    assert kept.nbytes <= kept.limit
    assert len(kept) <= kept.limit // STREAM_BYTES
    for order in (kept._by_end, kept._by_last_end, kept._full_by_use, kept._by_use):
        assert len(order._heap) <= 4 * len(kept) + 64
        assert len(order._there) == len(order._heap)


def test_messages_too_large_to_be_kept_leave_nothing_behind() -> None:
    kept = Kept(history_bytes=10)
    for _ in range(1000):
        kept.put("a", "x" * 100)
    assert kept.nbytes == STREAM_BYTES + 2
    assert len(kept._by_end._heap) == len(kept._full_by_use._heap) == 1


def test_a_kept_message_takes_no_more_than_it_is_counted_for() -> None:
    """Beside its frame: the tuple, its place in the row, the time."""
    kept = Kept()
    kept.put("a", "x")
    ((_, message),) = kept.get("a").messages
    frame = message[0]
    size = sys.getsizeof(message) + 16 + sys.getsizeof(message[1]) + 8  # with the collector's head
    assert size + sys.getsizeof(frame) - len(frame) <= KEPT_BYTES


def test_an_order_gives_the_first_that_is_due_and_forgets_what_has_no_place() -> None:
    kept = Kept()
    streams = [kept.stream(name) for name in "abc"]
    moments: dict[Any, float | None] = dict(zip(streams, (3.0, 1.0, 2.0), strict=True))
    order = _Order(moments.__getitem__)
    for stream in (*streams, *streams):
        order.add(stream)
    assert order.first(0.5) is None
    moments[streams[1]] = 5.0  # has moved on
    assert order.first(2.5) is streams[2]
    assert order.first(2.5) is None
    moments[streams[0]] = None
    assert order.first(4.0) is None
    assert order.first(but=streams[1]) is None
    assert order.first() is streams[1]
    assert order.first() is None


@pytest.mark.parametrize(
    "ask",
    [
        {"limit": 1}, {"limit": 1, "without": frozenset("x")}, {"most": 1}, {"most_bytes": 10},
        {"before": 900, "limit": 1}, {"since": 100, "limit": 1}, {"since": 100, "most": 1},
    ],
)  # fmt: skip
def test_no_more_is_looked_at_than_is_asked_for(ask: dict[str, Any]) -> None:
    """Else a request of 50 bytes takes as long as all that a room keeps."""
    kept, looked_at = Kept(), 0
    position = kept.put("a", *numbers(1, 1000))
    stream = kept.find("a")
    assert stream is not None
    if "since" in ask:
        ask["since"] = Position(position.epoch, ask["since"])

    def looking() -> Any:
        nonlocal looked_at
        above = ask["since"].offset if "since" in ask else 0
        from_newest = "since" not in ask
        for each in stream.numbered(above, ask.get("before"), from_newest=from_newest):
            looked_at += 1
            yield each

    page = page_of(position, looking(), Ask(**ask))
    assert page == kept.get("a", **ask) and len(page.messages) == 1
    assert looked_at == 2
