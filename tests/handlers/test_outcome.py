"""Handlers that raise what is no Exception: a panic of an extension, SystemExit, CancelledError.

Each is one failure of one handler. It is logged and counted, and everybody else is served on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from glyph_fast import Server
from glyph_fast.errors import Reject
from glyph_fast.handlers.outcome import Exited, interrupt, is_cancelled, outcome
from glyph_fast.server import background
from glyph_fast.testing import TestClient, UpgradeRefused
from tests.serving import serving
from tests.wired import Site, settled, spin

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


class Panic(BaseException):
    """As a panic of a Rust extension is one."""


ENDS = [Panic("p"), SystemExit(3), asyncio.CancelledError()]
KINDS = ["def", "async", "waits"]
# Where a handler may stand, and how often it fails when one client comes, does all there is to do,
# and leaves.
PLACES = {
    "on_connect": 1,
    "on_disconnect": 1,
    "on_leave": 1,
    "on_message": 2,
    "on_event": 1,
    "on_join": 1,
    "on_error": 1,
    "websocket": 1,
}

ends = pytest.mark.parametrize("end", ENDS, ids=lambda exc: type(exc).__name__)
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def records_reach_caplog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("glyph_fast"), "propagate", True)


def failing(kind: str, end: BaseException) -> Callable[..., Any]:
    def broken(*args: Any) -> Any:
        raise end

    async def broken_at_once(*args: Any) -> Any:
        raise end

    async def broken_later(*args: Any) -> Any:
        await asyncio.sleep(0)
        raise end

    return {"def": broken, "async": broken_at_once, "waits": broken_later}[kind]


def register(site: Site, place: str, handler: Callable[..., Any]) -> None:
    if place == "on_event":
        site.dispatcher.on_event("move")(handler)
    elif place == "websocket":
        site.dispatcher.websocket("/broken")(partial(handler))  # a plain `def` is refused
    elif place == "on_message":
        site.dispatcher.on_message("text", "/broken")(handler)
    else:
        getattr(site.dispatcher, place)(handler)


@pytest.mark.parametrize("place", PLACES)
@kinds
@ends
def test_a_handler_that_fails_so_harms_nobody_else(
    run: Run, caplog: pytest.LogCaptureFixture, place: str, kind: str, end: BaseException
) -> None:
    async def main() -> None:
        site = Site().on_loop()
        register(site, place, failing(kind, end))
        if place == "on_error":
            site.dispatcher.on_event("move")(failing("def", KeyError("x")))
        log: list[Any] = []
        site.dispatcher.on_disconnect(lambda conn: log.append(conn))
        site.dispatcher.on_message("text", "/quiet")(lambda ctx: log.append(ctx.message.data))
        quiet = site.connect("/quiet")
        broken = [site.connect("/broken") for _ in range(50)]
        await settled(*broken)
        for peer in broken:
            peer.conn._feed(b"")
            peer.feed("a", {"event": "move"}, {"type": "join_room", "room": "red"}, "b")
            if peer.conn.is_open:
                peer.conn.join_room("blue")
        site.flush()
        await settled(quiet, *broken)
        quiet.send("still served")
        for peer in broken:  # all of them within one turn
            peer.conn._lost()
        quiet.feed("and on")
        site.flush()
        await settled(quiet, *broken)
        assert len(site.hub) == 1
        assert log[0] == "still served" and "and on" in log
        assert sorted(map(id, (c for c in log if not isinstance(c, str)))) == sorted(
            id(peer.conn) for peer in broken
        )
        errors = site.hub.metrics.handler_errors
        assert errors >= 50 * PLACES[place], errors
        assert "internal error" not in caplog.text
        named = [r for r in caplog.records if "broken" in r.__dict__["fields"].get("handler", "")]
        assert named

    run(main())


@kinds
@ends
def test_its_own_connection_is_served_on(run: Run, kind: str, end: BaseException) -> None:
    async def main() -> None:
        site = Site().on_loop()
        told: list[BaseException] = []
        site.dispatcher.on_event("fail")(failing(kind, end))
        site.dispatcher.on_message("text")(lambda ctx: ctx.reply("text", ctx.message.data))
        site.dispatcher.on_error(lambda ctx, exc: told.append(exc))
        ada = site.connect()
        ada.send("a", {"event": "fail"}, "b", {"event": "fail"}, "c")
        await settled(ada)
        ada.send("d")
        assert ada.received() == ["a", "b", "c", "d"]
        assert [type(exc) for exc in told] == [type(end)] * 2

    run(main())


@kinds
@ends
def test_an_http_handler_that_fails_so_is_answered_with_500(
    run: Run, kind: str, end: BaseException
) -> None:
    async def main() -> None:
        server = Server()
        server.get("/fail")(failing(kind, end))
        server.get("/")(lambda request: "hello")
        async with TestClient(server, raise_errors=False) as client:
            answers = await asyncio.gather(*(client.get("/fail") for _ in range(3)))
            assert [answer.status for answer in answers] == [500] * 3
            assert (await client.get("/")).body == b"hello"
            assert [type(exc) for exc in client.errors] == [type(end)] * 3

    run(main())


@kinds
@ends
def test_an_authenticator_that_fails_so_refuses_with_500(
    run: Run, kind: str, end: BaseException
) -> None:
    async def main() -> None:
        server = Server()
        server.websocket("/ws")
        server.authenticate(failing(kind, end))
        async with TestClient(server, raise_errors=False) as client:
            for _ in range(2):
                with pytest.raises(UpgradeRefused, match="refused with 500"):
                    await client.connect("/ws")
            assert [type(exc) for exc in client.errors] == [type(end)] * 2

    run(main())


@pytest.mark.parametrize("end", [Panic("p"), SystemExit(3)], ids=["Panic", "SystemExit"])
def test_a_background_task_that_fails_so_is_started_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    monkeypatch.setattr(background, "FIRST_BACKOFF_S", 0.001)

    async def main() -> None:
        server = Server()
        again = asyncio.Event()

        @server.background
        async def task() -> None:
            if server.hub.metrics.handler_errors:
                again.set()
                return
            raise end

        async with TestClient(server, raise_errors=False):
            await again.wait()

    run(main())


def test_a_hook_of_the_end_that_exits_does_not_keep_the_others_from_running(run: Run) -> None:
    async def main() -> None:
        server, log = Server(), []
        server.on_shutdown(failing("def", SystemExit(3)))
        server.on_shutdown(lambda: log.append("second"))
        async with TestClient(server, raise_errors=False) as client:
            pass
        assert log == ["second"]
        assert [type(exc) for exc in client.errors] == [SystemExit]

    run(main())


EXITS = """
import asyncio, sys
from glyph_fast import Server
server = Server()

@server.on_message("text")
def leave(ctx):
    sys.exit(3)

@server.get("/")
async def leave_later(request):
    await asyncio.sleep(0)
    sys.exit(4)

@server.on_event("later")
async def leave_even_later(ctx):
    await asyncio.sleep(0)
    sys.exit(5)
"""


@pytest.mark.parametrize("engine", ["native", "asyncio"])
def test_a_server_whose_handlers_exit_goes_on_and_names_them(tmp_path: Any, engine: str) -> None:
    from websockets.sync.client import connect

    (tmp_path / "program.py").write_text(EXITS)
    with serving("program:server", "--engine", engine, cwd=tmp_path) as server:
        for message in ("hello", '{"event":"later"}'):
            with connect(server.ws("/ws")) as ws:
                ws.send(message)
                ws.send('{"type":"ping"}')
                assert '"pong"' in str(ws.recv(10))
        log = server.log()
        assert "handler=program:leave" in log and "SystemExit: 3" in log
        assert "handler=program:leave_even_later" in log and "SystemExit: 5" in log


INTERRUPTED = """
import asyncio
from glyph_fast import Server
server = Server()

@server.on_message("text")
def stop(ctx):
    raise KeyboardInterrupt

@server.on_event("later")
async def stop_later(ctx):
    await asyncio.sleep(0)
    raise KeyboardInterrupt

@server.on_disconnect
def gone(conn):
    print("gone", flush=True)
"""


@pytest.mark.parametrize("engine", ["native", "asyncio"])
@pytest.mark.parametrize("message", ["hello", '{"event":"later"}'])
def test_a_keyboard_interrupt_in_a_handler_ends_the_program(
    tmp_path: Any, engine: str, message: str
) -> None:
    from websockets.sync.client import connect

    (tmp_path / "program.py").write_text(INTERRUPTED)
    with serving("program:server", "--engine", engine, cwd=tmp_path) as server:
        with connect(server.ws("/ws")) as ws:
            ws.send(message)
            status = server.process.wait(20)
        assert status in (-signal.SIGINT, 128 + signal.SIGINT), server.log()
        assert server.process.stdout is not None
        assert os.read(server.process.stdout.fileno(), 100) == b"gone\n"


@kinds
def test_what_was_begun_is_done_before_the_loop_is_interrupted(kind: str) -> None:
    seen: list[Any] = []

    async def main() -> None:
        site = Site().on_loop()
        site.dispatcher.on_event("stop")(failing(kind, KeyboardInterrupt()))
        site.dispatcher.on_message("text")(lambda ctx: seen.append(ctx.message.data))
        site.dispatcher.on_disconnect(seen.append)
        ada, bob = site.connect(), site.connect()
        ada.feed({"event": "stop"})
        bob.feed("hello")
        bob.conn._lost()
        site.flush()
        seen.append("turn")
        await spin()
        seen.append("never")

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert [each for each in seen if isinstance(each, str)] == ["hello", "turn"]
    assert len(seen) == 3


# The parts.


def test_an_outcome_is_what_was_raised_or_none(run: Run) -> None:
    async def main() -> None:
        seen: list[Any] = []
        assert await outcome(seen.append, 1) is None
        assert await outcome(asyncio.sleep, 0) is None
        assert seen == [1]
        for end in (*ENDS, Reject(403)):
            for kind in KINDS:
                assert await outcome(failing(kind, end), 1, 2) is end

    run(main())


def test_an_outcome_is_never_the_user_at_the_keyboard_or_a_coroutine_that_is_closed() -> None:
    interrupted = outcome(failing("def", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        interrupted.send(None)
    waiting = outcome(failing("waits", KeyError("x")))
    waiting.send(None)
    waiting.close()


def test_a_cancellation_is_told_from_a_cancelled_error_of_something_else(run: Run) -> None:
    async def main() -> None:
        seen: list[bool] = []

        async def wait() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as exc:
                seen.append(is_cancelled(exc))

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        await task
        assert seen == [True]
        assert not is_cancelled(asyncio.CancelledError())
        assert not is_cancelled(KeyError())

    run(main())


def test_an_interrupt_without_a_loop_is_raised_at_once() -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupt(KeyboardInterrupt())


def test_what_a_coroutine_exited_with_can_be_told() -> None:
    exited = Exited(SystemExit(3))
    assert exited.exit.code == 3 and str(exited) == "3"
