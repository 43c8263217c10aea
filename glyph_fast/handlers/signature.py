"""The parameters of a function that a program registers, and whether it fits its purpose.

All of it is decided at registration, where the program's own line is at fault, not at a message.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import update_wrapper
from types import FunctionType
from typing import Any, TypeAlias

Call: TypeAlias = Callable[..., Any]

_COUNTS = {0: "no argument", 1: "the one argument"}


def adapt(handler: Callable[..., Any], n: int, *, may_yield: bool = False) -> Call:
    """A callable of `n` arguments that gives `handler` the first few, as many as it takes.

    What is called counts, not what it wraps (`functools.wraps`), which may get more from its
    wrapper. A wrapper that takes `*args` passes on what it gets, so it gets what it wraps takes.
    Raises TypeError for a handler that demands more, and for a generator, which nobody would run,
    unless it `may_yield`.
    """
    yields = inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler)
    if yields and not may_yield:
        raise TypeError(
            f"{shown(handler)} is a generator: a handler sends or returns, and never yields"
        )
    try:
        parameters = parameters_of(handler)
    except ValueError:  # some callables of C have no signature
        return handler
    if _demands_more(parameters, n):
        given = _COUNTS.get(n, f"the {n} arguments")
        raise TypeError(f"{shown(handler)} demands more than {given} it would be given")
    accepted = _accepted(handler, parameters, n)
    if accepted >= n:
        return handler

    def with_fewer(*args: Any) -> Any:
        return handler(*args[:accepted])

    return update_wrapper(with_fewer, handler)  # the log names the application's function


def shown(handler: Callable[..., Any]) -> str:
    """The handler as its `def` has it, `chat(conn, room)`; else however Python shows it."""
    name = getattr(handler, "__qualname__", None)
    try:
        names = ", ".join(map(_name_of, parameters_of(handler)))
    except ValueError:
        name = None
    return f"{name.rpartition('<locals>.')[2]}({names})" if isinstance(name, str) else repr(handler)


def _name_of(parameter: inspect.Parameter) -> str:
    """Without annotation and default, which may be long."""
    return str(parameter.replace(annotation=parameter.empty, default=parameter.empty))


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return what `function` itself takes, whatever it wraps. ValueError when that is unknown."""
    return list(inspect.signature(function, follow_wrapped=False).parameters.values())


def check_takes_nothing(hook: Callable[..., Any]) -> None:
    """Raise TypeError for a hook that demands an argument."""
    adapt(hook, 0)


def check_coroutine_function(function: Callable[..., Any], what: str) -> None:
    """Raise TypeError for a plain `def`, whose work would be over, or block, before it is awaited.

    Whether something else (a lambda, a partial, a method of C) returns a coroutine is seen when it
    is called; a wrapper is judged by what it wraps.
    """
    innermost = inspect.unwrap(function)
    innermost = getattr(innermost, "__func__", innermost)  # of a method
    if inspect.isasyncgenfunction(innermost):
        raise TypeError(f"{what} never yields, and {innermost.__name__} is a generator")
    is_plain = isinstance(innermost, FunctionType) and innermost.__name__ != "<lambda>"
    if is_plain and not inspect.iscoroutinefunction(innermost):
        raise TypeError(f"{what} is an `async def`, and {innermost.__name__} is a `def`")


def _positional(parameters: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each for each in parameters if each.kind in kinds]


def _demands_more(parameters: list[inspect.Parameter], n: int) -> bool:
    needed = [each for each in _positional(parameters) if each.default is each.empty]
    return len(needed) > n or any(
        each.kind is each.KEYWORD_ONLY and each.default is each.empty for each in parameters
    )


def _accepted(handler: Callable[..., Any], parameters: list[inspect.Parameter], n: int) -> int:
    """Return how many of `n` arguments a handler that demands no more is given."""
    if not any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return min(n, len(_positional(parameters)))
    wrapped = getattr(handler, "__wrapped__", None)
    if wrapped is None:
        return n
    try:
        inner = parameters_of(wrapped)
    except ValueError:
        return n
    return max(len(_positional(parameters)), _accepted(wrapped, inner, n))
