"""The size of a value, written out.

A value may hold another one twice, which may hold a third one twice, and so on: it is small in
memory, and its text would fill any. So whatever is written is weighed first.
"""

from __future__ import annotations

from collections.abc import Iterable

from .limits import charge
from .values import Headers, LimitReached, Result, Value

MAX_PARTS = 4_000_000  # of one value, written out
MAX_WRITTEN = 32 * 1024 * 1024  # code points of all strings in it
_NESTED = frozenset({list, dict, Headers, Result})

_Weight = tuple[int, int]  # parts, and characters in them


def weighed(value: Value) -> Value:
    """`value`, unless it would be too large to write out."""
    if type(value) in _NESTED:
        parts, characters = _weigh(value, {})
        if parts > MAX_PARTS:
            raise LimitReached(f"a value of more than {MAX_PARTS} parts")
        if characters > MAX_WRITTEN:
            raise LimitReached(f"a value of more than {MAX_WRITTEN} characters")
    return value


def _parts(value: Value) -> Iterable[Value]:
    if type(value) is list:
        return value
    return (value.value,) if type(value) is Result else value.values()


def _weigh(value: Value, known: dict[int, _Weight]) -> _Weight:
    """Weigh a value; what its parts have counts each time they come up."""
    known[id(value)] = 0, 0  # a value inside itself is found out by whoever writes it
    parts = characters = 0
    if isinstance(value, dict):
        characters = sum(map(len, value))
    for part in _parts(value):
        parts += 1
        kind = type(part)
        if kind is str:
            characters += len(part)
        elif kind in _NESTED:
            more = known.get(id(part)) or _weigh(part, known)
            parts += more[0]
            characters += more[1]
    charge(64 + 8 * parts if parts < 1_000_000 else 64)
    known[id(value)] = parts, characters
    return parts, characters
