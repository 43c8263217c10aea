"""JSON as programs see it: numbers come in as floats, and go out without a needless `.0`.

Both rules are kept off the quick path. Reading converts only what holds integers; writing looks for
a number that ends in `.0` in the finished text and starts over in the rare case that there is one.

orjson is called directly where it is installed: the cases in which `glyph_fast.json` would have to
look twice (integers beyond 64 bits, NaN, keys that are not strings) cannot come up here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from json import JSONEncoder
from typing import Any

from ... import json
from ...headroom import READ, can_read, can_write
from .limits import charge, sized_text, walked
from .values import Failure, Result, Value, kind
from .weight import weighed

# The end of a number like 7.0; in a text such as "10.0.0.1" it is none, or costs a second look.
_has_whole_float = re.compile(rb"\.0(?:[,\]}]|$)").search
_EXACT = 1e21  # from here on, floats are written with an exponent
_SMALL = 1e-6  # and below this


def _best_codec() -> tuple[Callable[[bytes | str], Value], Callable[[Value], bytes]]:
    try:
        import orjson
    except ModuleNotFoundError as error:  # absent: `json`; broken: let it shout
        if error.name != "orjson":
            raise
        return json.loads, _dumps_by_stdlib
    fast_loads = orjson.loads
    fast_dumps = partial(orjson.dumps, option=orjson.OPT_PASSTHROUGH_DATACLASS)

    def loads(text: bytes | str) -> Value:
        if len(text) > READ and not can_read(text):
            raise MemoryError(f"no memory to read {len(text)} bytes of JSON")
        return fast_loads(text)

    def dumps(value: Value) -> bytes:
        return fast_dumps(value) if can_write(value, _refused) else _dumps_by_stdlib(value)

    return loads, dumps


def _refused(value: object) -> object:
    raise TypeError(f"{type(value).__name__} is written another way")


# Without a form for dataclasses, which `json.dumps` of ours has: a Result is written otherwise.
_encode = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _dumps_by_stdlib(value: Value) -> bytes:
    try:
        return _encode(value).encode()
    except RecursionError:
        raise ValueError("value is nested too deeply for JSON") from None


_loads, _dumps = _best_codec()


def read(text: bytes | str) -> Value:
    """The value of a JSON text, its numbers as floats. ValueError when it is not JSON."""
    value = _loads(text)
    if type(value) is int:
        return _float(value)
    if type(value) is dict or type(value) is list:
        _make_floats(value)
    return value


def read_exactly(text: bytes | str) -> Value:
    """Read as `read` does, and keep integers: for code that cannot tell them from floats."""
    return _loads(text)


def _make_floats(value: dict[str, Value] | list[Value]) -> None:
    """Make the integers in an array or object floats, in place."""
    target: Any = value
    for key, item in value.items() if type(value) is dict else enumerate(value):
        kind_of = type(item)
        if kind_of is int:
            target[key] = _float(item)
        elif kind_of is dict or kind_of is list:
            _make_floats(item)


def _float(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        raise ValueError("a number is out of range") from None


def write(value: Value) -> bytes:
    """The JSON text of a value, as UTF-8. A value that has none is a failure."""
    try:
        data = _dumps(value)
    except (TypeError, ValueError):
        return _write_carefully(value)
    walked(len(data))
    return _write_carefully(value) if b".0" in data and _has_whole_float(data) else data


def write_text(value: Value) -> str:
    """The JSON text of a value, as it is sent in a frame."""
    return write(value).decode()


def _write_carefully(value: Value) -> bytes:
    try:
        return _dumps(_plain(value))
    except (RecursionError, TypeError, ValueError):
        raise Failure("the value is nested too deeply to be written") from None


def _plain(value: Value) -> Value:
    """The value in what JSON has: Results as objects, floats without fraction as integers."""
    match value:
        case float():
            # Larger ones have an exponent in JSON, and no point.
            return int(value) if value.is_integer() and abs(value) < 2**63 else value
        case dict():
            charge(256 + 64 * len(value))
            return {key: _plain(item) for key, item in value.items()}
        case list():
            charge(64 + 32 * len(value))
            return [_plain(item) for item in value]
        case Result():
            return {"ok" if value.is_ok else "error": _plain(value.value)}
        case None | bool() | int() | str():
            return value
    raise Failure(f"{kind(value)} cannot be written as JSON")


def number_text(number: int | float) -> str:
    """A number as JSON has it: `1000000`, `2.5`, `1e+23`, `1e-7`."""
    if type(number) is float:
        if number.is_integer() and abs(number) < 2**53:
            return str(int(number))
        mantissa, exponent, power = repr(number).partition("e")
        if exponent and not _SMALL <= abs(number) < _EXACT:
            sign = "-" if power.startswith("-") else "+"
            return f"{mantissa}e{sign}{power.lstrip('+-').lstrip('0')}"
        return format(Decimal(repr(number)), "f")
    return repr(number)


def to_text(value: Value) -> str:
    """A value as `toString` and `join` show it: a string as it is, all else as JSON."""
    if type(value) is str:
        return value
    if type(value) is int or type(value) is float:
        return number_text(value)
    return sized_text(write(weighed(value)).decode())
