"""The course of a run whose work goes on evenly: open, warm up, measure, drain, check.

The measured stretch lasts until both its time and its server CPU are reached, since a figure per
message is only as good as the CPU time it was divided from.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .flow import Tally, WindowFull
from .histogram import Histogram
from .meter import Meter, Usage
from .options import Options
from .payloads import Payload
from .process import ServerProcess
from .report import Report
from .swarm import LoadError, Peer, Swarm, Workload

OPENING_AT_ONCE = 64  # connections in their handshake
_TICK = 0.1  # seconds between looks at the clocks
OPEN_WINDOW = 1024  # messages a publisher may have outstanding in an open loop

Progress = Callable[[float, int, Usage], None]  # share done, units so far, usage so far


class Steady(Workload):
    """A workload that keeps messages in flight and counts what comes back.

    The core calls the tally's `message` straight, without a step in Python between them.
    """

    unit = "message"

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options
        self.tally = Tally(self.mismatch)
        self.tally.is_closed_loop = not options.rate
        self.message = self.tally.message  # type: ignore[method-assign]

    def prepare(self, swarm: Swarm) -> None:
        """Open every connection."""
        raise NotImplementedError

    def start(self) -> None:
        """Put the first messages in flight (closed loop)."""
        raise NotImplementedError

    def publish(self, number: int, due: int) -> None:
        """Send message `number` of an open loop, due at `due` ns."""
        raise NotImplementedError

    def stop(self) -> None:
        """Send nothing new."""
        self.tally.is_closed_loop = False

    @property
    def done(self) -> int:
        """Units so far."""
        return self.tally.delivered

    @property
    def outstanding(self) -> int:
        """Messages sent and not done."""
        return self.tally.outstanding

    @property
    def verified(self) -> int:
        """Messages compared with what was sent; the run fails at the first that differs."""
        return self.tally.delivered

    def check(self) -> None:
        """Look at the whole once the last answers are in. Raises LoadError."""

    def notes(self) -> dict[str, object]:
        """Return what only this mode has to say at the end."""
        return {}

    def mismatch(self, peer: Peer, got: Payload, expected: Payload) -> None:
        """Fail: a message is not the one that had to come; of its own accord none may."""
        text = f"connection {peer.index} received {_brief(got)}, expected {_brief(expected)}"
        self.fail(LoadError(text))


def open_all(swarm: Swarm, workload: Workload, connect: Callable[[int], Peer], count: int) -> None:
    """Open `count` connections, a bounded number of them at once."""
    opened: list[Peer] = []
    original = workload.opened

    def note(peer: Peer) -> None:
        opened.append(peer)
        original(peer)

    workload.opened = note  # type: ignore[method-assign]
    started = 0
    deadline = time.monotonic() + swarm.options.timeout + count / 500
    while len(opened) < count:
        while started < count and started - len(opened) < OPENING_AT_ONCE:
            swarm.peers.append(connect(started))
            started += 1
        swarm.turn(0.05)
        if time.monotonic() > deadline:
            raise LoadError(f"only {len(opened)} of {count} connections opened in time")
    workload.opened = original  # type: ignore[method-assign]
    if count:
        swarm.hear_greetings()


def run_steady(
    workload: Steady, server: ServerProcess | None, progress: Progress | None = None
) -> Report:
    """Run the workload and return its report. Raises LoadError when an answer is wrong or late."""
    options = workload.options
    swarm = Swarm(options, workload)
    try:
        workload.prepare(swarm)
        loop = _OpenLoop(workload) if options.rate else None
        if loop is None:
            workload.start()
        _run_for(swarm, loop, options.warm_up)
        workload.tally.latency = Histogram()
        course = _Course(workload, server, progress)
        course.measure(swarm, loop)
        workload.stop()
        swarm.run_until(lambda: not workload.outstanding, "the last answers", options.timeout)
        workload.check()
        return course.report()
    finally:
        swarm.close()


def _run_for(swarm: Swarm, loop: _OpenLoop | None, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _step(swarm, loop)


def _step(swarm: Swarm, loop: _OpenLoop | None) -> None:
    swarm.turn(0.05 if loop is None else loop.publish_due())


class _OpenLoop:
    """Sends at a fixed rate, whatever comes back.

    A message counts from the moment it was due, even when this process was late to send it: what a
    stall costs those who would have come during it is not omitted.
    """

    def __init__(self, workload: Steady) -> None:
        self.workload = workload
        self.interval = 1e9 / workload.options.rate  # ns
        self.started = time.perf_counter_ns()
        self.published = 0

    def publish_due(self) -> float:
        """Send what is due; return the seconds until the next one is, 0 when that is soon."""
        now = time.perf_counter_ns()
        due = int((now - self.started) / self.interval) + 1
        while self.published < due:
            at = self.started + int(self.published * self.interval)
            try:
                self.workload.publish(self.published, at)
            except WindowFull:
                text = f"the server does not keep up: {self.workload.outstanding:,} unanswered"
                raise LoadError(text) from None
            self.published += 1
        wait = (self.started + self.published * self.interval - time.perf_counter_ns()) / 1e9
        return wait if wait > 0.002 else 0.0  # epoll sleeps whole milliseconds


class _Course:
    """The measured stretch."""

    def __init__(
        self, workload: Steady, server: ServerProcess | None, progress: Progress | None
    ) -> None:
        self.workload = workload
        self.server = server
        self.progress = progress
        self.series: list[tuple[float, int]] = []
        self.busy: list[tuple[float, float, float | None]] = []
        self.meter = Meter(server)
        self.first = workload.done
        self.count = 0
        self.usage = self.meter.elapsed()

    def measure(self, swarm: Swarm, loop: _OpenLoop | None) -> None:
        """Run until time and CPU are enough, looking at the clocks every tick."""
        workload, options = self.workload, self.workload.options
        last, next_tick = workload.done, time.monotonic() + _TICK
        while True:
            _step(swarm, loop)
            if time.monotonic() < next_tick:
                continue
            next_tick += _TICK
            before, self.usage = self.usage, self.meter.elapsed()
            usage = self.usage
            since = usage - before
            self.busy.append((usage.seconds, since.client_busy, since.server_busy))
            self.count = workload.done - self.first
            self.series.append((usage.seconds, workload.done - last))
            last = workload.done
            share = _share_done(options, usage)
            if self.progress:
                self.progress(share, self.count, usage)
            if share >= 1:
                return

    def report(self) -> Report:
        """The report of the stretch. For after the last answers have come."""
        workload = self.workload
        return Report(
            options=workload.options,
            unit=workload.unit,
            count=self.count,
            usage=self.usage,
            latency=workload.tally.latency,
            is_open_loop=bool(workload.options.rate),
            verified=workload.verified,
            series=self.series,
            busy=self.busy,
            rss_bytes=self.server.rss_bytes() if self.server else None,
            notes=workload.notes(),
        )


def _share_done(options: Options, usage: Usage) -> float:
    if usage.seconds >= max(options.max_duration, options.duration):
        return 1.0
    share = usage.seconds / options.duration if options.duration else 1.0
    if options.server_cpu and usage.server_ns is not None:
        share = min(share, usage.server_ns / 1e9 / options.server_cpu)
    return share


def _brief(payload: Payload) -> str:
    return f"{payload[:24]!r} ({len(payload)} long)"
