"""JSON in and out: `dumps` and `loads`, by orjson where it is installed, else by `json`.

Both ways obey one rule set, so a program cannot tell which one runs: RFC 8259 values only (no NaN,
no Infinity, in either direction), object keys are strings, integers keep every digit, text is UTF-8
without lone surrogates. orjson is the quick way; whatever it refuses, or would change silently, the
standard library decides. (One difference is left, without consequence: `1e-7` may read `1e-07`.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import Enum
from math import isfinite
from typing import Any, NamedTuple, NoReturn
from uuid import UUID


class Codec(NamedTuple):
    """A way to write and to read JSON."""

    name: str
    dumps: Callable[[object], bytes]
    loads: Callable[[bytes | str], Any]


def stdlib_codec() -> Codec:
    """The codec that needs nothing but the standard library, and the reference for the other."""
    encode = json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_scalar
    ).encode
    decode = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite).decode

    def dumps(value: object) -> bytes:
        try:
            _check_keys(value)
            return encode(value).encode()
        except RecursionError:
            raise ValueError("value is nested too deeply for JSON") from None

    def loads(data: bytes | str) -> Any:
        text = data if isinstance(data, str) else data.decode()
        try:
            value = decode(text)
            if _SURROGATE_ESCAPE.search(text):
                encode(value).encode()  # raises where an escape left half a surrogate pair
        except RecursionError:
            raise ValueError("JSON is nested too deeply") from None
        return value

    return Codec("json", dumps, loads)


def orjson_codec() -> Codec:
    """The codec on orjson; ImportError where it is not installed."""
    import orjson

    fast_dumps, fast_loads = orjson.dumps, orjson.loads
    options = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
    _, careful_dumps, careful_loads = stdlib_codec()

    def dumps(value: object) -> bytes:
        try:
            data: bytes = fast_dumps(value, None, options)
        except TypeError:
            return careful_dumps(value)  # integers beyond 64 bits; or the error in our words
        if b"null" in data and not _is_finite(value):
            return careful_dumps(value)  # orjson wrote null for NaN or Infinity, without a word
        return data

    def loads(data: bytes | str) -> Any:
        try:
            value = fast_loads(data)
        except ValueError:
            return careful_loads(data)
        if len(data) >= _MANY_DIGITS and _has_many_digits(data):
            return careful_loads(data)  # orjson reads integers beyond 64 bits as floats
        return value

    return Codec("orjson", dumps, loads)


def _best_codec() -> Codec:
    try:
        return orjson_codec()
    except ModuleNotFoundError as exc:  # absent: the standard library; broken: let it shout
        if exc.name != "orjson":
            raise
        return stdlib_codec()


_MANY_DIGITS = 19  # of the shortest integer that may not fit 64 bits
_DIGITS_AS_ZEROS = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def _has_many_digits(data: bytes | str) -> bool:
    # A translation and a search are ten times quicker than a regular expression here.
    octets = data.encode() if isinstance(data, str) else data
    return b"0" * _MANY_DIGITS in octets.translate(_DIGITS_AS_ZEROS)


def _is_finite(value: object) -> bool:
    """Whether no float in `value`, which orjson has written and so is not circular, is NaN or ∞."""
    nodes = [value]
    for node in nodes:  # grows while it is walked
        if node is None or isinstance(node, (str, int)):
            continue
        if isinstance(node, float):
            if not isfinite(node):
                return False
        elif isinstance(node, dict):
            nodes += node.values()
        elif isinstance(node, (list, tuple)):
            nodes += node
        elif isinstance(node, Enum):
            nodes.append(node.value)
    return True


def _scalar(value: object) -> object:
    """What the two codecs write for the scalars beyond JSON that orjson knows by itself."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _check_keys(value: object) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"JSON object keys must be strings, not {type(key).__name__}")
            _check_keys(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_keys(item)


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON value")


def _finite(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        raise ValueError(f"number out of range: {digits[:32]}")
    return value


codec = _best_codec()


def dumps(value: object) -> bytes:
    """The JSON text of `value` as UTF-8, without spaces.

    Takes dict (string keys), list, tuple, str, int, float, bool, None; an enum member counts as its
    value, a UUID as its text. TypeError for anything else, ValueError for NaN, Infinity, lone
    surrogates, circular or endlessly deep values.
    """
    return codec.dumps(value)


def loads(data: bytes | str) -> Any:
    """The value of one JSON text (RFC 8259), bytes being UTF-8; ValueError when it is not one."""
    return codec.loads(data)
