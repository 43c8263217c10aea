"""Fail every allocation of a conversation in turn, and judge what its clients got.

    LD_PRELOAD=failing_malloc.so PYTHONMALLOC=malloc python allocations.py CORE WAY COUNTS [SECONDS]

CORE is `_core` or `_pure`; WAY says how bytes leave: to a `sink`, by it to a `descriptor` of its
own, `packed` by a codec, by the sockets of a `poller`, or by so many of these that they leave in a
`batch` (io_uring, where the kernel lets us). So many allocations in a row fail: COUNTS are one or
more numbers, with commas between. A stream must be whole: every message that was accepted arrives,
once and in its order, unless the connection ended, and then a beginning of them. Nobody else is
disturbed, each end is told once, and no frame is left behind. Within SECONDS as many places are
tried as can be, spread over the conversation, the same each time. Prints how many were tried, and
of how many.
"""

from __future__ import annotations

import ctypes
import gc
import random
import socket
import sys
import time
from importlib import import_module
from itertools import product
from typing import Any

from glyph_fast.errors import ConnectionClosed
from glyph_fast.wire import CLOSED, ENDING, OPEN

libc = ctypes.CDLL(None)
FAIL, PAUSE, RESUME = libc.gf_fail, libc.gf_pause, libc.gf_resume
COUNTED = libc.gf_counted
FAIL.argtypes = (ctypes.c_long, ctypes.c_long)
COUNTED.restype = ctypes.c_long
KEY = bytes(4)
LAST = b"after all"
MEMBERS = {"batch": 12}  # of the room; a batch is used from 8 on


class Out:
    """Takes bytes in uneven pieces; what it does itself never fails."""

    def __init__(self) -> None:
        self.sock: socket.socket | None = None  # whose descriptor the core writes to as well
        self.data = bytearray()
        self.takes = [3, 0, 40, 70_000, 0, 1]

    def writev(self, buffers: Any) -> int:
        with SPARED:
            data = b"".join(buffers)
            if self.sock is not None:
                try:
                    return self.sock.send(data)
                except BlockingIOError:
                    return 0
            taken = min(self.takes.pop(), len(data)) if self.takes else len(data)
            self.data += data[:taken]
            return taken

    def unsent(self) -> int:
        return 0

    def nothing(self) -> None:
        pass

    pause_reading = resume_reading = shutdown = close = abort = nothing


class Spared:
    """A part of the test itself, in which no allocation fails."""

    def __enter__(self) -> None:
        PAUSE()

    def __exit__(self, *_exc: object) -> None:
        RESUME()


SPARED = Spared()


class Packing:
    """A codec that packs as frames leave; what it has packed may not be lost."""

    def encode(self, frame: Any) -> bytes:
        return bytes(frame.data)

    def decode(self, payload: bytes, limit: int) -> bytes:
        return payload

    def pack(self, data: bytes) -> bytes:
        return data


class Site:
    """The connections of a turn, and what was said to them."""

    def __init__(self, core: Any, way: str) -> None:
        self.core = core
        self.closed: list[Any] = []
        self.failures = 0
        self.turn = core.Turn(core.Limits(queue_bytes=1 << 24, ping_interval=0), self)
        self.conns: list[Any] = []
        self.data: list[bytearray] = []  # what each client got
        self.said: list[list[Any]] = []  # texts, and whether they must arrive
        self.theirs: list[socket.socket] = []
        self.ours: list[socket.socket] = []
        self.poller: Any = None
        if way in ("poller", "batch"):
            self.poller = core.Poller(self.turn, lambda exc: None)
            listener = socket.create_server(("127.0.0.1", 0))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            listener.setblocking(False)
            self.ours.append(listener)
            self.poller.listen(listener)
        for n in range(MEMBERS.get(way, 3)):
            if self.poller:
                self.knock()
                while len(self.conns) <= n:
                    self.poller.run_turn()
            else:
                self.connect(way, str(n))
        self.room = core.Room()
        for conn in self.conns:
            self.room.add(conn)
        self.replies = [b"a" * 10, b"b" * 200]

    def connect(self, way: str, name: str) -> None:
        """A connection without a poller."""
        out = Out()
        conn = self.core.Connection(self.turn, out)
        if way == "packed":
            conn._use_codec(Packing())
        self.request(conn, b"")
        if way == "descriptor":
            out.sock, theirs = socket.socketpair()
            out.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            out.sock.setblocking(False)
            theirs.setblocking(False)
            self.ours.append(out.sock)
            self.theirs.append(theirs)
            conn._write_through(out.sock.fileno(), lambda: False)
        else:
            self.data[-1] = out.data

    def knock(self) -> None:
        """A client asks a listening socket."""
        with SPARED:
            sock = socket.create_connection(self.ours[0].getsockname())
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            sock.setblocking(False)
            self.theirs.append(sock)

    def hear(self, n: int, message: bytes) -> None:
        """Have bytes come."""
        if not self.poller:
            self.conns[n]._feed(message)
            return
        with SPARED:
            self.theirs[n].sendall(message)
        self.poller.run_turn()

    def read(self) -> None:
        """Take what has left for the clients."""
        for n, sock in enumerate(self.theirs):
            try:
                while piece := sock.recv(1 << 20):
                    self.data[n] += piece
            except (BlockingIOError, ConnectionError):
                pass

    def end(self) -> None:
        """Close everything."""
        for conn in self.turn:
            conn.abort()
        self.turn.flush()
        if self.poller:
            self.poller.close()
        for sock in self.ours + self.theirs:
            sock.close()

    # The handler.

    def request(self, conn: Any, head: bytes) -> None:
        conn.id = str(len(self.conns))
        conn._upgrade()
        with SPARED:
            self.conns.append(conn)
            self.said.append([])
            self.data.append(bytearray())

    def message(self, conn: Any, opcode: int, payload: Any) -> None:
        for text in self.replies:
            self.say(int(conn.id), text)

    def close(self, conn: Any, code: int, reason: str) -> None:
        with SPARED:
            self.closed.append(conn)

    def failed(self, conn: Any, exc: BaseException) -> None:
        self.failures += 1

    def drain(self, conn: Any) -> None:
        pass

    full = drain

    def say(self, n: int, text: bytes) -> None:
        """Send, and note whether it was accepted: only then it must arrive."""
        entry = [text, False]
        self.said[n].append(entry)
        try:
            if not self.conns[n].send(text).dropped:
                entry[1] = True
        except (MemoryError, ConnectionClosed):
            pass

    def tell(self, frame: Any, text: bytes) -> None:
        """Publish; what raises may have been given to all by then."""
        entry = [text, False]
        for said in self.said[: len(self.room)]:
            said.append(entry)
        self.room.publish(frame)
        entry[1] = True


def frames(data: bytes) -> tuple[list[bytes], int]:
    """The payloads of the whole binary frames, and how many bytes are left."""
    found = []
    while len(data) >= 2:
        size, head = data[1] & 127, 2
        if size >= 126:
            head = 4 if size == 126 else 10
            size = int.from_bytes(data[2:head], "big")
        if len(data) < head + size:
            break
        if data[0] == 0x82:
            found.append(bytes(data[head : head + size]))
        data = data[head + size :]
    return found, len(data)


def converse(site: Site, shared: Any) -> None:
    """What a server does: replies, direct sends, a broadcast, large messages, an end."""
    message = site.core.encode_frame(2, b"go", key=KEY)
    steps = [
        lambda: site.hear(0, message),
        lambda: site.turn.flush(),
        lambda: site.hear(1, message),
        lambda: site.tell(shared, b"for all"),
        lambda: site.say(1, b"c" * 100_000),
        lambda: site.turn.flush(),
        lambda: site.say(2, b"d" * 5_000),
        lambda: site.conns[2]._ping(),
        lambda: site.hear(2, message + message),
        lambda: site.say(2, b"e" * 90_000),
        lambda: site.turn.flush(),
        *[lambda: site.tell(shared, b"for all")] * 20,
        lambda: site.turn.flush(),
    ]
    if site.poller:
        steps += [site.knock, site.poller.run_turn, site.poller.run_turn]
    for step in steps:
        try:
            step()
        except MemoryError:
            pass


def settle(site: Site) -> None:
    """With memory again: all that is due happens, within the seconds of two sweeps."""
    now = site.turn.clock()
    for _ in range(40):
        site.read()
        for conn in site.conns:
            if conn._phase != CLOSED:
                conn._flush()
        if site.poller:
            site.poller.run_turn()
        now += 0.1
        site.turn.sweep(now)
        site.turn.flush()
    for conn in site.conns:
        if conn._phase == ENDING:  # told why; its client goes
            conn._feed_eof()
    for conn in site.turn:  # one that came without memory may never have been a WebSocket
        if conn not in site.conns:
            conn.abort()
    site.turn.flush()
    await_last(site)


def await_last(site: Site) -> None:
    """Send a last message to each, and read until it is there: kernels take their time."""
    for n, conn in enumerate(site.conns):
        if conn._phase == OPEN:
            site.say(n, LAST)
    deadline = time.monotonic() + 10
    while not all(
        conn._phase == CLOSED or data.endswith(LAST)
        for conn, data in zip(site.conns, site.data, strict=True)
    ):
        for conn in site.conns:
            conn._flush()
        if site.poller:
            site.poller.run_turn()
        site.read()
        if time.monotonic() > deadline:
            return  # which `judge` will notice
    site.read()


def agrees(got: list[bytes], said: list[Any]) -> bool:
    """Whether exactly this was said, with or without what need not arrive."""
    places = {0}
    for text, is_certain in said:
        further = {at + 1 for at in places if at < len(got) and got[at] == text}
        places = further if is_certain else further | places
    return len(got) in places


def judge(site: Site, where: str) -> None:
    for n, conn in enumerate(site.conns):
        got, rest = frames(bytes(site.data[n]))
        said = site.said[n]
        if conn._phase == CLOSED:
            assert site.closed.count(conn) == 1, (where, n, "told", site.closed.count(conn))
            assert any(agrees(got, said[:end]) for end in range(len(said) + 1)), (
                where,
                n,
                "a hole",
            )
            continue
        assert rest == 0, (where, n, "half a frame", rest)
        assert conn._phase == OPEN, (where, n, conn._phase)
        assert agrees(got, said), (where, n, [len(x) for x in got], [len(x) for x, _ in said])
    assert len(site.turn) == sum(conn._phase != CLOSED for conn in site.conns), (where, "list")


def disarmed() -> None:
    """Have everything succeed again."""
    while True:
        try:
            FAIL(-1, 0)
            return
        except Exception:
            continue


def attempt(core: Any, way: str, after: int, count: int) -> None:
    """One conversation in which the allocations from `after` on fail."""
    shared = core.Frame(b"for all")
    before = sys.getrefcount(shared.data)
    site = Site(core, way)
    FAIL(after, count)
    try:
        converse(site, shared)
    except MemoryError:
        pass  # the test's own
    disarmed()
    settle(site)
    judge(site, f"{way} {after} {count}")
    site.end()
    del site
    gc.collect()
    assert sys.getrefcount(shared.data) == before, (way, after, count, "a frame is left behind")


def main(core_name: str, way: str, counts: str, seconds: float = 1e9) -> None:
    core = import_module(f"glyph_fast.{core_name}")
    for _ in range(2):  # what is made once is made, and what is left is counted
        attempt(core, way, 1 << 40, 0)
    places = list(product(range(COUNTED()), map(int, counts.split(","))))
    if seconds < 1000:
        random.Random(way).shuffle(places)
    deadline = time.monotonic() + seconds
    tried = 0
    while tried < len(places) and time.monotonic() < deadline:
        attempt(core, way, *places[tried])
        tried += 1
    print(tried, len(places))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], *map(float, sys.argv[4:]))
