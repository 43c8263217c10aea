"""Where clients may use the built-in words of rooms, by `--client-commands`, `on_join`, `room`."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast.handlers.permission import why_not
from glyph_fast.options.config import Config
from glyph_fast.options.declaration import CLIENT_COMMANDS
from glyph_fast.options.rooms import RoomDeclaration, declaration_of_program
from glyph_fast.wire import COMMANDS, MessageType
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores

DECLARED: dict[str, dict[str, Any]] = {
    "joined:*": {"client_join": True},
    "published:*": {"client_publish": True},
    "quiet:*": {"client_join": True, "client_publish": False},
    "small:*": {"max_members": 5},
    "asked:quiet": {"client_publish": False},
    "asked:small": {"max_members": 5},
}
# Whether clients may join and leave, and broadcast, by name; and why `auto` says no.
ROOMS = {
    "plain": (False, False),
    "joined:a": (True, True),
    "published:a": (False, True),
    "quiet:a": (True, False),
    "small:a": (False, False),
    "asked:a": (True, True),
    "asked:quiet": (True, False),
    "asked:small": (True, True),
}
JOIN, LEAVE, BROADCAST = "join_room", "leave_room", "broadcast"


def site(commands: object) -> Site:
    """One with the declarations, an `on_join` of `asked:*`, and a route of a program in Glyph."""
    site = Site(Config(client_commands=commands))
    for pattern, given in DECLARED.items():
        site.hub._declare(declaration_of_program(pattern, given))
    site.dispatcher.on_join("asked:*")(lambda: True)
    site.dispatcher.open_route("/glyph")
    return site


def refusal(peer: Peer, word: str, room: str) -> str | None:
    """The error that answers a word; None when it had its effect."""
    hub = peer.site.hub
    others = peer.site.connect()
    others.conn.join_room(room)
    if word != JOIN:
        peer.conn.join_room(room)
    peer.send({"type": word, "room": room, "data": 1})
    answers = [each["data"] for each in peer.json()]
    is_member, heard = peer.conn.is_in_room(room), [each["data"] for each in others.json()]
    peer.conn.leave_room(room)
    others.conn.leave_room(room)
    if answers and "error" in answers[0]:
        assert is_member is (word != JOIN) and heard == []
        assert hub.metrics.handler_errors == 0
        return str(answers[0]["error"])
    assert is_member is (word != LEAVE) and heard == ([1] if word == BROADCAST else [])
    assert len(answers) == (word != BROADCAST)
    return None


@pytest.mark.parametrize("word", [JOIN, LEAVE, BROADCAST])
@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("route", ["/python", "/glyph"])
def test_auto_lets_clients_where_something_covers_the_room(
    route: str, room: str, word: str
) -> None:
    """On a route of a Glyph program also where nothing is said about it, as its original does."""
    may_join, may_publish = ROOMS[room]
    may = may_publish if word == BROADCAST else may_join
    if route == "/glyph" and room == "plain":
        may = True
    text = refusal(site("auto").connect(route), word, room)
    assert (text is None) is may
    if text is not None:
        assert text.startswith("clients may not ") and "server.room" in text


@pytest.mark.parametrize("word", [JOIN, LEAVE, BROADCAST])
@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("route", ["/python", "/glyph"])
def test_an_explicit_list_turns_words_on_for_all_rooms(route: str, room: str, word: str) -> None:
    assert refusal(site(CLIENT_COMMANDS).connect(route), word, room) is None


@pytest.mark.parametrize("word", COMMANDS)
@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("route", ["/python", "/glyph"])
def test_none_makes_the_words_ordinary_whatever_is_declared(
    route: str, room: str, word: MessageType
) -> None:
    ada = site("none").connect(route)
    ada.send({"type": word, "room": room, "data": 1})
    assert ada.received() == []
    assert ada.site.hub.metrics.messages_unhandled == 1


@pytest.mark.parametrize("commands", ["auto", "ping", CLIENT_COMMANDS])
@pytest.mark.parametrize("route", ["/python", "/glyph"])
def test_a_ping_is_always_answered(route: str, commands: object) -> None:
    ada = site(commands).connect(route)
    ada.send({"type": "ping", "room": "plain"})
    assert [each["type"] for each in ada.json()] == ["pong"]


@pytest.mark.parametrize("commands", ["auto", CLIENT_COMMANDS])
@pytest.mark.parametrize("route", ["/python", "/glyph"])
def test_the_judges_of_a_room_are_asked_also_where_it_is_declared(
    route: str, commands: object
) -> None:
    wired = site(commands)
    wired.dispatcher.on_join("joined:*")(lambda: False)
    assert refusal(wired.connect(route), JOIN, "joined:a") == "not allowed to join this room"


@pytest.mark.parametrize("route", ["/python", "/glyph"])
def test_who_is_no_member_does_not_broadcast_where_clients_may(route: str) -> None:
    ada = site("auto").connect(route)
    for room in ("joined:a", "published:a", "asked:a"):
        ada.send({"type": BROADCAST, "room": room, "data": 1})
    assert {each["data"]["error"] for each in ada.json()} == {"not a member of this room"}


@pytest.mark.parametrize("word", [JOIN, LEAVE, BROADCAST])
def test_a_name_is_judged_before_it_is_compared_with_patterns(word: str) -> None:
    ada = site("auto").connect("/python")
    ada.send({"type": word, "room": "x" * 129, "data": 1})
    assert ada.json()[0]["data"] == {"error": "a room name is at most 128 bytes long"}


def test_a_refusal_says_what_would_allow_it() -> None:
    ada = site("auto").connect("/python")
    assert [refusal(ada, word, "plain") for word in (JOIN, LEAVE, BROADCAST)] == [
        "clients may not join this room: that needs on_join or server.room(…, client_join=True)",
        "clients may not leave this room: that needs on_join or server.room(…, client_join=True)",
        "clients may not broadcast in this room: that needs on_join or "
        "server.room(…, client_publish=True)",
    ]
    assert refusal(ada, BROADCAST, "quiet:a") == (
        "clients may not broadcast in this room: server.room has client_publish=False for it"
    )


@pytest.mark.parametrize("terms", [{"history_size": 5}, {"presence": True}])
def test_a_member_may_join_where_it_can_ask_for_something(terms: dict[str, Any]) -> None:
    wired = site("auto")
    wired.hub._declare(declaration_of_program("kept", terms))
    ada, bob = wired.connect("/python"), wired.connect("/python")
    assert refusal(ada, JOIN, "kept") is not None
    ada.conn.join_room("kept")
    ada.send({"type": JOIN, "room": "kept", "history": 5, "presence": True})
    (answer,) = ada.json()
    assert answer["data"]["status"] == "joined"
    assert refusal(ada, BROADCAST, "kept") is not None
    assert refusal(bob, JOIN, "kept") is not None


def test_refusals_are_counted_and_stop_the_handlers_behind_the_effect() -> None:
    wired = site("auto")
    wired.dispatcher.on_message(JOIN)(lambda: pytest.fail("must not run"))
    refusal(wired.connect("/python"), JOIN, "plain")
    assert wired.hub.metrics.commands_refused == 1


def test_what_is_registered_later_counts_at_once() -> None:
    wired = site("auto")
    ada = wired.connect("/python")
    assert refusal(ada, JOIN, "plain") is not None
    wired.hub._declare(declaration_of_program("plain", {"client_join": True}))
    assert refusal(ada, JOIN, "plain") is None
    wired.dispatcher.on_join("other")(lambda: True)
    assert refusal(ada, JOIN, "other") is None


def test_a_broadcast_to_everybody_has_an_option_of_its_own() -> None:
    wired = Site(Config(client_broadcast_all=True))
    ada, bob = wired.connect(), wired.connect()
    ada.send({"type": BROADCAST, "data": 1})
    assert [each["data"] for each in bob.json()] == [1]


@pytest.mark.parametrize("is_judged", [False, True])
@pytest.mark.parametrize("client_publish", [None, False, True])
@pytest.mark.parametrize("client_join", [None, False, True])
def test_publishing_follows_its_own_key_and_else_that_of_joining(
    client_join: bool | None, client_publish: bool | None, is_judged: bool
) -> None:
    """`client_join` None: nothing is declared."""
    declared = (
        None
        if client_join is None
        else RoomDeclaration(pattern="*", client_join=client_join, client_publish=client_publish)
    )
    may_join = bool(client_join or is_judged)
    may_publish = may_join if client_publish is None or declared is None else client_publish
    for word, may in ((JOIN, may_join), (LEAVE, may_join), (BROADCAST, may_publish)):
        assert (why_not(MessageType(word), declared, is_judged=is_judged) is None) is may
