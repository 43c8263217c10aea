"""What TLS costs the server: `python -m bench.tls`. Prints a page for `results/`.

The same program is served four ways, all at once: by each engine, plain and with TLS. The works run
on each in turn, round after round, so that a slow minute of the machine meets all of them. Counted
is the CPU time of the server's process; every answer is compared with what was sent. The
certificate is ECDSA P-256, the version TLS 1.3 without resumption, so each connection pays a whole
handshake.

Beside them stands what OpenSSL alone takes for the same bytes, from memory to memory by the `ssl`
module: that much of the difference is not ours to save.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from glyph_fast.engine.tls import server_context
from glyph_fast.load.process import ServerProcess
from glyph_fast.wire import TEXT

from .rivals.catalogue import ROOT
from .rivals.comparison import describe_machine

CONNECTIONS = 16
MASK = bytes.fromhex("11223344")
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
ACCEPT = b"ICX+Yqv66kxgM0FcWaLWlFLwTAI="  # of that key (RFC 6455 §4.2.2)

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Target(NamedTuple):
    """One way to serve."""

    title: str
    process: ServerProcess
    port: int
    tls: ssl.SSLContext | None

    async def connect(self) -> Peer:
        """An open WebSocket."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            ssl=self.tls,
            server_hostname="localhost" if self.tls else None,
        )
        writer.write(UPGRADE)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ") and ACCEPT in head, head
        return reader, writer


def frames(size: int) -> tuple[bytes, bytes]:
    """A message as a client sends it and as it comes back."""
    payload = os.urandom(size // 2).hex().encode().ljust(size, b"x")
    masked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    first = bytes([0x80 | TEXT])
    question = first + bytes([0x80 | length[0]]) + length[1:] + MASK + masked
    return question, first + length + payload


async def echo(target: Target, count: int, *, size: int, in_flight: int) -> float:
    """µs of server CPU per message that comes back."""
    question, answer = frames(size)
    questions, answers = question * in_flight, answer * in_flight
    turns = max(1, count // CONNECTIONS // in_flight)

    async def talk(peer: Peer, turns: int) -> None:
        reader, writer = peer
        for _ in range(turns):
            writer.write(questions)
            assert await reader.readexactly(len(answers)) == answers

    peers = [await target.connect() for _ in range(CONNECTIONS)]
    await asyncio.gather(*(talk(peer, min(turns, 20)) for peer in peers))  # warm
    before = target.process.cpu_ns()
    await asyncio.gather(*(talk(peer, turns) for peer in peers))
    spent = target.process.cpu_ns() - before
    for _, writer in peers:
        writer.transport.abort()
    return spent / 1000 / (turns * in_flight * CONNECTIONS)


async def connect(target: Target, count: int) -> float:
    """µs of server CPU per connection: accepted, upgraded, and gone again."""

    async def come_and_go(times: int) -> None:
        for _ in range(times):
            _, writer = await target.connect()
            writer.transport.abort()

    await come_and_go(5)
    before = target.process.cpu_ns()
    times = max(1, count // CONNECTIONS)
    await asyncio.gather(*(come_and_go(times) for _ in range(CONNECTIONS)))
    return (target.process.cpu_ns() - before) / 1000 / (times * CONNECTIONS)


class Pair:
    """A server's and a client's session in memory; `spent` is the server's CPU in seconds."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        self.up, self.down = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = server.wrap_bio(self.up, self.down, server_side=True)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.buffer = bytearray(1 << 16)
        self.spent = 0.0

    def timed(self, step: Callable[[], object]) -> None:
        """A step of the server's."""
        begin = time.thread_time()
        with suppress(ssl.SSLWantReadError):
            step()
        self.spent += time.thread_time() - begin

    def shake_hands(self) -> None:
        """Both halves."""
        for _ in range(2):
            with suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
            self.up.write(self.outgoing.read())
            self.timed(self.server.do_handshake)
            self.incoming.write(self.down.read())

    def answer(self, ciphertext: bytes, plain: bytes) -> None:
        """Decrypt the one and encrypt the other."""
        self.up.write(ciphertext)
        while self.up.pending:
            self.server.read(len(self.buffer), self.buffer)
        self.server.write(plain)
        self.down.read()


def openssl_alone(contexts: tuple[ssl.SSLContext, ssl.SSLContext], size: int, many: int) -> float:
    """µs of CPU per message of an echo, of `many` at a time."""
    pair = Pair(*contexts)
    pair.shake_hands()
    question, answer = frames(size)
    asked = []
    for _ in range(500):
        pair.client.write(question * many)
        asked.append(pair.outgoing.read())
    begin = time.thread_time()
    for ciphertext in asked:
        pair.answer(ciphertext, answer * many)
    return (time.thread_time() - begin) * 1e6 / len(asked) / many


def handshake_alone(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> float:
    """µs of CPU for the server's half of a handshake."""
    pairs = [Pair(*contexts) for _ in range(100)]
    for pair in pairs:
        pair.shake_hands()
    return sum(pair.spent for pair in pairs) * 1e6 / len(pairs)


ALONE = "OpenSSL alone"
Work = Callable[[Target, int], Awaitable[float]]
WORKS: dict[str, tuple[Work, int]] = {  # with the number of messages or connections of a round
    "echo, 64 B, 1 in flight": (partial(echo, size=64, in_flight=1), 20_000),
    "echo, 64 B, 16 in flight": (partial(echo, size=64, in_flight=16), 80_000),
    "echo, 16 KiB, 1 in flight": (partial(echo, size=16384, in_flight=1), 6_000),
    "connect": (connect, 1_500),
}
Alone = Callable[[tuple[ssl.SSLContext, ssl.SSLContext]], float]
ALONE_WORKS: dict[str, Alone] = {
    "echo, 64 B, 1 in flight": partial(openssl_alone, size=64, many=1),
    "echo, 64 B, 16 in flight": partial(openssl_alone, size=64, many=16),
    "echo, 16 KiB, 1 in flight": partial(openssl_alone, size=16384, many=1),
    "connect": handshake_alone,
}


def make_certificate(folder: Path) -> tuple[str, str]:
    """Files of a certificate for localhost and of its key."""
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -subj /CN=localhost -addext subjectAltName=DNS:localhost -out {cert} -keyout {key}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return cert, key


@contextmanager
def serving(title: str, tls: tuple[str, str] | None, *options: str) -> Iterator[Target]:
    """The echo example, served."""
    command = [sys.executable, "-m", "glyph_fast", "serve", "echo:server", "--port", "0"]
    command += ["--log-level", "error", *options]
    if tls is not None:
        command += ["--tls-cert", tls[0], "--tls-key", tls[1]]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=ROOT / "examples/echo", env=environ, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        context = ssl.create_default_context(cafile=tls[0]) if tls is not None else None
        yield Target(title, ServerProcess(process.pid), port, context)
    finally:
        process.terminate()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def measure(rounds: int, scale: float) -> dict[str, dict[str, list[float]]]:
    """The figures of each round, by work and way to serve."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with TemporaryDirectory() as folder, ExitStack() as stack:
        files = make_certificate(Path(folder))
        targets = [
            stack.enter_context(serving("plain, native engine", None, "--engine", "native")),
            stack.enter_context(serving("plain, asyncio engine", None, "--engine", "asyncio")),
            stack.enter_context(serving("TLS 1.3, native engine", files, "--engine", "native")),
            stack.enter_context(serving("TLS 1.3, asyncio engine", files, "--engine", "asyncio")),
        ]
        contexts = server_context(*files), ssl.create_default_context(cafile=files[0])
        for _ in range(rounds):
            for name, (work, count) in WORKS.items():
                for target in targets:
                    figure = asyncio.run(_run(work(target, int(count * scale))))
                    found[name][target.title].append(figure)
                found[name][ALONE].append(ALONE_WORKS[name](contexts))
    return found


async def _run(work: Awaitable[float]) -> float:
    return await work


def page(found: dict[str, dict[str, list[float]]], rounds: int) -> str:
    """The figures as Markdown: medians, with the least and the greatest."""
    machine = describe_machine()
    titles = list(next(iter(found.values())))
    lines = [
        f"# TLS, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "",
        f"{machine['processor']}, {machine['cpus']} CPUs, {machine['system']}, Python "
        f"{machine['python']}, {ssl.OPENSSL_VERSION}; load average {machine['load_average']}.",
        "",
        f"Server CPU in µs per message or connection, {rounds} interleaved rounds: median (least to"
        f" greatest). {CONNECTIONS} clients. Printed by `python -m bench.tls`.",
        "",
        "| work | " + " | ".join(titles) + " | TLS to plain: native | asyncio |",
        "|---|" + "--:|" * (len(titles) + 2),
    ]
    for name, figures in found.items():
        cells = [
            f"{statistics.median(each):.3g} ({min(each):.3g}–{max(each):.3g})"
            for each in figures.values()
        ]
        native, asynchronous, tls, tls_asynchronous, _ = map(statistics.median, figures.values())
        ratios = f"{tls / native:.2f} | {tls_asynchronous / asynchronous:.2f}"
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {ratios} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scale", type=float, default=1.0, help="of the amount of work")
    options = parser.parse_args()
    print(page(measure(options.rounds, options.scale), options.rounds))


if __name__ == "__main__":
    main()
