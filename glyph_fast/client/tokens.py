"""Tokens that say when they end are replaced in place, after three quarters of their time."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from math import inf
from typing import Any

LONGEST = 86_400.0 * 24  # seconds of a timer


def claims(token: str | None) -> dict[str, Any]:
    """Return what a JSON Web Token says, unverified; nothing of any other token."""
    try:
        part = str(token).split(".")[1]
        found = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, IndexError):
        return {}
    return found if isinstance(found, dict) else {}


def renewal_after(token: str | None) -> float | None:
    """In how many seconds a token is to be replaced; None for one that does not say its end."""
    found = claims(token)
    end, given_at = found.get("exp"), found.get("iat")
    if not isinstance(end, (int, float)) or isinstance(end, bool) or not end:
        return None
    # The clocks may differ: what the token was given for is known without ours.
    given, least = inf, 1.0
    if isinstance(given_at, (int, float)) and given_at:
        given = float(end - given_at)
        least = given / 4
    left = max(min(end - time.time(), given), least)
    return min(left * 0.75, LONGEST)


class Renewal:
    """The timer that asks for the next token."""

    def __init__(self, renew: Callable[[], object]) -> None:
        self._renew = renew
        self._timer: asyncio.TimerHandle | None = None

    def plan(self, token: str | None) -> None:
        """Replace this token in time."""
        self.stop()
        delay = renewal_after(token)
        if delay is not None:
            self._timer = asyncio.get_running_loop().call_later(delay, self._renew)

    def stop(self) -> None:
        """There is nothing to replace."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
