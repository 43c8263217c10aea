"""The lease of the one node that runs what runs once on all machines.

It lies in Redis and ends by itself. Who has it makes it longer again and again, and takes itself
for its holder only for as long as it must last after the latest answer; the others try to get it.
So two nodes hold it at a time only where one of them was stopped and has not looked at the clock.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Protocol

from ...errors import BrokerUnavailable
from .connection import Answer, settle
from .link import Reached
from .scripts import RELEASE, RENEW, Script
from .streams import unavailable

LEASE_S = 6.0  # that it lasts
TRY_S = 1.5  # between two tries to get it, or to make it longer: so it is taken over in 7.5 s
RELEASE_S = 1.0


class Calls(Protocol):
    """Who calls scripts."""

    def call(self, script: Script, parts: tuple[Any, ...], answer: Answer) -> None:
        """Call one, and give on its answer."""


class Lease:
    """Tells `changed` whenever this node gets the lease of a key, or has lost it."""

    def __init__(
        self, link: Reached, scripts: Calls, key: bytes, changed: Callable[[bool], object]
    ) -> None:
        self._link = link
        self._scripts = scripts
        self._key = key
        self._changed = changed
        self._token = secrets.token_hex(16)
        self._until = 0.0  # of the loop's clock
        self.is_held = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Try to get it from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="lease")

    async def close(self) -> None:
        """Give it up, so that another node has it at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self.is_held:
            self._set(False)
            try:
                async with asyncio.timeout(RELEASE_S):
                    await self._call(RELEASE, 1, self._key, self._token)
            except (OSError, BrokerUnavailable):
                pass

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked_at = loop.time()
            try:
                async with asyncio.timeout(TRY_S):
                    if await self._try():
                        self._until = asked_at + LEASE_S
                    else:
                        self._until = 0.0
            except (OSError, BrokerUnavailable):
                pass  # it is held as long as it lasts
            # A new try takes longest TRY_S and begins after as long.
            self._set(loop.time() + TRY_S < self._until)
            await asyncio.sleep(max(0.0, asked_at + TRY_S - loop.time()))

    async def _try(self) -> bool:
        lasts = int(LEASE_S * 1000)
        if self.is_held and await self._call(RENEW, 1, self._key, self._token, lasts):
            return True
        if not self._link.is_up:
            raise BrokerUnavailable
        asked = self._link.commands.ask("SET", self._key, self._token, "NX", "PX", lasts)
        return await asked is not None

    async def _call(self, *call: Any) -> Any:
        if not self._link.is_up:
            raise BrokerUnavailable
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        script, *parts = call
        self._scripts.call(script, tuple(parts), lambda got: settle(future, unavailable(got)))
        return await future

    def _set(self, is_held: bool) -> None:
        if is_held is not self.is_held:
            self.is_held = is_held
            self._changed(is_held)
