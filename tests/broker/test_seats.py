"""The members of rooms that main counts for all workers."""

from __future__ import annotations

from glyph_fast.broker.seats import Seats

A, B = "the link of one worker", "that of another"


def test_a_room_has_as_many_seats_as_its_limit_in_all_workers_together() -> None:
    seats = Seats()
    assert [seats.take(link, "hall", 3) for link in (A, B, A, B)] == [True, True, True, False]
    assert seats.take(A, "other", 3)
    seats.change(A, "hall", -1)
    assert [seats.take(B, "hall", 3) for _ in range(2)] == [True, False]


def test_who_came_without_asking_counts() -> None:
    seats = Seats()
    for _ in range(4):
        seats.change(A, "hall", 1)
    assert not seats.take(B, "hall", 3)
    seats.change(A, "hall", -1)
    assert not seats.take(B, "hall", 3)
    seats.change(A, "hall", -1)
    assert seats.take(B, "hall", 3)


def test_the_seats_of_a_worker_that_is_gone_are_free_and_nothing_is_kept_of_it() -> None:
    seats = Seats()
    seats.take(A, "hall", 9), seats.take(B, "hall", 9), seats.change(A, "tea", 2)
    seats.gone(A)
    assert (seats.taken(B, "hall"), seats.taken(B, "tea")) == (1, 0)
    seats.change(B, "hall", -1)
    seats.gone(B)
    seats.gone(B)
    assert not seats._counts and not seats._of
