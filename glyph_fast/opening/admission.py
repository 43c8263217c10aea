"""Limits of WebSockets by address: connections at a time, and handshakes in a time.

Addresses count by network (an IPv4 address, the /64 of an IPv6 one). What is remembered is bounded,
however many addresses an attacker has: connections by the server's own limit, handshakes by
`MAX_NETWORKS` of them.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import HandshakeError, Reject
from ..http.forwarded import network_of
from ..options.config import Config
from ..options.values import Rate
from ..wire import OPEN, OPENING

if TYPE_CHECKING:
    from ..core import Connection, Turn

MAX_SHOWN = 200  # characters, in a log line, of what somebody else wrote
MAX_NETWORKS = 65_536  # whose handshakes are remembered: some 10 MB at most


class Refusal(HandshakeError):
    """An upgrade refused for a reason that is counted under `metric`.

    `compared` is what the operator sees of it beside the reason, and the client does not.
    """

    def __init__(
        self,
        metric: str,
        status: int,
        reason: str,
        headers: dict[str, str] | None = None,
        compared: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, reason, headers)
        self.metric = metric
        self.compared = compared or {}


def reason_of(exc: Reject | HandshakeError, word: str) -> str:
    """Why an upgrade was refused, for the operator: a browser does not tell its user."""
    if isinstance(exc, HandshakeError):
        return exc.reason
    said = exc.body.get("error") if isinstance(exc.body, dict) else exc.body
    return f"{word}: {said}"[:MAX_SHOWN] if isinstance(said, str) and said else word


class HandshakeRate:
    """A token bucket for each network: so many handshakes a second on average, `burst` at once.

    A bucket is one number: the time at which it will be full again. One that is full is like one
    that never was, so it is forgotten; when there are too many, the one used longest ago is.
    """

    def __init__(self, rate: Rate, limit: int = MAX_NETWORKS) -> None:
        self._interval = 1.0 / rate.per_second  # seconds a token takes
        self._depth = rate.burst * self._interval  # seconds an empty bucket takes to fill
        self._limit = limit
        self._full_at: dict[str, float] = {}  # the one used longest ago first

    def __len__(self) -> int:
        """Return how many networks are remembered."""
        return len(self._full_at)

    def take(self, network: str, now: float) -> float:
        """Take a token; 0.0 when there was one, else the seconds until there is."""
        full_at = max(self._full_at.pop(network, now), now) + self._interval
        wait = full_at - self._depth - now
        if wait > 1e-6:  # what adding up seconds may be off by
            self._full_at[network] = full_at - self._interval
            return wait
        self._full_at[network] = full_at
        self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Two for each one that comes: those that are full go in time, and the table shrinks."""
        for _ in range(2):
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] > now and len(self._full_at) <= self._limit:
                return
            del self._full_at[oldest]


class Admission:
    """The limits by address of a server's options.

    `is_needed` is whether there are any, `counts_connections` whether `opened` and `closed` have to
    be called.
    """

    def __init__(self, config: Config) -> None:
        self._per_address = config.max_connections_per_ip
        self._rate = HandshakeRate(config.handshake_rate) if config.handshake_rate else None
        self.counts_connections = self._per_address is not None
        self.is_needed = self.counts_connections or self._rate is not None
        self._counts: Counter[str] = Counter()  # connections by network; no zeros
        self._networks: dict[Connection, str] = {}

    def check_rate(self, remote: str | None, now: float) -> None:
        """Count a handshake; Refusal 429 when its network has had too many of late.

        A peer without an address (a Unix socket's, without a proxy that names the client) has no
        limit.
        """
        if self._rate is None or remote is None:
            return
        if wait := self._rate.take(network_of(remote), now):
            fields = {"Retry-After": str(math.ceil(wait))}
            raise Refusal("rate", 429, "too many handshakes from this address", fields)

    def check_count(self, remote: str | None) -> None:
        """Refusal 429 when a network has all the connections it may have."""
        if self._per_address is None or remote is None:
            return
        if self._counts[network_of(remote)] >= self._per_address:
            raise Refusal("address", 429, "too many connections from this address")

    def too_many_idle(
        self, turn: Turn, websockets: int, trusts: Callable[[str | None], bool]
    ) -> list[Connection]:
        """Return which connections to close of those that are no WebSockets, for a sweep.

        A network has as many of them beside its WebSockets, so that nobody takes all descriptors by
        connecting alone. They are counted here and not where they are accepted: that way stays as
        short as it is, and no client is refused for a page's connections that it is about to close.
        Those wait for a request, and a server may end them at any time (RFC 9112 §9.5). Who has
        asked for nothing goes first. A trusted proxy's connections are its clients'.
        """
        limit = self._per_address
        if limit is None or len(turn) - websockets <= limit:
            return []
        found: dict[str, list[Connection]] = defaultdict(list)
        for conn in turn:
            if conn._phase < OPEN and (remote := conn.remote) is not None and not trusts(remote):
                found[network_of(remote)].append(conn)
        excess: list[Connection] = []
        for conns in found.values():
            if (beyond := len(conns) - limit) > 0:
                idle = [conn for conn in conns if conn._phase == OPENING]
                idle.sort(key=lambda conn: conn.bytes_received > 0)
                excess += idle[:beyond]
        return excess

    def opened(self, conn: Connection, remote: str | None) -> None:
        """A WebSocket was opened from there."""
        if remote is not None:
            network = self._networks[conn] = network_of(remote)
            self._counts[network] += 1

    def closed(self, conn: Connection) -> None:
        """A WebSocket is gone. One that was never opened is no error."""
        network = self._networks.pop(conn, None)
        if network is not None:
            self._counts[network] -= 1
            if not self._counts[network]:
                del self._counts[network]


class BodyCount:
    """The number of requests that may bring a body at a time: of one address, and in all.

    A body counts from its head until its request is answered. Who may have so many WebSockets may
    have so many of these beside them: else bodies would be what no limit of connections bounds.
    """

    def __init__(self, config: Config) -> None:
        self._limit = config.max_connections
        self._per_address = config.max_connections_per_ip
        self._counts: Counter[str] = Counter()  # by network; no zeros
        self._networks: dict[Connection, str] = {}

    def __len__(self) -> int:
        """Return how many bodies there are."""
        return len(self._networks)

    def begin(self, conn: Connection, remote: str | None) -> None:
        """Count a request with a body; HandshakeError 503 or 429 where that is one too many."""
        if len(self._networks) >= self._limit:
            raise HandshakeError(503, "too many requests with a body")
        network = "" if remote is None or self._per_address is None else network_of(remote)
        if network and self._counts[network] >= (self._per_address or 0):
            raise HandshakeError(429, "too many requests with a body from this address")
        self._networks[conn] = network
        if network:
            self._counts[network] += 1

    def end(self, conn: Connection) -> None:
        """The request is answered, or its connection gone. One that had no body is no error."""
        network = self._networks.pop(conn, "")
        if network:
            self._counts[network] -= 1
            if not self._counts[network]:
                del self._counts[network]
