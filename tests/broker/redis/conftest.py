"""One loop is enough here: what is tested does not know of engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

DEADLINE_S = 55.0  # servers with workers take their time to start on a busy machine


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine on a loop of its own, with a deadline."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        async def limited() -> Any:
            async with asyncio.timeout(DEADLINE_S):
                return await main

        return asyncio.run(limited())

    return run
