"""What a broker costs a node: `python -m bench.broker`.

One process publishes and another receives, through a Redis or Valkey of its own on the loopback.
CPU is that of the node's process alone, by its own clock, over all messages but the first thousand;
the loop is the one that a server would take.
What a node does beside (sockets of clients, handlers) is measured elsewhere.

    publish   a room that remembers, so many messages on their way at a time, each awaited
    tell      the same room, not awaited
    receive   what one member's node does with each of these
    plain     the last two, in a room that remembers nothing
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
from collections.abc import Coroutine
from statistics import median
from typing import Any, TypeVar

from glyph_fast.broker.history import Ask
from glyph_fast.broker.nats.bus import NatsBus
from glyph_fast.broker.nodes.broker import NodesBroker
from glyph_fast.broker.redis.broker import RedisBroker
from glyph_fast.dialects.publication import ROOM, json_publication
from glyph_fast.options.broker import read_broker_url
from glyph_fast.options.choice import new_event_loop
from glyph_fast.options.rooms import RoomDeclaration
from glyph_fast.wire import NOBODY

from .rivals.comparison import commit, describe_machine

NAME, PLAIN = "kept:bench", "bench"  # rooms: one that remembers, and one that does not
WARM = 1000  # messages that do not count
DEADLINE_S = 120.0
_NOTHING = Ask(limit=0)


def made(url: str, deliver: Any) -> Any:
    """A node without a server."""
    read = read_broker_url(url)
    broker = (
        NodesBroker(NatsBus(read), "bench")
        if url.startswith("nats:")
        else RedisBroker(read, "bench")
    )
    broker.attach(deliver)
    terms = RoomDeclaration(pattern="*", history_size=100)
    broker.remember(lambda name: None if name == PLAIN else terms, 0, lambda publication: None)
    return broker


class Redis:
    """A server of its own on the loopback, until the end of the block."""

    scheme = "redis"

    def __init__(self, binary: str) -> None:
        self._binary = binary
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self._port = sock.getsockname()[1]
        self.url = f"{self.scheme}://127.0.0.1:{self._port}"

    def __enter__(self) -> Redis:
        self._directory = tempfile.TemporaryDirectory()
        self.start()
        return self

    def _options(self) -> list[str]:
        return ["--dir", self._directory.name, "--save", ""]

    def start(self) -> None:
        """Start it, and return once it answers."""
        command = [self._binary, "--port", str(self._port), *self._options()]
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=null, stderr=null)
        until = time.monotonic() + DEADLINE_S
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self._port), 1) as sock:
                    sock.sendall(b"PING\r\n")
                    if sock.recv(5) in (b"+PONG", b"INFO "):
                        return
            except OSError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.01)

    def kill(self) -> None:
        """End it at once; what it kept is gone."""
        self._process.kill()
        self._process.wait(10)

    def __exit__(self, *_exc: object) -> None:
        self.kill()
        self._directory.cleanup()


class Nats(Redis):
    """The same, of NATS."""

    scheme = "nats"

    def _options(self) -> list[str]:
        return ["--addr", "127.0.0.1"]


T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, on the loop that a server would take."""
    with asyncio.Runner(loop_factory=lambda: new_event_loop("auto")) as runner:
        return runner.run(work)


async def answered(broker: Any) -> None:
    """Return when its server has read all that was sent before."""
    if isinstance(broker, RedisBroker):
        await broker.link.commands.ask("PING")
    else:
        await broker.nodes.bus._conn.ping()


async def reached(broker: Any) -> None:
    """Return when its server, which may just have been started, is there."""
    await broker.start()
    async with asyncio.timeout(DEADLINE_S):
        while broker.state != "up":
            await asyncio.sleep(0.01)


async def publish(
    url: str, messages: int, window: int, is_awaited: bool, name: str = NAME
) -> float:
    """CPU seconds a message of who publishes."""
    broker = made(url, lambda publication: NOBODY)
    await reached(broker)
    text = json.dumps({"text": "x" * 100})

    async def some(count: int) -> None:
        for _ in range(count):
            publication = json_publication(ROOM, name, text)
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
            await answered(broker)

    await all_of(WARM)
    began = time.process_time()
    await all_of(messages)
    used = time.process_time() - began
    await broker.close()
    return used / (-(-messages // window) * window)


async def receive(url: str, messages: int, name: str) -> None:
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
    broker.subscribe(name)
    if name == NAME:
        await broker.history(name, _NOTHING)
    elif isinstance(broker, RedisBroker):
        await broker._bus.subscribed(broker.nodes._of_room(name))
    else:
        await answered(broker)
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


def receiving(url: str, messages: int, window: int, name: str = NAME) -> tuple[float, float]:
    """CPU seconds a message of a process that receives, and of this one, which publishes."""
    command = [
        *(sys.executable, "-m", "bench.broker", "--receive", url, "--room", name),
        *("--messages", str(messages)),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        told = run(publish(url, messages, window, False, name))
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
    parser.add_argument("--room", default=NAME, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        run(receive(options.receive, options.messages, options.room))
        return
    with Redis(options.server) as redis:
        figures = _measure(redis.url, options)
    if options.json:
        print(json.dumps({"commit": commit(), "machine": describe_machine(), **figures}))
        return
    for name, value in figures.items():
        print(f"{name:24} {value}")


def _measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    awaited, told, received, plain, plain_received = [], [], [], [], []
    for _ in range(options.samples):
        work = publish(url, options.messages, options.window, True)
        awaited.append(run(work) * 1e6)
        got, sent = receiving(url, options.messages, options.window)
        received.append(got * 1e6)
        told.append(sent * 1e6)
        got, sent = receiving(url, options.messages, options.window, PLAIN)
        plain_received.append(got * 1e6)
        plain.append(sent * 1e6)
    found = run(latencies(url, options.rate, options.seconds))
    return {
        **_spread("publish_us", awaited),
        **_spread("tell_us", told),
        **_spread("receive_us", received),
        **_spread("plain_us", plain),
        **_spread("plain_receive_us", plain_received),
        "latency_p50_ms": round(found[len(found) // 2] * 1e3, 3),
        "latency_p99_ms": round(found[int(len(found) * 0.99)] * 1e3, 3),
    }


def _spread(name: str, values: list[float]) -> dict[str, float]:
    middle = median(values)
    return {
        name: round(middle, 2),
        f"{name}_spread_%": round(100 * (max(values) - min(values)) / middle, 1),
    }


if __name__ == "__main__":
    main()
