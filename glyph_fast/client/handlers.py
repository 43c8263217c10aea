"""Functions of the program, by the name of what they are called for.

What an `async def` returns is awaited, call after call: its calls stand in a line of their own. The
line is bounded by those who emit, whom `backlog` tells how long the longest is.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

from .tasks import Line, Tasks, failed

Function: TypeAlias = Callable[..., Any]
Off: TypeAlias = Callable[[], None]

MOST_WAITING = 1_000  # results in a line, from which on nothing more should be emitted


class Handlers:
    """Lists of functions; each is called with as many arguments as it takes."""

    def __init__(self, tasks: Tasks, passed: Callable[[], object] = lambda: None) -> None:
        self._tasks = tasks
        self._passed = passed
        self._lists: dict[str, list[_Handler]] = {}

    def add(self, name: str, function: Function) -> Off:
        """Call `function` from now on; returned is what stops that."""
        if not callable(function):
            raise TypeError(f"expected a function for {name!r}, found {function!r}")
        handler = _Handler(function, Line(self._tasks, self._passed))
        self._lists.setdefault(name, []).append(handler)

        def off() -> None:
            handlers = self._lists.get(name, [])
            if handler in handlers:
                handlers.remove(handler)
                handler.line.clear()
            if not handlers:
                self._lists.pop(name, None)

        return off

    @property
    def backlog(self) -> int:
        """Return how many calls the slowest function is behind."""
        return max((len(each.line) for some in self._lists.values() for each in some), default=0)

    def backlog_of(self, name: str) -> int:
        """Return how many calls the slowest function for this name is behind."""
        return max((len(each.line) for each in self._lists.get(name, ())), default=0)

    def emit(self, name: str, *args: Any) -> None:
        """Call them all. One that raises is logged, and the others are called all the same."""
        for handler in list(self._lists.get(name, ())):
            try:
                result = handler.call(args)
            except Exception as exc:
                failed(exc)
            else:
                if inspect.isawaitable(result):
                    handler.line.put(result)

    async def first(self, name: str, *args: Any) -> Any:
        """The result of the first that returns one, of all that are called.

        Raises what a function raises, and LookupError where there is none.
        """
        handlers = list(self._lists.get(name, ()))
        if not handlers:
            raise LookupError("no handler")
        results = await asyncio.gather(*(_result(handler.call(args)) for handler in handlers))
        return next((each for each in results if each is not None), None)


async def _result(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


class _Handler:
    """A function, how many arguments it takes, and its line."""

    __slots__ = ("_count", "_function", "line")

    def __init__(self, function: Function, line: Line) -> None:
        self._function = function
        self._count = _arguments(function)
        self.line = line

    def call(self, args: tuple[Any, ...]) -> Any:
        return self._function(*args[: self._count])


def _arguments(function: Function) -> int | None:
    """Return how many arguments a function takes; None for any number."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of C, without a signature
        return None
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return None
    return sum(
        each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters
    )
