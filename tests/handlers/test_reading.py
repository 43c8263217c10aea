"""Words that are ordinary JSON where they mean nothing to the server."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast import MessageContext
from tests.wired import Site

pytestmark = pytest.mark.both_cores

REPLY = {"type": "reply", "id": 1, "room": "r", "data": 2}


def test_such_a_message_is_what_its_sender_wrote() -> None:
    site = Site()
    seen: list[Any] = []

    @site.dispatcher.on_message("json")
    def hear(ctx: MessageContext) -> None:
        message = ctx.message
        seen.append((message.data, message.room, message.id, message.is_envelope))
        ctx.reply_json("heard")

    ada = site.connect()
    ada.send(REPLY)
    assert seen == [(REPLY, "", None, False)]
    assert ada.received() == ['"heard"']  # a bare answer to a bare message


def test_with_an_event_it_is_an_envelope_of_json() -> None:
    site = Site()
    seen: list[Any] = []
    site.dispatcher.on_event("move")(lambda ctx: seen.append(ctx.message))
    site.connect().send({**REPLY, "event": "move"})
    (message,) = seen
    assert (message.type, message.data, message.room, message.id) == ("json", 2, "r", 1)
    assert message.is_envelope


def test_a_handler_of_text_gets_it_raw() -> None:
    site = Site()
    seen: list[Any] = []
    site.dispatcher.on_message("text")(lambda ctx: seen.append(ctx.message.data))
    site.connect().send(REPLY)
    assert seen == ['{"type": "reply", "id": 1, "room": "r", "data": 2}']


def test_one_who_takes_it_raw_is_spared_the_reading() -> None:
    site = Site()
    seen: list[Any] = []

    def raw(ctx: MessageContext) -> None:
        seen.append((ctx.message.data, ctx.message.raw))

    raw.takes_raw = True  # type: ignore[attr-defined]
    site.dispatcher.on_message("json")(raw)
    site.connect().send(REPLY)
    assert seen == [(None, '{"type": "reply", "id": 1, "room": "r", "data": 2}')]


def test_an_event_of_a_word_that_is_meant_goes_to_its_handlers() -> None:
    site = Site()
    seen: list[Any] = []
    site.dispatcher.on_event("move")(lambda ctx: seen.append(ctx.message.type.value))
    ada = site.connect()
    ada.send({"type": "ping", "event": "move"}, {"type": "ping", "event": "other"})
    assert seen == ["ping"]
    assert [answer["type"] for answer in ada.json()] == ["pong"]
