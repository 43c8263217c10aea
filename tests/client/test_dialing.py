"""Where a client connects to: TLS, Unix sockets, proxies, fields; and what cannot be."""

from __future__ import annotations

import asyncio
import builtins
import importlib.util
import ssl
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from glyph_fast.client import ClientError, connect
from glyph_fast.client.dialing import Dialer
from tests.engine.certificates import make_certificate
from tests.serving import ServeProcess, serving

APP = """
from glyph_fast import MessageContext, Server

server = Server()
server.room("chat:*", client_join=True)
server.websocket("/ws")


@server.on_event("fields")
def fields(ctx: MessageContext) -> dict:
    request = ctx.conn.request
    names = ("host", "x-one", "authorization", "origin", "sec-websocket-extensions")
    return {name: request.headers.get(name) for name in names}
"""


Wait = Callable[[Coroutine[Any, Any, Any]], Any]
LOOPS = [asyncio.new_event_loop]
if importlib.util.find_spec("uvloop"):
    LOOPS.append(importlib.import_module("uvloop").new_event_loop)


@pytest.fixture(params=LOOPS, ids=lambda new_loop: new_loop.__module__.split(".")[0])
def wait(request: pytest.FixtureRequest) -> Iterator[Wait]:
    """Runs coroutines on each kind of loop."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


async def fields(url: str, **options: Any) -> Any:
    """What a server of `APP` was asked with."""
    async with connect(url, **options) as server:
        room = server.join("chat:1")
        await asyncio.wait_for(room.joined(), 20)
        await room.publish(b"x".hex())
        return await server.call("fields", timeout=20)


@pytest.mark.both_cores
def test_fields_are_sent_and_a_user_of_the_address(app: Path, wait: Wait) -> None:
    with serving("app:server", cwd=app) as server:
        url = server.ws("/ws")
        found = wait(fields(url.replace("://", "://ada:secret@"), headers={"X-One": "1"}))
        assert found["x-one"] == "1"
        assert found["authorization"] == "Basic YWRhOnNlY3JldA=="
        assert found["host"] == f"127.0.0.1:{server.port}"
        assert found["sec-websocket-extensions"].startswith("permessage-deflate")
        pairs = [("Authorization", "Bearer x"), ("Origin", server.url)]
        found = wait(fields(server.url + "/ws", headers=pairs, compression=False))
        assert (found["authorization"], found["origin"]) == ("Bearer x", server.url)
        assert found["sec-websocket-extensions"] is None


@pytest.mark.both_cores
@pytest.mark.parametrize("mode", ["shared", "dedicated"])
def test_a_server_that_compresses_is_understood(app: Path, mode: str, wait: Wait) -> None:
    options = ("--compression", mode, "--compression-min-size", "0")
    with serving("app:server", *options, cwd=app) as server:
        for _ in range(2):
            assert wait(fields(server.ws("/ws")))["host"]


@pytest.mark.both_cores
@pytest.mark.parametrize("engine", ["native", "asyncio"])
def test_over_tls_and_only_to_who_it_should_be(app: Path, engine: str, wait: Wait) -> None:
    files = make_certificate(app, "localhost")
    options = ("--tls-cert", str(files.cert), "--tls-key", str(files.key), "--engine", engine)
    with serving("app:server", *options, cwd=app) as server:
        url = f"wss://localhost:{server.port}/ws"
        context = ssl.create_default_context(cafile=str(files.cert))
        assert wait(fields(url, ssl=context))["host"] == f"localhost:{server.port}"

        async def refused() -> str:
            async with connect(url) as stranger:
                states: asyncio.Queue[str] = asyncio.Queue()
                stranger.on("state", states.put_nowait)
                assert await asyncio.wait_for(states.get(), 20) == "waiting"
                return stranger.why.reason

        assert "certificate" in wait(refused()).lower()


def test_through_a_unix_socket(app: Path, wait: Wait) -> None:
    path = app / "socket"
    process = UnixServer("app:server", cwd=app, uds=path)
    try:
        assert wait(fields("ws://app.test/ws", uds=str(path)))["host"] == "app.test"
    finally:
        process.kill()
        process.release()


class UnixServer(ServeProcess):
    def __init__(self, target: str, *, cwd: Path, uds: Path) -> None:
        super().__init__(target, "--uds", str(uds), cwd=cwd)


def test_through_a_proxy(app: Path, wait: Wait) -> None:
    """An HTTP proxy that knows CONNECT and nothing else."""

    async def main(server: ServeProcess) -> None:
        asked: list[str] = []

        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(4096):
                writer.write(data)
            writer.close()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            asked.append(head.splitlines()[0])
            onward, there = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(pump(reader, there), pump(onward, writer))

        proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = proxy.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{server.port}/ws"
        found = await fields(url, proxy=f"http://127.0.0.1:{port}")
        assert found["host"] == f"127.0.0.1:{server.port}"
        assert asked == [f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"]
        proxy.close()
        async with connect(url, proxy=f"http://127.0.0.1:{port}") as lost:
            with pytest.raises(ClientError, match="no answer in time"):
                await lost.call("fields", timeout=0.2)
            assert lost.why.code == 1006

    with serving("app:server", cwd=app) as server:
        wait(main(server))


def test_a_proxy_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("python_socks"):
            raise ModuleNotFoundError("no module", name="python_socks")
        return load(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'glyph-fast\[proxy\]'"):
        Dialer("ws://a.test/", proxy="http://b.test:1")


@pytest.mark.parametrize(
    ("url", "options", "text"),
    [
        ("ftp://a.test/", {}, "begins with ws:// or wss://"),
        ("/ws", {}, "begins with ws:// or wss://"),
        ("ws://", {}, "a host"),
        ("ws://a.test:99999/", {}, "expected a URL"),
        ("ws://a.test/#x", {}, "no fragment"),
        ("ws://a.test/", {"headers": {"Host": "b"}}, "the handshake itself decides"),
        ("ws://a.test/", {"headers": {"Sec-WebSocket-Key": "b"}}, "the handshake itself decides"),
        ("ws://a.test/", {"headers": {"X\n": "b"}}, "bad header name"),
        ("ws://a.test/", {"headers": {"X": "b\r\nY: c"}}, "bad value of header"),
        ("ws://a.test/", {"uds": "/a", "proxy": "http://b.test:1"}, "without a proxy"),
        ("ws://a.test/", {"proxy": "carrier://pigeon"}, "Invalid scheme component: carrier"),
    ],
)
def test_what_cannot_be_is_refused_at_once(url: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Dialer(url, **options)


def test_a_token_that_cannot_be_sent_is_told() -> None:
    async def main() -> None:
        errors: list[str] = []
        async with connect("ws://127.0.0.1:1/", token="two words") as server:
            server.on("error", lambda error: errors.append(str(error)))
            with pytest.raises(ClientError):
                await server.call("x", timeout=0.5)
            assert server.why.reason == errors[0]
        assert errors[0] == "the token has characters that a subprotocol must not have"

    asyncio.run(main())


def test_the_address_shown_has_no_password_and_no_query() -> None:
    async def main() -> None:
        async with connect("ws://ada:secret@127.0.0.1:1/ws?access_token=secret") as server:
            assert repr(server) == "<Client ws://127.0.0.1:1/ws connecting>"

    asyncio.run(main())
