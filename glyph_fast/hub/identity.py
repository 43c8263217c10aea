"""The identity of a client, as an authenticator may say it in full, and what others see of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..json import dumps

MAX_INFO = 4096  # bytes of JSON


class Identity:
    """Returned by an authenticator in the place of a bare identity.

    `conn.identity` is then `user`, a text. `info`, a JSON value of at most 4 KiB, is what others
    may see of the client: `conn.info`. At `expires_at`, in seconds since the epoch, the connection
    ends with 4401. Raises TypeError for a user that is no text and for an info that is no JSON,
    ValueError for an empty user, for an info that is too large and for a time that is none.
    """

    __slots__ = ("_info", "expires_at", "info", "user")

    def __init__(self, user: str, info: Any = None, expires_at: float | None = None) -> None:
        if not isinstance(user, str):
            raise TypeError(f"the user of an Identity is text, not {user.__class__.__name__}")
        if not user:
            raise ValueError("the user of an Identity is empty")
        if expires_at is not None and math.isnan(expires_at):
            raise ValueError("an Identity expires at a time, not at NaN")
        self.user = user
        self.info = info
        self.expires_at = expires_at
        self._info = info_json(info)

    def __repr__(self) -> str:
        return f"Identity({self.user!r})"  # no info: it may be large


def info_json(value: object, dumps: Callable[[object], bytes] = dumps) -> bytes | None:
    """The JSON of what a connection shows of itself; None for null.

    Raises what `dumps` raises, and ValueError when it is larger than `MAX_INFO`.
    """
    return None if value is None else checked_info(dumps(value))


def checked_info(text: bytes) -> bytes | None:
    """Return JSON as it came, None for null.

    Raises ValueError when it is larger than `MAX_INFO`.
    """
    if len(text) > MAX_INFO:
        raise ValueError(f"info is {len(text)} bytes of JSON, at most {MAX_INFO} are allowed")
    return None if text == b"null" else text
