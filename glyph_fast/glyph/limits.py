"""What one run of a handler may use before it fails: steps, calls inside calls, time, sizes.

A failing handler costs its own event, never the process. Steps are turns of loops and calls of
functions; generated code takes each from an iterator, which is the cheapest way to count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat
from time import monotonic
from typing import NoReturn

from .values import Failure, Headers, Result, Value

MAX_STEPS = 1_000_000
MAX_DEPTH = 200  # calls inside calls
TIME_LIMIT_S = 3.0
MAX_TEXT = 16 * 1024 * 1024  # code points of one string
MAX_ELEMENTS = 1_000_000  # of one array
MAX_PARTS = 4_000_000  # of one value, written out
_NESTED = frozenset({list, dict, Headers, Result})


def budget() -> Iterator[None]:
    """The steps of one run; asking for one too many, or too late, is a failure."""
    deadline = monotonic() + TIME_LIMIT_S
    for _ in repeat(None, MAX_STEPS):
        yield
        if monotonic() > deadline:
            raise Failure(f"the handler ran longer than {TIME_LIMIT_S:g} s")
    raise Failure(f"the handler took more than {MAX_STEPS} steps")


def too_deep() -> NoReturn:
    """More calls inside calls than allowed."""
    raise Failure(f"more than {MAX_DEPTH} calls inside each other")


def sized_text(text: str) -> str:
    """`text`, unless it is longer than a string may be."""
    if len(text) > MAX_TEXT:
        raise Failure(f"a string of {len(text)} characters; at most {MAX_TEXT}")
    return text


def sized_array(array: list[Value]) -> list[Value]:
    """`array`, unless it is longer than an array may be."""
    if len(array) > MAX_ELEMENTS:
        raise Failure(f"an array of {len(array)} elements; at most {MAX_ELEMENTS}")
    return array


def expect_text(size: int) -> None:
    """Fail before a string of `size` code points is made, when that is too long."""
    if size > MAX_TEXT:
        raise Failure(f"a string of {size} characters; at most {MAX_TEXT}")


def weighed(value: Value) -> Value:
    """`value`, unless it would be too large to write out.

    A value may hold another one twice, which may hold a third one twice, and so on: it is small in
    memory, and its text would fill any.
    """
    if type(value) in _NESTED and any(type(part) in _NESTED for part in _parts(value)):
        if _weight(value, {}) > MAX_PARTS:
            raise Failure(f"a value of more than {MAX_PARTS} parts")
    return value


def _parts(value: Value) -> Iterable[Value]:
    if type(value) is list:
        return value
    return (value.value,) if type(value) is Result else value.values()


def _weight(value: Value, known: dict[int, int]) -> int:
    """How many parts a value has, those of its parts included each time they come up."""
    known[id(value)] = 0  # a value inside itself is found out by whoever writes it
    total = 0
    for part in _parts(value):
        total += 1
        if type(part) in _NESTED:
            weight = known.get(id(part))
            total += _weight(part, known) if weight is None else weight
    known[id(value)] = total
    return total
