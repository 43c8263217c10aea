"""The workers of `--workers`, as the main process sees them: started, watched, replaced.

    started → HELLO, what it has loaded → START, its sockets → READY → … → its link ends → gone

A worker that dies is replaced after a second, then two, and so on up to a minute; one that says
nothing for `--worker-timeout` is killed first. Before every worker has served once, a death ends
the start. Main keeps all listening sockets open, so what waits in those of a dead worker waits for
the next one.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from ..broker.frames import HEAD, LEADS, LEADS_NOT, Kind, frame
from ..broker.link import Link
from ..json import loads
from ..logs import SERVER, log
from .handover import HandoverError, how_it_ended
from .orphans import reap_orphans
from .worker import DRAIN, LEFT_TO_MAIN, Seat, Told

FIRST_BACKOFF_S = 1.0  # before a worker that died is started again; then doubled …
LONGEST_BACKOFF_S = 60.0  # … up to this, and reset by a life of this length
TICK_S = 0.1  # between two looks at processes that may have ended
LATE_S = 2.0  # a tick that comes so late says that main itself was held up
END_GRACE_S = 2.0  # for a worker that was told to end, beyond the time it was given


_ASKING = frozenset({Kind.ORDER, Kind.ASK, Kind.ANSWER})
# What a worker says of itself.
_OWN = frozenset({int(Kind.HELLO), int(Kind.READY), int(Kind.BEAT)})


class Owner(Protocol):
    """The owner of workers: it hears of them, and gives them sockets."""

    def sockets_for(self, worker: Worker, told: Told) -> Sequence[socket.socket]:
        """The listening sockets of a worker that has loaded the program. Raises GlyphFastError."""

    async def loaded(self) -> None:
        """The first worker has told what it loaded: the others may be started."""

    def joined(self, worker: Worker) -> None:
        """A worker serves."""

    def heard(self, worker: Worker, frames: list[bytes]) -> None:
        """Frames of a worker that are not about its life."""

    def left(self, worker: Worker) -> None:
        """A worker that served is gone, or as good as that."""


class Worker:
    """One process."""

    def __init__(self, workers: Workers, number: int, restarts: int) -> None:
        self.number = number
        self.restarts = restarts  # before this one, in its place
        self.figures: dict[str, Any] = {}
        self.is_serving = False
        self._early: list[bytes] = []  # frames for when it serves
        self._workers = workers
        ours, theirs = socket.socketpair()
        with theirs:
            seat = Seat(number, workers.count, theirs)
            try:
                self._process = _start(workers.command, workers.environ, seat)
            except BaseException:
                ours.close()
                raise
        self.pid = self._process.pid
        self.started_at = asyncio.get_running_loop().time()
        self.link = Link(ours, self._heard, self._lost, joins=True)

    @property
    def silent_seconds(self) -> float:
        """Since it has said anything."""
        return asyncio.get_running_loop().time() - self.link.heard_at

    @property
    def status(self) -> int | None:
        """Return how it ended; None while it runs."""
        return self._process.poll()

    def drain(self, code: int, timeout: float, *, is_succeeded: bool) -> None:
        """Tell it to close its connections with a code, and to end within a time."""
        if self.is_serving:
            self.link.send_always(frame(Kind.DRAIN, DRAIN.pack(code, is_succeeded, timeout)))
        elif self.status is None:
            self._process.terminate()  # it is still loading

    def kill(self) -> None:
        """End it at once."""
        if self.status is None:
            self._process.kill()

    def _heard(self, frames: list[bytes]) -> None:
        if self.is_serving and not self._early and _OWN.isdisjoint([each[4] for each in frames]):
            self._workers.owner.heard(self, frames)  # nothing is about the worker itself
            return
        rest = []
        for each in frames:
            kind = each[4]
            if kind == Kind.BEAT:
                self.figures = loads(each[HEAD.size :])
            elif kind == Kind.HELLO:
                self._hello(each[HEAD.size :])
            elif kind == Kind.READY:
                self.is_serving = True
                self._workers._is_ready(self)
            else:
                rest.append(each)
        if not self.is_serving:  # what a hook asks before that is answered, all else can wait
            self._early += [each for each in rest if each[4] not in _ASKING]
            rest = [each for each in rest if each[4] in _ASKING]
        elif self._early:
            rest, self._early = self._early + rest, []
        if rest:
            self._workers.owner.heard(self, rest)

    def _hello(self, data: bytes) -> None:
        try:
            sockets = self._workers._told(self, Told.from_bytes(data))
        except (pickle.UnpicklingError, TypeError) as exc:
            log(SERVER, logging.ERROR, "a worker tells what main cannot read", reason=str(exc))
            sockets = ()
        if sockets:
            self.link.attach(frame(Kind.START), [sock.fileno() for sock in sockets])
        else:
            self.kill()

    def _lost(self) -> None:
        if self.is_serving:
            self.is_serving = False
            self._workers.owner.left(self)
            self._workers._choose_lead()


class Workers:
    """Keeps `count` workers running, from `start` to `end`."""

    def __init__(
        self,
        owner: Owner,
        command: Sequence[str],
        environ: Mapping[str, str],
        count: int,
    ) -> None:
        self.owner = owner
        self.command = command
        self.environ = environ
        self.count = count
        self.timeout = 0.0  # without a sign of life; 0 until the options are known
        self._loop = asyncio.get_running_loop()
        self._by_number: dict[int, Worker] = {}
        self._backoff = dict.fromkeys(range(1, count + 1), FIRST_BACKOFF_S)
        self._restarts = dict.fromkeys(range(1, count + 1), 0)
        self._timers: set[asyncio.TimerHandle] = set()
        self._first = self._loop.create_future()  # done once the first has told what it loaded
        self._all_serve = self._loop.create_future()  # done once every one has served
        self._leads_cluster = False  # whether this machine runs what runs once on all of them
        self._lead: Worker | None = None  # that runs what runs once in a server
        self._is_ending = False
        self._ticked_at = self._loop.time()
        self._ticking = self._loop.create_task(self._tick(), name="workers")

    def __iter__(self) -> Iterator[Worker]:
        """The workers that serve."""
        return iter([each for each in self._by_number.values() if each.is_serving])

    async def start(self) -> None:
        """Start all, the first one first; return when all serve.

        Raises HandoverError, with the status, when one does not come to serve.
        """
        self._spawn(1)
        await self._first
        await self.owner.loaded()
        for number in range(2, self.count + 1):
            self._spawn(number)
        await self._all_serve

    @property
    def restarts(self) -> Mapping[int, int]:
        """Return how often each has been started again, by number."""
        return self._restarts

    def fail(self, exc: BaseException) -> None:
        """End a start that cannot become one."""
        for future in (self._first, self._all_serve):
            if not future.done():
                future.set_exception(exc)
                future.exception()

    @property
    def has_started(self) -> bool:
        """Return whether every worker has served."""
        return self._all_serve.done()

    async def end(self, code: int, timeout: float, *, is_succeeded: bool = False) -> None:
        """Drain all, and return when they are gone; what is left after the time is killed."""
        self._is_ending = True
        for timer in self._timers:
            timer.cancel()
        for worker in self._by_number.values():
            worker.drain(code, timeout, is_succeeded=is_succeeded)
        deadline = self._loop.time() + timeout + END_GRACE_S
        while any(each.status is None for each in self._by_number.values()):
            if self._loop.time() > deadline:
                log(SERVER, logging.WARNING, "workers did not end in time")
                self.kill()
            await asyncio.sleep(TICK_S / 4)

    def kill(self) -> None:
        """End all at once."""
        self._is_ending = True
        for worker in self._by_number.values():
            worker.kill()

    async def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        self.kill()
        self._ticking.cancel()
        with suppress(asyncio.CancelledError):
            await self._ticking
        for worker in self._by_number.values():
            worker.link.close()
        while any(each.status is None for each in self._by_number.values()):
            await asyncio.sleep(TICK_S / 4)

    # What becomes of them.

    def _spawn(self, number: int) -> None:
        if not self._is_ending:
            self._by_number[number] = Worker(self, number, self._restarts[number])

    def _told(self, worker: Worker, told: Told) -> Sequence[socket.socket]:
        sockets = self.owner.sockets_for(worker, told)
        if sockets and not self._first.done():
            self._first.set_result(None)
        return sockets

    def _is_ready(self, worker: Worker) -> None:
        self.owner.joined(worker)
        self._choose_lead()
        everyone = self._by_number.values()
        if not self._all_serve.done() and sum(each.is_serving for each in everyone) == self.count:
            self._all_serve.set_result(None)

    def _choose_lead(self) -> None:
        """Have one worker run what runs once in a server: another, when that one is gone."""
        if self._is_ending or (self._lead is not None and self._lead.is_serving):
            return
        self._lead = next(iter(self), None)
        if self._lead is not None:
            self._lead.link.send_always(frame(Kind.LEAD))
            if self._leads_cluster:
                self._lead.link.send_always(frame(Kind.LEAD, LEADS))

    def lead_cluster(self, leads: bool) -> None:
        """Have that worker run what runs once on all machines, or not any more."""
        self._leads_cluster = leads
        if self._lead is not None and self._lead.is_serving:
            self._lead.link.send_always(frame(Kind.LEAD, LEADS if leads else LEADS_NOT))

    async def _tick(self) -> None:
        """See who has ended, and who says nothing."""
        while True:
            await asyncio.sleep(TICK_S)
            now = self._loop.time()
            # Of what was said while main did not run, nothing has been read yet.
            is_late = now - self._ticked_at > LATE_S
            self._ticked_at = now
            for worker in list(self._by_number.values()):
                if (status := worker.status) is not None:
                    self._ended(worker, status)
                elif self.timeout and not is_late and worker.is_serving:
                    silence = now - worker.link.heard_at
                    if silence > self.timeout:
                        log(
                            SERVER, logging.ERROR, "a worker says nothing and is killed",
                            worker=worker.number, pid=worker.pid, seconds=round(silence, 1),
                        )  # fmt: skip
                        worker.kill()
            reap_orphans({each.pid for each in self._by_number.values()})

    def _ended(self, worker: Worker, status: int) -> None:
        worker.link.close()
        if self._is_ending:
            return
        del self._by_number[worker.number]
        how = how_it_ended(status)
        if not self.has_started:
            self.fail(HandoverError(f"worker {worker.number}: {how}", status))
            return
        number = worker.number
        backoff = self._backoff[number]
        if self._loop.time() - worker.started_at >= LONGEST_BACKOFF_S:
            backoff = FIRST_BACKOFF_S
        log(
            SERVER, logging.ERROR, "a worker is gone", worker=number, pid=worker.pid, how=how,
            next_in_seconds=backoff,
        )  # fmt: skip
        self._backoff[number] = min(2 * backoff, LONGEST_BACKOFF_S)
        self._restarts[number] += 1
        timer = self._loop.call_later(backoff, self._again, number)
        self._timers.add(timer)

    def _again(self, number: int) -> None:
        self._timers = {each for each in self._timers if each.when() > self._loop.time()}
        try:
            self._spawn(number)
        except OSError as exc:
            log(SERVER, logging.ERROR, "a worker cannot be started", worker=number, reason=str(exc))
            self._timers.add(self._loop.call_later(self._backoff[number], self._again, number))


def _start(
    command: Sequence[str], environ: Mapping[str, str], seat: Seat
) -> subprocess.Popen[bytes]:
    """Start a process that cannot be ended by a terminal before it can leave that to main."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_MAIN)
    try:
        return subprocess.Popen(
            command,
            env={**environ, **seat.variable(seat.sock)},
            pass_fds=[seat.sock.fileno()],
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
