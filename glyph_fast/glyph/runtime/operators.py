"""The operators: arithmetic, comparison, conditions, fields and elements.

Generated code calls these wherever it does not know the kinds of both sides. Integers are 64-bit
and wrap; division truncates toward zero; nothing is converted to text.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import fmod, isfinite
from typing import NoReturn

from .limits import MAX_ELEMENTS, SMALL, account, charge, expect_elements, expect_text, walked
from .values import Failure, Future, Headers, LimitReached, Reply, Result, Value, kind

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
        size = len(a) + len(b)
        if size > SMALL:
            expect_text(size)
        return a + b
    if first is int and second is int:
        total = a + b
        return total if MIN_INT <= total <= MAX_INT else wrap(total)
    if first in _NUMBERS and second in _NUMBERS:
        return finite(a + b)
    if first is list and second is list:
        expect_elements(len(a) + len(b))
        return a + b
    _mismatch("+", a, b)


def concat(*parts: str) -> str:
    """A chain of `+` over what is known to be strings."""
    size = sum(map(len, parts))
    if size > SMALL:
        expect_text(size)
    return "".join(parts)


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
            return _Comparison().alike(a, b)
        if first is str:
            walked(len(a))
        elif first is Reply:  # of `text` and the like, which hold one text
            walked(len(a.body))
        return bool(a == b)
    return isinstance(a, dict) and isinstance(b, dict) and _Comparison().alike(a, b)


class _Comparison:
    """One comparison of values that have parts.

    A value may hold another one twice, and so on; what has been found equal is not looked at again.
    It is kept as sets of equal values, each known by one of them: kept as pairs, it would be as
    many as one side has parts times as many as the other has.
    """

    def __init__(self) -> None:
        self._like: dict[int, int] = {}  # a value that is equal to it, by ids

    def alike(self, a: Value, b: Value) -> bool:
        """Return whether two arrays, objects or Results are equal."""
        first, second = self._known(id(a)), self._known(id(b))
        if first == second and first in self._like:
            return True
        if type(a) is list and type(b) is list:
            charge(64 + len(a))
            found = len(a) == len(b) and all(map(self._equal, a, b))
        elif isinstance(a, dict) and isinstance(b, dict):
            charge(64 + sum(map(len, a)))
            found = len(a) == len(b) and all(k in b and self._equal(v, b[k]) for k, v in a.items())
        elif type(a) is Result and type(b) is Result:
            found = a.is_ok == b.is_ok and self._equal(a.value, b.value)
        else:
            return False
        if found:
            first, second = self._known(id(a)), self._known(id(b))
            self._like[first] = self._like[second] = first
        return found

    def _known(self, value: int) -> int:
        """The one value that stands for all that are equal to this one, as far as is known."""
        path = []
        while (other := self._like.get(value, value)) != value:
            path.append(value)
            value = other
        for each in path:
            self._like[each] = value
        return value

    def _equal(self, a: Value, b: Value) -> bool:
        return self.alike(a, b) if type(a) in _COMPOSED else equal(a, b)


def unequal(a: Value, b: Value) -> bool:
    """`a != b`"""
    return not equal(a, b)


def _comparable(operator: str, a: Value, b: Value) -> None:
    if type(a) is str and type(b) is str:
        walked(len(a))
    elif not _are_numbers(a, b):
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
            walked(len(index))  # keys are compared
            return base.get(index)
        raise Failure(f"an object's key must be a string, not {kind(index)}")
    raise Failure(f"{kind(base)} has no elements")


def set_field(value: Value, base: Value, name: str) -> None:
    """`base.name = value`"""
    if not isinstance(base, dict):
        raise Failure(f"{kind(base)} has no field `{name}` to set")
    _put(base, name, value)


def set_element(value: Value, base: Value, index: Value) -> None:
    """`base[index] = value`; an object gets the key, an array must have the index."""
    if isinstance(base, dict):
        if type(index) is not str:
            raise Failure(f"an object's key must be a string, not {kind(index)}")
        _put(base, index, value)
        return
    element(base, index)
    if type(value) in _COMPOSED:
        account.ties = True
    base[whole(index, "an index")] = value


def _put(base: dict[str, Value], key: str, value: Value) -> None:
    """Set a field, in an object that may have only so many."""
    walked(len(key))
    base[key] = value
    if type(value) in _COMPOSED:
        account.ties = True
    if len(base) > SMALL:
        charge(128)
        if len(base) > MAX_ELEMENTS:
            raise LimitReached(f"an object of {len(base)} fields; at most {MAX_ELEMENTS}")


# --- loops, matching and the rest ----------------------------------------------------------------


def values(iterable: Value) -> Iterable[Value]:
    """Return what `for v in …` goes over: an array's elements, an object's values."""
    if type(iterable) is list:
        return iterable
    if isinstance(iterable, dict):
        walked(8 * len(iterable))
        return list(iterable.values())
    raise Failure(f"`for` cannot go over {kind(iterable)}")


def pairs(iterable: Value) -> Iterable[tuple[Value, Value]]:
    """Return what `for k, v in …` goes over: positions or keys, with the values."""
    if type(iterable) is list:
        return enumerate(iterable)
    if isinstance(iterable, dict):
        walked(64 * len(iterable))
        return list(iterable.items())
    raise Failure(f"`for` cannot go over {kind(iterable)}")


def matchable(value: Value) -> Value:
    """Return what patterns look at: a Result shows as `{ok: value}` or `{error: value}`."""
    if type(value) is Result:
        return {"ok" if value.is_ok else "error": value.value}
    return value


def has_key(value: Value, key: str) -> bool:
    """Return whether an object has a key, be its value null."""
    return isinstance(value, dict) and key in value


def is_object(value: Value) -> bool:
    """Return whether an object pattern can match."""
    return isinstance(value, dict)


def has_length(value: Value, length: int) -> bool:
    """Return whether an array pattern without a rest can match."""
    return type(value) is list and len(value) == length


def is_longer(value: Value, length: int) -> bool:
    """Return whether an array pattern with a rest can match."""
    return type(value) is list and len(value) >= length


def rest(value: list[Value], start: int) -> list[Value]:
    """Return what `...rest` binds."""
    walked(8 * len(value))
    return value[start:]


def awaited(value: Value) -> Value:
    """`await value`; what is no future is there already."""
    return value.result() if type(value) is Future else value


def copied(value: Value) -> Value:
    """A copy of a constant's value, so that changing it lasts no longer than the event."""
    if type(value) is list:
        charge(64 + 8 * len(value))
        return [copied(item) for item in value]
    if type(value) is dict:
        charge(256 + 64 * len(value))
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
