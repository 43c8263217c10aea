"""The built-in functions on texts, numbers and the rest; those on arrays are in `arrays.py`.

`BUILTINS` there and here is what generated code calls. Every function checks its arguments itself:
a wrong kind is a failure of the program, never a Python error.
"""

from __future__ import annotations

import re
import secrets
import time
import uuid
from collections.abc import Callable
from typing import NoReturn

from .jsontext import to_text
from .limits import MAX_TEXT, expect_elements, expect_text, sized_text, walked
from .operators import MAX_INT, MIN_INT, finite, whole, wrap
from .values import Failure, Reply, Result, Value, kind

_INTEGER = re.compile(r"[+-]?[0-9]++")
# Digits are taken once and not given back: else a long text that is no number would take for ever.
_FLOAT = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
_LONGEST_FIELD = 8192  # characters that become a field of the answer; clients take no more
_REDIRECTS = frozenset({301, 302, 307, 308})


def expect_string(value: Value, function: str) -> str:
    """The argument, if it is a string."""
    if type(value) is not str:
        raise Failure(f"`{function}` takes a string, not {kind(value)}")
    walked(len(value))
    return value


def expect_number(value: Value, function: str) -> int | float:
    """The argument, if it is a number."""
    if type(value) is int or type(value) is float:
        return value
    raise Failure(f"`{function}` takes a number, not {kind(value)}")


# --- time, numbers, chance -----------------------------------------------------------------------


def now(*_: Value) -> int:
    """Seconds since the epoch."""
    return int(time.time())


def absolute(value: Value) -> Value:
    """`abs(n)`"""
    number = expect_number(value, "abs")
    return wrap(abs(number)) if type(number) is int else abs(number)


def minimum(a: Value, b: Value) -> Value:
    """`min(a, b)`"""
    return min(expect_number(a, "min"), expect_number(b, "min"))


def maximum(a: Value, b: Value) -> Value:
    """`max(a, b)`"""
    return max(expect_number(a, "max"), expect_number(b, "max"))


def random_int(low: Value, high: Value) -> int:
    """`randomInt(lo, hi)`, both ends included."""
    least, most = whole(low, "a bound"), whole(high, "a bound")
    if least > most:
        raise Failure(f"`randomInt` from {least} to {most} has no numbers")
    return least + secrets.randbelow(most - least + 1)


def generate_id() -> str:
    """A random UUID, version 4."""
    return str(uuid.uuid4())


def parse_int(value: Value) -> int:
    """`parseInt(s)`; a number that is there already is accepted where it is whole."""
    if type(value) is int or type(value) is float:
        return whole(value, "the number")
    text = expect_string(value, "parseInt").strip()
    if not _INTEGER.fullmatch(text):
        _bad_number(text, "an integer")
    number = int(text) if len(text) <= 40 else MAX_INT + 1
    if not MIN_INT <= number <= MAX_INT:
        _bad_number(text, "a 64-bit integer")
    return number


def parse_float(value: Value) -> float:
    """`parseFloat(s)`"""
    if type(value) is int or type(value) is float:
        return float(value)
    text = expect_string(value, "parseFloat").strip()
    if not _FLOAT.fullmatch(text):
        _bad_number(text, "a number")
    return finite(float(text))


def _bad_number(text: str, wanted: str) -> NoReturn:
    shown = text if len(text) <= 40 else text[:40] + "…"
    raise Failure(f'"{shown}" is not {wanted}')


# --- texts ---------------------------------------------------------------------------------------


def length(value: Value) -> int:
    """Code points of a string, elements of an array, fields of an object."""
    if type(value) is str or type(value) is list or isinstance(value, dict):
        return len(value)
    raise Failure(f"{kind(value)} has no length")


def upper(value: Value) -> str:
    """`upper(s)`"""
    return sized_text(expect_string(value, "upper").upper())


def lower(value: Value) -> str:
    """`lower(s)`"""
    return sized_text(expect_string(value, "lower").lower())


def trim(value: Value) -> str:
    """`trim(s)`: without white space around it."""
    return expect_string(value, "trim").strip()


def split(value: Value, separator: Value) -> Value:
    """`split(s, sep)`; without a separator, the characters."""
    text, mark = expect_string(value, "split"), expect_string(separator, "split")
    expect_elements(text.count(mark) + 1 if mark else len(text))
    parts = text.split(mark) if mark else list(text)
    walked(64 * len(parts))
    return parts


def join(array: Value, separator: Value) -> str:
    """`join(arr, sep)`: the elements as texts."""
    if type(array) is not list:
        raise Failure(f"`join` takes an array, not {kind(array)}")
    mark = expect_string(separator, "join")
    parts: list[str] = []
    size = len(mark) * len(array)
    for item in array:
        parts.append(part := to_text(item))
        size += len(part)
        if size > MAX_TEXT:  # before all the others are made as well
            break
    expect_text(size)
    return mark.join(parts)


def contains(value: Value, part: Value) -> bool:
    """`contains(s, sub)`"""
    return expect_string(part, "contains") in expect_string(value, "contains")


def replace(value: Value, old: Value, new: Value) -> str:
    """`replace(s, old, new)`: all occurrences."""
    text = expect_string(value, "replace")
    wanted, other = expect_string(old, "replace"), expect_string(new, "replace")
    expect_text(len(text) + text.count(wanted) * max(0, len(other) - len(wanted)))
    return text.replace(wanted, other)


def substring(value: Value, start: Value, end: Value) -> str:
    """`substring(s, from, to)` within 0 ≤ from ≤ to ≤ length."""
    text = expect_string(value, "substring")
    first, last = whole(start, "an index"), whole(end, "an index")
    if not 0 <= first <= last <= len(text):
        raise Failure(f"{first} to {last} is no part of a string of {len(text)} characters")
    return text[first:last]


def starts_with(value: Value, part: Value) -> bool:
    """`startsWith(s, x)`"""
    return expect_string(value, "startsWith").startswith(expect_string(part, "startsWith"))


def ends_with(value: Value, part: Value) -> bool:
    """`endsWith(s, x)`"""
    return expect_string(value, "endsWith").endswith(expect_string(part, "endsWith"))


def index_of(value: Value, part: Value) -> int:
    """`indexOf(s, sub)`, -1 where it is absent."""
    return expect_string(value, "indexOf").find(expect_string(part, "indexOf"))


def char_at(value: Value, index: Value) -> str:
    """`charAt(s, i)`"""
    text, position = expect_string(value, "charAt"), whole(index, "an index")
    if not 0 <= position < len(text):
        raise Failure(f"index {position} is outside the string's {len(text)} characters")
    return text[position]


def to_string(value: Value) -> str:
    """`toString(x)`: a string as it is, anything else as its JSON text."""
    return sized_text(to_text(value))


# --- responses and Results -----------------------------------------------------------------------


def _status(value: Value, default: int) -> int:
    if value is None:
        return default
    status = whole(value, "a status")
    if not 200 <= status <= 599:
        raise Failure(f"{status} is not an HTTP status")
    return status


def text_reply(value: Value, code: Value = None) -> Reply:
    """`text(s)`: an answer in plain text."""
    body = expect_string(value, "text")
    return Reply(_status(code, 200), body, "text/plain; charset=utf-8")


def html_reply(value: Value, code: Value = None) -> Reply:
    """`html(s)`: a page."""
    body = expect_string(value, "html")
    return Reply(_status(code, 200), body, "text/html; charset=utf-8")


def blob_reply(value: Value, content_type: Value, code: Value = None) -> Reply:
    """`blob(data, type)`: an answer of any type."""
    declared = expect_string(content_type, "blob")
    if not declared or len(declared) > _LONGEST_FIELD:
        raise Failure("`blob` needs a content type")
    if not declared.isprintable() or not declared.isascii():
        raise Failure("`blob` needs a content type")
    return Reply(_status(code, 200), expect_string(value, "blob"), declared)


def redirect(url: Value, code: Value = None) -> Reply:
    """`redirect(url)`: a redirection, 302 unless 301, 307 or 308 is asked for."""
    target, status = expect_string(url, "redirect"), _status(code, 302)
    if status not in _REDIRECTS:
        raise Failure(f"`redirect` cannot have status {status}")
    if len(target) > _LONGEST_FIELD:
        raise Failure(f"`redirect` to {len(target)} characters; at most {_LONGEST_FIELD}")
    if not target or not target.isprintable():
        raise Failure("`redirect` needs an address without control characters")
    return Reply(status, "", "", {"Location": _encoded(target)})


def _encoded(url: str) -> str:
    """An address for a header field: what is not ASCII percent-encoded, as browsers do."""
    from urllib.parse import quote

    return quote(url, safe="%/:?#[]@!$&'()*+,;=~-._")


def ok(value: Value) -> Result:
    """`Ok(v)`"""
    return Result(True, value)


def err(value: Value) -> Result:
    """`Err(v)`"""
    return Result(False, value)


BUILTINS: dict[str, Callable[..., Value]] = {
    "now": now,
    "time.now": now,
    "length": length,
    "upper": upper,
    "lower": lower,
    "trim": trim,
    "split": split,
    "join": join,
    "contains": contains,
    "replace": replace,
    "substring": substring,
    "startsWith": starts_with,
    "endsWith": ends_with,
    "indexOf": index_of,
    "charAt": char_at,
    "parseInt": parse_int,
    "parseFloat": parse_float,
    "toString": to_string,
    "abs": absolute,
    "min": minimum,
    "max": maximum,
    "randomInt": random_int,
    "generateId": generate_id,
    "text": text_reply,
    "html": html_reply,
    "blob": blob_reply,
    "redirect": redirect,
    "Ok": ok,
    "Err": err,
}
