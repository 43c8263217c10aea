"""Ids: the first position again, for five minutes, within a room and a user."""

from __future__ import annotations

from glyph_fast.broker.ids import ID_BYTES, LIFETIME_S, Ids
from glyph_fast.wire import Position

HERE, THERE = Position("e", 1), Position("e", 2)


class Told:
    """Ids on a clock of the test's; `size` is what they say they take."""

    def __init__(self, most: int = 100) -> None:
        self.now = 0.0
        self.size = 0
        self.ids = Ids(lambda: self.now, self.count, most)

    def count(self, size: int) -> None:
        self.size += size


def test_an_id_counts_within_its_room_and_user() -> None:
    ids = Told().ids
    ids.keep("a", "ada", "1", HERE)
    assert ids.find("a", "ada", "1") == HERE
    assert ids.find("b", "ada", "1") is ids.find("a", "", "1") is ids.find("a", "ada", "2") is None


def test_an_id_is_known_for_five_minutes() -> None:
    told = Told()
    told.ids.keep("a", "", "1", HERE)
    told.now = LIFETIME_S - 1
    told.ids.keep("a", "", "2", THERE)
    assert told.ids.find("a", "", "1") == HERE
    told.now = LIFETIME_S
    assert told.ids.find("a", "", "1") is None
    assert told.ids.find("a", "", "2") == THERE
    assert (len(told.ids), told.ids.forgotten) == (1, 0)
    told.now *= 3
    told.ids.sweep()
    assert told.size == 0


def test_the_oldest_make_room_for_others_and_are_counted() -> None:
    told = Told(most=3)
    for n in range(5):
        told.ids.keep("a", "", str(n), Position("e", n))
    assert [told.ids.find("a", "", str(n)) is None for n in range(5)] == [True] * 2 + [False] * 3
    assert told.ids.forgotten == 2
    assert told.size == 3 * (ID_BYTES + 2)


def test_as_many_go_as_are_to_be_freed() -> None:
    told = Told()
    for n in range(5):
        told.ids.keep("a", "", str(n), HERE)
    told.ids.free(ID_BYTES + 5)
    assert [key[2] for key, _ in told.ids] == ["2", "3", "4"]
    told.ids.free(10**9)
    assert (len(told.ids), told.size) == (0, 0)
