"""Spans of handshakes and handlers, as the in-memory exporter gets them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import opentelemetry.instrumentation.auto_instrumentation as automatic
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_now

from glyph_fast import Config, Connection, MessageContext, MessageType, Reject, Server
from glyph_fast.otel import instrument
from tests.listening import listening
from tests.running import running
from tests.serving import ROOT, serving

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


class Traced:
    """A server with a few handlers, and the spans it has ended."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(**options)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("application")
        self.server = Server(Config(subprotocols=["chat"]))
        instrument(self.server, tracer_provider=provider)
        instrument(self.server, tracer_provider=provider)  # twice is once
        _application(self.server, self.tracer)

    def spans(self) -> dict[str, ReadableSpan]:
        """By name; of several of one name the latest."""
        return {span.name: span for span in self.exporter.get_finished_spans()}

    async def span(self, name: str) -> ReadableSpan:
        """The span of that name, once it has ended."""
        async with asyncio.timeout(10):
            while name not in self.spans():
                await asyncio.sleep(0)
        return self.spans()[name]


def _application(server: Server, tracer: trace.Tracer) -> None:
    @server.authenticate
    async def authenticate(request: Any) -> str:
        with tracer.start_as_current_span("look up"):
            await asyncio.sleep(0)
        if request.query.get("user") == "eve":
            raise Reject(403, {"error": "no"})
        if request.query.get("user") == "bug":
            raise RuntimeError("database away")
        return "ada"

    server.websocket("/ws")

    @server.on_connect(route="/chat/:room")
    def hello(conn: Connection) -> None:
        conn.send("hello")

    @server.on_message(MessageType.TEXT)
    async def say(ctx: MessageContext) -> None:
        if ctx.message.data == "fail":
            raise LookupError("as asked")
        with tracer.start_as_current_span("inside"):
            await asyncio.sleep(0)
        ctx.reply(MessageType.TEXT, ctx.message.data)

    @server.on_event("typing")
    def typing(ctx: MessageContext) -> None:
        ctx.reply(MessageType.TEXT, "seen")

    @server.on_disconnect
    def bye(conn: Connection) -> None:
        pass

    @server.get("/status/:what")
    def status(request: Any) -> dict[str, int]:
        if request.path_params["what"] == "bad":
            raise ValueError("as asked")
        if request.path_params["what"] == "teapot":
            raise Reject(418, {"error": "tea"})
        return {"connections": 1}


def test_handshake_and_handlers_are_in_the_trace_of_the_client(backend, run):
    async def main():
        traced = Traced()
        async with running(traced.server, backend) as url:
            async with connect(
                url.ws("/chat/tea"), additional_headers=TRACEPARENT, proxy=None
            ) as ada:
                assert await ada.recv() == "hello"
                await ada.send("one")
                assert await ada.recv() == "one"
                await ada.send('{"event": "typing", "type": "json"}')
                assert "seen" in await ada.recv()
            await traced.span("on_disconnect /chat/:room")
        spans = traced.spans()
        assert set(spans) == {
            "GET /chat/:room", "look up", "on_connect /chat/:room", "on_message /chat/:room",
            "inside", "on_event typing /chat/:room", "on_disconnect /chat/:room",
        }  # fmt: skip
        assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {TRACE}
        handshake = spans["GET /chat/:room"]
        assert f"{handshake.parent.span_id:016x}" == PARENT
        assert handshake.kind is SpanKind.SERVER
        attributes = dict(handshake.attributes)
        id = attributes.pop("glyph_fast.connection.id")
        assert attributes == {
            "http.request.method": "GET", "http.route": "/chat/:room", "url.path": "/chat/tea",
            "url.scheme": "ws", "client.address": "127.0.0.1", "http.response.status_code": 101,
        }  # fmt: skip
        for name in ("look up", *(name for name in spans if name.startswith("on_"))):
            assert spans[name].parent.span_id == handshake.context.span_id, name
        assert spans["inside"].parent.span_id == spans["on_message /chat/:room"].context.span_id
        message = spans["on_message /chat/:room"]
        assert message.kind is SpanKind.CONSUMER
        assert message.attributes["glyph_fast.connection.id"] == id
        assert message.attributes["glyph_fast.message.type"] == "text"
        assert message.attributes["code.function.name"].endswith("say")
        assert message.end_time > message.start_time
        event = spans["on_event typing /chat/:room"]
        assert event.attributes["glyph_fast.message.event"] == "typing"

    run(main())


def test_a_handler_that_raises_leaves_the_error_and_no_contents(backend, run):
    async def main():
        traced = Traced()
        async with running(traced.server, backend) as url:
            async with connect(url.ws("/ws"), proxy=None) as ada:
                await ada.send("fail")
                span = await traced.span("on_message /ws")
                await ada.send("on")
                assert await ada.recv() == "on"
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "LookupError"
        assert span.events[0].attributes["exception.message"] == "as asked"
        assert span.parent.span_id == traced.spans()["GET /ws"].context.span_id

    run(main())


@pytest.mark.parametrize(
    ("path", "name", "status", "is_error"),
    [("/ws?user=eve", "GET /ws", 403, False), ("/ws?user=bug", "GET /ws", 500, True),
     ("/nowhere", "GET", 404, False)],
)  # fmt: skip
def test_a_refused_handshake_is_a_span_too(backend, run, path, name, status, is_error):
    async def main():
        traced = Traced()
        async with running(traced.server, backend) as url:
            with pytest.raises(InvalidStatus):
                await connect(url.ws(path), proxy=None)
            span = await traced.span(name)
        assert span.attributes["http.response.status_code"] == status
        assert span.attributes["error.type"] == str(status)
        assert (span.status.status_code is StatusCode.ERROR) == is_error
        assert "user" not in str(dict(span.attributes))

    run(main())


def test_a_client_that_leaves_before_the_answer_ends_its_span(backend, run):
    async def main():
        traced = Traced()
        waiting, goes_on = asyncio.Event(), asyncio.Event()

        async def authenticate(request: Any) -> None:
            waiting.set()
            await goes_on.wait()

        traced.server._authenticators.general = authenticate
        async with running(traced.server, backend) as url:
            peer = await url.peer()
            peer.write(
                b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            await waiting.wait()
            peer.writer.transport.abort()
            goes_on.set()
            span = await traced.span("GET /ws")
        # Whether the server knew it yet depends on the engine; a span that has begun has its end.
        assert span.attributes.get("http.response.status_code") in (None, 101)

    run(main())


def test_http_handlers_are_spans(backend, run):
    async def main():
        traced = Traced()
        async with running(traced.server, backend) as url:
            for what, status, code, error in (
                ("good", 200, None, False), ("teapot", 418, 418, False), ("bad", 500, None, True),
            ):  # fmt: skip
                answer, _, _ = await url.get(f"/status/{what}")
                assert answer == status
                span = traced.spans()["GET /status/:what"]
                assert span.attributes.get("http.response.status_code") == code
                assert (span.status.status_code is StatusCode.ERROR) == error
                assert span.attributes["code.function.name"].endswith("status")

    run(main())


def test_a_trace_that_is_not_sampled_leaves_nothing(backend, run):
    async def main():
        traced = Traced(sampler=ALWAYS_OFF)
        async with running(traced.server, backend) as url:
            async with connect(url.ws("/ws"), proxy=None) as ada:
                await ada.send("one")
                assert await ada.recv() == "one"
        assert traced.spans() == {}

    run(main())


def test_a_stream_is_one_span_until_its_end(backend, run):
    async def main():
        traced = Traced()

        @traced.server.websocket("/stream")
        async def read(conn: Connection) -> None:
            async for message in conn:
                conn.send(message)
                return

        async with running(traced.server, backend) as url:
            async with connect(url.ws("/stream"), proxy=None) as ada:
                await ada.send("one")
                assert await ada.recv() == "one"
                with pytest.raises(ConnectionClosed):
                    await ada.recv()
            await traced.span("on_stream /stream")

    run(main())


def test_a_server_that_serves_is_not_instrumented_any_more(backend, run):
    async def main():
        server = Server()
        async with running(server, backend):
            with pytest.raises(RuntimeError, match="serves already"):
                instrument(server)

    run(main())


def test_a_server_that_is_not_instrumented_is_as_it_was():
    server = Server()

    @server.on_message
    def handler(ctx: MessageContext) -> None: ...

    assert server._dispatcher.plan("/ws").text == (handler,)


def test_the_command_that_instruments_programs_reaches_one_in_glyph():
    """`opentelemetry-instrument` puts this folder, with its sitecustomize, before all others."""
    folder = str(Path(automatic.__file__).parent)
    environment = {
        "PYTHONPATH": os.pathsep.join((folder, str(ROOT))),
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "requests,httpx",
    }
    with serving(env=environment) as server:  # the bundled chat, a program in Glyph
        with connect_now(
            server.ws("/rooms/tea/Ada"), additional_headers=TRACEPARENT, proxy=None
        ) as ada:
            ada.send('{"type": "say", "text": "hello"}')
            while "hello" not in ada.recv(timeout=10):
                pass  # who is there comes first
        assert server.stop() == 0
        assert server.process.stdout is not None
        written = server.process.stdout.read().decode()
    assert '"name": "GET /rooms/:room/:nick"' in written
    assert '"name": "on_message /rooms/:room/:nick"' in written
    assert TRACE in written
    assert "hello" not in written


def test_without_opentelemetry_it_says_what_to_install():
    program = "import sys; sys.modules['opentelemetry'] = None; import glyph_fast.otel"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: glyph_fast.otel needs opentelemetry: pip install 'glyph-fast[otel]'"
    )


def test_a_stream_of_events_is_opened_in_a_span(backend, run):
    async def main():
        traced = Traced()
        traced.server.room("news", client_join=True)
        traced.server.events("/events")
        async with running(traced.server, backend) as url:
            async with listening(url, "/events?room=news", **TRACEPARENT) as stream:
                span = await traced.span("GET /events")
                assert span.context.trace_id == int(TRACE, 16)
                assert span.attributes["http.response.status_code"] == 200
                assert span.attributes["url.scheme"] == "http"
                assert span.attributes["glyph_fast.connection.id"] == stream.id

    run(main())
