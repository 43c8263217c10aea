"""What the dashboard, `/stats` and `/api/info` tell of a server."""

from __future__ import annotations

import asyncio
import heapq
from typing import Any

from .. import __version__, core
from ..choice import choose_engine
from ..config import Config
from ..hub import Hub
from ..logs import ErrorLog

SLOWEST = 10  # consumers that are named
ERRORS = 10  # kinds of errors that are named


class Stats:
    """Reads the figures of a server. For its loop."""

    def __init__(self, config: Config, hub: Hub, errors: ErrorLog) -> None:
        self._hub = hub
        self._errors = errors
        self._parts = {
            "version": __version__,
            "core": core.NAME,
            "engine": choose_engine(config, core.NAME),
        }

    def info(self) -> dict[str, Any]:
        """What runs, since when, and how much there is of it."""
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        figures = self._hub.metrics.snapshot()
        return {
            **self._parts,
            "loop": "uvloop" if loop == "uvloop" else "asyncio",
            "uptime": figures["uptime_seconds"],
            "connections": figures["connections"],
            "rooms": figures["rooms"],
        }

    def everything(self) -> dict[str, Any]:
        """All figures, the slowest consumers, and the latest errors of handlers."""
        return {
            **self._parts,
            **self._hub.metrics.snapshot(),
            "slowest_consumers": self.slowest_consumers(),
            "recent_errors": self._errors.recent(ERRORS),
        }

    def live(self) -> dict[str, Any]:
        """As `everything`, with the histograms' counts, whose growth the dashboard draws."""
        counters = self._hub.metrics.core
        return {
            **self.everything(),
            "histograms": {
                "bounds": counters.handler_seconds.bounds,
                "handler_seconds": counters.handler_seconds.counts,
                "broadcast_seconds": counters.broadcast_seconds.counts,
                "ping_rtt_seconds": counters.ping_rtt_seconds.counts,
            },
        }

    def slowest_consumers(self) -> list[dict[str, Any]]:
        """The connections with most bytes waiting, or that have lost messages; the worst first."""
        behind = [
            (conn.queued_bytes, conn.messages_dropped, conn)
            for conn in self._hub.get_connections()
            if conn.queued_bytes or conn.messages_dropped
        ]
        worst = heapq.nlargest(SLOWEST, behind, key=lambda each: each[:2])
        return [
            {
                "connection": conn.id,
                "remote": conn.remote,
                "queued_bytes": waiting,
                "queued_messages": conn.queued_messages,
                "messages_dropped": dropped,
                "ping_rtt_seconds": conn.stats["ping_rtt_seconds"],
            }
            for waiting, dropped, conn in worst
        ]
