"""Mode churn: connections that come, say something, and leave by the closing handshake, for ever.

Every seat opens a connection, sends a message, closes (1000), waits for the server's close frame
and begins again. With `--stalled` that share of connections comes first, sits in the rooms and
never reads. Memory and descriptors of the server are noted all along: they must stay flat.
"""

from __future__ import annotations

import time

from .options import Options
from .process import ServerProcess
from .report import Report
from .steady import Progress, Steady, open_all, run_steady
from .swarm import LoadError, Peer, Swarm, ended_by

_SAMPLE_EVERY = 1.0  # seconds
_NORMAL = 1000


class Churn(Steady):
    """Seats that are taken again as soon as they are left."""

    unit = "cycle"

    def __init__(self, options: Options, server: ServerProcess | None = None) -> None:
        super().__init__(options)
        self.server = server
        self.swarm: Swarm | None = None
        self.text = "x" * options.size
        self.under_way = 0  # connections opening, open or closing
        self.cycles = 0
        self.is_going_on = True
        self.message = self.heard_others  # type: ignore[method-assign]
        self.heard = 0  # messages compared
        self.sitting: set[Peer] = set()  # those that never read
        self.is_preparing = True
        self.samples: list[dict[str, float]] = []
        self.next_sample = 0.0

    def prepare(self, swarm: Swarm) -> None:
        """Seat those that never read."""
        self.swarm = swarm
        stalled = int(self.options.connections * self.options.stalled_share)

        def connect(index: int) -> Peer:
            return swarm.connect(index, room=index % self.options.rooms, receive_buffer=4096)

        open_all(swarm, self, connect, stalled)
        self.sitting = set(swarm.peers)
        for peer in self.sitting:
            peer._sink.pause_reading()
        self.is_preparing = False

    def start(self) -> None:
        """Fill the other seats."""
        for index in range(len(self.sitting), self.options.connections):
            self._sit_down(index)

    def _sit_down(self, index: int) -> None:
        assert self.swarm is not None
        self.swarm.connect(index, room=index % self.options.rooms)
        self.under_way += 1

    def opened(self, peer: Peer) -> None:
        """Say something, and leave."""
        if not self.is_preparing:
            peer.send(self.text)
            peer.close(_NORMAL)

    def heard_others(self, peer: Peer, opcode: int, payload: str | bytes) -> None:
        """Another seat's message; all say the same."""
        if payload != self.text:
            self.mismatch(peer, payload, self.text)
        self.heard += 1

    @property
    def verified(self) -> int:
        """Messages of other seats that were as sent."""
        return self.heard

    def closed(self, peer: Peer, code: int, reason: str) -> None:
        """Count the cycle and take the seat again."""
        if peer in self.sitting:
            self.sitting.discard(peer)  # the server's policy for those who never read
            return
        self.under_way -= 1
        if code != _NORMAL:
            how = ended_by(code, reason)
            self.fail(LoadError(f"connection {peer.index} was {how}, expected {_NORMAL}"))
            return
        self.tally.latency.record(time.perf_counter_ns() - peer.opened_at)
        self.cycles += 1
        self._sample()
        if self.is_going_on:
            self._sit_down(peer.index)

    def _sample(self) -> None:
        now = time.monotonic()
        if self.server is not None and now >= self.next_sample:
            self.next_sample = now + _SAMPLE_EVERY
            self.samples.append(
                {
                    "at": round(now, 2),
                    "rss_bytes": self.server.rss_bytes(),
                    "descriptors": self.server.descriptor_count(),
                }
            )

    def publish(self, number: int, due: int) -> None:
        """Churn has no open loop."""
        raise AssertionError("options refuse a rate for churn")

    def stop(self) -> None:
        """Let the seats become empty."""
        self.is_going_on = False

    @property
    def done(self) -> int:
        """Connections that came and left."""
        return self.cycles

    @property
    def outstanding(self) -> int:
        """Seats not yet empty."""
        return self.under_way

    def notes(self) -> dict[str, object]:
        """Tell how memory and descriptors went, from the first quarter of the run to the last."""
        if len(self.samples) < 8:
            return {}
        quarter = len(self.samples) // 4
        notes: dict[str, object] = {}
        for key, name in (("rss_bytes", "memory"), ("descriptors", "descriptors")):
            first = sum(s[key] for s in self.samples[:quarter]) / quarter
            last = sum(s[key] for s in self.samples[-quarter:]) / quarter
            notes[f"{name}_first_to_last_quarter"] = f"{first:,.0f} → {last:,.0f}"
        return notes


def run_churn(
    options: Options, server: ServerProcess | None, progress: Progress | None = None
) -> Report:
    """Run the mode; the report carries the samples."""
    workload = Churn(options, server)
    report = run_steady(workload, server, progress)
    report.samples = workload.samples
    return report
