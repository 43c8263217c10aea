"""A client goes, and a handler that works for it does not end: it is given up, the end is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import connect

from glyph_fast import Config, Server
from glyph_fast.testing import TestClient
from tests.running import Run as Serving
from tests.wired import Gate, Site, settled

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]
SOON = 0.01  # seconds of grace


def site_with(grace: float = SOON, **options: Any) -> tuple[Site, list[Any]]:
    """A site, and the log of what its disconnect handler was told."""
    site = Site(Config(handler_grace=grace, **options)).on_loop()
    ends: list[Any] = []
    site.dispatcher.on_disconnect(lambda conn, code, reason: ends.append((conn, code)))
    return site, ends


def stuck(log: list[str]) -> Callable[..., Any]:
    """A handler that waits for something else than its connection."""

    async def handler(subject: Any) -> None:
        log.append("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    return handler


def register(site: Site, kind: str, handler: Callable[..., Any]) -> None:
    if kind == "websocket":
        site.dispatcher.websocket("/")(handler)
    elif kind == "on_message":
        site.dispatcher.on_message("text")(handler)
    elif kind == "on_event":
        site.dispatcher.on_event("move")(handler)
    elif kind == "on_error":
        site.dispatcher.on_message("text")(lambda: 1 / 0)
        site.dispatcher.on_error(handler)
    elif kind == "on_join":
        site.dispatcher.on_join(handler)
    else:
        site.dispatcher.on_connect(handler)


KINDS = ["websocket", "on_connect", "on_message", "on_event", "on_error", "on_join"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_that_never_ends_is_cancelled_and_the_end_is_told_once(
    run: Run, kind: str
) -> None:
    async def main() -> None:
        site, ends = site_with()
        log: list[str] = []
        register(site, kind, stuck(log))
        ada = site.connect("/")
        ada.send("a", {"event": "move"}, {"type": "join_room", "room": "blue"})
        ada.vanish()
        assert log == ["began"] and not ends
        await settled(ada)
        assert log == ["began", "cancelled"]
        assert ends == [(ada.conn, 1006)]
        assert site.hub.metrics.handler_errors == (1 if kind == "on_error" else 0)
        assert not site.dispatcher._tasks

    run(main())


@pytest.mark.parametrize("kind", ["websocket", "on_connect", "on_message"])
def test_a_handler_of_a_client_that_is_there_may_take_its_time(run: Run, kind: str) -> None:
    async def main() -> None:
        site, ends = site_with(0.0)
        log: list[str] = []
        gate = Gate()

        async def handler(subject: Any) -> None:
            await asyncio.sleep(10 * SOON)
            await gate.passed()
            log.append("done")

        register(site, kind, handler)
        ada, bob = site.connect("/"), site.connect("/elsewhere")
        ada.send("a")
        bob.vanish()  # somebody else's end
        await asyncio.sleep(20 * SOON)
        gate.open()
        await settled(ada)
        while not log:
            await asyncio.sleep(0)
        assert log == ["done"]
        ada.vanish()
        await settled(ada)

    run(main())


def test_messages_that_came_before_the_end_are_handled_each_with_a_grace_of_its_own(
    run: Run,
) -> None:
    async def main() -> None:
        site, ends = site_with(0.2)
        log: list[str] = []

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            await asyncio.sleep(0.06)
            log.append(ctx.message.data)

        ada = site.connect("/")
        ada.send(*"abcde")  # longer than one grace, together
        ada.vanish()
        await settled(ada)
        assert log == [*"abcde"] and len(ends) == 1
        assert site.hub.metrics.handler_errors == 0

    run(main())


def test_a_stream_is_read_to_its_end_as_long_as_it_goes_on(run: Run) -> None:
    async def main() -> None:
        site, ends = site_with(0.2)
        log: list[Any] = []

        @site.dispatcher.websocket("/")
        async def handler(conn: Any) -> None:
            async for message in conn:
                await asyncio.sleep(0.06)
                log.append(message)
            log.append("end")

        ada = site.connect("/")
        ada.send(*"abcde")
        ada.vanish()
        await settled(ada)
        assert log == [*"abcde", "end"] and len(ends) == 1

    run(main())


def test_messages_behind_a_handler_that_was_given_up_are_not_handled(run: Run) -> None:
    async def main() -> None:
        site, ends = site_with()
        log: list[str] = []
        register(site, "on_message", stuck(log))
        site.dispatcher.on_message("text")(lambda ctx: log.append("behind it"))
        ada = site.connect("/")
        ada.send("a", "b", "c")
        ada.vanish()
        await settled(ada)
        assert log == ["began", "cancelled"] and len(ends) == 1

    run(main())


def test_a_handler_that_does_not_hear_is_asked_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("dispatcher", "leaving"):
        monkeypatch.setattr(f"glyph_fast.handlers.{module}.CANCEL_GRACE_S", SOON)

    async def main() -> None:
        for kind in ("websocket", "on_message"):
            site, ends = site_with()
            log: list[str] = []

            async def deaf(subject: Any, log: list[str] = log) -> None:
                for _ in range(3):
                    try:
                        await asyncio.Event().wait()
                    except asyncio.CancelledError:
                        log.append("asked")

            register(site, kind, deaf)
            ada = site.connect("/")
            ada.send("a")
            ada.vanish()
            await settled(ada)
            assert log == ["asked"] * 3 and len(ends) == 1

    run(main())


def test_what_it_raises_when_it_is_given_up_is_an_error_unless_the_client_is_missed(
    run: Run,
) -> None:
    async def main() -> None:
        for kind in ("websocket", "on_connect", "on_message"):
            for error in (KeyError("clean-up"), None):
                site, ends = site_with()

                async def handler(subject: Any, error: Exception | None = error) -> None:
                    try:
                        await asyncio.Event().wait()
                    finally:
                        if error is not None:
                            raise error
                        getattr(subject, "conn", subject).send("bye")  # raises ConnectionClosed

                register(site, kind, handler)
                ada = site.connect("/")
                ada.send("a")
                ada.vanish()
                await settled(ada)
                assert len(ends) == 1
                assert site.hub.metrics.handler_errors == (1 if error else 0), kind

    run(main())


def test_handlers_of_the_end_are_given_their_time(run: Run) -> None:
    async def main() -> None:
        site = Site(Config(handler_grace=0.0)).on_loop()
        log: list[str] = []

        @site.dispatcher.on_leave
        async def left(conn: Any, room: str) -> None:
            await asyncio.sleep(10 * SOON)
            log.append(f"left {room}")

        @site.dispatcher.on_disconnect
        async def gone(conn: Any) -> None:
            await asyncio.sleep(10 * SOON)
            log.append("gone")

        ada = site.connect("/")
        ada.conn.join_room("blue")
        ada.vanish()
        await settled(ada)
        assert log == ["left blue", "gone"]

    run(main())


@pytest.mark.parametrize("then", [None, "a"])
def test_who_left_a_room_before_has_its_on_leave_to_the_end_and_nothing_behind_it_is_stuck(
    run: Run, then: str | None
) -> None:
    async def main() -> None:
        site, ends = site_with(client_commands="join_room,leave_room")
        log: list[str] = []
        gate = Gate()

        @site.dispatcher.on_leave()
        async def left(conn: Any, room: str) -> None:
            await gate.passed()
            log.append("left " + room)

        site.dispatcher.on_message("text")(stuck(log))
        ada = site.connect("/")
        ada.send({"type": "join_room", "room": "blue"}, {"type": "leave_room", "room": "blue"})
        if then is not None:
            ada.send(then)
        ada.vanish()
        await asyncio.sleep(10 * SOON)
        assert not log and not ends
        gate.open()
        await settled(ada)
        assert log == ["left blue"] + (["began", "cancelled"] if then else [])
        assert ends == [(ada.conn, 1006)]

    run(main())


def test_the_end_of_the_server_calls_on_disconnect_though_a_stream_is_stuck(run: Run) -> None:
    async def main() -> None:
        site, ends = site_with(60.0)
        log: list[str] = []
        register(site, "websocket", stuck(log))
        ada = site.connect("/")
        ada.vanish()
        await site.dispatcher.finish(0)
        await settled(ada)
        assert log == ["began", "cancelled"] and len(ends) == 1

    run(main())


@pytest.mark.parametrize("kind", ["websocket", "on_connect"])
def test_a_drain_does_not_wait_for_them(backend: Any, run: Run, kind: str) -> None:
    async def main() -> None:
        server, log = Server(), []
        handler = stuck(log)
        if kind == "websocket":
            server.websocket("/ws")(handler)
        else:
            server.on_connect(handler)
        server.on_disconnect(lambda conn: log.append("gone"))
        # The drain may take longer than this test.
        one = Serving(server, backend, {"drain_timeout": 60.0, "handler_grace": SOON})
        url = await one.url()
        async with connect(url.ws("/ws")) as leaves, connect(url.ws("/ws")) as stays:
            for client in (leaves, stays):
                await client.send("hello")
            while log.count("began") < 2:
                await asyncio.sleep(0)
            await leaves.close()
            await server.shutdown()
            await stays.wait_closed()
        await one.task
        assert sorted(log) == ["began"] * 2 + ["cancelled"] * 2 + ["gone"] * 2
        assert server.hub.metrics.handler_errors == 0

    run(main())


def test_handlers_of_messages_have_the_drain_timeout_when_the_server_stops(
    backend: Any, run: Run
) -> None:
    async def main() -> None:
        server, log = Server(), []

        @server.on_message("text")
        async def save(ctx: Any) -> None:
            log.append("began")
            await asyncio.sleep(SOON * 10)
            log.append(f"saved {ctx.message.data}")

        server.on_disconnect(lambda conn: log.append("gone"))
        one = Serving(server, backend, {"drain_timeout": 60.0, "handler_grace": SOON})
        url = await one.url()
        async with connect(url.ws("/ws")) as client:
            await client.send("a")
            await client.send("b")
            while "began" not in log:
                await asyncio.sleep(0)
            await server.shutdown()
        await one.task
        assert log == ["began", "saved a", "began", "saved b", "gone"]

    run(main())


@pytest.mark.parametrize("leaves_first", [False, True])
def test_one_that_does_not_end_is_cancelled_when_that_is_over(
    backend: Any, run: Run, leaves_first: bool
) -> None:
    async def main() -> None:
        server, log = Server(), []
        server.on_message("text")(stuck(log))
        server.on_disconnect(lambda conn: log.append("gone"))
        # Who leaves before the server stops gives its handler the grace and no more.
        timeout = 60.0 if leaves_first else SOON * 3
        one = Serving(server, backend, {"drain_timeout": timeout, "handler_grace": SOON})
        url = await one.url()
        async with connect(url.ws("/ws")) as client:
            await client.send("hello")
            while "began" not in log:
                await asyncio.sleep(0)
            if leaves_first:
                await client.close()
                while len(server.hub):
                    await asyncio.sleep(0)
            await server.shutdown()
        await one.task
        assert log == ["began", "cancelled", "gone"]
        assert server.hub.metrics.handler_errors == 0

    run(main())


def test_a_test_client_does_not_wait_for_them(run: Run) -> None:
    async def main() -> None:
        server, log = Server(), []
        server.websocket("/ws")(stuck(log))
        server.on_disconnect(lambda conn: log.append("gone"))
        async with TestClient(server, handler_grace=SOON, timeout=60) as client:
            await client.connect("/ws")
        assert log == ["began", "cancelled", "gone"]

    run(main())
