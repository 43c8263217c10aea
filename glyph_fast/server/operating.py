"""A run of the operators' port beside the public one: there before it and after it."""

from __future__ import annotations

import asyncio

from ..admin.port import OperatorsPort
from ..process.handover import Inherited
from .background import SERVER, Wanted
from .lifecycle import Lifecycle


class Operating:
    """Serves an `OperatorsPort` from `start` to `stop`."""

    def __init__(self, port: OperatorsPort, inherited: Inherited | None) -> None:
        self.port = port
        self.line = ""  # what is announced
        self.lifecycle = Lifecycle(
            port.config,
            port.hub,
            port.dispatcher,
            port.site,
            background=[Wanted(each, SERVER) for each in port.background],
            role="admin",
            inherited=inherited,
        )
        self._run: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises OSError, whose `filename` is the address, when that cannot be."""
        listening = asyncio.Event()

        def announce(line: str, *_: str) -> None:
            self.line = line
            self.port.listening(int(line.rpartition(":")[2]))
            listening.set()

        self._run = asyncio.create_task(self.lifecycle.run(announce), name="operators' port")
        waiting = asyncio.create_task(listening.wait())
        await asyncio.wait((self._run, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not listening.is_set():
            try:
                await self._run
            except OSError as exc:
                exc.filename = str(self.port.address)
                raise

    async def stop(self) -> None:
        """Close everything; the figures are gone with the port."""
        if self._run is not None:
            self.lifecycle.stop()
            await asyncio.wait((self._run,))
