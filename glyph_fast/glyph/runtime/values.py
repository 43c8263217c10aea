"""The values of a running program, and the two ways a handler ends early.

null, booleans, integers, floats, strings, arrays and objects are Python's None, bool, int, float,
str, list and dict. The classes here are the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

Value = Any  # None, bool, int, float, str, list, dict or one of the classes below


class Failure(Exception):
    """A failure of the program: ends the handler, is logged with the place it happened at."""


class Mistake(Failure):
    """A failure that is in the program, whatever its client sent: the client is not to blame."""


class LimitReached(Failure):
    """A run that used too much. It is over: nothing in the program can take this failure up."""


class Stop(Exception):
    """A guard outside a handler's own code was not met: the handler ends with this answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Absent:
    """Stands for an argument or a query parameter that was not given."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


@dataclass(slots=True)
class Result:
    """`Ok(v)` or `Err(v)`."""

    is_ok: bool
    value: Value


class Future:
    """The result of an async block, or its failure."""

    __slots__ = ("_error", "_value")

    def __init__(self, block: Callable[[], Value]) -> None:
        self._value: Value = None
        self._error: Exception | None = None
        try:
            self._value = block()
        except LimitReached:
            raise
        except (Failure, Stop, RecursionError) as error:
            self._error = error

    def result(self) -> Value:
        """The value; the failure again, each time it is asked for."""
        if self._error is not None:
            raise self._error
        return self._value


@dataclass(slots=True, frozen=True)
class FunctionValue:
    """A function of the program as a value, to be given to `map`, `sort` and others.

    `code` takes the event, the steps, the depth of calls, then the arguments.
    """

    name: str
    code: Callable[..., Value]
    least: int
    most: int

    def call(self, event: object, steps: object, depth: int, *arguments: Value) -> Value:
        """Call it, with the run it is called from."""
        if not self.least <= len(arguments) <= self.most:
            wrong_arity(self.name, len(arguments))
        return self.code(event, steps, depth, *arguments)


@dataclass(slots=True)
class Reply:
    """The answer of an HTTP route that is more than a value.

    `content_type` is None for JSON; then `body` is the value, else it is text or bytes.
    """

    status: int
    body: Value = None
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Headers(dict[str, Value]):
    """The request's headers: an object whose fields are found in any letter case."""

    __slots__ = ()

    @classmethod
    def of(cls, fields: Iterable[tuple[str, str]]) -> Headers:
        """The headers of a request by their usual spelling (`X-Test`), without Host.

        Of a header that comes twice, the first one.
        """
        headers = cls()
        for name, value in fields:
            usual = "-".join([part.capitalize() for part in name.split("-")])
            if usual != "Host":
                headers.setdefault(usual, value)
        return headers

    def get(self, key: str, default: Value = None) -> Value:
        """The header of this name."""
        if key in self:
            return self[key]
        wanted = key.lower()
        return next((self[name] for name in self if name.lower() == wanted), default)


def fail(message: str) -> NoReturn:
    """End the handler with a failure."""
    raise Failure(message)


def wrong_arity(name: str, count: int, *_: Value) -> NoReturn:
    """A function called with the wrong number of arguments."""
    raise Mistake(f"`{name}` cannot take {count} argument{'' if count == 1 else 's'}")


def unknown_function(name: str, *_: Value) -> NoReturn:
    """A call of a function that exists nowhere."""
    raise Mistake(f"unknown function `{name}`")


_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "an array",
    dict: "an object",
    Headers: "an object",
    Result: "a Result",
    Future: "a future",
    FunctionValue: "a function",
    Reply: "a response",
}


def kind(value: Value) -> str:
    """Name the kind of a value, for messages. A float without fraction shows as an integer."""
    if type(value) is float and value.is_integer():
        return "an integer"
    return _KINDS.get(type(value), "a value")
