"""What clients ask of rooms that remember, on the wire."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from glyph_fast.options.config import Config
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores

ROOMS = {
    "chat*": {"history_size": 100, "client_join": True},
    "quiet": {"history_size": 100, "client_join": True, "client_history": False},
    "plain": {"client_join": True},
}


@pytest.fixture
def site() -> Site:
    return Site(Config(rooms=ROOMS))


def ask(peer: Peer, type_: str, room: str = "chat", **members: Any) -> dict[str, Any]:
    """The data of the answer, which is the only message that comes then."""
    peer.received()
    peer.send({"type": type_, "room": room, **members})
    (answer,) = peer.answers()
    assert answer["target"] == peer.id
    assert answer.get("id") == members.get("id")
    data: dict[str, Any] = answer["data"]
    return data


def join(peer: Peer, room: str = "chat", **members: Any) -> dict[str, Any]:
    return ask(peer, "join_room", room, **members)


def offsets(messages: list[dict[str, Any]]) -> list[int]:
    return [each["offset"] for each in messages]


def publish(site: Site, *texts: str, room: str = "chat", exclude: Any = None) -> None:
    for text in texts:
        site.hub.broadcast_to_room(room, text, exclude)


# Joining.


def test_joining_tells_the_position(site: Site) -> None:
    ada = site.connect()
    first = join(ada)
    assert first == {
        "type": "join_room_success", "room": "chat", "status": "joined",
        "epoch": first["epoch"], "offset": 0,
    }  # fmt: skip
    publish(site, "1")
    (message,) = ada.json()
    assert (message["room"], message["offset"], message["data"]) == ("chat", 1, "1")
    assert join(site.connect(), id=7)["offset"] == 1
    assert join(site.connect(), "plain") == {
        "type": "join_room_success", "room": "plain", "status": "joined",
    }  # fmt: skip


def test_joining_again_is_answered_alike_and_makes_a_member_an_enveloped_one(site: Site) -> None:
    ada = site.connect()
    ada.conn.join_room("chat")
    publish(site, "1")
    assert ada.received() == ["1"]
    answer = join(ada, history=5)
    assert offsets(answer["messages"]) == [1]
    publish(site, "2")
    assert offsets(ada.json()) == [2]
    assert join(ada)["offset"] == 2


def test_the_latest_come_with_the_answer(site: Site) -> None:
    publish(site, *"123")
    assert offsets(join(site.connect(), history=2)["messages"]) == [2, 3]
    assert join(site.connect(), history=0)["messages"] == []
    message = join(site.connect(), history=1)["messages"][0]
    assert message == {
        "offset": 3, "type": "text", "data": "3", "timestamp": message["timestamp"],
    }  # fmt: skip


def test_who_was_away_gets_what_it_missed(site: Site) -> None:
    ada, bob = site.connect(), site.connect()
    position = {"epoch": join(ada)["epoch"], "offset": 0}
    join(bob)
    publish(site, "1")
    ada.vanish()
    publish(site, "2", "3")
    publish(site, "4", exclude=ada.id)
    again = site.connect()
    answer = join(again, since={**position, "offset": 1}, history=1, was=ada.id)
    assert answer["resumed"] is True
    assert [(each["offset"], each["data"]) for each in answer["messages"]] == [(2, "2"), (3, "3")]
    assert answer["offset"] == 4
    publish(site, "5")
    assert offsets(again.json()) == [5]
    assert offsets(join(site.connect(), since={**position, "offset": 2})["messages"]) == [3, 4, 5]
    assert join(site.connect(), since={**position, "offset": 5})["messages"] == []


@pytest.mark.parametrize("shift", [1, 100])
def test_what_is_not_covered_is_not_resumed(site: Site, shift: int) -> None:
    publish(site, "1")
    ada = site.connect()
    answer = join(ada)
    since = {"epoch": answer["epoch"], "offset": 1 + shift}
    assert join(ada, since=since) == {**answer, "resumed": False, "messages": []}
    since = {"epoch": "other", "offset": 0}
    assert join(ada, since=since, history=5)["messages"] == []


def test_a_resumption_is_never_a_part() -> None:
    site = Site(Config(rooms=ROOMS, history_answer=3))
    ada = site.connect()
    since = {"epoch": join(ada)["epoch"], "offset": 0}
    publish(site, *"1234")
    assert join(site.connect(), since=since)["resumed"] is False
    assert offsets(join(site.connect(), since={**since, "offset": 1})["messages"]) == [2, 3, 4]
    assert offsets(join(site.connect(), history=4)["messages"]) == [2, 3, 4]


def test_an_answer_is_bounded_by_its_bytes_as_they_are_sent(site: Site) -> None:
    ada = site.connect()
    since = {"epoch": join(ada)["epoch"], "offset": 0}
    for _ in range(2):  # as JSON each is over half a MiB
        publish(site, '"' * 270_000)
    ada.received()
    assert join(ada, since=since)["resumed"] is False
    assert offsets(join(ada, history=2)["messages"]) == [2]
    newest = ask(ada, "history", limit=2)
    assert (offsets(newest["messages"]), newest["more"]) == ([2], True)
    oldest = ask(ada, "history", since=since)
    assert (offsets(oldest["messages"]), oldest["more"]) == ([1], True)


BAD = [
    ({"since": 5}, "since must be a position"),
    ({"since": "x"}, "since must be a position"),
    ({"since": {"epoch": "e"}}, "since must be a position"),
    ({"since": {"epoch": 1, "offset": 1}}, "since must be a position"),
    ({"since": {"epoch": "e", "offset": -1}}, "since must be a position"),
    ({"since": {"epoch": "e", "offset": True}}, "since must be a position"),
    ({"since": {"epoch": "e", "offset": 1.0}}, "since must be a position"),
    ({"history": -1}, "history must be a whole number of at least 0"),
    ({"history": "5"}, "history must be a whole number of at least 0"),
    ({"was": 5}, "was must be text"),
]


@pytest.mark.parametrize(("members", "error"), BAD)
def test_what_is_malformed_is_refused_and_joins_nothing(
    site: Site, members: dict[str, Any], error: str
) -> None:
    ada = site.connect()
    assert join(ada, **members)["error"].startswith(error)
    assert ada.conn.get_rooms() == []


def test_a_position_gives_no_right(site: Site) -> None:
    asked: list[str] = []

    def judge(conn: Any, room: str) -> bool:
        asked.append(room)
        return False

    publish(site, "1", room="secret")
    site.dispatcher.on_join("chat")(judge)
    ada = site.connect()
    since = {"epoch": "e", "offset": 0}
    assert join(ada, since=since) == {"error": "not allowed to join this room"}
    assert asked == ["chat"]
    assert "needs on_join or server.room" in join(ada, "secret", since=since)["error"]


# Reading.


def test_pages_of_what_is_kept(site: Site) -> None:
    ada = site.connect()
    epoch = join(ada)["epoch"]
    publish(site, *map(str, range(1, 111)))
    ada.received()
    latest = ask(ada, "history", id="x")
    assert latest == {
        "type": "history", "room": "chat", "messages": latest["messages"], "epoch": epoch,
        "offset": 110,
    }  # fmt: skip
    pages = {
        (): range(11, 111),
        (("limit", 3),): range(108, 111),
        (("before", 20), ("limit", 3)): range(17, 20),
        (("before", 20),): range(11, 20),
        (("before", 1),): range(0),
        (("since", 105),): range(106, 111),
        (("since", 105), ("limit", 2)): range(106, 108),
        (("since", 110),): range(0),
    }
    for asked, expected in pages.items():
        members: dict[str, Any] = dict(asked)
        if "since" in members:
            members["since"] = {"epoch": epoch, "offset": members["since"]}
        assert offsets(ask(ada, "history", **members)["messages"]) == list(expected)
    lost = ask(ada, "history", since={"epoch": epoch, "offset": 5})
    assert (lost["lost"], lost["messages"], lost["offset"]) == (True, [], 110)


def test_what_left_out_the_asker_does_not_come(site: Site) -> None:
    ada = site.connect()
    join(ada)
    publish(site, "1", "2")
    publish(site, "3", exclude=ada.id)
    ada.received()
    assert offsets(ask(ada, "history")["messages"]) == [1, 2]


@pytest.mark.parametrize(
    ("members", "error"),
    [
        *[each for each in BAD if "since" in each[0]],
        ({"limit": 0}, "limit must be a whole number of at least 1"),
        ({"limit": "x"}, "limit must be a whole number of at least 1"),
        ({"before": 0}, "before must be a whole number of at least 1"),
        ({"before": 5, "since": {"epoch": "e", "offset": 1}}, "since and before do not go"),
    ],
)
def test_a_malformed_question_is_refused(site: Site, members: dict[str, Any], error: str) -> None:
    ada = site.connect()
    join(ada)
    assert ask(ada, "history", **members)["error"].startswith(error)


def test_members_alone_read_and_only_where_they_may(site: Site) -> None:
    ada = site.connect()
    assert ask(ada, "history") == {"error": "not a member of this room"}
    publish(site, "1", room="quiet")
    assert "may not ask" in join(ada, "quiet", history=1)["error"]
    since = {"epoch": join(ada, "quiet")["epoch"], "offset": 0}
    assert "may not ask" in ask(ada, "history", "quiet")["error"]
    assert offsets(join(ada, "quiet", since=since)["messages"]) == [1]


@pytest.mark.parametrize("room", ["plain", "unknown", 5, None])
def test_elsewhere_the_word_is_ordinary_json(site: Site, room: Any) -> None:
    got: list[Any] = []
    site.dispatcher.on_message("json")(lambda ctx: got.append(ctx.message.data))
    ada = site.connect()
    ada.send({"type": "history", "room": room})
    assert got == [{"type": "history", "room": room}]
    assert ada.received() == []


def test_a_list_of_words_has_it_everywhere() -> None:
    site = Site(Config(rooms=ROOMS, client_commands="history,join_room"))
    ada = site.connect()
    assert ask(ada, "history", "plain") == {"error": "this room has no history"}
    without = Site(Config(rooms=ROOMS, client_commands="ping"))
    bob = without.connect()
    bob.send({"type": "history", "room": "chat"})
    assert (bob.received(), without.hub.metrics.messages_unhandled) == ([], 1)


# Being heard.


def test_a_broadcast_with_an_id_is_answered_in_its_place(site: Site) -> None:
    ada, bob = site.connect(), site.connect()
    epoch = join(ada)["epoch"]
    join(bob)
    bob.send({"type": "broadcast", "room": "chat", "data": 1})
    assert bob.json() == [{"type": "skip", "room": "chat", "offset": 1}]
    assert ask(bob, "broadcast", data=2, id=5) == {
        "type": "broadcast_success", "room": "chat", "epoch": epoch, "offset": 2,
    }  # fmt: skip
    messages = ada.json()
    assert [(each["offset"], each["data"]) for each in messages] == [(1, 1), (2, 2)]
    assert {each["connection_id"] for each in messages} == {bob.id}
    assert all("id" not in each and "target" not in each for each in messages)


def test_an_id_that_counts_is_done_once_within_room_and_user() -> None:
    site = Site(Config(rooms=ROOMS))
    ada, again, bob, nobody = (site.connect(identity=user) for user in ("ada", "ada", "bob", None))
    for peer in (ada, again, bob, nobody):
        join(peer)
    id = "0123456789abcdef"
    first = ask(ada, "broadcast", data=1, id=id)
    again.received()
    assert ask(again, "broadcast", data=2, id=id) == first
    ada.received()
    assert ask(bob, "broadcast", data=3, id=id)["offset"] == 2
    nobody.received()
    assert ask(nobody, "broadcast", data=4, id=id)["offset"] == 3
    ada.received()
    join(ada, "plain")
    assert ask(ada, "broadcast", "plain", data=5, id=id) == {
        "type": "broadcast_success", "room": "plain",
    }  # fmt: skip
    assert len(site.hub._rooms._broker.ids) == 4


@pytest.mark.parametrize("id", [5, "x" * 15, "x" * 65, ["x" * 20], True])
def test_any_other_id_only_labels_the_answer(site: Site, id: Any) -> None:
    ada = site.connect()
    join(ada)
    assert [ask(ada, "broadcast", data=1, id=id)["offset"] for _ in range(2)] == [1, 2]


def test_a_key_of_the_program_is_no_id_of_a_client(site: Site, run: Any) -> None:
    ada = site.connect()
    join(ada)
    id = "0123456789abcdef"
    assert ask(ada, "broadcast", data=1, id=id)["offset"] == 1
    assert run(site.hub.publish("chat", "x", idempotency_key=id)).offset == 2


def test_handlers_of_the_words_run_after_their_effect(site: Site) -> None:
    seen: list[Any] = []
    for word in ("join_room", "history", "broadcast"):
        site.dispatcher.on_message(word)(lambda ctx: seen.append(ctx.message.type.value))
    ada = site.connect()
    ask(ada, "history")
    join(ada)
    ask(ada, "history")
    ask(ada, "broadcast", data=1, id=1)
    assert seen == ["join_room", "history", "broadcast"]


def test_who_is_there_comes_with_what_was_missed() -> None:
    rooms = {"chat": {**ROOMS["chat*"], "presence": True}}
    site = Site(Config(rooms=rooms))
    ada, bob = site.connect(identity="ada"), site.connect(identity="bob")
    since = {"epoch": join(ada)["epoch"], "offset": 0}
    ask(ada, "broadcast", data=1, id=5)
    answer = join(bob, since=since, presence=True)
    assert {each["user"] for each in answer["presence"]["members"]} == {"ada", "bob"}
    (message,) = answer["messages"]
    assert (message["user"], message["connection_id"]) == ("ada", ada.id)


# Clients that do not read.


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "block"])
def test_an_answer_is_kept_for_who_does_not_read_and_a_gap_is_filled(policy: str) -> None:
    site = Site(Config(rooms=ROOMS, queue_messages=4, queue_policy=policy))
    ada = site.connect()
    ada.pipe.room = 0
    ada.send({"type": "join_room", "room": "chat"})
    publish(site, *map(str, range(1, 31)))
    ada.pipe.room = None
    ada.conn._flush()
    answer, *messages = ada.json()
    assert (answer["data"]["status"], answer["data"]["offset"]) == ("joined", 0)
    seen = offsets(messages)
    assert 0 < len(seen) < 30
    since = {"epoch": answer["data"]["epoch"], "offset": 0}
    assert offsets(ask(ada, "history", since=since)["messages"]) == list(range(1, 31))


def test_who_asks_for_much_and_does_not_read_is_not_read(run: Any) -> None:
    async def main() -> None:
        site = Site(Config(rooms=ROOMS)).on_loop()
        ada = site.connect()
        join(ada)
        publish(site, *["x" * 9000] * 100)
        ada.received()
        ada.pipe.room = 0
        for _ in range(50):
            ada.send({"type": "history", "room": "chat"})
        assert ada.pipe.is_paused
        assert ada.conn.queued_bytes < 2 * 2**20
        ada.pipe.room = None
        count = 0
        for _ in range(400):
            ada.conn._flush()
            await asyncio.sleep(0)
            count += len(ada.json())
        assert count == 50

    run(main())
