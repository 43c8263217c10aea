"""Who is in rooms, as main knows it."""

from __future__ import annotations

import random
from typing import Any

from glyph_fast.broker.attendance import (
    ASK,
    DIFF,
    GONE,
    SNAPSHOT,
    UNFOLLOW,
    Attendance,
    read_said,
    said,
)
from glyph_fast.broker.presence import Diff, Entry, Remote, Snapshot


class Worker:
    """A link that keeps what is sent over it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, frame: bytes) -> bool:
        self.sent.append(frame)
        return True

    send_always = send

    def said(self) -> list[Any]:
        """What it was told since the last time."""
        told = [read_said(each) for each in self.sent]
        self.sent.clear()
        return told


def entry(id: str) -> Entry:
    return Entry(None, b'{"id":"%b"}' % id.encode())


def three() -> tuple[Any, Any, Any, Any]:
    attendance: Any = Attendance()
    workers = [Worker() for _ in range(3)]
    for number, each in enumerate(workers):
        attendance.add(each, f"n{number}")
    return attendance, *workers


def test_those_who_follow_hear_of_changes_and_others_do_not() -> None:
    attendance, a, b, c = three()
    assert attendance.gather(b, "room", True) == []
    diff = Diff(1, 0, {"x": entry("x")}, ())
    attendance.heard(a, said(DIFF, "room", diff))
    assert b.said() == [(DIFF, "room", ("n0", diff))]
    assert (a.said(), c.said()) == ([], [])
    assert attendance.gather(c, "room", False) == [Snapshot("n0", 1, {"x": entry("x")})]
    attendance.heard(b, said(UNFOLLOW, "room"))
    attendance.heard(a, said(DIFF, "room", Diff(2, 1, {}, ("x",))))
    assert b.said() == []
    assert attendance.gather(c, "room", False) == []


def test_nothing_is_kept_of_a_room_that_everybody_has_left() -> None:
    attendance, a, *_ = three()
    for n in range(1000):
        attendance.heard(a, said(DIFF, f"room {n}", Diff(2 * n + 1, 0, {"x": entry("x")}, ())))
        attendance.heard(a, said(DIFF, f"room {n}", Diff(2 * n + 2, 2 * n + 1, {}, ("x",))))
    assert attendance._rooms == {} and attendance._followers == {}


def test_a_change_that_does_not_follow_is_asked_for_and_the_answer_goes_to_followers() -> None:
    attendance, a, b, _ = three()
    attendance.gather(b, "room", True)
    late = Diff(7, 5, {"y": entry("y")}, ())
    attendance.heard(a, said(DIFF, "room", late))
    assert a.said() == [(ASK, "room", ())]
    b.said()
    attendance.heard(b, said(ASK, "room", "n0"))
    assert b.said() == []  # it is on its way
    snapshot = Snapshot("", 7, {"x": entry("x"), "y": entry("y")})
    attendance.heard(a, said(SNAPSHOT, "room", snapshot))
    assert b.said() == [(SNAPSHOT, "room", (snapshot._replace(node="n0"),))]
    attendance.heard(b, said(ASK, "room", "n0"))
    assert b.said() == [(SNAPSHOT, "room", (snapshot._replace(node="n0"),))]


def test_a_worker_that_is_gone_leaves_once_and_everywhere() -> None:
    attendance, a, b, c = three()
    attendance.heard(a, said(DIFF, "room", Diff(1, 0, {"x": entry("x")}, ())))
    attendance.gather(a, "other", True)
    attendance.remove(a)
    attendance.remove(a)
    assert b.said() == c.said() == [(GONE, "n0", ())]
    assert attendance.gather(b, "room", False) == []
    attendance.heard(a, said(DIFF, "room", Diff(2, 1, {"y": entry("y")}, ())))  # it comes too late
    assert attendance.gather(b, "room", False) == []
    assert attendance._followers == {}


def test_a_follower_that_misses_some_comes_to_the_same_by_asking() -> None:
    for seed in range(30):
        draw = random.Random(seed)
        attendance, a, b, _ = three()
        attendance.gather(b, "room", True)
        members: dict[str, Entry] = {}
        seen, seq = Remote(), 0
        for _ in range(60):
            joined = {id: entry(id) for id in draw.sample("abcdef", 2) if id not in members}
            left = tuple(id for id in draw.sample("abcdef", 2) if id in members)
            members.update(joined)
            for id in left:
                del members[id]
            attendance.heard(a, said(DIFF, "room", Diff(seq + 1, seq, joined, left)))
            seq += 1
            for word, _room, _more in a.said():
                assert word == ASK
                attendance.heard(a, said(SNAPSHOT, "room", Snapshot("", seq, dict(members))))
            for word, _room, more in b.said():
                if draw.random() < 0.3:
                    continue  # dropped on its way
                if word == DIFF:
                    seen.hear(more[1])
                else:
                    seen.take(more[0])
        while seen.seq != seq:
            attendance.heard(b, said(ASK, "room", "n0"))
            for word, _room, _more in a.said():
                assert word == ASK
                attendance.heard(a, said(SNAPSHOT, "room", Snapshot("", seq, dict(members))))
            for word, _room, more in b.said():
                if word == SNAPSHOT:
                    seen.take(more[0])
        assert seen.members == members
