"""Figures of a server for the dashboard, `/stats` and `/api/info`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from .. import __version__, core
from ..options.choice import choose_engine
from ..options.config import Config
from .observation import Observation
from .operated import Operated
from .timeline import Timeline


class Stats:
    """Reads the figures of a server. For its loop."""

    def __init__(self, config: Config, operated: Operated) -> None:
        self._operated = operated
        self.timeline = Timeline()
        self._parts = {
            "version": __version__,
            "core": core.NAME,
            "engine": choose_engine(config, core.NAME),
        }

    async def info(self) -> dict[str, Any]:
        """Return what runs, since when, and how much there is of it."""
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

    async def live(self, *, is_step: bool = False) -> dict[str, Any]:
        """Return what `everything` does; at a step of the timeline with its `point`, if any."""
        observed = await self._operated.observe()
        point = self.timeline.add(observed) if is_step else None
        return {**self._everything(observed), **({} if point is None else {"point": point})}

    async def beginning(self) -> dict[str, Any]:
        """Return what `everything` does, and the `history`: the columns of the timeline."""
        return {**await self.everything(), "history": self.timeline.columns()}

    def _everything(self, observed: Observation) -> dict[str, Any]:
        workers, drop = self._operated.workers(), self.timeline.last_drop
        return {
            **self._parts,
            **observed.figures,
            "slowest_consumers": observed.slowest,
            "recent_errors": observed.errors,
            "process": observed.process,
            "last_drop_seconds": None if drop is None else round(max(0.0, time.time() - drop), 1),
            **({} if workers is None else {"workers": workers}),
        }
