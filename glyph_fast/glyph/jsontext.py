"""JSON as programs see it: numbers come in as floats, and go out without a needless `.0`.

Both rules are kept off the quick path. Reading converts only what holds integers; writing looks for
`.0` in the finished text and starts over in the rare case that it is there.
"""

from __future__ import annotations

from decimal import Decimal

from .. import json
from ..message import JsonText
from .values import Failure, Result, Value, kind

_EXACT = 1e21  # from here on, floats are written with an exponent
_SMALL = 1e-6  # and below this


def read(text: bytes | str) -> Value:
    """The value of a JSON text, its numbers as floats. ValueError when it is not JSON."""
    value = json.loads(text)
    kind_of = type(value)
    if kind_of is str or value is None or kind_of is bool:
        return value
    return _with_floats(value)


def _with_floats(value: Value) -> Value:
    """The value with its integers made floats, arrays and objects changed in place."""
    kind_of = type(value)
    if kind_of is int:
        return _float(value)
    if kind_of is dict:
        for key, item in value.items():
            of_item = type(item)
            if of_item is int:
                value[key] = _float(item)
            elif of_item is dict or of_item is list:
                _with_floats(item)
    elif kind_of is list:
        for index, item in enumerate(value):
            of_item = type(item)
            if of_item is int:
                value[index] = _float(item)
            elif of_item is dict or of_item is list:
                _with_floats(item)
    return value


def _float(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        raise ValueError("a number is out of range") from None


def write(value: Value) -> bytes:
    """The JSON text of a value, as UTF-8. A value that has none is a failure."""
    try:
        data = json.dumps(value)
    except (TypeError, ValueError):
        return _write_carefully(value)
    return _write_carefully(value) if b".0" in data else data


def _write_carefully(value: Value) -> bytes:
    try:
        return json.dumps(_plain(value))
    except (RecursionError, ValueError):
        raise Failure("the value is nested too deeply to be written") from None


def _plain(value: Value) -> Value:
    """The value in what JSON has: Results as objects, floats without fraction as integers."""
    match value:
        case float():
            return int(value) if value.is_integer() and abs(value) < _EXACT else value
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case Result():
            return {"ok" if value.is_ok else "error": _plain(value.value)}
        case None | bool() | int() | str():
            return value
    raise Failure(f"{kind(value)} cannot be written as JSON")


class WireText(JsonText):
    """A finished JSON text, to be sent as one text frame."""

    __slots__ = ()

    def __init__(self, data: bytes) -> None:
        self._data = data


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
    return write(value).decode()
