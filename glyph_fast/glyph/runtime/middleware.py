"""`+ ratelimit(…)` and `+ auth(…)`: what stands before a route.

Credentials come from the environment, so that no program carries any. A route that asks for some
while none are configured refuses everybody.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable
from os import environ
from typing import Protocol

from ...http.forwarded import network_of
from ..checks.checks import AUTH_VARIABLES, RATE, WINDOWS, is_api_key
from ..syntax.declarations import Middleware
from .values import Reply, Value

_MAX_CLIENTS = 10_000  # addresses remembered by one guard
_MAX_FAILURES = 5  # bad credentials from one address before it has to wait
_FIRST_LOCKOUT_S = 60.0
_LONGEST_LOCKOUT_S = 900.0
_FORGET_AFTER_S = 900.0  # since the last bad credential
_DEMO_TOKEN = re.compile(r"demo-token-([0-9]{1,18})-(.*)", re.DOTALL)

Clock = Callable[[], float]


class Caller(Protocol):
    """The client a guard looks at, and its headers."""

    @property
    def remote(self) -> str | None:
        """The client's address."""

    def header(self, name: str) -> str:
        """A header's value, empty where it is missing."""


Guard = Callable[[Caller], Reply | None]


def guards_of(middlewares: list[Middleware], clock: Clock = time.monotonic) -> list[Guard]:
    """The guards of a route, in the order in which they are asked: the limit first."""
    limits = [_rate_limit(m, clock) for m in middlewares if m.name == "ratelimit"]
    return limits + [_auth(m, clock) for m in middlewares if m.name == "auth"]


def refusal(status: int, message: str) -> Reply:
    """The answer of a guard that lets nobody through."""
    return Reply(status, {"code": status, "error": True, "message": message})


# --- rates ---------------------------------------------------------------------------------------


def per_minute(text: str) -> int:
    """The budget per minute of `100/min`, `5/sec`, `1000/hour`, `9/day`, rounded up."""
    found = RATE.fullmatch(text)
    assert found is not None, "checked when the program was loaded"
    requests, window = int(found[1]), found[2].lower()
    seconds = WINDOWS.get(window, 60)
    return max(1, -(-requests * 60 // seconds))


def _rate_limit(middleware: Middleware, clock: Clock) -> Guard:
    limit = RateLimit(per_minute(middleware.arguments[0]), clock)

    def guard(caller: Caller) -> Reply | None:
        if limit.allows(network_of(caller.remote or "")):
            return None
        return refusal(429, "rate limit exceeded")

    return guard


class RateLimit:
    """A bucket of requests for each client, refilled evenly over the minute.

    A client is a network: of an IPv6 address its /64, which its owner has all of.
    """

    def __init__(self, budget: int, clock: Clock) -> None:
        self.budget = budget
        self.clock = clock
        self._clients: dict[str, tuple[float, float]] = {}  # requests left, and when that was

    def allows(self, client: str) -> bool:
        """Return whether a client may make a request now, which is then counted."""
        now = self.clock()
        left, since = self._clients.pop(client, (float(self.budget), now))
        left = min(float(self.budget), left + (now - since) * self.budget / 60)
        allowed = left >= 1
        # Put back last: the clients quiet for longest come first, and are forgotten first.
        self._clients[client] = (left - 1 if allowed else left, now)
        if len(self._clients) > _MAX_CLIENTS:
            del self._clients[next(iter(self._clients))]
        return allowed


# --- credentials ---------------------------------------------------------------------------------


def _auth(middleware: Middleware, clock: Clock) -> Guard:
    wants_key = is_api_key(middleware)
    configured = environ.get(AUTH_VARIABLES[wants_key], "").strip()
    accepted = [key.strip() for key in configured.split(",")] if wants_key else [configured]
    return Credentials([key for key in accepted if key], wants_key=wants_key, clock=clock)


class Credentials:
    """Lets callers through who bring an accepted API key or bearer token."""

    def __init__(self, accepted: list[str], *, wants_key: bool, clock: Clock) -> None:
        self._accepted = [key.encode() for key in accepted]
        self._wants_key = wants_key
        self._clock = clock
        self._failures: dict[str, tuple[int, float]] = {}  # how many, and the last one's time

    def __call__(self, caller: Caller) -> Reply | None:
        """The refusal of a caller, None for one who is let through."""
        if not self._accepted:
            return refusal(401, "unauthorized")
        client = network_of(caller.remote or "")
        if self._is_locked_out(client):
            return refusal(429, "too many failed authentication attempts, try again later")
        given = self._given(caller)
        what = "API key" if self._wants_key else "token"
        if not given:
            return refusal(401, f"unauthorized: missing {what}")
        if not self._accepts(given):
            self._note_failure(client)
            return refusal(401, f"unauthorized: invalid {what}")
        self._failures.pop(client, None)
        return None

    def verified_token(self, caller: Caller) -> str:
        """The bearer token by which a caller was let through; empty where it was something else.

        A token that stands beside an accepted API key has been looked at by nobody.
        """
        token = bearer_token(caller.header("Authorization"))
        return token if self._given(caller) == token and self._accepts(token) else ""

    def _accepts(self, given: str) -> bool:
        return any([hmac.compare_digest(given.encode(), key) for key in self._accepted])

    def _given(self, caller: Caller) -> str:
        if self._wants_key:
            key = caller.header("X-API-Key").strip()
            if key:
                return key
        return bearer_token(caller.header("Authorization"))

    def _is_locked_out(self, client: str) -> bool:
        count, last = self._failures.get(client, (0, 0.0))
        if count < _MAX_FAILURES:
            return False
        lockout = min(_LONGEST_LOCKOUT_S, _FIRST_LOCKOUT_S * 2.0 ** min(count - _MAX_FAILURES, 10))
        return self._clock() < last + lockout

    def _note_failure(self, client: str) -> None:
        now = self._clock()
        count, last = self._failures.pop(client, (0, now))
        self._failures[client] = (1 if now - last > _FORGET_AFTER_S else count + 1, now)
        if len(self._failures) > _MAX_CLIENTS:
            del self._failures[next(iter(self._failures))]


def bearer_token(authorization: str) -> str:
    """The token of an Authorization header (RFC 6750 §2.1), empty where there is none."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def auth_value(guards: list[Guard], caller: Caller) -> Value:
    """Return `auth` behind these guards: a user nobody knows, or the one a demo token names."""
    credentials = [guard for guard in guards if isinstance(guard, Credentials)]
    token = next(filter(None, [each.verified_token(caller) for each in credentials]), "")
    found = _DEMO_TOKEN.fullmatch(token)
    if found is None:
        user: dict[str, Value] = {"id": 0, "username": "", "role": ""}
        return {"user": user, "token": "", "expiresAt": 0}
    user = {"id": int(found[1]), "username": found[2], "role": ""}
    return {"user": user, "token": token, "expiresAt": 0}
