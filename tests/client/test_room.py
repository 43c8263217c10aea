"""Rooms: every message in order and once, every publish once, whatever is lost on the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from glyph_fast.client import ClientError, Crowd, Member, Meta, Position, RoomMessage
from tests.client.fake import Bench, FakeSocket, Fate, Watched, settle


def M(offset: int, data: Any = None) -> dict[str, Any]:
    return {"type": "json", "room": "lobby", "offset": offset, "data": data or offset}


def all_of(*offsets: int) -> list[dict[str, Any]]:
    return [M(offset) for offset in offsets]


def since(offset: int) -> dict[str, Any]:
    return {"epoch": "e", "offset": offset}


class Joined(Watched):
    """A client in a room, by default one whose newest message is 5."""

    socket: FakeSocket
    join: dict[str, Any]

    @classmethod
    async def make(
        cls, bench: Bench, answer: dict[str, Any] | None = None, **options: Any
    ) -> Joined:
        self = cls(bench.connect().join("lobby", **options))
        self.socket = await bench.open()
        self.join = self.socket.take_one()
        self.socket.answer(self.join, since(5) if answer is None else answer)
        self.log.clear()
        return self


async def test_it_joins_as_soon_as_there_is_a_connection(bench: Bench) -> None:
    watched = Watched(bench.connect().join("lobby", history=2, presence=True))
    room = watched.room
    waiting = Fate(room.joined())
    socket = await bench.open()
    join = socket.take_one()
    asked = {"type": "join_room", "room": "lobby", "history": 2, "presence": True}
    assert join == {**asked, "id": join["id"]}
    assert not room.is_joined and await waiting.now() == "pending"
    members = [{"id": "a", "user": "ada", "info": None}]
    presence = {"version": 1, "members": members}
    socket.answer(join, {**since(5), "messages": all_of(4, 5), "presence": presence})
    assert room.is_joined and await waiting.now() is None
    assert room.position == Position("e", 5)
    assert room.members == [Member("a", "ada", None)]
    assert watched.log == ["a 1/1", "old 4", "old 5", "joined"]
    assert bench.server.join("lobby") is room
    await room.joined()


async def test_messages_come_with_what_is_known_of_them(bench: Bench) -> None:
    found: list[RoomMessage] = []
    joined = await Joined.make(bench)
    joined.room.on("message", lambda data, meta: found.append(RoomMessage(data, meta)))
    known = {"event": "moved", "connection_id": "c", "user": "ada", "timestamp": "T"}
    joined.socket.say({**M(6, {"a": 1}), **known})
    joined.socket.say({"type": "binary", "room": "lobby", "offset": 7, "data": "AQID"})
    joined.socket.say({"type": "json", "room": "lobby", "offset": 8})
    joined.socket.say({"type": "binary", "room": "lobby", "offset": 9, "data": "no base64"})
    assert found[3].data == "no base64"
    assert found[0] == ({"a": 1}, Meta(type="json", room="lobby", offset=6, **known))  # type: ignore[arg-type]
    assert found[1].data == b"\x01\x02\x03"
    assert found[2].data is None


async def test_an_event_of_a_room_is_told_as_a_message_and_as_an_event(bench: Bench) -> None:
    joined = await Joined.make(bench)
    bench.server.on("moved", lambda data, meta: joined.log.append(f"moved {data} in {meta.room}"))
    joined.socket.say({**M(6), "event": "moved"})
    assert joined.log == [6, "moved 6 in lobby"]


async def test_what_came_already_does_not_come_again_and_a_skip_is_no_message(bench: Bench) -> None:
    joined = await Joined.make(bench)
    for offset in (5, 6, 6, 4):
        joined.socket.say(M(offset))
    joined.socket.say({"type": "skip", "room": "lobby", "offset": 7})
    joined.socket.say(M(8))
    assert joined.log == [6, 8]
    assert joined.room.position == ("e", 8)
    assert joined.socket.take() == []


async def test_a_gap_is_filled_before_anything_behind_it_is_told(bench: Bench) -> None:
    joined = await Joined.make(bench)
    joined.socket.say(M(8))
    joined.socket.say(M(9))
    asked = joined.socket.take_one()
    expected = {"type": "history", "room": "lobby", "since": since(5), "limit": 1000}
    assert asked == {**expected, "id": asked["id"]}
    assert joined.log == []
    joined.socket.answer(asked, {"messages": all_of(6, 7, 8), **since(8)})
    assert joined.log == [6, 7, 8, 9]
    assert joined.room.position == ("e", 9)


async def test_a_gap_that_is_larger_than_an_answer_is_filled_in_pieces(bench: Bench) -> None:
    joined = await Joined.make(bench)
    joined.socket.say(M(9))
    first = joined.socket.take_one()
    joined.socket.answer(first, {"messages": all_of(6, 7), **since(9), "more": True})
    second = joined.socket.take_one()
    assert second["since"] == since(7)
    joined.socket.answer(second, {"messages": all_of(8, 9), **since(9)})
    assert joined.log == [6, 7, 8, 9]


async def test_a_gap_behind_a_gap_is_filled_as_well(bench: Bench) -> None:
    joined = await Joined.make(bench)
    joined.socket.say(M(7))
    joined.socket.say(M(9))
    joined.socket.answer(joined.socket.take_one(), {"messages": all_of(6, 7), **since(7)})
    joined.socket.answer(joined.socket.take_one(), {"messages": all_of(8, 9), **since(9)})
    assert joined.log == [6, 7, 8, 9]


async def test_of_more_than_is_held_behind_a_gap_the_rest_is_asked_for(bench: Bench) -> None:
    joined = await Joined.make(bench)
    for offset in range(7, 1_107):
        joined.socket.say(M(offset))
    joined.socket.answer(joined.socket.take_one(), {"messages": all_of(6), **since(6)})
    rest = joined.socket.take_one()
    assert rest["since"] == since(1_006)
    joined.socket.answer(rest, {"messages": all_of(*range(1_007, 1_107)), **since(1_106)})
    assert joined.log == list(range(6, 1_107))


async def test_a_gap_that_history_no_longer_covers_is_told(bench: Bench) -> None:
    joined = await Joined.make(bench)
    joined.socket.say(M(8))
    joined.socket.say(M(9))
    lost = {"messages": [], "lost": True, **since(9)}
    joined.socket.answer(joined.socket.take_one(), lost)
    assert joined.log == ["reset", 8, 9]
    assert joined.room.position == ("e", 9)


async def test_where_clients_may_not_ask_for_history_a_gap_is_filled_by_joining(
    bench: Bench,
) -> None:
    joined = await Joined.make(bench)
    joined.socket.say(M(8))
    joined.socket.refuse(joined.socket.take_one(), "clients may not ask for the history")
    join = joined.socket.take_one()
    assert (join["type"], join["since"]) == ("join_room", since(5))
    joined.socket.say(M(9))
    joined.socket.answer(join, {**since(8), "resumed": True, "messages": all_of(6, 7, 8)})
    assert joined.log == [6, 7, 8, 9, "resumed 3", "joined"]


async def test_it_resumes_where_it_was_as_the_connection_it_was(bench: Bench) -> None:
    joined = await Joined.make(bench, history=3)
    joined.socket.say(M(6))
    join = (await bench.again()).take_one()
    assert (join["since"], join["was"], "history" in join) == (since(6), "me", False)
    bench.socket.answer(join, {**since(8), "resumed": True, "messages": all_of(7, 8)})
    assert joined.log == [6, 7, 8, "resumed 2", "joined"]


async def test_a_connection_that_never_was_a_member_is_not_the_one_it_was(bench: Bench) -> None:
    joined = await Joined.make(bench)
    await bench.again()
    join = (await bench.again()).take_one()
    assert (join["since"], join["was"]) == (since(5), "me")
    assert joined.room.position == ("e", 5)


async def test_what_cannot_be_resumed_is_told_and_the_latest_are_asked_for(bench: Bench) -> None:
    joined = await Joined.make(bench, history=2)
    join = (await bench.again()).take_one()
    bench.socket.answer(join, {**since(100), "resumed": False, "messages": []})
    asked = bench.socket.take_one()
    assert (asked["type"], asked["limit"], "since" in asked) == ("history", 2, False)
    bench.socket.say(M(101))
    bench.socket.answer(asked, {"messages": all_of(99, 100), **since(100)})
    assert joined.log == ["reset", "joined", "old 99", "old 100", 101]


async def test_a_reset_behind_its_back_begins_anew(bench: Bench) -> None:
    joined = await Joined.make(bench)
    reset = {"type": "room_reset", "room": "lobby", "data": {"epoch": "f", "offset": 1}}
    joined.socket.say(reset)
    joined.socket.say(M(2))
    assert joined.log == ["reset", 2]
    assert joined.room.position == ("f", 2)


async def test_a_reset_before_the_answer_to_joining_joins_again(bench: Bench) -> None:
    watched = Watched(bench.connect().join("lobby", history=2))
    socket = await bench.open()
    first = socket.take_one()
    socket.say({"type": "room_reset", "room": "lobby", "data": {"epoch": "f", "offset": 1}})
    second = socket.take_one()
    assert (second["type"], second["history"]) == ("join_room", 2)
    socket.answer(first, since(5))
    socket.answer(second, {"epoch": "f", "offset": 1, "messages": all_of(1)})
    assert watched.log == ["reset", "old 1", "joined"]
    assert watched.room.position == ("f", 1)


async def test_an_answer_of_another_epoch_is_a_reset(bench: Bench) -> None:
    joined = await Joined.make(bench)
    joined.socket.say(M(8))
    other = {"messages": [], "epoch": "f", "offset": 3}
    joined.socket.answer(joined.socket.take_one(), other)
    rest = joined.socket.take_one()
    assert rest["since"] == {"epoch": "f", "offset": 3}
    joined.socket.answer(rest, {"messages": all_of(4), "epoch": "f", "offset": 4})
    assert joined.log == ["reset", 4]


async def test_a_room_without_history_has_no_positions(bench: Bench) -> None:
    joined = await Joined.make(bench, answer={})
    joined.socket.say({"type": "json", "room": "lobby", "data": 1})
    assert (joined.log, joined.room.position) == ([1], None)
    join = (await bench.again()).take_one()
    assert "since" not in join
    bench.socket.answer(join, {})
    assert joined.log == [1, "reset", "joined"]


async def test_a_refused_room_is_told_and_tried_with_the_next_connection(bench: Bench) -> None:
    watched = Watched(bench.connect().join("lobby"))
    stream = aiter(watched.room)
    socket = await bench.open()
    waiting = [Fate(watched.room.publish(1)), Fate(watched.room.joined()), Fate(anext(stream))]
    await settle()
    socket.refuse(socket.take_one(), "no")
    assert [await each.now() for each in waiting] == [("no", False)] * 3
    assert watched.log == ["error no"]
    with pytest.raises(ClientError, match="^no$"):
        await watched.room.publish(2)
    join = (await bench.again()).take_one()
    bench.socket.answer(join, since(5))
    bench.socket.say(M(6))
    assert watched.log == ["error no", "joined", 6]
    assert (await anext(stream)).data == 6


async def test_a_stream_raises_no_refusal_that_is_over(bench: Bench) -> None:
    room = bench.connect().join("lobby")
    stream = aiter(room)
    socket = await bench.open()
    socket.refuse(socket.take_one(), "not now")
    again = await bench.again()
    again.answer(again.take_one(), since(5))
    again.say(M(6))
    room.leave()
    assert [each.data async for each in stream] == [6]


async def test_a_server_that_says_try_again_is_asked_again(bench: Bench) -> None:
    watched = Watched(bench.connect().join("lobby"))
    socket = await bench.open()
    join = socket.take_one()
    socket.refuse(join, "try again")
    for pause in (1, 2, 4, 5):
        await asyncio.sleep(pause - 0.1)
        assert socket.take() == []
        await asyncio.sleep(0.2)
        assert socket.take_one() == join
        socket.refuse(join, "try again")
    await asyncio.sleep(5)
    socket.answer(socket.take_one(), since(5))
    assert watched.log == ["joined"]


async def test_a_room_that_one_left_is_not_joined_by_what_was_to_be_tried_again(
    bench: Bench,
) -> None:
    room = bench.connect().join("lobby")
    socket = await bench.open()
    socket.refuse(socket.take_one(), "try again")
    room.leave()
    leave = socket.take_one()
    assert leave["type"] == "leave_room"
    socket.answer(leave, {})
    await asyncio.sleep(15)
    assert socket.take() == []


async def test_leaving_is_told_and_the_room_can_be_joined_anew(bench: Bench) -> None:
    joined = await Joined.make(bench)
    joined.room.leave()
    joined.room.leave()
    assert joined.socket.take_one()["type"] == "leave_room"
    joined.socket.say(M(6))
    assert joined.log == ["left"]
    with pytest.raises(ClientError, match="left the room"):
        await joined.room.publish(1)
    other = bench.server.join("lobby")
    assert other is not joined.room
    assert joined.socket.take_one()["type"] == "join_room"


async def test_leaving_while_it_is_being_joined_leaves(bench: Bench) -> None:
    watched = Watched(bench.connect().join("lobby"))
    socket = await bench.open()
    join = socket.take_one()
    watched.room.leave()
    socket.answer(join, since(5))
    socket.say(M(6))
    assert watched.log == ["left"] and not watched.room.is_joined


async def test_a_handler_that_leaves_hears_nothing_more(bench: Bench) -> None:
    joined = await Joined.make(bench)
    joined.room.on("message", lambda: joined.room.leave())
    joined.socket.say(M(8))
    joined.socket.answer(joined.socket.take_one(), {"messages": all_of(6, 7, 8), **since(8)})
    assert joined.log == [6, "left"]


async def test_a_publish_has_its_place_and_is_no_gap_for_its_author(bench: Bench) -> None:
    joined = await Joined.make(bench)
    place = Fate(joined.room.publish({"a": 1}))
    await settle()
    sent = joined.socket.take_one()
    assert (sent["type"], sent["room"], sent["data"]) == ("broadcast", "lobby", {"a": 1})
    assert len(sent["id"]) == 32
    joined.socket.answer(sent, since(6))
    joined.socket.say(M(7))
    assert await place.now() == Position("e", 6)
    assert joined.log == [7] and joined.socket.take() == []


async def test_a_publish_in_a_room_without_history_has_no_place(bench: Bench) -> None:
    joined = await Joined.make(bench, answer={})
    place = Fate(joined.room.publish())
    await settle()
    joined.socket.answer(joined.socket.take_one(), {"type": "broadcast_success"})
    assert await place.now() is None


async def test_what_was_not_acknowledged_is_sent_again_in_its_order_and_under_its_id(
    bench: Bench,
) -> None:
    joined = await Joined.make(bench)
    fates = [Fate(joined.room.publish(n)) for n in range(3)]
    await settle()
    first = joined.socket.take()
    joined.socket.answer(first[0], since(6))
    again = await bench.again()
    fates.append(Fate(joined.room.publish(3)))
    await settle()
    join = again.take_one()  # nothing else before one is a member
    again.answer(join, {**since(7), "resumed": True, "messages": []})
    second = again.take()
    assert second[:2] == first[1:]
    assert [each["data"] for each in second] == [1, 2, 3]
    for offset, each in enumerate(second, 7):
        again.answer(each, since(offset))
    assert [await each.now() for each in fates] == [("e", 6), ("e", 7), ("e", 8), ("e", 9)]


async def test_an_answer_that_was_dropped_on_the_way_is_asked_for_again(bench: Bench) -> None:
    joined = await Joined.make(bench)
    fate = Fate(joined.room.publish(1))
    await asyncio.sleep(9)
    sent = joined.socket.take_one()
    assert joined.socket.take() == []
    await asyncio.sleep(2)
    assert joined.socket.take_one() == sent
    joined.socket.answer(sent, since(6))
    assert await fate.now() == ("e", 6)


async def test_a_refused_publish_says_so_and_was_not_sent(bench: Bench) -> None:
    joined = await Joined.make(bench)
    fate = Fate(joined.room.publish(1))
    await settle()
    joined.socket.refuse(joined.socket.take_one(), "clients may not publish")
    assert await fate.now() == ("clients may not publish", False)


class Refusing:
    """The server's side of a room: it has no place for the next `refusals` messages."""

    def __init__(self, socket: FakeSocket, refusals: int) -> None:
        self._socket = socket
        self._refusals = refusals
        self.heard: list[Any] = []
        self.placed: list[Any] = []

    async def answer(self) -> list[Any]:
        """Answer what came, one after the other; return it."""
        self.heard.clear()
        await settle()
        while found := self._socket.take():
            for each in found:
                self.heard.append(each["data"])
                if self._refusals:
                    self._refusals -= 1
                    self._socket.refuse(each, "try again")
                else:
                    self.placed.append(each["data"])
                    self._socket.answer(each, since(5 + len(self.placed)))
        return self.heard


async def test_what_is_published_behind_a_refused_message_waits_for_it(bench: Bench) -> None:
    joined = await Joined.make(bench)
    server = Refusing(joined.socket, 5)
    fates = [Fate(joined.room.publish(n)) for n in (1, 2, 3)]
    assert await server.answer() == [1, 2, 3]
    fates.append(Fate(joined.room.publish(4)))
    for pause in (1, 2):
        await asyncio.sleep(pause - 0.1)
        assert await server.answer() == []
        await asyncio.sleep(0.2)
        assert await server.answer() == [1]  # alone: others would be refused, or overtake it
    fates.append(Fate(joined.room.publish(5)))
    await asyncio.sleep(4)
    assert await server.answer() == [1, 2, 3, 4, 5]
    fates.append(Fate(joined.room.publish(6)))
    assert await server.answer() == [6]
    assert server.placed == [1, 2, 3, 4, 5, 6]
    assert [await each.now() for each in fates] == [("e", n) for n in range(6, 12)]


async def test_a_room_that_refuses_holds_up_no_other(bench: Bench) -> None:
    joined = await Joined.make(bench)
    other = bench.server.join("other")
    joined.socket.answer(joined.socket.take_one(), {})
    fates = [Fate(joined.room.publish(1))]
    await settle()
    joined.socket.refuse(joined.socket.take_one(), "try again")
    fates.append(Fate(other.publish(2)))
    await settle()
    assert joined.socket.take_one()["data"] == 2
    assert [await each.now() for each in fates] == ["pending", "pending"]


async def test_a_refused_message_that_nobody_waits_for_any_more_holds_up_nothing(
    bench: Bench,
) -> None:
    joined = await Joined.make(bench)
    fate = Fate(joined.room.publish(1))
    await settle()
    first = joined.socket.take_one()
    fate.cancel()
    await settle()
    joined.socket.refuse(first, "try again")
    later = Fate(joined.room.publish(2))
    await asyncio.sleep(1.1)
    second = joined.socket.take_one()
    assert second["data"] == 2
    later.cancel()
    await settle()
    joined.socket.refuse(second, "try again")
    await asyncio.sleep(2.1)
    assert joined.socket.take() == []
    last = Fate(joined.room.publish(3))
    await settle()
    assert joined.socket.take_one()["data"] == 3
    assert await last.now() == "pending"


async def test_a_connection_that_is_lost_while_a_room_refuses_changes_no_order(
    bench: Bench,
) -> None:
    joined = await Joined.make(bench)
    fates = [Fate(joined.room.publish(n)) for n in (1, 2)]
    await settle()
    for each in joined.socket.take():
        joined.socket.refuse(each, "try again")
    fates.append(Fate(joined.room.publish(3)))
    again = await bench.again()
    again.answer(again.take_one(), {**since(5), "resumed": True, "messages": []})
    server = Refusing(again, 0)
    assert await server.answer() == [1, 2, 3]
    assert [await each.now() for each in fates] == [("e", 6), ("e", 7), ("e", 8)]


async def test_after_four_minutes_what_may_have_been_sent_is_not_sent_again(bench: Bench) -> None:
    joined = await Joined.make(bench)
    fate = Fate(joined.room.publish(1))
    await settle()
    joined.socket.take()
    bench.loop.now += 300  # asleep, say
    again = await bench.again()
    later = Fate(joined.room.publish(2))
    await settle()
    again.answer(again.take_one(), {**since(5), "resumed": True, "messages": []})
    assert await fate.now() == ("no answer in time", True)
    assert [each["data"] for each in again.take()] == [2]
    assert await later.now() == "pending"


async def test_nor_is_it_with_a_connection_that_stays(bench: Bench) -> None:
    joined = await Joined.make(bench)
    fate = Fate(joined.room.publish(1))
    for _ in range(30):
        await asyncio.sleep(10)
        joined.socket.alive()
    assert await fate.now() == ("no answer in time", True)
    assert len(joined.socket.take()) == 25  # at once and every ten seconds


async def test_in_another_epoch_what_may_have_been_sent_is_not_sent_again(bench: Bench) -> None:
    joined = await Joined.make(bench)
    fate = Fate(joined.room.publish(1))
    await settle()
    again = await bench.again()
    later = Fate(joined.room.publish(2))
    await settle()
    again.answer(again.take_one(), {"epoch": "f", "offset": 0, "resumed": False, "messages": []})
    assert await fate.now() == ("the room was reset", True)
    assert [each["data"] for each in again.take()] == [2]
    assert await later.now() == "pending"


async def test_one_that_is_cancelled_is_not_sent_again(bench: Bench) -> None:
    joined = await Joined.make(bench)
    fate = Fate(joined.room.publish(1))
    await settle()
    sent = joined.socket.take_one()
    fate.cancel()
    await settle()
    joined.socket.answer(sent, since(6))  # it has its place nevertheless
    assert joined.room.position == ("e", 6)
    again = await bench.again()
    again.answer(again.take_one(), {**since(6), "resumed": True, "messages": []})
    assert again.take() == []


async def test_what_json_cannot_hold_is_nobody_elses_trouble(bench: Bench) -> None:
    joined = await Joined.make(bench)
    with pytest.raises(TypeError, match="not a JSON value"):
        await joined.room.publish({1, 2})
    assert joined.socket.take() == [] and bench.server._asked == 0


async def test_what_waits_has_a_limit(bench: Bench) -> None:
    room = bench.connect().join("lobby")
    waiting = [asyncio.ensure_future(room.publish(n)) for n in range(10_000)]
    await settle()
    with pytest.raises(ClientError, match="too much waits") as caught:
        await room.publish(1)
    assert not caught.value.maybe_sent
    waiting[0].cancel()
    await settle()
    one_more = Fate(room.publish(1))
    assert await one_more.now() == "pending"
    await bench.server.close()
    await asyncio.wait(waiting)
    assert all(each.cancelled() or not each.exception().maybe_sent for each in waiting)  # type: ignore[union-attr]


async def test_presence_is_followed_by_its_versions(bench: Bench) -> None:
    a, b, c = ({"id": name, "user": None, "info": None} for name in "abc")
    joined = await Joined.make(bench, {**since(5), "presence": {"version": 1, "members": [a]}})

    def change(version: int, **what: Any) -> None:
        data = {"version": version, **what}
        joined.socket.say({"type": "presence", "room": "lobby", "data": data})

    change(2, joined=[b])
    change(2, joined=[c])  # came already
    change(3, joined=[{**a, "info": 1}], left=[])
    change(5, left=[a])  # one was missed
    assert joined.log == ["a,b 2/2", "b,a 2/2"]
    assert joined.room.members[1].info == 1
    asked = joined.socket.take_one()
    assert asked["type"] == "presence"
    joined.socket.answer(asked, {"version": 6, "members": [b, c]})
    assert joined.log[2:] == ["b,c 2/2"]


async def test_of_a_large_room_there_are_numbers(bench: Bench) -> None:
    crowds: list[Crowd] = []
    joined = await Joined.make(bench)
    joined.room.on("presence", lambda members, crowd: crowds.append(crowd))
    data = {"version": 1, "clients": 5000, "users": 4000}
    joined.socket.say({"type": "presence", "room": "lobby", "data": data})
    assert crowds == [(5000, 4000)] and joined.room.members == []


async def test_history_reads_what_the_room_keeps(bench: Bench) -> None:
    joined = await Joined.make(bench)
    found = Fate(joined.room.history(limit=2, before=4))
    await settle()
    asked = joined.socket.take_one()
    assert (asked["type"], asked["limit"], asked["before"]) == ("history", 2, 4)
    joined.socket.answer(asked, {"messages": all_of(2, 3), **since(5)})
    messages = await found.now()
    assert isinstance(messages, list)
    assert [(each.data, each.meta.offset) for each in messages] == [(2, 2), (3, 3)]
    lost = Fate(joined.room.history())
    await settle()
    joined.socket.end()
    assert await lost.now() == ("connection lost", False)
    assert await Fate(joined.room.history()).now() == ("not connected", False)


async def test_a_handler_that_raises_stops_no_other_nor_the_room(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(bench.connect().join("lobby"))
    watched.room.on("message", lambda: 1 / 0)
    after: list[Any] = []
    watched.room.on("message", after.append)
    socket = await bench.open()
    socket.answer(socket.take_one(), since(5))
    socket.say(M(6))
    assert after == [6]
    assert "a handler failed" in caplog.text and "ZeroDivisionError" in caplog.text


async def test_an_unknown_event_is_refused(bench: Bench) -> None:
    room = bench.connect().join("lobby")
    with pytest.raises(ValueError, match="expected one of error, joined, left, message"):
        room.on("mesage", print)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="expected a function"):
        room.on("message", 7)  # type: ignore[call-overload]


async def test_what_a_stream_did_not_take_waits_and_then_it_ends(bench: Bench) -> None:
    joined = await Joined.make(bench)
    stream = aiter(joined.room)
    joined.socket.say(M(6))
    joined.socket.say(M(7))
    assert (await anext(stream)).data == 6
    joined.room.leave()
    assert [each.data async for each in stream] == [7]
    assert [each async for each in joined.room] == []


async def test_a_stream_that_nobody_reads_any_more_is_forgotten(bench: Bench) -> None:
    joined = await Joined.make(bench)
    joined.socket.say(M(6))

    async def first() -> Any:
        async for each in joined.room:
            return each.data

    found = Fate(first())
    await settle()
    joined.socket.say(M(7))
    assert await found.now() == 7
    del found
    assert len(joined.room._streams) == 0


async def test_a_program_that_is_too_slow_gets_the_rest_once_it_has_caught_up(bench: Bench) -> None:
    joined = await Joined.make(bench)
    stream = aiter(joined.room)
    for offset in range(6, 5_000):
        joined.socket.say(M(offset))
    assert len(stream) == 1_000  # no more is kept
    assert joined.room.position == ("e", 1_005)
    for offset in range(6, 505):
        assert (await anext(stream)).data == offset
    assert joined.socket.take() == []
    assert (await anext(stream)).data == 505
    asked = joined.socket.take_one()
    assert asked["since"] == since(1_005)
    piece = {"messages": all_of(*range(1_006, 2_006)), **since(4_999), "more": True}
    joined.socket.answer(asked, piece)
    assert len(stream) == 1_500 and joined.socket.take() == []  # a piece more, and no other
    for offset in range(506, 1_506):
        assert (await anext(stream)).data == offset
    assert joined.socket.take_one()["since"] == since(2_005)


async def test_in_a_room_without_history_such_a_program_is_told_that_it_missed_some(
    bench: Bench,
) -> None:
    joined = await Joined.make(bench, answer={})
    stream = aiter(joined.room)
    for data in range(3_000):
        joined.socket.say({"type": "json", "room": "lobby", "data": data})
    for data in range(1_000):
        assert (await anext(stream)).data == data
    assert joined.log[-1] == "reset"
    joined.socket.say({"type": "json", "room": "lobby", "data": "again"})
    assert (await anext(stream)).data == "again"


async def test_a_slow_program_that_resumes_keeps_its_place(bench: Bench) -> None:
    joined = await Joined.make(bench)
    stream = aiter(joined.room)
    for offset in range(6, 2_000):
        joined.socket.say(M(offset))
    join = (await bench.again()).take_one()
    assert join["since"] == since(1_005)
    messages = all_of(*range(1_006, 2_000))
    bench.socket.answer(join, {**since(1_999), "resumed": True, "messages": messages})
    assert len(stream) == 1_000
    for offset in range(6, 506):
        assert (await anext(stream)).data == offset
    assert bench.socket.take_one()["since"] == since(1_005)


async def test_async_handlers_run_in_order_and_count_as_slow(bench: Bench) -> None:
    joined = await Joined.make(bench)
    gate = asyncio.Event()
    found: list[int] = []

    @joined.room.on("message")
    async def slow(data: int) -> None:
        await gate.wait()
        found.append(data)

    for offset in range(6, 2_000):
        joined.socket.say(M(offset))
    await settle()
    position = joined.room.position
    assert position is not None and position.offset <= 1_007
    gate.set()
    await settle()
    asked = joined.socket.take_one()
    joined.socket.answer(
        asked, {"messages": all_of(*range(position.offset + 1, 2_000)), **since(1_999)}
    )
    while len(found) < 1_994:
        await asyncio.sleep(0)
    assert found == list(range(6, 2_000))
