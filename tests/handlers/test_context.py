"""Answering: the dialects, one row each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast.errors import ConnectionClosed
from glyph_fast.handlers import MessageContext
from glyph_fast.wire import SENT
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores

Act = Callable[[MessageContext], Any]


def answered_to(message: Any, act: Act) -> tuple[Peer, list[Any]]:
    """What a client gets that sends `message` when `act` handles it."""
    site = Site()
    results: list[Any] = []
    site.dispatcher.on_message(lambda ctx: results.append(act(ctx)))
    ada = site.connect()
    ada.send(message)
    assert results == [SENT]
    return ada, ada.received()


def test_members_are_kept_whatever_is_done_to_them() -> None:
    site = Site()
    seen: list[Any] = []

    @site.dispatcher.on_message("text")
    def handler(ctx: MessageContext) -> None:
        ctx.message.data = ctx.message.room = "other"
        ctx.message.event = "e"
        seen.append((ctx.message.data, ctx.message.room, ctx.message.event))
        with pytest.raises(AttributeError):
            ctx.message.nothing = 1  # type: ignore[attr-defined]

    ada = site.connect()
    ada.send("x")
    site.dispatcher.on_message("text")(
        lambda ctx: seen.append((ctx.message.data, ctx.message.room, ctx.message.raw))
    )
    ada.send("y")
    assert seen == [("other", "other", "e")] * 2 + [("other", "other", "y")]
    assert not site.hub.metrics.handler_errors


BARE = ["hello", {"n": 1}, [1], b"\x00"]


@pytest.mark.parametrize("message", BARE)
@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda ctx: ctx.reply("text", "hi"), "hi"),
        (lambda ctx: ctx.reply("binary", b"\xff"), b"\xff"),
        (lambda ctx: ctx.reply("binary", bytearray(b"\xff")), b"\xff"),
        (lambda ctx: ctx.reply("json", {"a": None}), '{"a":null}'),
        (lambda ctx: ctx.reply("json"), "null"),
        (lambda ctx: ctx.reply("pong", [1]), "[1]"),
        (lambda ctx: ctx.reply_json("text"), '"text"'),
        (lambda ctx: ctx.reply_json({"a": 1}), '{"a":1}'),
        (lambda ctx: ctx.reply_error("no"), '{"error":"no"}'),
        (lambda ctx: ctx.reply_error(ValueError("bad value")), '{"error":"bad value"}'),
    ],
)
def test_a_bare_message_gets_a_bare_answer(message: Any, act: Act, expected: Any) -> None:
    _, received = answered_to(message, act)
    assert received == [expected]


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda ctx: ctx.reply("text", "hi"), {"type": "text", "data": "hi"}),
        (lambda ctx: ctx.reply("binary", b"\xff\x00"), {"type": "binary", "data": "/wA="}),
        (lambda ctx: ctx.reply("json", {"a": 1}), {"type": "json", "data": {"a": 1}}),
        (lambda ctx: ctx.reply("json"), {"type": "json"}),
        (lambda ctx: ctx.reply_json(0), {"type": "json", "data": 0}),
        (lambda ctx: ctx.reply_error("no"), {"type": "error", "data": {"error": "no"}}),
    ],
)
@pytest.mark.parametrize("id_", [None, "7", 7, 0, {"deep": [1]}])
def test_an_envelope_gets_an_envelope_with_its_id(act: Act, expected: Any, id_: Any) -> None:
    request = {"type": "json", "data": "x"} | ({} if id_ is None else {"id": id_})
    ada, received = answered_to(request, act)
    ada.conn.send(received[0])
    expected = expected | {"target": ada.id} | ({} if id_ is None else {"id": id_})
    assert ada.answers() == [expected]


def test_a_handler_of_text_answers_an_envelope_in_its_dialect() -> None:
    site = Site()
    site.dispatcher.on_message("text")(lambda ctx: ctx.reply_json({"echo": ctx.message.data}))
    ada = site.connect()
    ada.send('{"type":"text","data":"hi","id":1}', "hi", '{"type":"json","data":1,"id":2}')
    first, second, third = ada.json()
    assert (first["data"], first["id"]) == ({"echo": "hi"}, 1)
    assert second == {"echo": "hi"}
    assert (third["data"], third["id"]) == ({"echo": '{"type":"json","data":1,"id":2}'}, 2)


@pytest.mark.parametrize(
    ("type_", "data", "complaint"),
    [
        ("text", 5, "a text reply is a str, not int"),
        ("text", b"x", "a text reply is a str, not bytes"),
        ("binary", "x", "a binary reply is bytes, not str"),
        ("json", b"x", "not a JSON value|not JSON serializable"),
    ],
)
def test_data_that_does_not_go_with_the_type_is_refused(
    type_: str, data: Any, complaint: str
) -> None:
    def act(ctx: MessageContext) -> Any:
        with pytest.raises(TypeError, match=complaint):
            ctx.reply(type_, data)
        return SENT

    assert answered_to("x", act)[1] == []


def test_an_unknown_type_is_a_value_error() -> None:
    def act(ctx: MessageContext) -> Any:
        with pytest.raises(ValueError, match="shout"):
            ctx.reply("shout", "x")
        return SENT

    answered_to("x", act)


def test_the_text_form_names_message_and_sender() -> None:
    forms: list[str] = []

    def act(ctx: MessageContext) -> Any:
        forms.append(repr(ctx))
        return SENT

    ada, _ = answered_to("x", act)
    assert forms == [
        f"<MessageContext <Message text data='x' connection_id='{ada.id}'> of "
        f"<Connection {ada.id} open >>"
    ]


def test_answering_somebody_who_has_left_raises() -> None:
    def act(ctx: MessageContext) -> Any:
        ctx.conn.close(1000)
        for reply in (ctx.reply_json, ctx.reply_error):
            with pytest.raises(ConnectionClosed):
                reply("x")
        return SENT

    answered_to("x", act)


def test_broadcast_reaches_everyone_and_the_sender() -> None:
    site = Site()
    site.dispatcher.on_message(lambda ctx: ctx.broadcast("json", {"n": 1}))
    ada, bob = site.connect(), site.connect()
    ada.send("x")
    expected = {"type": "json", "data": {"n": 1}, "connection_id": ada.id}
    assert ada.answers() == bob.answers() == [expected]


def test_broadcast_to_room_leaves_the_sender_out() -> None:
    site = Site()
    results: list[Any] = []
    site.dispatcher.on_message(
        lambda ctx: results.append(ctx.broadcast_to_room("blue", "binary", b"\xff\x00"))
    )
    ada, bob, eve = (site.connect() for _ in range(3))
    ada.conn.join_room("blue")
    bob.conn.join_room("blue")
    ada.send("x")
    expected = {"type": "binary", "data": "/wA=", "room": "blue", "connection_id": ada.id}
    assert bob.answers() == [expected]
    assert ada.received() == eve.received() == []
    assert results == [SENT]


def test_broadcasting_to_no_room_reaches_nobody() -> None:
    site = Site()
    results: list[Any] = []
    site.dispatcher.on_message(
        lambda ctx: results.append(ctx.broadcast_to_room(ctx.message.room, "json", 1))
    )
    site.connect().send("x")
    assert results == [(0, 0, 0)]
