"""The messages clients may send to the server itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast.errors import Reject
from glyph_fast.options.config import Config
from glyph_fast.options.declaration import CLIENT_COMMANDS
from glyph_fast.wire import MessageType
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


@pytest.fixture
def site() -> Site:
    """One whose clients may use the words in all rooms; where `auto` lets them is told in
    test_permission."""
    return everywhere()


def everywhere(**options: Any) -> Site:
    return Site(Config(client_commands=CLIENT_COMMANDS, **options))


def answer(peer: Peer, message: Any) -> Any:
    """The one answer to `message`, without its timestamp."""
    peer.send(message)
    answers = peer.answers()
    assert len(answers) == 1
    return answers[0]


def done(peer: Peer, type_: str, room: str, status: str) -> dict[str, Any]:
    data = {"type": type_, "room": room, "status": status}
    return {"type": "json", "data": data, "target": peer.id}


def refusal(peer: Peer, text: str) -> dict[str, Any]:
    return {"type": "error", "data": {"error": text}, "target": peer.id}


def join(room: Any) -> dict[str, Any]:
    return {"type": "join_room", "room": room}


# What is answered.


def test_join_room(site: Site) -> None:
    ada = site.connect()
    assert answer(ada, join("blue")) == done(ada, "join_room_success", "blue", "joined")
    assert ada.conn.get_rooms() == ["blue"]


def test_leave_room(site: Site) -> None:
    ada = site.connect()
    ada.conn.join_room("blue")
    request = {"type": "leave_room", "room": "blue"}
    for _ in range(2):  # leaving again is no error
        assert answer(ada, request) == done(ada, "leave_room_success", "blue", "left")
    assert ada.conn.get_rooms() == []


def test_broadcast_to_a_room(site: Site) -> None:
    ada, bob, eve = (site.connect() for _ in range(3))
    ada.conn.join_room("blue")
    bob.conn.join_room("blue")
    ada.send({"type": "broadcast", "room": "blue", "data": {"n": 1}})
    assert bob.answers() == [
        {"type": "json", "data": {"n": 1}, "room": "blue", "connection_id": ada.id}
    ]
    assert ada.received() == eve.received() == []


@pytest.mark.parametrize("more", [{"room": "blue"}, {"room": "blue", "id": "1"}, {}], ids=str)
def test_a_broadcast_that_is_larger_than_the_broker_takes(
    run: Run, monkeypatch: pytest.MonkeyPatch, more: dict[str, str]
) -> None:
    def too_large(publication: Any) -> None:
        raise ValueError("at most 5 bytes")

    async def main() -> None:
        site = Site(Config(client_commands=CLIENT_COMMANDS, client_broadcast_all=True)).on_loop()
        ada = site.connect()
        ada.conn.join_room("blue")
        monkeypatch.setattr(site.hub.get_room_manager()._broker, "publish", too_large)
        ada.send({"type": "broadcast", "data": 1} | more)
        await asyncio.sleep(0)
        (said,) = ada.answers()
        assert said["data"] == {"error": "at most 5 bytes"}
        assert site.hub.metrics.handler_errors == 0

    run(main())


def test_broadcast_of_null(site: Site) -> None:
    ada, bob = site.connect(), site.connect()
    ada.conn.join_room("blue")
    bob.conn.join_room("blue")
    ada.send({"type": "broadcast", "room": "blue", "data": None})
    assert bob.answers() == [{"type": "json", "room": "blue", "connection_id": ada.id}]


@pytest.mark.parametrize(
    ("own", "echoed"),
    [("2031-05-06T07:08:09Z", "2031-05-06T07:08:09Z"), (None, None), (17, None), ("", None)],
)
def test_ping(site: Site, own: Any, echoed: Any) -> None:
    ada = site.connect()
    assert answer(ada, {"type": "ping", "timestamp": own}) == {
        "type": "pong",
        "data": {"timestamp": echoed},
        "target": ada.id,
    }


def test_a_ping_without_a_timestamp(site: Site) -> None:
    ada = site.connect()
    assert answer(ada, {"type": "ping"})["data"] == {"timestamp": None}


@pytest.mark.parametrize(
    "message",
    [join("blue"), {"type": "leave_room", "room": "b"}, {"type": "ping"}, join(""), join(5)],
)
def test_every_answer_carries_the_id_of_its_request(site: Site, message: Any) -> None:
    assert answer(site.connect(), message | {"id": 7})["id"] == 7


def test_the_last_broadcast_of_one_that_has_left_is_heard(run: Run) -> None:
    async def main() -> None:
        site = everywhere().on_loop()
        gate = asyncio.Event()
        site.dispatcher.on_message("text")(lambda: gate.wait())
        ada, bob = site.connect(), site.connect()
        ada.conn.join_room("blue")
        bob.conn.join_room("blue")
        ada.send("wait", {"type": "broadcast", "room": "blue", "data": "bye"})
        ada.vanish()
        gate.set()
        while ada.conn._inbox is not None:
            await asyncio.sleep(0)
        assert [answer["data"] for answer in bob.answers()] == ["bye"]

    run(main())


# What is refused.


@pytest.mark.parametrize("word", ["join_room", "leave_room"])
def test_a_room_is_needed(site: Site, word: str) -> None:
    ada = site.connect()
    assert answer(ada, {"type": word}) == refusal(ada, "room is missing")
    assert answer(ada, {"type": word, "data": "room"}) == refusal(ada, "room is missing")
    assert site.hub.get_room_manager().count() == 0


@pytest.mark.parametrize("word", ["join_room", "leave_room", "broadcast"])
@pytest.mark.parametrize("room", ["", 5, None, ["a"], {"room": "a"}, True])
def test_a_room_is_text(site: Site, word: str, room: Any) -> None:
    ada = site.connect()
    message = {"type": word, "room": room, "data": 1}
    assert answer(ada, message) == refusal(ada, "room must be text and not empty")
    assert site.hub.get_room_manager().count() == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x" * 129, "a room name is at most 128 bytes long"),
        ("a\tb", "a room name has no control characters"),
    ],
)
@pytest.mark.parametrize("is_judged", [False, True])
def test_bad_room_names_are_refused(site: Site, name: str, text: str, is_judged: bool) -> None:
    if is_judged:
        site.dispatcher.on_join(lambda: pytest.fail("nobody should be asked"))
    ada = site.connect()
    assert answer(ada, join(name)) == refusal(ada, text)


def test_a_full_room_is_not_joined() -> None:
    site = everywhere(max_room_members=1)
    ada, bob = site.connect(), site.connect()
    answer(ada, join("blue"))
    assert answer(bob, join("blue")) == refusal(bob, "room is full")
    assert bob.conn.get_rooms() == []


def test_a_connection_in_too_many_rooms_is_refused() -> None:
    site = everywhere(max_rooms_per_connection=1)
    ada = site.connect()
    answer(ada, join("a"))
    assert answer(ada, join("b")) == refusal(ada, "a connection may be in 1 rooms at a time")


def test_only_members_broadcast_to_a_room(site: Site) -> None:
    ada, bob = site.connect(), site.connect()
    bob.conn.join_room("blue")
    message = {"type": "broadcast", "room": "blue", "data": 1}
    assert answer(ada, message) == refusal(ada, "not a member of this room")
    assert bob.received() == []


def test_a_broadcast_needs_data(site: Site) -> None:
    ada = site.connect()
    ada.conn.join_room("blue")
    assert answer(ada, {"type": "broadcast", "room": "blue"}) == refusal(ada, "data is missing")


def test_a_broadcast_to_everybody_is_refused(site: Site) -> None:
    ada, bob = site.connect(), site.connect()
    assert answer(ada, {"type": "broadcast", "data": 1}) == refusal(ada, "a broadcast needs a room")
    assert bob.received() == []


def test_a_broadcast_to_everybody_can_be_allowed() -> None:
    site = everywhere(client_broadcast_all=True)
    ada, bob = site.connect(), site.connect()
    ada.send({"type": "broadcast", "data": 1})
    expected = {"type": "json", "data": 1, "connection_id": ada.id}
    assert ada.answers() == bob.answers() == [expected]


@pytest.mark.parametrize("room", [5, None, "", ["a"]])
def test_a_broadcast_to_a_malformed_room_never_goes_to_everybody(room: Any) -> None:
    site = everywhere(client_broadcast_all=True)
    ada, bob = site.connect(), site.connect()
    message = {"type": "broadcast", "room": room, "data": 1}
    assert answer(ada, message) == refusal(ada, "room must be text and not empty")
    assert bob.received() == []


def test_refusals_are_counted_and_are_no_errors(site: Site) -> None:
    answer(site.connect(), join(""))
    assert site.hub.metrics.commands_refused == 1
    assert site.hub.metrics.handler_errors == 0


# Turned off.


@pytest.mark.parametrize("word", CLIENT_COMMANDS)
def test_without_client_commands_their_words_are_ordinary_json(word: str) -> None:
    site = Site(Config(client_commands=()))
    seen: list[Any] = []
    site.dispatcher.on_message("json")(lambda ctx: seen.append(ctx.message.data))
    ada = site.connect()
    ada.conn.join_room("blue")
    ada.send({"type": word, "room": "blue", "data": 1})
    assert seen == [{"type": word, "room": "blue", "data": 1}]
    assert ada.received() == []
    assert ada.conn.get_rooms() == ["blue"]


def test_some_client_commands_can_be_enabled() -> None:
    site = Site(Config(client_commands=("ping",)))
    ada = site.connect()
    ada.send(join("blue"))
    assert ada.received() == []
    assert site.hub.metrics.messages_unhandled == 1
    assert answer(ada, {"type": "ping"})["type"] == "pong"


# The application's handlers of the same types.


def test_a_handler_runs_after_the_effect(site: Site) -> None:
    seen: list[Any] = []

    @site.dispatcher.on_message(MessageType.JOIN_ROOM)
    def joined(ctx: Any) -> None:
        seen.append(ctx.conn.get_rooms())
        ctx.reply_json("welcome")

    ada = site.connect()
    ada.send(join("blue"))
    assert seen == [["blue"]]
    assert [answer["data"] for answer in ada.answers()] == [
        {"type": "join_room_success", "room": "blue", "status": "joined"},
        "welcome",
    ]


@pytest.mark.parametrize("message", [join(""), {"type": "broadcast", "room": "r", "data": 1}])
def test_a_handler_does_not_run_when_the_effect_was_refused(site: Site, message: Any) -> None:
    site.dispatcher.on_message(message["type"])(lambda: pytest.fail("must not run"))
    assert answer(site.connect(), message)["type"] == "error"
    assert site.hub.metrics.handler_errors == 0


def test_an_event_with_handlers_has_no_built_in_effect(site: Site) -> None:
    seen: list[Any] = []
    site.dispatcher.on_event("mine")(lambda ctx: seen.append(ctx.message.type))
    ada = site.connect()
    ada.send(join("blue") | {"event": "mine"})
    assert seen == ["join_room"]
    assert ada.conn.get_rooms() == [] and ada.received() == []


def test_an_event_without_handlers_leaves_the_effect_alone(site: Site) -> None:
    ada = site.connect()
    answer(ada, join("blue") | {"event": "nobody's"})
    assert ada.conn.get_rooms() == ["blue"]


# Who may join.


def test_on_join_judges_clients_only(site: Site) -> None:
    site.dispatcher.on_join(lambda conn, room: False)
    ada = site.connect()
    assert answer(ada, join("blue")) == refusal(ada, "not allowed to join this room")
    ada.conn.join_room("blue")
    assert ada.conn.get_rooms() == ["blue"]


def test_on_join_is_asked_about_rooms_that_match(site: Site) -> None:
    asked: list[str] = []

    @site.dispatcher.on_join("staff-*")
    def judge(conn: Any, room: str) -> bool:
        asked.append(room)
        return room == "staff-tea"

    ada = site.connect()
    for room in ("blue", "staff-tea", "staff-only", "not-staff-tea"):
        ada.send(join(room))
    assert asked == ["staff-tea", "staff-only"]
    assert ada.conn.get_rooms() == ["blue", "staff-tea", "not-staff-tea"]


def test_patterns_tell_capital_letters(site: Site) -> None:
    site.dispatcher.on_join("Staff")(lambda: False)
    ada = site.connect()
    ada.send(join("staff"), join("Staff"))
    assert ada.conn.get_rooms() == ["staff"]


def test_all_that_match_must_allow(site: Site) -> None:
    site.dispatcher.on_join(lambda: True)
    site.dispatcher.on_join("b*")(lambda: False)
    ada = site.connect()
    ada.send(join("blue"), join("red"))
    assert ada.conn.get_rooms() == ["red"]


@pytest.mark.parametrize("verdict", [None, 0, "", False])
def test_what_is_not_true_refuses(site: Site, verdict: Any) -> None:
    site.dispatcher.on_join(lambda: verdict)
    ada = site.connect()
    ada.send(join("blue"))
    assert ada.conn.get_rooms() == []


def test_a_member_is_not_judged_again(site: Site) -> None:
    site.dispatcher.on_join(lambda: False)
    ada = site.connect()
    ada.conn.join_room("blue")
    assert answer(ada, join("blue")) == done(ada, "join_room_success", "blue", "joined")


def test_reject_in_on_join_gives_the_reason(site: Site) -> None:
    @site.dispatcher.on_join
    def judge() -> bool:
        raise Reject(403, "staff only")

    ada = site.connect()
    assert answer(ada, join("blue")) == refusal(ada, "staff only")
    assert site.hub.metrics.handler_errors == 0


def test_on_join_that_raises_refuses_and_is_counted(site: Site) -> None:
    told: list[Any] = []

    @site.dispatcher.on_join
    def judge() -> bool:
        raise KeyError("x")

    site.dispatcher.on_error(lambda subject, exc: told.append(type(exc)))
    ada = site.connect()
    assert answer(ada, join("blue")) == refusal(ada, "not allowed to join this room")
    assert site.hub.metrics.handler_errors == 1
    assert told == [KeyError]


def test_on_join_may_wait_and_the_messages_behind_it_wait_too(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        verdict = asyncio.get_running_loop().create_future()

        @site.dispatcher.on_join
        async def judge(conn: Any, room: str) -> bool:
            return bool(await verdict)

        ada = site.connect()
        ada.send(join("blue"), {"type": "broadcast", "room": "blue", "data": 1}, {"type": "ping"})
        await asyncio.sleep(0)
        assert ada.received() == []
        verdict.set_result(True)
        while ada.conn._inbox is not None:
            await asyncio.sleep(0)
        assert [answer["type"] for answer in ada.answers()] == ["json", "pong"]
        assert ada.conn.get_rooms() == ["blue"]

    run(main())
