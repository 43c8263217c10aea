"""Handlers that declare types: what fits reaches them as a value, what does not never does."""

from __future__ import annotations

import dataclasses
import enum
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict

import msgspec
import pydantic
import pytest

from glyph_fast import MessageContext, SendResult
from tests.asking import answer, asked, error
from tests.wired import Site

pytestmark = pytest.mark.both_cores


class Move(msgspec.Struct):
    x: int
    y: int = 0


@dataclasses.dataclass
class Shape:
    points: list[Move]
    name: str = ""


class Page(TypedDict):
    number: Annotated[int, msgspec.Meta(ge=1)]


class Order(pydantic.BaseModel):
    symbol: str
    amount: int = pydantic.Field(gt=0)


class Side(enum.Enum):
    BUY = "buy"


FITTING: list[tuple[Any, Any, Any]] = [
    (Move, {"x": 1}, Move(1, 0)),
    (Move, {"x": 1, "more": 2}, Move(1, 0)),
    (Shape, {"points": [{"x": 1, "y": 2}]}, Shape([Move(1, 2)])),
    (Page, {"number": 2}, {"number": 2}),
    (Order, {"symbol": "A", "amount": 1}, Order(symbol="A", amount=1)),
    (list[Order], [{"symbol": "A", "amount": 1}], [Order(symbol="A", amount=1)]),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (int | None, None, None),
    (list[Side], ["buy"], [Side.BUY]),
    (
        uuid.UUID,
        "12345678-1234-5678-1234-567812345678",
        uuid.UUID(int=0x12345678123456781234567812345678),
    ),
    (datetime, "2031-05-06T07:08:09Z", datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)),
    (Any, {"a": [1]}, {"a": [1]}),
    (object, "x", "x"),
]

NOT_FITTING: list[tuple[Any, Any, str]] = [
    (Move, {"x": "1"}, "data.x: expected int, got str"),
    (Move, {"y": 1}, "data.x: missing"),
    (Move, 7, "data: expected object, got int"),
    (Move, None, "data: expected object, got null"),
    (Shape, {"points": [{"x": 1}, {"x": 1.5}]}, "data.points[1].x: expected int, got float"),
    (Page, {"number": 0}, "data.number: expected int >= 1"),
    (dict[str, int], {"a": "b"}, "data.*: expected int, got str"),
    (dict[int, int], {"a": 1}, "data: key: expected int, got str"),
    (list[Side], ["sell"], "data[0]: invalid enum value 'sell'"),
    (
        Order,
        {"amount": 0},
        "data.symbol: field required; data.amount: input should be greater than 0",
    ),
    (
        list[Order],
        [{}, 1],
        "data[0].symbol: field required; data[0].amount: field required; "
        "data[1]: input should be a valid dictionary or instance of Order",
    ),
]


def serving(type_: Any) -> tuple[Site, list[Any]]:
    """A site whose handler of `ask` declares a type, and what it was called with."""
    site, seen = Site(), []

    def handler(ctx: MessageContext, data: Any) -> None:
        seen.append(data)

    handler.__annotations__["data"] = type_
    site.dispatcher.on_event("ask")(handler)
    return site, seen


@pytest.mark.parametrize(("type_", "data", "value"), FITTING, ids=str)
def test_data_that_fits_reaches_the_handler_as_a_value(type_: Any, data: Any, value: Any) -> None:
    site, seen = serving(type_)
    site.connect().send({"event": "ask", "type": "json", "data": data})
    assert seen == [value] and type(seen[0]) is type(value)
    assert site.hub.metrics.events_invalid == 0


@pytest.mark.parametrize(("type_", "data", "text"), NOT_FITTING, ids=str)
@pytest.mark.parametrize("id", [None, 7])
def test_other_data_is_answered_and_the_handler_does_not_run(
    type_: Any, data: Any, text: str, id: int | None
) -> None:
    site, seen = serving(type_)
    ada = site.connect()
    ada.send({"event": "ask", "type": "json", "data": data} | ({} if id is None else {"id": id}))
    (told,) = ada.answers()
    assert (told["type"], told["data"], told.get("id")) == ("error", {"error": text}, id)
    assert seen == []
    metrics = site.hub.metrics
    assert (metrics.events_invalid, metrics.handler_errors) == (1, 0)


def test_the_handlers_behind_one_whose_type_does_not_fit_do_not_run() -> None:
    site, seen = serving(Move)
    site.dispatcher.on_event("ask")(lambda ctx: seen.append("behind"))
    ada = site.connect()
    assert asked(ada, data="x") == error("data: expected object, got str")
    assert asked(ada, data={"x": 1}) == []  # none has returned a value
    assert seen == [Move(1), "behind"]


def test_a_question_that_was_answered_is_not_answered_again() -> None:
    site = Site()
    site.dispatcher.on_event("ask")(lambda ctx: 1)

    @site.dispatcher.on_event("ask")
    def typed(ctx: MessageContext, data: Move) -> None:
        raise AssertionError

    assert asked(site.connect(), data=1) == answer(1)
    assert site.hub.metrics.events_invalid == 1


def test_a_default_stands_for_an_event_without_data() -> None:
    site, seen = Site(), []

    @site.dispatcher.on_event("ask")
    def typed(ctx: MessageContext, data: Move = Move(5)) -> None:  # noqa: B008
        seen.append(data)

    ada = site.connect()
    ada.send({"event": "ask"}, {"event": "ask", "data": {"x": 1}})
    assert seen == [Move(5), Move(1)]


def test_a_coroutine_gets_its_value_too() -> None:
    site = Site()

    @site.dispatcher.on_event("ask")
    async def typed(ctx: MessageContext, data: Move) -> int:
        return data.x

    assert asked(site.connect(), data={"x": 3}) == answer(3)


def test_methods_and_wrappers_declare_as_functions_do() -> None:
    import functools

    site = Site()

    class Board:
        def move(self, ctx: MessageContext, data: Move) -> int:
            return data.x

    def logged(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    site.dispatcher.on_event("method")(Board().move)
    site.dispatcher.on_event("wrapped")(logged(Board().move))
    site.dispatcher.on_event("partial")(functools.partial(Board.move, Board()))
    ada = site.connect()
    for event in ("method", "wrapped", "partial"):
        assert asked(ada, event=event, data={"x": 4}) == answer(4), event
        assert asked(ada, event=event, data={}) == error("data.x: missing"), event


# What a handler promises to return.


@pytest.mark.parametrize(
    ("type_", "value", "sent"),
    [
        (Move, Move(1, 2), {"x": 1, "y": 2}),
        (Move, {"x": 1}, {"x": 1, "y": 0}),
        (Order, Order(symbol="A", amount=1), {"symbol": "A", "amount": 1}),
        (list[Move], (Move(1),), [{"x": 1, "y": 0}]),
        (int | None, 3, 3),
        (Shape, Shape([Move(1)]), {"points": [{"x": 1, "y": 0}], "name": ""}),
    ],
    ids=str,
)
def test_an_answer_of_the_declared_type_is_sent(type_: Any, value: Any, sent: Any) -> None:
    site = Site()

    def handler() -> Any:
        return value

    handler.__annotations__["return"] = type_
    site.dispatcher.on_event("ask")(handler)
    assert asked(site.connect()) == answer(sent)


@pytest.mark.parametrize("waits", [False, True])
def test_an_answer_of_another_type_is_the_programs_fault(
    waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site()

    def quote(ctx: MessageContext) -> Move:
        return {"x": "1"}  # type: ignore[return-value]

    async def later(ctx: MessageContext) -> Move:
        return quote(ctx)

    site.dispatcher.on_event("ask")(later if waits else quote)
    assert asked(site.connect()) == error("internal error")
    assert site.hub.metrics.handler_errors == 1
    assert "returned what it does not declare: answer.x: expected int, got str" in caplog.text


def test_a_handler_that_sends_and_says_so_declares_nothing_by_it() -> None:
    site = Site()

    @site.dispatcher.on_event("ask")
    def handler(ctx: MessageContext) -> SendResult:
        return ctx.reply_json(1)

    assert asked(site.connect()) == answer(1)


# Mistakes are told where they are made.


def test_a_second_parameter_needs_a_type() -> None:
    def move(ctx, data):  # type: ignore[no-untyped-def]
        pass

    with pytest.raises(TypeError, match=r"^move\(ctx, data\): declare the type of data"):
        Site().dispatcher.on_event("move")(move)


class Socket:
    pass


def test_a_type_that_is_no_json_is_refused() -> None:
    def move(ctx: MessageContext, data: list[Socket]) -> None:
        pass

    with pytest.raises(TypeError, match="Socket is no type that JSON can be checked against"):
        Site().dispatcher.on_event("move")(move)


class Mixed(msgspec.Struct):
    order: Order


def test_a_struct_cannot_hold_a_model() -> None:
    def move(ctx: MessageContext, data: Mixed) -> None:
        pass

    with pytest.raises(TypeError, match="a msgspec Struct cannot hold Order, a Pydantic model"):
        Site().dispatcher.on_event("move")(move)


def test_a_type_that_cannot_be_read_is_named() -> None:
    def move(ctx: MessageContext, data: Unheard) -> None:  # type: ignore[name-defined]  # noqa: F821
        pass

    with pytest.raises(TypeError, match="data: Unheard: its type cannot be read here"):
        Site().dispatcher.on_event("move")(move)


def test_three_parameters_are_too_many() -> None:
    def move(ctx: MessageContext, data: Move, more: int) -> None:
        pass

    with pytest.raises(TypeError, match="demands more than the 2 arguments"):
        Site().dispatcher.on_event("move")(move)
