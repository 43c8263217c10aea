"""Cookies that an answer sets (RFC 6265 §4.1), in the words browsers keep to."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from .headers import TOKEN

MAX_SIZE = 4096  # of name and value in bytes; browsers drop a larger cookie (RFC 6265bis §5.6)
MAX_AGE = 400 * 24 * 3600  # seconds; browsers keep none for longer (RFC 6265bis §5.5)

SAME_SITE = {"lax": "Lax", "strict": "Strict", "none": "None"}

_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")  # cookie-octet, RFC 6265 §4.1.1
_ATTRIBUTE = re.compile(r"[ -:<-~]*")  # RFC 6265 §4.1.1: no controls, no semicolon


def set_cookie_field(
    name: str,
    value: str,
    *,
    max_age: int | None,
    expires: datetime | None,
    path: str,
    domain: str | None,
    secure: bool,
    httponly: bool,
    samesite: str | None,
    partitioned: bool,
) -> str:
    """The value of a Set-Cookie field; ValueError for what browsers would drop or misread."""
    _check(name, value)
    parts = [f"{name}={value}"]
    if max_age is not None:
        parts.append(f"Max-Age={min(int(max_age), MAX_AGE)}")
    if expires is not None:
        parts.append(f"Expires={_date(expires)}")
    for word, text in (("Path", path), ("Domain", domain)):
        if text:
            if not _ATTRIBUTE.fullmatch(text):
                raise ValueError(f"bad {word.lower()} of cookie {name!r}: {text!r}")
            parts.append(f"{word}={text}")
    if samesite is not None:
        if samesite.lower() not in SAME_SITE:
            raise ValueError(f"samesite: expected lax, strict, none or None, found {samesite!r}")
        parts.append(f"SameSite={SAME_SITE[samesite.lower()]}")
    needs_secure = partitioned or (samesite or "").lower() == "none"
    _check_prefix(name, path, domain, secure, needs_secure)
    marks = {"Secure": secure, "HttpOnly": httponly, "Partitioned": partitioned}
    return "; ".join([*parts, *(word for word, is_set in marks.items() if is_set)])


def _check(name: str, value: str) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        kind = type(value if isinstance(name, str) else name).__name__
        raise TypeError(f"the name and the value of a cookie are text, not {kind}")
    if not TOKEN.fullmatch(name):
        raise ValueError(f"bad cookie name {name!r}")
    if not _VALUE.fullmatch(value):
        raise ValueError(
            f"the value of cookie {name!r} has characters that no cookie may have: "
            "encode it, as urllib.parse.quote does"
        )
    if len(name) + len(value) > MAX_SIZE:
        raise ValueError(f"cookie {name!r} is larger than {MAX_SIZE} bytes")


def _check_prefix(
    name: str, path: str, domain: str | None, secure: bool, needs_secure: bool
) -> None:
    """Check what browsers demand of a name's prefix (RFC 6265bis §4.1.3, §5.7)."""
    lower = name.lower()
    if not secure and (needs_secure or lower.startswith(("__secure-", "__host-"))):
        raise ValueError(f"cookie {name!r} needs secure=True, else browsers drop it")
    if lower.startswith("__host-") and (path != "/" or domain):
        raise ValueError(f"cookie {name!r} needs the path / and no domain")


def _date(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("expires needs a time zone: datetime.now(UTC) + timedelta(days=1), say")
    return date_text(moment.astimezone(UTC))


def date_text(moment: datetime) -> str:
    """A moment of UTC as in a Date field (RFC 9110 §5.6.7), in any locale."""
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.weekday()]
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    return f"{day}, {moment:%d} {months[moment.month - 1]} {moment.year:04} {moment:%H:%M:%S} GMT"
