"""What the dashboard, `/stats` and `/api/info` tell of a server."""

from __future__ import annotations

import asyncio
from typing import Any

from .. import __version__, core
from ..hub.metrics import BOUNDS
from ..options.choice import choose_engine
from ..options.config import Config
from .observation import Observation
from .operated import Operated


class Stats:
    """Reads the figures of a server. For its loop."""

    def __init__(self, config: Config, operated: Operated) -> None:
        self._operated = operated
        self._parts = {
            "version": __version__,
            "core": core.NAME,
            "engine": choose_engine(config, core.NAME),
        }

    async def info(self) -> dict[str, Any]:
        """What runs, since when, and how much there is of it."""
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        observed = await self._operated.observe()
        return {
            **self._parts,
            "loop": "uvloop" if loop == "uvloop" else "asyncio",
            "uptime": observed.uptime,
            "connections": observed.present["connections"],
            "rooms": observed.present["rooms"],
        }

    async def everything(self) -> dict[str, Any]:
        """All figures, the slowest consumers, and the latest errors of handlers."""
        return self._everything(await self._operated.observe())

    async def live(self) -> dict[str, Any]:
        """As `everything`, with the histograms' counts, whose growth the dashboard draws."""
        observed = await self._operated.observe()
        counts = {name: each.counts for name, each in observed.histograms.items()}
        return {**self._everything(observed), "histograms": {"bounds": BOUNDS, **counts}}

    def _everything(self, observed: Observation) -> dict[str, Any]:
        workers = self._operated.workers()
        return {
            **self._parts,
            **observed.figures,
            "slowest_consumers": observed.slowest,
            "recent_errors": observed.errors,
            **({} if workers is None else {"workers": workers}),
        }
