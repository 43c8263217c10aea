"""The end of a server: handlers finish, or are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.wired import Gate, Site, settled

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


def test_finish_waits_for_handlers(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        gate = Gate()
        log: list[str] = []

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            await gate.passed()
            log.append(ctx.message.data)

        ada = site.connect()
        ada.send("a", "b")
        asyncio.get_running_loop().call_soon(gate.open)
        await site.dispatcher.finish(30)
        assert log == ["a", "b"]

    run(main())


def test_finish_cancels_what_does_not_end_and_still_runs_on_disconnect(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        log: list[str] = []

        @site.dispatcher.on_message("text")
        async def stuck(ctx: Any) -> None:
            log.append(ctx.message.data)
            await asyncio.Event().wait()

        @site.dispatcher.on_disconnect
        async def gone() -> None:
            await asyncio.sleep(0)
            log.append("disconnect")

        ada = site.connect()
        ada.send("a", "b")
        ada.vanish()
        await site.dispatcher.finish(0)
        await settled(ada)
        assert log == ["a", "disconnect"]
        assert site.hub.metrics.handler_errors == 0

    run(main())


def test_what_finish_cancels_is_no_error(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()

        async def stuck() -> None:
            await asyncio.Event().wait()

        site.dispatcher.on_connect("/connect")(stuck)
        site.dispatcher.on_disconnect("/disconnect")(stuck)
        site.dispatcher.websocket("/read")(stuck)
        site.dispatcher.on_message("text", "/message")(stuck)
        peers = [site.connect(f"/{what}") for what in ("connect", "disconnect", "read", "message")]
        peers[1].vanish()
        peers[3].send("x")
        await site.dispatcher.finish(0)
        assert site.hub.metrics.handler_errors == 0
        assert not site.dispatcher._tasks

    run(main())


def test_a_dispatcher_can_be_used_again_after_it_has_stopped(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            await asyncio.sleep(0)
            if ctx.message.data == "stuck":
                await asyncio.Event().wait()
            ctx.reply("text", ctx.message.data)

        ada = site.connect()
        ada.send("stuck", "dropped")
        await site.dispatcher.finish(0)
        await settled(ada)
        site.dispatcher.configure()
        ada.send("a", "b")
        await settled(ada)
        assert ada.received() == ["a", "b"]

    run(main())


def test_finish_may_be_awaited_in_a_handler(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()

        @site.dispatcher.on_message("text")
        async def stop(ctx: Any) -> None:
            await asyncio.sleep(0)
            await site.dispatcher.finish(30)
            ctx.reply("text", "stopped")

        ada = site.connect()
        ada.send("x")
        await settled(ada)
        assert ada.received() == ["stopped"]

    run(main())
