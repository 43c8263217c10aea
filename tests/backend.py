"""What a process of the suite can serve on: which engine, which loop."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Backend:
    """One way to serve: which core, which engine, which loop (words of the options)."""

    core: str
    engine: str
    loop: str
    tls: bool = False  # of tests that are marked `over_tls`

    def __str__(self) -> str:
        return f"{self.engine}-{self.loop}" + ("-tls" if self.tls else "")

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """A fresh loop of this backend's kind."""
        if self.loop == "uvloop":
            import uvloop

            return uvloop.new_event_loop()
        return asyncio.new_event_loop()


def backends(core: str) -> list[Backend]:
    """The backends of a process that runs `core`, as far as the platform has them."""
    loop = "uvloop" if core == "compiled" and sys.platform != "win32" else "asyncio"
    engines = ["native", "asyncio"] if sys.platform == "linux" else ["asyncio"]
    return [Backend(core, engine, loop) for engine in engines]
