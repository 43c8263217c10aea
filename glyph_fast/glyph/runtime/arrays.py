"""The built-in functions on arrays and objects, and calls of functions that are values."""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key

from .builtins import expect_string
from .limits import SMALL, charge, expect_elements, walked
from .operators import set_element, whole
from .values import Failure, FunctionValue, Result, Value, fail, kind


def expect_array(value: Value, function: str) -> list[Value]:
    """The argument, if it is an array."""
    if type(value) is not list:
        raise Failure(f"`{function}` takes an array, not {kind(value)}")
    walked(8 * len(value))
    return value


def expect_object(value: Value, function: str) -> dict[str, Value]:
    """The argument, if it is an object."""
    if not isinstance(value, dict):
        raise Failure(f"`{function}` takes an object, not {kind(value)}")
    return value


# --- new arrays ----------------------------------------------------------------------------------


def append(array: Value, item: Value) -> list[Value]:
    """`append(arr, x)`: a new array."""
    items = expect_array(array, "append")
    expect_elements(len(items) + 1)
    return [*items, item]


def reverse(array: Value) -> list[Value]:
    """`reverse(arr)`: a new array."""
    return expect_array(array, "reverse")[::-1]


def flat(array: Value) -> list[Value]:
    """`flat(arr)`: arrays among the elements replaced by theirs, one level."""
    result: list[Value] = []
    for item in expect_array(array, "flat"):
        if type(item) is list:
            expect_elements(len(result) + len(item))
            result += item
        else:
            result.append(item)
    expect_elements(len(result))
    return result


def slice_array(array: Value, start: Value, end: Value) -> list[Value]:
    """`slice(arr, from, to)`, cut to what is there."""
    items = expect_array(array, "slice")
    first = max(0, whole(start, "an index"))
    return items[first : max(first, min(len(items), whole(end, "an index")))]


# --- functions as arguments ----------------------------------------------------------------------


def _callback(function: Value, name: str) -> FunctionValue:
    if type(function) is not FunctionValue:
        raise Failure(f"`{name}` takes a function, not {kind(function)}")
    return function


def sort(event: object, steps: object, depth: int, array: Value, order: Value = None) -> Value:
    """`sort(arr[, f])`: a new array, equal elements in their order."""
    items = expect_array(array, "sort")
    if order is None:
        if all(type(item) is str for item in items):
            return _sorted_texts(items)
        if all(type(item) in (int, float) for item in items):
            charge(_comparisons(items))
            return sorted(items)
        raise Failure("`sort` takes numbers or strings, not a mixture")
    function = _callback(order, "sort")

    def precedes(a: Value, b: Value) -> bool:
        answer = function.call(event, steps, depth, a, b)
        if type(answer) is bool:
            return answer
        if type(answer) is int or type(answer) is float:
            return answer < 0
        raise Failure(f"the order of `sort` must be a number or a boolean, not {kind(answer)}")

    def compare(a: Value, b: Value) -> int:
        if precedes(a, b):
            return -1
        return 1 if precedes(b, a) else 0

    return sorted(items, key=cmp_to_key(compare))


def _sorted_texts(items: list[str]) -> list[str]:
    """Strings in order.

    An array may hold a few long strings again and again, and comparing two that are nearly alike
    takes as long as they are: so it is the different ones that are compared, each at most as often
    as sorting them asks for.
    """
    different = list({id(item): item for item in items}.values())
    charge(_comparisons(items))
    longest = max(map(len, different), default=0)
    if longest <= SMALL:
        return sorted(items)
    rank: dict[int, int] = {}
    for place, item in enumerate(sorted(map(_Charged, different))):
        rank[id(item.text)] = place
    return sorted(items, key=lambda item: rank[id(item)])


class _Charged:
    """A string that is charged each time it is compared."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __lt__(self, other: _Charged) -> bool:
        walked(len(self.text))
        return self.text < other.text


def _comparisons(items: list[Value]) -> int:
    """About how often sorting compares, in units of what a charge is worth."""
    return 8 * len(items) * len(items).bit_length()


def map_array(event: object, steps: object, depth: int, array: Value, f: Value) -> Value:
    """`map(arr, f)`"""
    function = _callback(f, "map")
    return [function.call(event, steps, depth, item) for item in expect_array(array, "map")]


def filter_array(event: object, steps: object, depth: int, array: Value, f: Value) -> Value:
    """`filter(arr, f)`: the elements for which f gives true."""
    function, items = _callback(f, "filter"), expect_array(array, "filter")
    return [item for item in items if function.call(event, steps, depth, item) is True]


def find(event: object, steps: object, depth: int, array: Value, f: Value) -> Value:
    """`find(arr, f)`: the first element for which f gives true, else null."""
    function = _callback(f, "find")
    for item in expect_array(array, "find"):
        if function.call(event, steps, depth, item) is True:
            return item
    return None


def some(event: object, steps: object, depth: int, array: Value, f: Value) -> bool:
    """`some(arr, f)`"""
    function, items = _callback(f, "some"), expect_array(array, "some")
    return any(function.call(event, steps, depth, item) is True for item in items)


def every(event: object, steps: object, depth: int, array: Value, f: Value) -> bool:
    """`every(arr, f)`"""
    function, items = _callback(f, "every"), expect_array(array, "every")
    return all(function.call(event, steps, depth, item) is True for item in items)


def reduce(
    event: object, steps: object, depth: int, array: Value, f: Value, initial: Value
) -> Value:
    """`reduce(arr, f, init)`"""
    function, result = _callback(f, "reduce"), initial
    for item in expect_array(array, "reduce"):
        result = function.call(event, steps, depth, result, item)
    return result


def call_value(event: object, steps: object, depth: int, function: Value, *args: Value) -> Value:
    """A call of whatever an expression gave."""
    if type(function) is not FunctionValue:
        raise Failure(f"{kind(function)} cannot be called")
    return function.call(event, steps, depth, *args)


# --- objects -------------------------------------------------------------------------------------


def set_entry(target: Value, key: Value, value: Value) -> Value:
    """`set(o, k, v)`: changes o and returns it."""
    set_element(value, expect_object(target, "set"), key)
    return target


def remove(target: Value, key: Value) -> Value:
    """`remove(o, k)`: changes o and returns it."""
    expect_object(target, "remove").pop(expect_string(key, "remove"), None)
    return target


def keys(target: Value) -> list[Value]:
    """`keys(o)`, in the order in which they were added."""
    names = expect_object(target, "keys")
    walked(8 * len(names))
    return list(names)


# --- methods of Results --------------------------------------------------------------------------


def call_method(
    event: object, steps: object, depth: int, name: str, other: Value, base: Value, *args: Value
) -> Value:
    """`base.name(args)` for the names of Result methods.

    On a value that is no Result: the program's function `other`, or the built-in of that name.
    """
    if type(base) is Result:

        def call(function: Value, argument: Value) -> Value:
            return _callback(function, name).call(event, steps, depth, argument)

        return _RESULT_METHODS[name](base, call, *args)
    if type(other) is FunctionValue:
        return other.call(event, steps, depth, base, *args)
    if name == "map":
        return map_array(event, steps, depth, base, *args)
    raise Failure(f"{kind(base)} has no method `{name}`")


_Caller = Callable[[Value, Value], Value]


def _unwrap(result: Result, call: _Caller) -> Value:
    return result.value if result.is_ok else fail("`unwrap` of an error")


def _unwrap_error(result: Result, call: _Caller) -> Value:
    return fail("`unwrapErr` of a success") if result.is_ok else result.value


def _map(result: Result, call: _Caller, f: Value) -> Value:
    return Result(True, call(f, result.value)) if result.is_ok else result


def _map_error(result: Result, call: _Caller, f: Value) -> Value:
    return result if result.is_ok else Result(False, call(f, result.value))


def _and_then(result: Result, call: _Caller, f: Value) -> Value:
    return _as_result(call(f, result.value)) if result.is_ok else result


def _or_else(result: Result, call: _Caller, f: Value) -> Value:
    return result if result.is_ok else _as_result(call(f, result.value))


def _as_result(value: Value) -> Result:
    return value if type(value) is Result else Result(True, value)


_RESULT_METHODS: dict[str, Callable[..., Value]] = {
    "isOk": lambda result, call: result.is_ok,
    "isErr": lambda result, call: not result.is_ok,
    "unwrap": _unwrap,
    "unwrapOr": lambda result, call, default: result.value if result.is_ok else default,
    "unwrapErr": _unwrap_error,
    "map": _map,
    "mapErr": _map_error,
    "andThen": _and_then,
    "orElse": _or_else,
}

BUILTINS: dict[str, Callable[..., Value]] = {
    "append": append,
    "reverse": reverse,
    "flat": flat,
    "slice": slice_array,
    "sort": sort,
    "map": map_array,
    "filter": filter_array,
    "find": find,
    "some": some,
    "every": every,
    "reduce": reduce,
    "set": set_entry,
    "remove": remove,
    "keys": keys,
}
