"""Readers of the values of options.

A reader takes the text of a flag, the value of a TOML key or a Python object, returns the one form
the server works with, and takes that form back unchanged. It raises ValueError with what was found
and what was expected.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from .origin import origin_rule
from .values import Address, Rate

MAX_COUNT = 2**31 - 1  # a C int
MAX_SIZE = 2**40  # bytes; far above what is useful, far below overflow
MAX_DURATION = 366 * 86400  # seconds

Reader = Callable[[Any], Any]


class Within(ValueError):
    """An error in a part of a value. Its text goes on where the name of the whole ends."""


def text(raw: object) -> str | None:
    """Any characters but control characters; at least one."""
    if raw is None:
        return None
    if not isinstance(raw, str) or not raw.strip() or not raw.isprintable():
        raise ValueError("text without control characters")
    return raw


def user_room(raw: object) -> str | None:
    """A pattern of room names with one {user} in it."""
    pattern = text(raw)
    if pattern is None:
        return None
    if pattern.count("{user}") != 1 or pattern == "{user}" or not pattern.isprintable():
        raise ValueError("a room name with {user} in it, such as user:{user}")
    return pattern


def bearer(raw: object) -> str | None:
    """Read what an `Authorization` field can carry behind `Bearer`."""
    if raw is None:
        return None
    if not isinstance(raw, str) or not re.fullmatch(r"[!-~]+(?: +[!-~]+)*", raw):
        raise ValueError("visible ASCII characters")
    return raw


def host(raw: object) -> str:
    """A host name or address; brackets round an IPv6 address are taken off."""
    name = raw[1:-1] if isinstance(raw, str) and re.fullmatch(r"\[[^\]]*\]", raw) else raw
    if not isinstance(name, str) or not re.fullmatch(r"[^\s/\[\]@]+", name):
        raise ValueError("a host name or an IP address")
    if ":" in name:
        try:
            ipaddress.IPv6Address(name)
        except ValueError:
            raise ValueError("a host name or an IP address, without a port") from None
    return name


def hosts(raw: object) -> str:
    """One host or several, with commas between them; repeats are dropped."""
    names = words(host)(raw)
    if not names:
        raise ValueError("a host name or an IP address")
    return ",".join(names)


def file_mode(raw: object) -> str:
    """The permissions of a file as `chmod` takes them."""
    if not isinstance(raw, str) or not re.fullmatch(r"0?[0-7]{3}", raw):
        raise ValueError('three octal digits such as 660, in a file "660"')
    return raw


def path(raw: object) -> str | None:
    """The path of a file, as text."""
    return text(os.fspath(raw) if isinstance(raw, os.PathLike) else raw)


def switch(raw: object) -> bool:
    """on or off, true or false, yes or no, 1 or 0."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str):
        if raw.lower() in ("on", "true", "yes", "1"):
            return True
        if raw.lower() in ("off", "false", "no", "0"):
            return False
    raise ValueError("on or off")


def choice(*names: str) -> Reader:
    """One of `names`, in whatever case: levels of logging are mostly written in capitals."""
    expected = "one of " + ", ".join(names)

    def read(raw: object) -> str:
        if not isinstance(raw, str) or raw.lower() not in names:
            raise ValueError(expected)
        return raw.lower()

    return read


def count(low: int, high: int = MAX_COUNT, *, may_be_off: bool = False) -> Reader:
    """A whole number from `low` to `high`; None for "off" where that is allowed."""
    bounds = f"from {low} to {high}" if high < MAX_COUNT else f"of at least {low}"
    expected = f"a whole number {bounds}" + (", or off" if may_be_off else "")

    def read(raw: object) -> int | None:
        if may_be_off and (raw is None or raw == "off"):
            return None
        number = int(raw) if isinstance(raw, str) and re.fullmatch(r"[0-9]{1,18}", raw) else raw
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
            raise ValueError(expected)
        return number

    return read


_SIZE = re.compile(r"([0-9]{1,18}) ?(B|KiB|MiB|GiB|)")
_SIZE_UNITS = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def size(low: int = 1) -> Reader:
    """Bytes, of at least `low`: 65536, "64KiB", "1MiB"."""

    def read(raw: object) -> int:
        number = raw
        if isinstance(raw, str) and (match := _SIZE.fullmatch(raw)):
            number = int(match[1]) * _SIZE_UNITS[match[2]]
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= MAX_SIZE:
            raise ValueError(f"a size of at least {low} bytes, such as 65536, 512KiB or 1MiB")
        return number

    return read


_DURATION = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?) ?(ms|s|m|h|d|)")
_DURATION_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(*, may_be_zero: bool) -> Reader:
    """Seconds: 2.5, "250ms", "30s", "5m", "1h", "30d"."""
    expected = "a duration such as 250ms, 30s or 5m" + ("" if may_be_zero else ", more than 0")

    def read(raw: object) -> float:
        number = raw
        if isinstance(raw, str) and (match := _DURATION.fullmatch(raw)):
            number = float(match[1]) * _DURATION_UNITS[match[2]]
        if not isinstance(number, int | float) or isinstance(number, bool):
            raise ValueError(expected)
        seconds = float(number) if abs(number) <= MAX_DURATION else math.inf
        if not math.isfinite(seconds) or seconds < 0 or not (seconds or may_be_zero):
            raise ValueError(expected)
        return seconds

    return read


_RATE = re.compile(r"([^/:]+)/(s|m|h)(?::([^/:]+))?")


def rate(amount: Reader, example: str) -> Reader:
    """So many a second, minute or hour, with an optional burst; None for "off".

    Without a burst, the amount of one period may come at once.
    """

    def read(raw: object) -> Rate | None:
        if raw is None or raw == "off" or isinstance(raw, Rate):
            return raw if isinstance(raw, Rate) else None
        match = _RATE.fullmatch(raw) if isinstance(raw, str) else None
        try:
            if match is None:
                raise ValueError
            per_period = amount(match[1])
            burst = amount(match[3] or match[1])
        except ValueError:
            raise ValueError(f"a rate such as {example}, or off") from None
        return Rate(per_period / _DURATION_UNITS[match[2]], burst)

    return read


def address(raw: object) -> Address | None:
    """`HOST:PORT`, with an IPv6 address in brackets; None for "off"."""
    if raw is None or raw == "off":
        return None
    if isinstance(raw, Address):
        return raw
    name, colon, digits = raw.rpartition(":") if isinstance(raw, str) else ("", "", "")
    try:
        if not colon or (":" in name and not name.startswith("[")):
            raise ValueError
        return Address(host(name), count(0, 65535)(digits))
    except ValueError:
        raise ValueError("HOST:PORT such as 127.0.0.1:9090 or [::1]:9090") from None


def words(check: Callable[[str], str]) -> Reader:
    """A list of words, or text with commas between them; `check` reads one. Repeats are dropped."""

    def read(raw: object) -> tuple[str, ...]:
        if isinstance(raw, str):
            raw = [word.strip() for word in raw.split(",")] if raw.strip() else []
        if not isinstance(raw, Iterable) or isinstance(raw, bytes):
            raise ValueError("a list of words")
        return tuple(dict.fromkeys(check(word) for word in raw))

    return read


def origin(raw: object) -> str:
    """An origin as RFC 6454 §6.2 writes it, in lower case; one with `*.` before the host; `*`."""
    try:
        return origin_rule(raw if isinstance(raw, str) else "")
    except ValueError:
        raise ValueError(
            "origins such as https://example.com, https://*.example.com or file:// (no path), or *"
        ) from None


def token(raw: object) -> str:
    """A word of HTTP (RFC 9110 §5.6.2), as a subprotocol's name must be (RFC 6455 §4.1)."""
    if not isinstance(raw, str) or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", raw):
        raise ValueError("names of letters, digits and !#$%&'*+-.^_`|~")
    return raw


def network(raw: object) -> str:
    """An IP address, or a network such as 10.0.0.0/8."""
    try:
        return str(ipaddress.ip_network(raw if isinstance(raw, str) else ""))
    except ValueError:
        raise ValueError("IP addresses or networks such as 10.0.0.0/8") from None


AUTO = ("auto",)


def words_auto_or_none(*names: str) -> Reader:
    """A list of some of `names`; "none" is the empty list, and "auto" stands alone."""
    expected = f"auto, none, or some of {', '.join(names)}"

    def check(word: object) -> str:
        if word not in names:
            raise ValueError(expected)
        return str(word)

    read = words(check)

    def read_all(raw: object) -> Any:
        if raw in ("auto", ["auto"], AUTO):
            return AUTO
        return () if raw == "none" else read(raw)

    return read_all


def path_prefix(raw: object) -> str:
    """A path such as /app, without a slash at its end; "" and "/": none."""
    text = raw.rstrip("/") if isinstance(raw, str) else None
    if text is None or not re.fullmatch(r"(?:/[^/?#\s\x00-\x1f]+)*", text):
        raise ValueError("a path such as /app")
    return text


DEFAULT_CENTRIFUGE_PATH = "/connection/websocket"


def centrifuge_path(raw: object) -> str | None:
    """A path such as /connection/websocket, which is the one of "on"; "off": none."""
    if raw is None or raw is False or raw == "off":
        return None
    if raw is True or raw == "on":
        return DEFAULT_CENTRIFUGE_PATH
    if not isinstance(raw, str) or not re.fullmatch(r"(?:/[^/?#:*\s\x00-\x1f]+)+", raw):
        raise ValueError("a path such as /connection/websocket, on or off")
    return raw


def function(raw: object) -> object:
    """A function, or None."""
    if raw is not None and not callable(raw):
        raise ValueError("a function")
    return raw
