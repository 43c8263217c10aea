"""The figures as OpenTelemetry metrics, as the in-memory reader collects them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from websockets.asyncio.client import connect

from glyph_fast import MessageContext, MessageType, Server
from glyph_fast.otel import GlyphFastInstrumentor, instrument, measures
from tests.running import running

Figures = dict[tuple[str, ...], float]


def collected(reader: InMemoryMetricReader) -> Figures:
    """Values by name and labels."""
    data: Any = reader.get_metrics_data()
    return {
        (metric.name.removeprefix("glyph_fast."), *point.attributes.values()): point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def application() -> Server:
    server = Server()

    @server.on_message(MessageType.TEXT)
    def say(ctx: MessageContext) -> None:
        if ctx.message.data == "fail":
            raise LookupError("as asked")
        ctx.conn.join_room("blue")
        ctx.reply(MessageType.TEXT, ctx.message.data)

    return server


def test_a_collection_has_what_happened(backend, run):
    async def main():
        reader = InMemoryMetricReader()
        server = application()
        instrument(server, meter_provider=MeterProvider([reader]))
        async with running(server, backend) as url:
            async with connect(url.ws("/ws"), proxy=None) as ada:
                await ada.send("fail")
                for _ in range(20):
                    await ada.send("one")
                    assert await ada.recv() == "one"
                now = collected(reader)
                assert now["connections",] == now["connections.opened",] == now["rooms",] == 1
                assert now["room.members", "blue"] == 1
                assert now["messages.received",] == 21
                assert now["messages.sent",] == 20
                assert now["bytes.sent",] > now["messages.sent",]
                assert now["handler.errors",] == 1
                assert now["messages.dropped", "oldest"] == 0
                assert now["messages.unhandled",] == 0
                assert now["connections.rejected", "origin"] == 0
                assert now["connections.closed", "1006"] == 0
                assert now["queue.size",] == now["pongs.missed",] == 0
                assert now["handler.duration.count",] > 0
                assert now["handler.duration.sum",] > 0
                assert now["handler.duration", "0.50"] <= now["handler.duration", "0.99"]
                assert ("ping_rtt.duration", "0.99") not in now
        assert collected(reader)["connections",] == 0

    run(main())


def test_rooms_that_clients_name_are_told_apart_up_to_a_number(backend, run, monkeypatch):
    monkeypatch.setattr(measures, "MAX_ROOM_NAMES", 3)

    async def main():
        reader = InMemoryMetricReader()
        server = Server()
        server.websocket("/ws")
        server.room("*", client_join=True)
        instrument(server, meter_provider=MeterProvider([reader]))

        def sizes() -> dict[str, float]:
            now = collected(reader).items()
            return {key[1]: value for key, value in now if key[0] == "room.members"}

        async with running(server, backend) as url:
            async with connect(url.ws("/ws"), proxy=None) as ada:

                async def say(type: str, room: str) -> None:
                    await ada.send(json.dumps({"type": type, "room": room}))
                    await ada.recv()

                for number in range(5):
                    await say("join_room", f"room {number}")
                    now = sizes()
                assert len(now) == 4
                assert now[True] == 2  # those beyond, together
                for number in range(5):
                    await say("leave_room", f"room {number}")
                await say("join_room", "another")
                assert sizes() == {True: 1}  # names that are gone are remembered
                known = next(name for name in now if name is not True)
                await say("join_room", known)
                assert sizes() == {known: 1, True: 1}

    run(main())


def test_the_instrumentor_reaches_servers_that_are_made_later(backend, run):
    async def main():
        reader = InMemoryMetricReader()
        instrumentor = GlyphFastInstrumentor()
        instrumentor.instrument(meter_provider=MeterProvider([reader]))
        try:
            server = application()
        finally:
            instrumentor.uninstrument()
        assert server._is_observed
        assert not application()._is_observed
        async with running(server, backend) as url:
            async with connect(url.ws("/ws"), proxy=None):
                assert collected(reader)["connections",] == 1

    run(main())


def test_a_server_without_it_imports_nothing_of_it():
    program = (
        "import sys, glyph_fast.server, glyph_fast.admin; print('opentelemetry' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"
