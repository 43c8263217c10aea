"""What a broker costs a node: `python -m bench.broker`.

One process publishes and another receives, through a Redis or Valkey of its own on the loopback.
CPU is that of the node's process alone, by its own clock, over all messages but the first thousand.
What a node does beside (sockets of clients, handlers) is measured elsewhere.

    publish   a room that remembers, so many messages on their way at a time, each awaited
    tell      the same room, not awaited
    receive   what one member's node does with each of these
    latency   from `publish` to `deliver` on the other node at a rate, with one clock
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from statistics import median
from typing import Any

from glyph_fast.broker.history import Ask
from glyph_fast.broker.redis.broker import RedisBroker
from glyph_fast.dialects.publication import ROOM, json_publication
from glyph_fast.options.broker import read_broker_url
from glyph_fast.options.rooms import RoomDeclaration
from glyph_fast.wire import NOBODY

from .rivals.comparison import commit, describe_machine

NAME = "kept:bench"
WARM = 1000  # messages that do not count
DEADLINE_S = 120.0
_NOTHING = Ask(limit=0)


def made(url: str, deliver: Any) -> RedisBroker:
    """A node without a server."""
    broker = RedisBroker(read_broker_url(url), "bench")
    broker.attach(deliver)
    terms = RoomDeclaration(pattern="*", history_size=100)
    broker.remember(lambda name: terms, 0, lambda publication: None)
    return broker


async def reached(broker: RedisBroker) -> None:
    """Return when its Redis, which may just have been started, is there."""
    await broker.start()
    async with asyncio.timeout(DEADLINE_S):
        while broker.state != "up":
            await asyncio.sleep(0.01)


async def publish(url: str, messages: int, window: int, is_awaited: bool) -> float:
    """CPU seconds a message of who publishes."""
    broker = made(url, lambda publication: NOBODY)
    await reached(broker)
    text = json.dumps({"text": "x" * 100})

    async def some(count: int) -> None:
        for _ in range(count):
            publication = json_publication(ROOM, NAME, text)
            if is_awaited:
                await broker.publish_once(publication)
            else:
                broker.publish(publication)

    async def all_of(count: int) -> None:
        if is_awaited:
            await asyncio.gather(*(some(-(-count // window)) for _ in range(window)))
            return
        for _ in range(-(-count // window)):
            await some(window)
            await broker.link.commands.ask("PING")

    await all_of(WARM)
    began = time.process_time()
    await all_of(messages)
    used = time.process_time() - began
    await broker.close()
    return used / (-(-messages // window) * window)


async def receive(url: str, messages: int) -> None:
    """Print when it listens, and then the CPU seconds a message of who receives."""
    got, began = 0, 0.0
    done = asyncio.Event()

    def deliver(publication: Any) -> Any:
        nonlocal got, began
        got += 1
        if got == WARM:
            began = time.process_time()
        elif got == WARM + messages:
            done.set()
        return NOBODY

    broker = made(url, deliver)
    await reached(broker)
    broker.subscribe(NAME)
    await broker.history(NAME, _NOTHING)
    print("listening", flush=True)
    async with asyncio.timeout(DEADLINE_S):
        await done.wait()
    print((time.process_time() - began) / messages, flush=True)
    await broker.close()


async def latencies(url: str, rate: int, seconds: float) -> list[float]:
    """Seconds from publishing to delivery on another node, both in this process."""
    sent: dict[str, float] = {}
    found: list[float] = []

    def deliver(publication: Any) -> Any:
        at = sent.pop(publication.payload.decode(), None)
        if at is not None:
            found.append(time.perf_counter() - at)
        return NOBODY

    one, two = made(url, lambda publication: NOBODY), made(url, deliver)
    await reached(one)
    await reached(two)
    two.subscribe(NAME)
    await two.history(NAME, _NOTHING)
    began = time.perf_counter()
    for n in range(int(rate * seconds)):
        text = f'{{"n":{n}}}'
        sent[text] = time.perf_counter()
        one.publish(json_publication(ROOM, NAME, text))
        await asyncio.sleep(max(0.0, began + (n + 1) / rate - time.perf_counter()))
    async with asyncio.timeout(DEADLINE_S):
        while sent:
            await asyncio.sleep(0.01)
    await one.close()
    await two.close()
    return sorted(found)


def receiving(url: str, messages: int, window: int) -> tuple[float, float]:
    """CPU seconds a message of a process that receives, and of this one, which publishes."""
    command = [sys.executable, "-m", "bench.broker", "--receive", url, "--messages", str(messages)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        told = asyncio.run(publish(url, messages, window, False))
        return float(process.stdout.readline()), told
    finally:
        process.wait(DEADLINE_S)


def main() -> None:
    """Measure, and print a line for each figure, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="redis-server", help="the server to start")
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--window", type=int, default=16, help="messages on the way")
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--rate", type=int, default=1000, help="messages a second for latencies")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--receive", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        asyncio.run(receive(options.receive, options.messages))
        return
    with tempfile.TemporaryDirectory() as directory:
        port = _free_port()
        server = subprocess.Popen(
            [options.server, "--port", str(port), "--dir", directory, "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        try:
            figures = _measure(f"redis://127.0.0.1:{port}", options)
        finally:
            server.terminate()
            server.wait(10)
    if options.json:
        print(json.dumps({"commit": commit(), "machine": describe_machine(), **figures}))
        return
    for name, value in figures.items():
        print(f"{name:24} {value}")


def _measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    awaited, told, received = [], [], []
    for _ in range(options.samples):
        work = publish(url, options.messages, options.window, True)
        awaited.append(asyncio.run(work) * 1e6)
        got, sent = receiving(url, options.messages, options.window)
        received.append(got * 1e6)
        told.append(sent * 1e6)
    found = asyncio.run(latencies(url, options.rate, options.seconds))
    return {
        **_spread("publish_us", awaited),
        **_spread("tell_us", told),
        **_spread("receive_us", received),
        "latency_p50_ms": round(found[len(found) // 2] * 1e3, 3),
        "latency_p99_ms": round(found[int(len(found) * 0.99)] * 1e3, 3),
    }


def _spread(name: str, values: list[float]) -> dict[str, float]:
    middle = median(values)
    return {
        name: round(middle, 2),
        f"{name}_spread_%": round(100 * (max(values) - min(values)) / middle, 1),
    }


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
