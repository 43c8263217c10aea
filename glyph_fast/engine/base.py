"""The part both engines share: a turn wakes its loop, and a sweep makes time pass."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING

from ..core import Connection, Limits, Turn
from ..logs import SERVER, log

if TYPE_CHECKING:
    from ..interfaces import Handler

LONGEST_SWEEP = 1.0  # seconds between two sweeps, at most
SHORTEST_SWEEP = 0.001
RENEWAL_LOOK_S = 1.0  # between two looks whether there is a new certificate, at least
RESERVE = 64 * 1024  # bytes that a sweep gives back for its timer when there is no memory
LATE = 3  # intervals since the latest sweep, from which on one is late
BACKLOG = 2048  # connections the kernel may hold ready for us; it cuts this at its own limit


def new_turn(
    loop: asyncio.AbstractEventLoop,
    limits: Limits,
    handler: Handler,
    *,
    connection_type: Callable[..., Connection] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Turn:
    """A turn that `loop` finishes: what is marked outside of one is written soon.

    The calling thread, which must be the loop's, becomes its owner.
    """
    # Handlers run by `flush` must not see the context variables of whoever caused it.
    context = copy_context()

    # What a turn leaves over, or was posted, is flushed once in a round of the loop, however often
    # others flush in between: each such call would else come again in every round, and give a peer
    # another share of it.
    is_due = False

    def wake() -> None:
        nonlocal is_due
        if not is_due:
            loop.call_soon(flush, context=context)
            is_due = True

    def wake_threadsafe() -> None:
        nonlocal is_due
        if is_due:
            return  # whoever has set it flushes later than this, and finds what was posted
        is_due = True
        try:
            loop.call_soon_threadsafe(flush, context=context)
        except BaseException as exc:
            is_due = False
            if not (isinstance(exc, RuntimeError) and loop.is_closed()):
                raise
            # A thread that outlives the server speaks to nobody, which is no error of its own.

    def flush() -> None:
        nonlocal is_due
        is_due = False  # first: a post during the flush may come too late for it
        turn.flush()

    turn = Turn(
        limits,
        handler,
        connection_type=connection_type,
        wake=wake,
        wake_threadsafe=wake_threadsafe,
        clock=clock,
    )
    return turn


def sweep_interval(limits: Limits) -> float:
    """Seconds between two sweeps: half the shortest time that is judged, at most one second."""
    times = [limits.write_timeout, limits.close_timeout]
    times += [limits.head_timeout, limits.keep_alive_timeout]
    if limits.ping_interval:
        times.append(limits.ping_interval)
    return max(SHORTEST_SWEEP, min(LONGEST_SWEEP, min(times) / 2))


class Sweep:
    """One timer for all connections of a turn: it judges deadlines and sends the pings due.

    One that comes much too late is left out: the loop was held up, and what peers have sent or
    drained meanwhile was not seen yet. Nobody is closed for what the server kept waiting.
    `also` is called after each sweep with the turn's time.
    """

    __slots__ = (
        "_also",
        "_handle",
        "_interval",
        "_is_left_out",
        "_latest",
        "_loop",
        "_reserve",
        "_turn",
    )

    def __init__(
        self, turn: Turn, loop: asyncio.AbstractEventLoop, also: Callable[[float], object]
    ) -> None:
        self._turn = turn
        self._loop = loop
        self._also = also
        self._interval = sweep_interval(turn.limits)
        self._handle: asyncio.TimerHandle | None = None
        self._latest = turn.clock()
        self._is_left_out = False  # the latest was
        self._reserve = bytes(RESERVE)
        self._again()

    def stop(self) -> None:
        """Sweep no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _again(self) -> None:
        try:
            self._handle = self._loop.call_later(self._interval, self._run)
        except MemoryError:
            self._reserve = b""  # given back to whoever allocates: a timer needs little
            self._handle = self._loop.call_later(self._interval, self._run)

    def _run(self) -> None:
        self._again()  # first: whatever happens below, time must not stand still
        if not self._reserve:
            with suppress(MemoryError):
                self._reserve = bytes(RESERVE)
        now = self._turn.clock()
        is_late = now - self._latest > LATE * self._interval
        self._latest = now
        # Never two in a row: a loop that is always late must judge, too.
        self._is_left_out = is_late and not self._is_left_out
        if not self._is_left_out:
            self._turn.sweep(now)
            self._also(now)


class Renewal:
    """Asks now and then whether there are new settings of TLS, for those who come."""

    __slots__ = ("_next_look", "_renewed")

    def __init__(self, renewed: Callable[[], ssl.SSLContext | None] | None) -> None:
        self._renewed = renewed
        self._next_look = 0.0  # the turn's time from which on to ask again

    def due(self, now: float) -> ssl.SSLContext | None:
        """The new settings, once, when there are some."""
        if self._renewed is None or now < self._next_look:
            return None
        self._next_look = now + RENEWAL_LOOK_S
        return self._renewed()


def tls_failed(conn: Connection, exc: ssl.SSLError) -> None:
    """Say why a TLS session broke, to whom wants to know: any peer can cause it."""
    log(SERVER, logging.DEBUG, "TLS failed", reason=exc.reason or str(exc), remote=conn.remote)


class AcceptFailures:
    """Says once that connections cannot be accepted, and once that they can be again."""

    __slots__ = ("_is_failing", "_since_sweep")

    def __init__(self) -> None:
        self._is_failing = False
        self._since_sweep = False

    def failed(self, exc: OSError) -> None:
        """Accepting had to pause."""
        self._since_sweep = True
        if not self._is_failing:
            self._is_failing = True
            reason = exc.strerror or str(exc)
            log(SERVER, logging.ERROR, "cannot accept connections", reason=reason)

    def swept(self) -> None:
        """A sweep passed; without a failure since the one before, the trouble is over."""
        if self._is_failing and not self._since_sweep:
            self._is_failing = False
            log(SERVER, logging.INFO, "accepting connections again")
        self._since_sweep = False
