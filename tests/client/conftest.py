"""Tests that are coroutines run on a loop whose clock jumps; nothing may be left behind them."""

from __future__ import annotations

import asyncio
import gc
import inspect
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.client.fake import Bench, WarpLoop


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    loop = WarpLoop()
    monkeypatch.setattr(random, "random", lambda: 0.5)
    monkeypatch.setattr(time, "time", lambda: loop.now)
    if hasattr(time, "CLOCK_BOOTTIME"):
        monkeypatch.setattr(time, "clock_gettime", lambda _: loop.now)
    yield Bench(loop)
    loop.close()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: Any) -> bool | None:
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    names = inspect.signature(function).parameters
    bench: Bench = pyfuncitem.funcargs["bench"]
    wrong: list[Any] = []

    async def main() -> None:
        bench.loop.set_exception_handler(lambda _, context: wrong.append(context))
        try:
            await function(**{name: pyfuncitem.funcargs[name] for name in names})
        finally:
            if hasattr(bench, "server"):
                await bench.server.close()
        assert bench.loop.timers == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=lambda: bench.loop) as runner:
        runner.run(main())
    gc.collect()
    assert wrong == []
    return True
