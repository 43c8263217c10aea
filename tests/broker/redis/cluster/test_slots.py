"""Which slot a name has, and who has it."""

from __future__ import annotations

import pytest

from glyph_fast.broker.redis.cluster.slots import (
    NOBODY,
    SLOTS,
    Range,
    elect,
    is_elsewhere,
    read_slots,
    slot_of,
)
from glyph_fast.errors import BrokerUnavailable
from glyph_fast.options.values import Address

A, B, C = (Address("10.0.0.1", port) for port in (1, 2, 3))


@pytest.mark.parametrize(
    ("name", "slot"),
    [(b"123456789", 12739), (b"foo", 12182), (b"x{foo}y", 12182), (b"{}foo", 5542 + 4), (b"", 0)],
)
def test_a_name_has_the_slot_that_redis_gives_it(name, slot):
    if name == b"{}foo":  # empty braces are none
        assert slot_of(name) != slot_of(b"")
    else:
        assert slot_of(name) == slot


def test_what_a_server_tells_is_read_and_nonsense_refused():
    told = [
        [100, 16383, [b"10.0.0.2", 7, b"id", []], [b"10.0.0.3", 8, b"replica"]],
        [0, 99, [b"", 6, b"id"]],
    ]
    asked = Address("me", 1)
    assert read_slots(told, asked) == (
        Range(0, 99, Address("me", 6)),
        Range(100, 16383, Address("10.0.0.2", 7)),
    )
    assert read_slots([[0, 1, [None, 6]]], asked) == (Range(0, 1, Address("me", 6)),)
    for wrong in (b"OK", None, [[0]], [[0, 16384, [b"a", 1]]], [[0, 1, [b"a", 0]]], [[0, 1, 2]]):
        with pytest.raises(BrokerUnavailable):
            read_slots(wrong, asked)


def test_a_slot_is_where_most_say_and_stays_where_as_many_say_another():
    low, high = Range(0, 99, A), Range(100, SLOTS - 1, B)
    present = elect([(low, high)], NOBODY)
    assert present == [A] * 100 + [B] * (SLOTS - 100)
    moved = (Range(0, 98, A), Range(99, SLOTS - 1, B))
    assert elect([(low, high), (low, high), moved], present) == present
    assert elect([(low, high), moved], present) == present
    assert elect([(low, high), moved, moved], present)[98:100] == [A, B]
    assert elect([(Range(0, 98, A), high)], present)[99] is None
    assert elect([(Range(0, 9, A),), (Range(0, 9, C),)], NOBODY)[:11] == [A] * 10 + [None]


def test_only_what_was_not_done_is_repeated():
    for text in ("MOVED 1 10.0.0.1:1", "ASK 1 10.0.0.1:1", "TRYAGAIN x", "CLUSTERDOWN x"):
        assert is_elsewhere(BrokerUnavailable(text))
    assert not is_elsewhere(BrokerUnavailable("the broker is away"))
    assert not is_elsewhere("MOVED 1")
