"""Calls of an application for which there is nothing to wait.

`receive` has nothing to wait for once the client is gone, nor has a `send` that raises. In a loop
over them that does not end, nobody else would ever have a turn, and no timer could end it: a client
had only to leave. So the first of such calls return at once, as they may come by the dozen when
several tasks of an application hear of the end, and each one after them takes a moment.
"""

from __future__ import annotations

import asyncio

AT_ONCE = 64  # calls in vain, far more than the tasks of any request
PAUSE_S = 0.05  # for each one more: a loop that never ends costs its server nothing


async def in_vain(calls: int) -> None:
    """Wait a moment, where an application has called so often in vain."""
    if calls > AT_ONCE:
        await asyncio.sleep(PAUSE_S)


__all__ = ["AT_ONCE", "PAUSE_S", "in_vain"]
