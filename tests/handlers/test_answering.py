"""Messages with an `id`: the first value is the answer, and a failure is one too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast import Config, MessageContext, MessageType, Reject
from tests.asking import answer, asked, error, heard
from tests.wired import Gate, Site

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


@pytest.mark.parametrize("value", [0, False, "", [], {}, {"a": [1]}, "text", 1.5])
def test_what_a_handler_returns_is_the_answer(value: Any) -> None:
    site = Site()
    site.dispatcher.on_event("ask")(lambda ctx: value)
    assert asked(site.connect()) == answer(value)


@pytest.mark.parametrize("id", [0, "", "text", [1], {"a": 1}, False])
def test_an_id_is_any_value_but_null(id: Any) -> None:
    site = Site()
    site.dispatcher.on_event("ask")(lambda ctx: 1)
    ada = site.connect()
    assert asked(ada, id=id) == answer(1)
    ada.send({"type": "json", "event": "ask", "id": None})
    assert ada.received() == []


def test_without_an_id_a_value_goes_nowhere() -> None:
    site = Site()
    for type_ in ("text", "json", "binary"):
        site.dispatcher.on_message(type_)(lambda ctx: "value")
    ada = site.connect()
    ada.send("text", b"binary", {"a": 1}, {"id": 7}, {"type": "json", "data": 1}, [1])
    assert ada.received() == []


def test_none_and_the_result_of_a_send_are_no_answers() -> None:
    site = Site()
    sends = [
        lambda ctx: None,
        lambda ctx: ctx.conn.send("sent"),
        lambda ctx: ctx.hub.broadcast("told"),
    ]
    for handler in sends:
        site.dispatcher.on_event("ask")(handler)
    ada = site.connect()
    ada.send({"type": "json", "event": "ask", "id": 7})
    assert ada.received() == ["sent", "told"]


def test_the_first_value_of_several_handlers_is_the_answer() -> None:
    site = Site()
    seen: list[int] = []
    for value in (None, 1, 2):
        site.dispatcher.on_event("ask")(lambda ctx, value=value: seen.append(0) or value)
    assert asked(site.connect()) == answer(1)
    assert seen == [0, 0, 0]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (lambda ctx: ctx.reply_json("own"), answer("own")),
        (lambda ctx: ctx.reply(MessageType.JSON, "own"), answer("own")),
        (lambda ctx: ctx.reply("text", "own"), [{"type": "text", "data": "own"}]),
        (lambda ctx: ctx.reply_error("own"), error("own")),
    ],
)
def test_whoever_has_replied_answers_no_second_time(
    reply: Callable[[MessageContext], object], expected: list[Any]
) -> None:
    site = Site()

    @site.dispatcher.on_event("ask")
    def ask(ctx: MessageContext) -> int:
        reply(ctx)
        return 2

    @site.dispatcher.on_event("ask")
    def fail(ctx: MessageContext) -> None:
        raise ValueError("too late to say so")

    assert asked(site.connect()) == expected


def test_a_reply_that_failed_was_none() -> None:
    site = Site()

    @site.dispatcher.on_event("ask")
    def ask(ctx: MessageContext) -> str:
        with pytest.raises(TypeError):
            ctx.reply_json(object())
        return "after all"

    assert asked(site.connect()) == answer("after all")


def test_a_coroutine_answers_at_once_or_later(run: Run) -> None:
    async def scenario() -> None:
        site, gate = Site(), Gate()

        @site.dispatcher.on_event("ask")
        async def ask(ctx: MessageContext) -> Any:
            if ctx.message.data:
                await gate.passed()
            return {"waited": ctx.message.data}

        ada = site.connect()
        assert asked(ada, data=False) == answer({"waited": False})
        assert asked(ada, data=True) == []
        ada.send({"type": "json", "event": "ask", "id": 8, "data": False})
        assert ada.received() == []  # it waits for its turn
        gate.open()
        for _ in range(10):
            await asyncio.sleep(0)
        first, second = ada.answers()
        assert (first["id"], first["data"]) == (7, {"waited": True})
        assert (second["id"], second["data"]) == (8, {"waited": False})

    run(scenario())


def test_an_awaitable_of_any_kind_answers(run: Run) -> None:
    async def scenario() -> None:
        site = Site()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.set_result(5)
        site.dispatcher.on_event("ask")(lambda ctx: future)
        ada = site.connect()
        first = asked(ada)
        for _ in range(5):
            await asyncio.sleep(0)
        assert first + heard(ada) == answer(5)

    run(scenario())


def test_a_failure_is_answered_and_says_nothing_of_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site()

    @site.dispatcher.on_event("ask")
    def ask(ctx: MessageContext) -> None:
        raise ValueError("a secret")

    ada = site.connect()
    with caplog.at_level(logging.ERROR):
        assert asked(ada) == error("internal error")
    assert site.hub.metrics.handler_errors == 1
    assert "test_answering:test_a_failure" in caplog.text  # the application's own function
    ada.send({"type": "json", "event": "ask"})
    assert ada.received() == []


def test_a_failure_after_a_wait_is_answered(run: Run) -> None:
    async def scenario() -> None:
        site = Site()

        @site.dispatcher.on_event("ask")
        async def ask(ctx: MessageContext) -> None:
            await asyncio.sleep(0)
            raise asyncio.CancelledError

        ada = site.connect()
        assert asked(ada) == []
        for _ in range(10):
            await asyncio.sleep(0)
        assert heard(ada) == error("internal error")
        assert site.hub.metrics.handler_errors == 1

    run(scenario())


def test_a_value_that_json_cannot_hold_is_a_failure() -> None:
    site = Site()
    site.dispatcher.on_event("ask")(lambda ctx: object())
    assert asked(site.connect()) == error("internal error")
    assert site.hub.metrics.handler_errors == 1


@pytest.mark.parametrize(
    ("reject", "text"),
    [
        (Reject(403, "not yours"), "not yours"),
        (Reject(409, {"why": "taken"}), '{"why":"taken"}'),
        (Reject(404), "rejected with status 404"),
    ],
)
def test_a_reject_is_an_answer_and_no_failure(reject: Reject, text: str) -> None:
    site = Site()
    told: list[Any] = []
    site.dispatcher.on_error(lambda ctx, exc: told.append(exc))

    @site.dispatcher.on_event("ask")
    def ask(ctx: MessageContext) -> None:
        raise reject

    site.dispatcher.on_event("ask")(lambda ctx: told.append("the next"))
    assert asked(site.connect()) == error(text)
    assert (told, site.hub.metrics.handler_errors) == ([], 0)


def test_a_handler_of_errors_may_answer() -> None:
    site = Site()
    site.dispatcher.on_error(lambda ctx, exc: ctx.reply_error(f"sorry: {exc}"))

    @site.dispatcher.on_event("ask")
    def ask(ctx: MessageContext) -> None:
        raise ValueError("no")

    assert asked(site.connect()) == error("sorry: no")


@pytest.mark.parametrize("event", ["ask", "other"])
@pytest.mark.parametrize("handler", ["connect", "event"])
def test_what_nobody_handles_is_answered(handler: str, event: str) -> None:
    site = Site()
    register = {
        "connect": lambda f: site.dispatcher.on_connect(f),
        "event": lambda f: site.dispatcher.on_event("move")(f),
    }[handler]
    register(lambda _: None)
    ada = site.connect()
    assert asked(ada, event=event) == error("no handler")
    assert asked(ada, type="text", data="a", event="") == error("no handler")
    assert site.hub.metrics.messages_unhandled == 2
    ada.send({"type": "json"}, {"id": 7}, "text", b"binary")
    assert ada.received() == []
    assert site.hub.metrics.messages_unhandled == 6


def test_a_built_in_effect_answers_once_whatever_follows_it() -> None:
    site = Site(Config(client_commands=["join_room"]))

    @site.dispatcher.on_message("join_room")
    def fail(ctx: MessageContext) -> None:
        raise ValueError("after the answer")

    ada = site.connect()
    found = asked(ada, type="join_room", event="", room="tea")
    assert found == answer({"type": "join_room_success", "room": "tea", "status": "joined"})
    assert asked(ada, type="join_room", event="") == error("room is missing")


def test_nobody_is_answered_who_has_left(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    seen: list[Any] = []

    @site.dispatcher.on_event("ask")
    def ask(ctx: MessageContext) -> int:
        ctx.conn.close()
        return 1

    site.dispatcher.on_event("ask")(lambda ctx: seen.append("the next"))
    ada = site.connect()
    ada.send({"type": "json", "event": "ask", "id": 7})
    assert (ada.received(), seen) == ([], ["the next"])
    assert site.hub.metrics.handler_errors == 0
