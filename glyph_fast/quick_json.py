# cython: annotation_typing=False
"""The calls by which every message reads and writes JSON with orjson, by the rules of `json.py`.

Whatever orjson refuses, or would change silently, goes to the careful functions, which are the
standard library's.

Plain Python, which `setup.py` compiles: a server that answers JSON comes here twice a message.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from .headroom import FINITE, NO_ROOM, READ, can_read, weigh

_JSON_TYPES = (dict, list, tuple, str, int, float)


def writer(
    fast: Callable[..., bytes],
    careful: Callable[[object], bytes],
    options: int,
    plain: Callable[[Any], object],
    is_finite: Callable[[object, Any], bool],
) -> Callable[[object], bytes]:
    """Return `dumps` of a codec; `plain(value)` stands for a value that JSON does not know."""

    def dumps(value: object) -> bytes:
        if not isinstance(value, _JSON_TYPES) and value is not None:
            value = plain(value)  # once, where each that looks at it would ask
        weight = weigh(value, plain)
        if weight == NO_ROOM:
            return careful(value)  # which needs less, and can bear to get none
        data: bytes | None = None
        try:
            data = fast(value, plain, options)
        except TypeError:
            pass  # integers beyond 64 bits; or the error in our words, and in no other's
        if data is not None and weight == FINITE:
            return data
        # `find`, because `in` first asks for an integer, and makes an exception that nobody sees.
        if data is None or (data.find(b"null") >= 0 and not is_finite(value, plain)):
            return careful(value)  # orjson writes null for NaN and Infinity, without a word
        return data

    return dumps


def reader(
    fast: Callable[[Any], Any],
    careful: Callable[[Any], Any],
    has_large_integer: Callable[[Any], bool],
) -> Callable[[bytes | str], Any]:
    """Return `loads` of a codec."""

    def loads(data: bytes | str) -> Any:
        if len(data) > READ and not can_read(data):
            raise MemoryError(f"no memory to read {len(data)} bytes of JSON")
        # Asked first: it takes a twentieth of the time that orjson would take in vain.
        if has_large_integer(data):  # which orjson reads as a float, or not at all
            return careful(data)
        # The standard library takes nothing more but these. Nobody gets a second reading of what
        # is no JSON: it would take ten times as long as the first.
        if len(data) <= READ or not gc.isenabled():
            return fast(data)
        # A collection for each 700 lists finds nothing, and takes longer than reading them. No
        # Python code runs meanwhile, so nobody else sees that there is none.
        gc.disable()
        try:
            return fast(data)
        finally:
            gc.enable()

    return loads


def reader_of_messages(loads: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what gives the value of a JSON text that is not `null`, and None for what is none."""

    def value_of(text: bytes | str) -> Any:
        value = None
        try:
            value = loads(text)
        except ValueError:
            pass
        return value

    return value_of
