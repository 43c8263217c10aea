# cython: annotation_typing=False
"""Handlers of events that declare types: what is not of theirs never reaches them.

`def move(ctx, data: Move)` gets a `Move`, or is not called, and the sender is told what does not
fit and where. What such a handler has promised to return is looked at before it is sent.

Plain Python, which `setup.py` compiles, since a check comes with every event.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from inspect import Parameter
from typing import TYPE_CHECKING, Any

from ..schema.parameters import declared_parameters, positional, type_of, type_returned
from ..wire import SendResult
from .signature import Call, adapt, shown

if TYPE_CHECKING:
    from ..schema.schema import Schema


class Invalid(Exception):
    """The data of an event does not fit the type its handler declares; the text is the answer."""

    status = 422  # what HTTP would call it


def event_call(handler: Callable[..., Any]) -> Call:
    """A callable of one argument, the context, for a handler of events.

    It has `takes` and `answers`, the schemas of what is declared, or None. Raises TypeError for a
    type that JSON cannot be checked against, and what `adapt` raises.
    """
    data = _second(handler)
    takes = None
    if data is None:
        call = adapt(handler, 1)
    else:
        takes = _schema(handler, type_of(handler, data), "data")
        call = _with_data(adapt(handler, 2), takes, has_default=data.default is not data.empty)
    answers = _schema_of_answers(handler)
    if takes is None and answers is None and call is handler:
        return call

    if call is handler:  # whose attributes are the program's

        def call(ctx: Any) -> Any:
            return handler(ctx)

    update_wrapper(call, handler)
    call.takes, call.answers = takes, answers  # type: ignore[attr-defined]
    return call


def checked_answer(call: Call, value: Any) -> Any:
    """Return what the handler behind `call` has returned, as the type it declares.

    Raises TypeError where that is another.
    """
    answers: Schema | None = getattr(call, "answers", None)
    return value if answers is None else answers.check_answer(value)


def _second(handler: Callable[..., Any]) -> Parameter | None:
    """The parameter that is given the data of an event."""
    parameters = positional(declared_parameters(handler))
    if len(parameters) < 2:
        return None
    data = parameters[1]
    if data.annotation is data.empty:
        if data.default is data.empty:
            raise TypeError(
                f"{shown(handler)}: declare the type of {data.name}, as in `{data.name}: Move`; "
                f"`{data.name}: Any` takes everything"
            )
        return None
    return data


def _with_data(handler: Call, takes: Schema | None, *, has_default: bool) -> Call:
    if takes is None:
        return lambda ctx: handler(ctx, ctx.message.data)
    convert, type_ = takes.converter, takes.type

    def with_data(ctx: Any) -> Any:
        data = ctx.message.data
        if data is None and has_default:
            return handler(ctx)
        try:
            value = convert(data, type_)
        except ValueError as exc:
            raise Invalid(str(takes.mismatch(exc))) from None
        return handler(ctx, value)

    return with_data


def _schema(handler: Callable[..., Any], type_: Any, subject: str) -> Schema | None:
    if type_ is Any or type_ is object:
        return None
    from ..schema.schema import Schema  # needs msgspec, which is for who declares types

    try:
        return Schema(type_, subject)
    except TypeError as exc:
        raise TypeError(f"{shown(handler)}: {exc}") from None


def _schema_of_answers(handler: Callable[..., Any]) -> Schema | None:
    type_ = type_returned(handler, SendResult)
    found = None
    try:
        found = _schema(handler, type_, "answer")
    except TypeError:
        pass  # such as Awaitable: what it returns is looked at as ever
    return found
