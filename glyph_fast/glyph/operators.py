"""The operators: arithmetic, comparison, conditions, fields and elements.

Generated code calls these wherever it does not know the kinds of both sides. Integers are 64-bit
and wrap; division truncates toward zero; nothing is converted to text.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import fmod, isfinite
from typing import NoReturn

from .limits import sized_array, sized_text
from .values import Failure, Future, Headers, Reply, Result, Value, kind

MIN_INT = -(2**63)
MAX_INT = 2**63 - 1
_NUMBERS = frozenset({int, float})
_COMPOSED = frozenset({list, dict, Headers, Result})


def wrap(number: int) -> int:
    """An integer result, wrapped to 64 bits."""
    return ((number + 2**63) & (2**64 - 1)) - 2**63


def finite(number: float) -> float:
    """A float result; one beyond what a float can hold is a failure."""
    if not isfinite(number):
        raise Failure("the result is too large for a number")
    return number


def _mismatch(operator: str, a: Value, b: Value) -> NoReturn:
    raise Failure(f"`{operator}` cannot take {kind(a)} and {kind(b)}")


def _are_numbers(a: Value, b: Value) -> bool:
    return type(a) in _NUMBERS and type(b) in _NUMBERS


# --- arithmetic ----------------------------------------------------------------------------------


def add(a: Value, b: Value) -> Value:
    """`a + b` of two numbers, two strings or two arrays."""
    first, second = type(a), type(b)
    if first is str and second is str:
        return sized_text(a + b)
    if first is int and second is int:
        total = a + b
        return total if MIN_INT <= total <= MAX_INT else wrap(total)
    if first in _NUMBERS and second in _NUMBERS:
        return finite(a + b)
    if first is list and second is list:
        return sized_array(a + b)
    _mismatch("+", a, b)


def concat(*parts: str) -> str:
    """A chain of `+` over what is known to be strings."""
    return sized_text("".join(parts))


def subtract(a: Value, b: Value) -> Value:
    """`a - b`"""
    if type(a) is int and type(b) is int:
        return wrap(a - b)
    if not _are_numbers(a, b):
        _mismatch("-", a, b)
    return finite(a - b)


def multiply(a: Value, b: Value) -> Value:
    """`a * b`"""
    if type(a) is int and type(b) is int:
        return wrap(a * b)
    if not _are_numbers(a, b):
        _mismatch("*", a, b)
    return finite(a * b)


def divide(a: Value, b: Value) -> Value:
    """`a / b`; of two integers the quotient truncated toward zero."""
    if not _are_numbers(a, b):
        _mismatch("/", a, b)
    if b == 0:
        raise Failure("division by zero")
    if type(a) is int and type(b) is int:
        quotient = abs(a) // abs(b)
        return wrap(quotient if (a < 0) == (b < 0) else -quotient)
    return finite(a / b)


def remainder(a: Value, b: Value) -> Value:
    """`a % b`; the sign is that of `a`."""
    if not _are_numbers(a, b):
        _mismatch("%", a, b)
    if b == 0:
        raise Failure("division by zero")
    if type(a) is int and type(b) is int:
        rest = abs(a) % abs(b)
        return -rest if a < 0 else rest
    return fmod(a, b)


def negate(a: Value) -> Value:
    """`-a`"""
    if type(a) is int:
        return wrap(-a)
    if type(a) is float:
        return -a
    raise Failure(f"`-` cannot take {kind(a)}")


# --- comparison and conditions -------------------------------------------------------------------


def equal(a: Value, b: Value) -> bool:
    """`a == b`: numbers by value, arrays and objects by their contents; never a failure."""
    first, second = type(a), type(b)
    if first is second or (first in _NUMBERS and second in _NUMBERS):
        if first in _COMPOSED:
            return _alike(a, b, set())
        return bool(a == b)
    return isinstance(a, dict) and isinstance(b, dict) and _alike(a, b, set())


def _alike(a: Value, b: Value, same: set[tuple[int, int]]) -> bool:
    """Whether two values have equal parts; `same` are the pairs already found to be so.

    Without it, a value that holds another one twice, and so on, would be looked at without end.
    """
    pair = id(a), id(b)
    if pair in same:
        return True
    if type(a) is list and type(b) is list:
        found = len(a) == len(b) and all(_equal(x, y, same) for x, y in zip(a, b, strict=True))
    elif isinstance(a, dict) and isinstance(b, dict):
        found = len(a) == len(b) and all(k in b and _equal(v, b[k], same) for k, v in a.items())
    elif type(a) is Result and type(b) is Result:
        found = a.is_ok == b.is_ok and _equal(a.value, b.value, same)
    else:
        return False
    if found:
        same.add(pair)
    return found


def _equal(a: Value, b: Value, same: set[tuple[int, int]]) -> bool:
    return _alike(a, b, same) if type(a) in _COMPOSED else equal(a, b)


def unequal(a: Value, b: Value) -> bool:
    """`a != b`"""
    return not equal(a, b)


def _comparable(operator: str, a: Value, b: Value) -> None:
    if not (_are_numbers(a, b) or (type(a) is str and type(b) is str)):
        _mismatch(operator, a, b)


def less(a: Value, b: Value) -> bool:
    """`a < b` of two numbers, or of two strings by code point."""
    _comparable("<", a, b)
    return bool(a < b)


def less_equal(a: Value, b: Value) -> bool:
    """`a <= b`"""
    _comparable("<=", a, b)
    return bool(a <= b)


def greater(a: Value, b: Value) -> bool:
    """`a > b`"""
    _comparable(">", a, b)
    return bool(a > b)


def greater_equal(a: Value, b: Value) -> bool:
    """`a >= b`"""
    _comparable(">=", a, b)
    return bool(a >= b)


def truth(value: Value) -> bool:
    """A condition: it has to be a boolean."""
    if value is True or value is False:
        return bool(value)
    raise Failure(f"a condition must be a boolean, not {kind(value)}")


def invert(value: Value) -> bool:
    """`!value`"""
    return not truth(value)


# --- fields and elements -------------------------------------------------------------------------


def field(base: Value, name: str) -> Value:
    """`base.name`; null where the object has no such field."""
    if type(base) is dict:
        return base.get(name)
    if isinstance(base, Headers):
        return base.get(name)
    if type(base) is Result:
        return _result_field(base, name)
    raise Failure(f"{kind(base)} has no field `{name}`")


def _result_field(result: Result, name: str) -> Value:
    if name == "ok":
        return result.is_ok
    if name == "value":
        return result.value if result.is_ok else None
    if name == "error":
        return None if result.is_ok else result.value
    raise Failure(f"a Result has no field `{name}`")


def whole(value: Value, what: str) -> int:
    """An integer, also from a float without fraction, as numbers from JSON are."""
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    raise Failure(f"{what} must be an integer, not {kind(value)}")


def element(base: Value, index: Value) -> Value:
    """`base[index]`: of an array by position, of an object by key (null where it is missing)."""
    if type(base) is list:
        position = whole(index, "an index")
        if 0 <= position < len(base):
            return base[position]
        raise Failure(f"index {position} is outside the array's {len(base)} elements")
    if isinstance(base, dict):
        if type(index) is str:
            return base.get(index)
        raise Failure(f"an object's key must be a string, not {kind(index)}")
    raise Failure(f"{kind(base)} has no elements")


def set_field(value: Value, base: Value, name: str) -> None:
    """`base.name = value`"""
    if not isinstance(base, dict):
        raise Failure(f"{kind(base)} has no field `{name}` to set")
    base[name] = value


def set_element(value: Value, base: Value, index: Value) -> None:
    """`base[index] = value`; an object gets the key, an array must have the index."""
    if isinstance(base, dict):
        if type(index) is not str:
            raise Failure(f"an object's key must be a string, not {kind(index)}")
        base[index] = value
        return
    element(base, index)
    base[whole(index, "an index")] = value


# --- loops, matching and the rest ----------------------------------------------------------------


def values(iterable: Value) -> Iterable[Value]:
    """What `for v in …` goes over: an array's elements, an object's values."""
    if type(iterable) is list:
        return iterable
    if isinstance(iterable, dict):
        return list(iterable.values())
    raise Failure(f"`for` cannot go over {kind(iterable)}")


def pairs(iterable: Value) -> Iterable[tuple[Value, Value]]:
    """What `for k, v in …` goes over: positions or keys, with the values."""
    if type(iterable) is list:
        return enumerate(iterable)
    if isinstance(iterable, dict):
        return list(iterable.items())
    raise Failure(f"`for` cannot go over {kind(iterable)}")


def matchable(value: Value) -> Value:
    """What patterns look at: a Result shows as `{ok: value}` or `{error: value}`."""
    if type(value) is Result:
        return {"ok" if value.is_ok else "error": value.value}
    return value


def has_key(value: Value, key: str) -> bool:
    """Whether an object has a key, be its value null."""
    return isinstance(value, dict) and key in value


def is_object(value: Value) -> bool:
    """Whether an object pattern can match."""
    return isinstance(value, dict)


def has_length(value: Value, length: int) -> bool:
    """Whether an array pattern without a rest can match."""
    return type(value) is list and len(value) == length


def is_longer(value: Value, length: int) -> bool:
    """Whether an array pattern with a rest can match."""
    return type(value) is list and len(value) >= length


def rest(value: list[Value], start: int) -> list[Value]:
    """What `...rest` binds."""
    return value[start:]


def awaited(value: Value) -> Value:
    """`await value`; what is no future is there already."""
    return value.result() if type(value) is Future else value


def copied(value: Value) -> Value:
    """A copy of a constant's value, so that changing it lasts no longer than the event."""
    if type(value) is list:
        return [copied(item) for item in value]
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    return value


def with_status(value: Value, status: int) -> Reply:
    """`> value :: status`"""
    if type(value) is Reply:
        value.status = status
        return value
    return Reply(status, value)


def refusal(status: int, text: str) -> Reply:
    """The answer of a guard that was not met."""
    return Reply(status, {"error": text})
