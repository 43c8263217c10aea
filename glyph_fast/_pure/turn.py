"""A turn: what the connections of one loop share, and what happens at its end."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ..errors import ConnectionClosed
from ..wire import (
    ABNORMAL,
    CLOSED,
    PAUSE_TURN,
)
from .connection import Connection
from .histogram import Counters
from .limits import Limits

if TYPE_CHECKING:
    from ..interfaces import Handler
    from .poller import Poller

MAX_ROUNDS = 8  # write, report, write again …: what is left then waits for the next turn

_ELSEWHERE = "{}() belongs to the thread of the server's loop, and this is another one"

_FORKED = "this process was forked from the server's, whose connections are not for it"


class Turn:
    """What the connections of one loop share, and the work left for the end of its turn.

    `wake` asks the loop to call `flush` soon; `wake_threadsafe` does so from any thread.
    `connection_type(turn, sink)` makes the connections a `Poller` accepts. The thread that
    makes a Turn owns it until another calls `bind`.
    """

    __slots__ = (
        "_closed",
        "_connections",
        "_dirty",
        "_displaced",
        "_drained",
        "__weakref__",
        "_has_missed",
        "_is_forked",
        "_poller",
        "_post_woken",
        "_posted",
        "_read_at",
        "_rested",
        "_resumed",
        "_scheduled",
        "_sweeps",
        "_wake",
        "_wake_threadsafe",
        "clock",
        "connection_type",
        "counters",
        "current",
        "handler",
        "in_turn",
        "limits",
        "owner",
        "weight",
    )

    def __init__(
        self,
        limits: Limits,
        handler: Handler,
        *,
        connection_type: Callable[..., Connection] | None = None,
        wake: Callable[[], object] | None = None,
        wake_threadsafe: Callable[[], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.handler = handler
        self.connection_type = connection_type or Connection
        self.clock = clock
        self.counters = Counters()
        self.current: Connection | None = None  # whose message is being handled
        self.in_turn = False
        self.owner = threading.get_ident()
        self._wake = wake
        self._wake_threadsafe = wake_threadsafe
        self._scheduled = False
        self._connections: dict[Connection, None] = {}
        self._dirty: list[Connection] = []
        self._resumed: list[Connection] = []
        self._rested: list[Connection] = []  # they go on in the next turn
        self._read_at = 0.0  # clock reading of the latest read, where rates are limited
        self.weight = 0  # in frames, beyond one each, of what the peer at hand sent
        self._displaced = 0  # messages, by the send or publish under way
        self._drained: list[Connection] = []
        self._closed: list[Connection] = []
        self._posted: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._post_woken = False  # `wake_threadsafe` was called and they were not run yet
        self._poller: Poller | None = None
        self._is_forked = False
        self._has_missed = False  # something could not be noted: no memory
        self._sweeps = 0  # so far
        _turns.add(self)

    def __len__(self) -> int:
        """How many connections are not closed yet, in any phase."""
        return len(self._connections)

    def __iter__(self) -> Iterator[Connection]:
        """The connections that are not closed yet, as they are now."""
        return iter(list(self._connections))

    def bind(self) -> None:
        """Make the calling thread the owner: calls from others are handed over by `post`."""
        self.owner = threading.get_ident()
        self._is_forked = False

    def is_owner(self) -> bool:
        """Whether the caller runs in the owner's thread."""
        return threading.get_ident() == self.owner

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Call `function(*args)` in the owner's thread, in the order of the posts of each thread.

        What it raises goes to the handler's `failed`, but for ConnectionClosed, which nobody
        could answer any more. Raises RuntimeError in a process forked from the owner's, where
        nobody would ever call it.
        """
        if self._is_forked:
            raise RuntimeError(_FORKED)
        self._posted.append((function, args))
        # After the append, and taken back before the posts are run: whoever finds it set is heard.
        if not self._post_woken and self._wake_threadsafe is not None:
            self._post_woken = True
            self._wake_threadsafe()

    def hand_over(self, function: Callable[..., object], *args: Any) -> bool:
        """`post` a call, if the caller is in another thread; return whether it was."""
        if threading.get_ident() == self.owner:
            return False
        self.post(function, *args)
        return True

    def charge(self, frames: int) -> None:
        """Let the message being handled count like so many frames more in its peer's share."""
        self.weight += frames

    def check_thread(self, name: str) -> None:
        """Refuse a call that is for the owner's thread alone, in any other."""
        if threading.get_ident() != self.owner:
            raise RuntimeError(_FORKED if self._is_forked else _ELSEWHERE.format(name))

    def schedule(self) -> None:
        """See that `flush` is called: at the end of this turn, or soon."""
        if not self.in_turn and not self._scheduled:
            self._scheduled = True
            if self._wake is not None:
                try:
                    self._wake()
                except MemoryError:  # the next turn comes by itself, or with the next sweep
                    self._scheduled = False
                    self._has_missed = True

    def flush(self) -> None:
        """Write once to every connection that has something to write, then report what happened.

        Reports (input held back, queues drained, connections closed) run user code, which may
        write again: so it goes in rounds, a bounded number of them. From another thread the call
        is handed over.
        """
        if threading.get_ident() != self.owner:
            if not self._is_forked:  # there, an end that unwinds the loop must come to its end
                self.post(bool)  # nothing; what runs the posts is a flush
            return
        is_nested = self.in_turn  # a handler may flush too
        self._scheduled = False
        self.in_turn = True
        try:
            for _ in range(MAX_ROUNDS):
                self._run_posted()
                self._write_all()
                if not (self._resumed or self._drained or self._closed or self._posted):
                    break
                self._report()
        finally:
            self.in_turn = is_nested
            if not is_nested and self._poller is not None:
                self._poller._close_retired()
            if self._rested and not is_nested:
                self._go_on()
            if self._dirty or self._resumed or self._drained or self._closed or self._posted:
                self.schedule()

    def _failed(self, conn: Connection | None, exc: BaseException) -> None:
        """Tell the handler; where it has no memory for that either, nobody hears of it."""
        try:
            self.handler.failed(conn, exc)
        except Exception:
            pass

    def _note(self, conns: list[Connection], conn: Connection) -> bool:
        """Put it on a list for the end of the turn; without memory the next sweep does."""
        try:
            conns.append(conn)
        except MemoryError:
            self._has_missed = True
            return False
        return True

    def _go_on(self) -> None:
        """Let those who had their share of this turn have one of the next."""
        rested, self._rested = self._rested, []
        for conn in rested:
            conn._resume(PAUSE_TURN)

    def _run_posted(self) -> None:
        self._post_woken = False
        for _ in range(len(self._posted)):
            if not self._posted:  # one of them has flushed, which ran the rest
                break
            function, args = self._posted.popleft()
            try:
                function(*args)
            except ConnectionClosed:
                pass
            except BaseException as exc:
                self._failed(None, exc)

    def _write_all(self) -> None:
        self._for_each(self._dirty, self._write)

    @staticmethod
    def _write(conn: Connection) -> None:
        conn._dirty = False
        if conn._phase != CLOSED:
            conn._flush()

    def _report(self) -> None:
        self._for_each(self._resumed, Connection._handle_held)
        self._for_each(self._drained, self._report_drained)
        self._for_each(self._closed, self._report_end)

    def _report_drained(self, conn: Connection) -> None:
        self._call(self.handler.drain, conn)

    def _report_end(self, conn: Connection) -> None:
        self._call(self.handler.close, conn, conn.close_code or ABNORMAL, conn.close_reason)

    @staticmethod
    def _for_each(conns: list[Connection], do: Callable[[Connection], object]) -> None:
        """Do it for each; whose turn did not come, whatever happened, is there the next time."""
        waiting = conns[::-1]
        conns.clear()
        try:
            while waiting:
                do(waiting.pop())
        finally:
            conns[:0] = waiting[::-1]

    def _call(self, method: Callable[..., Any], conn: Connection, *args: Any) -> Any:
        try:
            return method(conn, *args)
        except BaseException as exc:
            self._failed(conn, exc)
            return None

    def sweep(self, now: float) -> None:
        """Judge every deadline and send the pings that are due. `now` is `clock()`.

        The only place where time passes: a wait begins when a sweep first sees it, so a deadline
        is late by at most the time between two sweeps, and never early.
        """
        self.check_thread("sweep")
        self._sweeps += 1
        if self._has_missed:
            self._has_missed = False
            for conn in self:
                conn._catch_up()
        for conn in list(self._connections):
            try:
                conn._sweep(now)
            except Exception as exc:  # the others are judged all the same
                self._failed(conn, exc)
                conn._close_now()


_turns: WeakSet[Turn] = WeakSet()  # all there are: a child process disowns its copies of them


def _disown() -> None:
    """After a fork, in the child: sockets and epoll are the parent's, and it goes on."""
    for turn in list(_turns):
        turn.owner = 0
        turn._is_forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown)
