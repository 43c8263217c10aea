"""Development mode: clients are told what goes wrong in handlers; without it, nothing of that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glyph_fast import Config, Server
from glyph_fast.glyph.serving.server import GlyphServer
from glyph_fast.handlers.telling import MAX_TEXT, failure_of, nearest
from glyph_fast.testing import SyncTestClient, UpgradeRefused
from tests.wired import Peer, Site, settled

pytestmark = pytest.mark.both_cores

HERE = __file__
DEV = Config(dev=True)


def fails(ctx: Any = None) -> None:
    raise ValueError("no such move")


async def fails_later(ctx: Any = None) -> None:
    raise ValueError("no such move")


def told(handler: Callable[..., Any]) -> dict[str, str]:
    return {
        "error": "ValueError: no such move",
        "handler": f"{__name__}:{handler.__qualname__}",
        "line": f"{HERE}:{handler.__code__.co_firstlineno + 1}",
    }


def site(config: Config = DEV) -> Site:
    return Site(config)


def without_target(peer: Peer) -> list[Any]:
    found = peer.answers()
    for each in found:
        assert each.pop("target") == peer.id
    return found


@pytest.mark.parametrize("handler", [fails, fails_later])
@pytest.mark.parametrize("id", [{}, {"id": 7}])
def test_the_sender_of_an_event_is_told_what_its_handler_raised(handler, id) -> None:
    place = site()
    place.dispatcher.on_event("move")(handler)
    ada = place.connect("/ws")
    ada.send({"type": "json", "event": "move", **id})
    assert without_target(ada) == [{"type": "error", "data": told(handler), **id}]
    assert place.hub.metrics.handler_errors == 1


@pytest.mark.parametrize("config", [Config(), Config(dev=False, reload=True)])
def test_outside_development_nothing_of_it_leaves(config) -> None:
    place = site(config)
    place.dispatcher.on_event("move")(fails)
    place.dispatcher.on_connect(fails)
    ada = place.connect("/ws")
    ada.send({"event": "move"}, {"event": "other"}, "text", b"bytes", {"event": "move", "id": 1})
    ada.send({"type": "json", "event": "other", "id": 2})
    assert [each["data"] for each in without_target(ada)] == [
        {"error": "internal error"},
        {"error": "no handler"},
    ]
    assert place.hub.metrics.messages_unhandled == 4


def test_bare_messages_are_told_in_bare_json() -> None:
    place = site()
    place.dispatcher.on_message()(fails)
    ada = place.connect("/ws")
    ada.send("text", b"bytes", {"a": 1})
    assert ada.json() == [told(fails)] * 3


def test_a_handler_that_has_answered_tells_its_failure_beside_the_answer() -> None:
    place = site()

    @place.dispatcher.on_event("move")
    def replies_and_fails(ctx: Any) -> None:
        ctx.reply_json("done")
        raise KeyError("x")

    ada = place.connect("/ws")
    ada.send({"type": "json", "event": "move", "id": 7})
    done, failure = without_target(ada)
    assert (done["data"], done["id"]) == ("done", 7)
    assert failure["data"]["error"] == "KeyError: 'x'" and "id" not in failure


def test_other_handlers_are_told_of_as_envelopes_of_their_own() -> None:
    place = site()
    place.dispatcher.on_connect(fails)
    place.dispatcher.on_disconnect(fails)  # there is nobody to be told
    ada = place.connect("/ws")
    assert without_target(ada) == [{"type": "error", "data": told(fails)}]
    ada.vanish()
    assert ada.received() == []


def test_a_failing_on_join_is_told_and_the_join_answered_once() -> None:
    place = site()
    place.dispatcher.on_join("chat:*")(fails)
    ada = place.connect("/ws")
    ada.send({"type": "join_room", "room": "chat:1", "id": 7})
    failure, refusal = without_target(ada)
    assert failure == {"type": "error", "data": told(fails)}
    assert refusal["id"] == 7 and refusal["data"]["error"].startswith("not allowed")


def test_a_message_without_a_handler_is_told_so_with_the_events_that_have_one() -> None:
    place = site()
    for name in ("chat", "remove", "move"):
        place.dispatcher.on_event(name)(lambda ctx: None)
    ada = place.connect("/ws")
    ada.send({"event": "mvoe"}, {"type": "json", "event": "mvoe", "id": 7}, "hello", b"hello", [1])
    ada.send({"type": "text", "data": "hello"}, {"type": "text", "event": "x", "data": 1})
    event = 'no handler for "event mvoe" on /ws; there are move, remove, chat'
    envelopes = without_target_where_there_is_one(ada)
    assert envelopes == [
        {"type": "error", "data": {"error": event}},
        {"type": "error", "data": {"error": event}, "id": 7},
        {"error": "no handler for text on /ws"},
        {"error": "no handler for binary messages on /ws"},
        {"error": "no handler for JSON on /ws"},
        {"type": "error", "data": {"error": "no handler for text on /ws"}},
        {
            "type": "error",
            "data": {"error": 'no handler for "event x" on /ws; there are chat, remove, move'},
        },
    ]
    assert place.hub.metrics.messages_unhandled == 7


def without_target_where_there_is_one(peer: Peer) -> list[Any]:
    found = peer.json()
    for each in found:
        each.pop("target", None)
        each.pop("timestamp", None)
    return found


def test_a_route_without_any_event_says_so() -> None:
    ada = site().connect("/ws")
    ada.send({"event": "move"})
    [error] = without_target(ada)
    assert error["data"]["error"] == 'no handler for "event move" on /ws; no event has one'


def test_a_handler_that_waits_is_told_of_too(run) -> None:
    async def main() -> None:
        place = site().on_loop()

        @place.dispatcher.on_event("move")
        async def waits(ctx: Any) -> None:
            await asyncio.sleep(0)
            raise ValueError("late")

        ada = place.connect("/ws")
        ada.send({"type": "json", "event": "move", "id": 1}, {"event": "move"})
        await settled(ada)
        assert [each["data"]["error"] for each in ada.answers()] == ["ValueError: late"] * 2

    run(main())


def test_http_handlers_tell_their_error_in_the_500() -> None:
    server = Server()
    server.get("/now")(fails)
    server.get("/later")(fails_later)
    for options, expected in (({"dev": True}, told), ({}, None)):
        with SyncTestClient(server, raise_errors=False, **options) as client:
            for path, handler in (("/now", fails), ("/later", fails_later)):
                answer = client.get(path)
                assert answer.status == 500
                wanted = expected(handler) if expected else {"error": "internal server error"}
                assert answer.json() == wanted


@pytest.mark.parametrize(
    ("options", "reason"), [({"dev": True}, "KeyError: 'token'"), ({}, "internal server error")]
)
def test_an_authenticator_that_fails_tells_its_error_in_the_500(options, reason: str) -> None:
    server = Server()

    @server.authenticate
    def fails_to_tell(request: Any) -> None:
        raise KeyError("token")

    with SyncTestClient(server, raise_errors=False, **options) as client:
        with pytest.raises(UpgradeRefused) as refused:
            client.connect()
    assert refused.value.answer.json() == {"error": reason}


def test_programs_in_glyph_tell_theirs(tmp_path: Path) -> None:
    program = tmp_path / "app.glyph"
    program.write_text("@ GET /now { > 1 / 0 }\n@ ws /ws { on message { ws.send(1 / 0) } }")
    for options in ({"dev": True}, {}):
        server = GlyphServer()
        server.load(program)
        with SyncTestClient(server, raise_errors=False, **options) as client:
            answer = client.get("/now").json()
            with client.connect("/ws") as ws:
                ws.send("x")
                if options:
                    assert "division by zero" in answer["error"], answer
                    assert "division by zero" in ws.receive_json()["error"]
                else:
                    assert "zero" not in str(answer)


def test_the_text_of_an_error_is_bounded_and_can_be_sent_whatever_it_holds() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert failure_of("x", ValueError("a" * 10_000))["error"] == "ValueError: " + "a" * MAX_TEXT
    assert failure_of("x", ValueError("\ud800\x1b\n"))["error"] == "ValueError: \\ud800\\x1b\n"
    assert failure_of("x", ValueError()) == {"error": "ValueError", "handler": "x"}
    assert failure_of("x", Mute())["error"].endswith(
        "Mute: (no text: its __str__ raised RuntimeError)"
    )


def test_the_nearest_names_come_first_and_not_too_many() -> None:
    assert nearest("mov", ["chat", "remove", "move"]) == ["move", "remove", "chat"]
    assert len(nearest("x", map(str, range(100)))) == 20
