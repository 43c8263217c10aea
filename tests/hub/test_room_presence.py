"""What followers of a room are told: against a model, and at the bounds of what is listed."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from glyph_fast.hub.room_presence import (
    LISTED,
    LISTED_BYTES,
    RELIST_S,
    PresenceStats,
    Present,
    RoomPresence,
    entry_of,
    present_of,
)
from tests.following import Follower

pytestmark = pytest.mark.both_cores


def put(room: RoomPresence, id: str, user: object = None, info: object = None) -> None:
    room.set_own(id, entry_of(id, user, None if info is None else json.dumps(info).encode()))


def batch(room: RoomPresence, now: float = 0.0) -> None:
    frame = room.next_frame(now)
    if frame is not None:
        room.followers.publish(frame)


def listed(room: RoomPresence) -> dict[str, Any]:
    return {id: json.loads(entry.text) for id, entry in room.members.items()}


def test_members_are_shown_with_user_and_info() -> None:
    entry = entry_of("1", "ada", b'{"a":1}')
    assert entry.text == b'{"id":"1","user":"ada","info":{"a":1}}'
    assert present_of(entry) == Present("1", "ada", {"a": 1})
    assert entry_of("2", ("a", "tuple"), None).text == b'{"id":"2","user":null,"info":null}'


def test_users_are_counted_by_user_and_nobody_as_one_each() -> None:
    room = RoomPresence("r")
    for id, user in enumerate(["ada", "ada", "bob", None, None, 7]):
        put(room, str(id), user)
    assert room.stats == PresenceStats(6, 5)
    room.set_own("0", None)
    assert room.stats == PresenceStats(5, 5)
    room.set_own("1", None)
    put(room, "2", "eve")
    assert room.stats == PresenceStats(4, 4)
    for id in "2345":
        room.set_own(id, None)
        room.set_own(id, None)
    assert room.stats == PresenceStats(0, 0)


def test_a_batch_tells_each_member_at_most_once_and_nothing_that_came_to_nothing() -> None:
    room = RoomPresence("r")
    follower = Follower(room)
    put(room, "a", "ada")
    put(room, "a", "ada", "busy")
    put(room, "b")
    room.set_own("b", None)
    batch(room)
    (push,) = follower.read()
    assert push["joined"] == [{"id": "a", "user": "ada", "info": "busy"}]
    put(room, "a", "ada", "busy")
    batch(room)
    assert follower.read() == []


def test_any_history_of_changes_leads_every_follower_to_the_truth() -> None:
    chance = random.Random(16)
    for _ in range(150):
        room, followers = RoomPresence("r"), []
        for _ in range(chance.randrange(60)):
            act, id = chance.random(), chance.choice("abcd")
            if act < 0.4:
                put(room, id, chance.choice([None, "ada", "bob"]), chance.choice([None, 1]))
            elif act < 0.65:
                room.set_own(id, None)
            elif act < 0.75:
                followers.append(Follower(room))
                assert followers[-1].members == listed(room)
            elif act < 0.8 and followers:
                gone = followers.pop(chance.randrange(len(followers)))
                room.followers.discard(gone.peer.conn)
            else:
                batch(room)
                for each in followers:
                    each.read()
                    assert each.members == listed(room)
        batch(room)
        for each in followers:
            each.read()
            assert each.members == listed(room)
        assert len(room._changed) == 0 and room.stats.clients == len(room.members)


def test_beyond_the_limit_there_are_numbers_and_below_it_the_list_again() -> None:
    room = RoomPresence("r")
    for n in range(LISTED):
        put(room, str(n), f"u{n // 2}")
    follower = Follower(room)
    assert len(follower.members) == LISTED
    put(room, "one more")
    batch(room)
    assert follower.read() == [{"version": 1, "clients": 1001, "users": 501}]
    newcomer = Follower(room)
    assert newcomer.numbers == (1001, 501) and newcomer.members == {}
    put(room, "one more", None, "busy")
    batch(room)
    assert follower.read() == []  # the numbers are the same
    room.set_own("one more", None)
    batch(room, now=50.0)
    for each in (follower, newcomer):
        (push,) = each.read()
        assert (push["clients"], push["users"]) == (1000, 500)
        assert each.members == listed(room)
    room.set_own("0", None)
    batch(room, now=50.1)
    (push,) = follower.read()
    assert [each["id"] for each in push["left"]] == ["0"] and follower.members == listed(room)


def test_the_list_of_a_room_at_the_limit_is_pushed_now_and_then() -> None:
    room = RoomPresence("r")
    for n in range(LISTED):
        put(room, str(n))
    follower = Follower(room)
    lists = 0
    for n in range(400):  # for 40 s, somebody comes and goes
        (put(room, "x") if n % 2 == 0 else room.set_own("x", None))
        batch(room, now=100 + n / 10)
        lists += sum("members" in push for push in follower.read())
        assert room.wants_list is (n % 2 == 1 and not room.is_listed)
    assert lists == 40 / RELIST_S
    assert follower.numbers[0] in (1000, 1001)
    batch(room, now=1000)
    follower.read()
    assert follower.members == listed(room)


def test_a_list_has_bounded_bytes() -> None:
    room = RoomPresence("r")
    info = "x" * 4000
    for n in range(LISTED_BYTES // 4000 + 1):
        put(room, str(n), None, info)
    assert room.stats.clients < LISTED
    follower = Follower(room)
    assert follower.members == {} and follower.numbers == tuple(room.stats)


def test_a_newcomer_with_numbers_gets_the_list_before_any_change() -> None:
    room = RoomPresence("r")
    for n in range(LISTED):
        put(room, str(n))
    old = Follower(room)
    put(room, "one more")
    newcomer = Follower(room)  # within the batch: it is told numbers
    assert newcomer.numbers == (1001, 1001)
    room.set_own("one more", None)
    batch(room)
    for each in (old, newcomer):
        each.read()
        assert each.members == listed(room)


def test_other_processes_are_told_what_has_changed_of_our_own() -> None:
    room = RoomPresence("r")
    put(room, "a")
    put(room, "b")
    room.apply([("far", entry_of("far", None, None))])
    first = room.next_diff(5)
    assert first is not None and (first.seq, first.after, list(first.joined)) == (5, 0, ["a", "b"])
    assert room.next_diff(6) is None
    room.set_own("a", None)
    put(room, "c")
    room.set_own("c", None)
    second = room.next_diff(8)
    assert second is not None and second == (8, 5, {}, ("a",))
