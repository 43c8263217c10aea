"""A live dashboard: one background task measures, every open page shows it at once.

    cd examples/dashboard
    glyph-fast serve dashboard:server       # or: python dashboard.py
    # then open http://127.0.0.1:8080/

The task starts with the server, is restarted should it fail, and is cancelled when the server
stops. It costs the same for one viewer and for a thousand: each figure is encoded once. With
`--workers` it runs in one of them, whose messages, time and memory these are.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from glyph_fast import Config, Connection, MessageContext, MessageType, Request, Response, Server

ROOM = "viewers"
INTERVAL_S = 1.0
HISTORY = 120  # samples kept for those who come later
PAGE = Path(__file__).with_name("index.html").read_text(encoding="utf-8")

Sample = dict[str, float | int | None]


@dataclass
class Traffic:
    """What came in since the server started."""

    messages: int = 0


server = Server(Config(serve_client=True))  # the page's script, /glyph-fast.js
traffic = Traffic()
server.room(ROOM, history_size=HISTORY)


@server.background
async def measure() -> None:
    """Take a sample every second and show it to everybody."""
    before, cpu_before, messages_before = time.monotonic(), time.process_time(), traffic.messages
    while True:
        await asyncio.sleep(INTERVAL_S)
        now, cpu, messages = time.monotonic(), time.process_time(), traffic.messages
        elapsed = now - before
        sample: Sample = {
            "time": round(time.time(), 3),
            "connections": await server.hub.count(),
            "messages_per_s": round((messages - messages_before) / elapsed, 1),
            "cpu_percent": round(100 * (cpu - cpu_before) / elapsed, 1),
            "loop_delay_ms": round(max(0.0, elapsed - INTERVAL_S) * 1000, 2),
            "memory_mib": memory_mib(),
        }
        before, cpu_before, messages_before = now, cpu, messages
        server.hub.broadcast_json_to_room(ROOM, {"type": "sample", "sample": sample})


@server.on_connect(route="/live")
async def watch(conn: Connection) -> None:
    """A newcomer first gets the past, then, with the others, each new sample."""
    past = (await conn.join(ROOM, history=HISTORY)).messages
    conn.send_json({"type": "history", "samples": [each.data["sample"] for each in past]})


@server.on_message(MessageType.JSON, route="/live")
def count(ctx: MessageContext) -> None:
    """The page can send messages, so that there is something to see."""
    traffic.messages += 1


@server.get("/")
def page(request: Request) -> Response:
    """The page, one file."""
    return Response(PAGE, 200, {"Content-Type": "text/html; charset=utf-8"})


@server.get("/samples")
async def samples(request: Request) -> list[Sample]:
    """The same figures for programs: `curl http://127.0.0.1:8080/samples`."""
    return [each.data["sample"] for each in (await server.hub.history(ROOM)).messages]


def memory_mib() -> float | None:
    """Resident memory of this process; None where /proc does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    from resource import getpagesize

    return round(pages * getpagesize() / 2**20, 1)


if __name__ == "__main__":
    server.run()
