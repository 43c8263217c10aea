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
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from functools import cache
from math import isfinite
from typing import Any, NamedTuple, NoReturn, TypeAlias
from uuid import UUID

from .numbers import choose
from .quick_json import reader, reader_of_messages, writer

Default: TypeAlias = Callable[[Any], object]  # a value for JSON in the place of one beyond it


class Codec(NamedTuple):
    """A way to write and to read JSON.

    `dumps` gives the JSON text of a value as UTF-8, without spaces. It takes dict (string keys),
    list, tuple, str, int, float, bool, None. An enum member counts as its value, a dataclass, a
    msgspec Struct or a Pydantic model as the dict of its fields, a date, a time or both as its text
    in ISO 8601, a UUID as its text. TypeError for anything else, ValueError for NaN, Infinity, lone
    surrogates, circular or endlessly deep values; both name the path to what they are about.

    `loads` gives the value of one JSON text (RFC 8259), bytes being UTF-8; ValueError when it is
    not one.
    """

    name: str
    dumps: Callable[[object], bytes]
    loads: Callable[[bytes | str], Any]


def stdlib_codec(default: Default | None = None) -> Codec:
    """The codec that needs nothing but the standard library, and the reference for the other."""
    plain = _plain_or(default)
    encode = json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain
    ).encode
    decode = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite).decode

    def dumps(value: object) -> bytes:
        try:
            _check(value, plain)
            return encode(value).encode()
        except RecursionError:
            raise ValueError("value is nested too deeply for JSON") from None
        except _Refused as exc:
            refused = exc
        except UnicodeEncodeError:
            refused = _half_a_pair(value, plain)
        raise refused.error()  # outside, so that no other traceback comes before it

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


def orjson_codec(default: Default | None = None) -> Codec:
    """The codec on orjson; ImportError where it is not installed."""
    import orjson

    plain = _plain_or(default)
    fast_dumps, fast_loads = orjson.dumps, orjson.loads
    options = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
    _, careful_dumps, read_carefully = stdlib_codec(default)

    def careful_loads(data: bytes | str) -> Any:
        if len(data) > MAX_CAREFUL:
            raise ValueError(f"integers beyond 64 bits in JSON of more than {MAX_CAREFUL} bytes")
        return read_large(data, loads, read_carefully)

    dumps = writer(fast_dumps, careful_dumps, options, plain, is_finite)
    loads = reader(fast_loads, careful_loads, has_large_integer)
    return Codec("orjson", dumps, loads)


def codec_with(default: Default | None) -> Codec:
    """The best codec there is; it asks `default(value)` what stands for a value it does not know.

    That is a value in its turn, and TypeError where there is none. It may be asked more than once.
    """
    if default is None:
        return codec
    return _best_codec(default)


def _best_codec(default: Default | None = None) -> Codec:
    try:
        return orjson_codec(default)
    except ModuleNotFoundError as exc:  # absent: the standard library; broken: let it shout
        if exc.name != "orjson":
            raise
        return stdlib_codec(default)


_numbers = choose()
has_large_integer, is_finite = _numbers.has_large_integer, _numbers.is_finite
read_large = _numbers.read_large
MAX_CAREFUL = 64 * 1024  # bytes or characters of a text with integers beyond 64 bits
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def _plain_or(default: Default | None) -> Default:
    """Return the function for values beyond JSON: ours first, and then a program's own."""
    if default is None:
        return _plain

    def plain(value: object) -> object:
        try:
            return _plain(value, plain)
        except TypeError:
            pass
        return default(value)  # outside, so that its errors have no other before them

    return plain


def _plain(value: Any, of_member: Default | None = None) -> object:
    """Return what stands in the place of a value beyond JSON; both codecs go by it.

    `of_member` says the same of what a Struct holds, where that is more than this.
    """
    kind = type(value)
    if hasattr(kind, "__struct_config__") and not isinstance(value, type):
        return _to_builtins()(value, enc_hook=of_member or _plain)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (date, time)):  # a datetime is a date
        return value.isoformat()  # RFC 3339, with the offset where there is one
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if hasattr(kind, "__pydantic_serializer__"):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"{kind.__name__} is not a JSON value")


@cache
def _to_builtins() -> Callable[..., Any]:
    from msgspec import to_builtins  # which a program that has a Struct has

    return to_builtins


class _Refused(Exception):
    """Something in a value cannot be written; the steps that lead to it are added on the way."""

    def __init__(self, kind: type[Exception], reason: str) -> None:
        self.kind = kind
        self.reason = reason
        self.steps: list[str] = []

    def error(self) -> Exception:
        """The error for who gave the value, with the path as Python would write it."""
        path = "".join(reversed(self.steps))
        return self.kind(f"{self.reason}, at {path}" if path else self.reason)


def _check(value: object, plain: Default, *, texts: bool = False) -> None:
    """Raise _Refused for what JSON has no form for; with `texts`, for text without one as well."""
    if value is None or isinstance(value, int):
        return
    if isinstance(value, str):
        if texts and not _is_text(value):
            raise _Refused(ValueError, "half a surrogate pair is not a JSON value")
    elif isinstance(value, float):
        if not isfinite(value):
            raise _Refused(ValueError, f"{value} is not a JSON value")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                kind = type(key).__name__
                raise _Refused(TypeError, f"JSON object keys must be strings, not {kind}")
            _check(key, plain, texts=texts)
            try:
                _check(item, plain, texts=texts)
            except _Refused as exc:
                exc.steps.append(f"[{key!r}]")
                raise
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            try:
                _check(item, plain, texts=texts)
            except _Refused as exc:
                exc.steps.append(f"[{index}]")
                raise
    else:
        _check(_plain_or_refused(value, plain), plain, texts=texts)


def _plain_or_refused(value: object, plain: Default) -> object:
    try:
        return plain(value)
    except TypeError as exc:
        raise _Refused(TypeError, str(exc)) from None


def _half_a_pair(value: object, plain: Default) -> _Refused:
    try:
        _check(value, plain, texts=True)
    except _Refused as exc:
        return exc
    return _Refused(ValueError, "half a surrogate pair is not a JSON value")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON value")


def _finite(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        raise ValueError(f"number out of range: {digits[:32]}")
    return value


codec = _best_codec()
dumps, loads = codec.dumps, codec.loads  # the functions themselves: every message calls them
value_of = reader_of_messages(loads)
"""The value of a JSON text that is not `null`; None when it is none."""
