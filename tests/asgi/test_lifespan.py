"""Startup and shutdown of applications."""

from __future__ import annotations

import asyncio
import logging

import pytest

from glyph_fast import GlyphFastError, Server
from glyph_fast.asgi import lifespan
from tests.asgi.apps import body, exchange, get, parts, serving, start
from tests.running import running


class Panic(BaseException):
    """As one of an extension is."""


def living(heard, *, fails="", state=None):
    """An application with a lifespan, that answers with the names in its state."""

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send(start())
            await send(body(",".join(sorted(scope["state"])).encode()))
            scope["state"]["own"] = True
            return
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
        scope["state"].update(state or {})
        while True:
            message = await receive()
            kind = message["type"].removeprefix("lifespan.")
            heard.append(kind)
            if kind == fails:
                await send({"type": f"lifespan.{kind}.failed", "message": "no database"})
                return
            await send({"type": f"lifespan.{kind}.complete"})
            if kind == "shutdown":
                return

    return app


def test_startup_comes_before_the_first_request_and_shutdown_after_the_last(backend, run):
    async def main():
        heard = []
        async with serving(living(heard), backend):
            assert heard == ["startup"]
        assert heard == ["startup", "shutdown"]

    run(main())


def test_each_request_has_a_copy_of_the_state_with_the_server_in_it(backend, run):
    async def main():
        async with serving(living([], state={"db": object()}), backend) as url:
            for _ in range(2):
                assert parts(await exchange(url, get()))[2] == b"db,glyph_fast"

    run(main())


def test_lifespan_auto_with_error(backend, run):
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await send(start())
        await send(body(b",".join(name.encode() for name in scope["state"])))

    async def main():
        async with serving(app, backend) as url:
            assert parts(await exchange(url, get()))[2] == b"glyph_fast"

    run(main())


def test_lifespan_with_failed_startup(backend, run):
    async def main():
        heard = []
        server = Server()
        server.mount("/a", living(heard))
        server.mount("/b", living(heard, fails="startup"))
        with pytest.raises(GlyphFastError, match="did not start: no database"):
            async with running(server, backend):
                raise AssertionError("it serves")
        assert heard == ["startup", "startup", "shutdown"]  # the first one was up

    run(main())


def test_lifespan_with_failed_shutdown(backend, run, caplog):
    async def main():
        async with serving(living([], fails="shutdown"), backend):
            pass
        assert "no database" in caplog.text

    run(main())


async def serves_on(app, backend):
    """It answers a moment after its start, whatever has become of its lifespan."""
    async with serving(app, backend) as url:
        await asyncio.sleep(0.01)
        assert parts(await exchange(url, get()))[2] == b"ok"


def test_one_that_ends_by_itself_is_served_on(backend, run, caplog):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            raise ArithmeticError("mine")
        await send(start())
        await send(body(b"ok"))

    async def main():
        await serves_on(app, backend)
        assert "mine" in caplog.text

    run(main())


def ending(*messages, after):
    """An application that sends these when it is told, and does not return."""

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send(start())
            await send(body(b"ok"))
            return
        for message in messages:
            await receive()
            await send({"type": f"lifespan.{message}"})
        try:
            await receive()
        finally:
            after.append("ended")

    return app


def test_one_that_has_failed_and_does_not_return_holds_up_no_start(backend, run, monkeypatch):
    monkeypatch.setattr(lifespan, "RETURN_GRACE_S", 0.05)

    async def main():
        after = []
        with pytest.raises(GlyphFastError, match="did not start"):
            async with asyncio.timeout(10):
                async with serving(ending("startup.failed", after=after), backend):
                    raise AssertionError("it serves")
        assert after == ["ended"]

    run(main())


def test_one_that_has_shut_down_and_does_not_return_holds_up_no_end(backend, run, monkeypatch):
    monkeypatch.setattr(lifespan, "RETURN_GRACE_S", 0.05)

    async def main():
        after = []
        app = ending("startup.complete", "shutdown.complete", after=after)
        async with asyncio.timeout(10):
            async with serving(app, backend):
                pass
        assert after == ["ended"]

    run(main())


@pytest.mark.parametrize(
    ("raises", "is_up"),
    [  # while it starts, SystemExit is the program's own decision
        (Panic, False), (asyncio.CancelledError, False),
        (Panic, True), (asyncio.CancelledError, True), (SystemExit, True),
    ],
)  # fmt: skip
def test_whatever_it_raises_is_told_and_it_is_served_on(backend, run, caplog, raises, is_up):
    caplog.set_level(logging.INFO)

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            if is_up:
                await send({"type": "lifespan.startup.complete"})
                await asyncio.sleep(0)
            raise raises
        await send(start())
        await send(body(b"ok"))

    async def main():
        await serves_on(app, backend)
        words = "the lifespan of an application failed" if is_up else "has no lifespan"
        assert words in caplog.text

    run(main())


def test_hooks_of_the_program_stand_around_those_of_applications(backend, run):
    async def main():
        heard = []
        server = Server()
        server.mount("/", living(heard))
        server.on_startup(lambda: heard.append("program up"))
        server.on_shutdown(lambda: heard.append("program down"))
        async with running(server, backend):
            pass
        assert heard == ["program up", "startup", "shutdown", "program down"]

    run(main())
