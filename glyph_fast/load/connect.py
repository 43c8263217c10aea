"""Mode connect: handshakes, then what idle connections cost.

Rounds of opening and resetting all connections go on until enough server CPU was spent on
handshakes. Only the opening counts as work; memory and idle CPU are taken once, after the first
round, since an allocator does not give back what later rounds would then find free.
"""

from __future__ import annotations

import time

from .histogram import Histogram
from .meter import Meter, Usage
from .options import Options
from .process import ServerProcess
from .report import Report
from .steady import Progress
from .swarm import LoadError, Peer, Swarm, Workload

_PRIMER = 50  # connections made and reset first, so that one-time costs are not counted
_SETTLE = 0.3  # seconds without work, before memory is read


class Connect(Workload):
    """Opens connections and leaves them alone."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options
        self.opened_now = 0
        self.latency = Histogram()  # from the call of connect to the 101

    def opened(self, peer: Peer) -> None:
        """Take the time."""
        self.opened_now += 1
        self.latency.record(time.perf_counter_ns() - peer.opened_at)

    def message(self, peer: Peer, opcode: int, payload: str | bytes) -> None:
        """A server may greet; that is no business of this mode."""

    def open_round(self, swarm: Swarm, count: int) -> list[Peer]:
        """Open `count` connections, `in_flight` at once, and return them."""
        self.opened_now = 0
        peers: list[Peer] = []
        deadline = time.monotonic() + self.options.timeout + count / 500
        while self.opened_now < count:
            while len(peers) < count and len(peers) - self.opened_now < self.options.in_flight:
                peers.append(swarm.connect(len(peers)))
            swarm.turn(0.05)
            if time.monotonic() > deadline:
                raise LoadError(f"only {self.opened_now} of {count} handshakes done in time")
        return peers


def run_connect(
    options: Options, server: ServerProcess | None, progress: Progress | None = None
) -> Report:
    """Open, watch, reset, open again; return the report."""
    workload = Connect(options)
    swarm = Swarm(options, workload)
    series: list[tuple[float, int]] = []
    report: Report | None = None
    try:
        swarm.reset(workload.open_round(swarm, min(_PRIMER, options.connections)))
        _settle(swarm)
        before = server.rss_bytes() if server else 0
        workload.latency = latency = Histogram()
        while True:
            meter = Meter(server)
            peers = workload.open_round(swarm, options.connections)
            usage = meter.elapsed()
            if report is None:
                report = Report(options, "handshake", 0, _nothing(server), latency, series=series)
                if server:
                    _watch_idle(report, swarm, server, before)
            report.count += len(peers)
            report.usage += usage
            series.append((report.usage.seconds, len(peers)))
            swarm.reset(peers)
            _settle(swarm)
            share = _share_done(options, report.usage)
            if progress:
                progress(share, report.count, report.usage)
            if share >= 1:
                report.verified = report.count
                return report
    finally:
        swarm.close()


def _watch_idle(report: Report, swarm: Swarm, server: ServerProcess, before: int) -> None:
    options = report.options
    _settle(swarm)
    report.rss_bytes = server.rss_bytes()
    report.rss_per_connection = (report.rss_bytes - before) / options.connections
    report.notes["descriptors_of_the_server"] = server.descriptor_count()
    if options.hold:
        meter = Meter(server)
        _run_idle(swarm, options.hold)
        usage = meter.elapsed()
        if usage.server_ns is not None:
            report.idle_cpu_us_per_second = usage.server_ns / 1e3 / usage.seconds


def _settle(swarm: Swarm) -> None:
    _run_idle(swarm, _SETTLE)


def _run_idle(swarm: Swarm, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        swarm.turn(left)


def _nothing(server: ServerProcess | None) -> Usage:
    return Usage(0, 0, 0 if server else None)


def _share_done(options: Options, usage: Usage) -> float:
    """Rounds go on to the CPU asked for; the time asked for is that of the steady modes."""
    if not options.server_cpu or usage.server_ns is None or usage.seconds > options.max_duration:
        return 1.0
    return usage.server_ns / 1e9 / options.server_cpu
