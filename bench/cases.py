"""The core's work in small pieces, each with a check of its answer: for timing and for counting.

A case is made for one core module and gives an operation to repeat, and a check that is run before
anybody measures: a fast wrong answer is worth nothing.
"""

from __future__ import annotations

import socket
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import repeat, starmap
from pathlib import Path
from types import ModuleType
from typing import Any

from glyph_fast.wire import BINARY, CLIENT, SERVER, TEXT

KEY = b"\x37\xfa\x21\x3d"  # the masking key of RFC 6455 §5.7
BATCH = 16  # calls of the smallest operations at a time
MEMBERS = 100  # of the rooms here
RUN = 8  # messages of one turn to one room
UPGRADE = {  # as a client without frills asks for a WebSocket
    b"Host": b"127.0.0.1:8000",
    b"Upgrade": b"websocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Key": b"AAAAAAAAAAAAAAAAAAAAAA==",
    b"Sec-WebSocket-Version": b"13",
}
UPGRADE_HEAD = b"\r\n".join([b"GET /idle HTTP/1.1", *map(b": ".join, UPGRADE.items()), b"", b""])


@dataclass(frozen=True)
class Operation:
    """Something to repeat. `units` is how many messages or deliveries one call stands for.

    `prepare`, where there is one, comes before each `run` and is neither timed nor counted.
    """

    run: Callable[[], object]
    check: Callable[[], None]
    units: int = 1
    prepare: Callable[[], object] | None = None


@dataclass(frozen=True)
class Case:
    """A named operation; `make` prepares it for a core and cleans up after the block."""

    name: str
    make: Callable[[ModuleType], Any]  # a context manager of an Operation


class Listener:
    """The least handler: opens whoever asks, counts what comes."""

    def __init__(self) -> None:
        self.count = 0
        self.last: str | bytes = b""
        self.error: BaseException | None = None

    def request(self, conn: Any, head: bytes) -> None:
        """Accept without looking."""
        conn._upgrade()

    def message(self, conn: Any, opcode: int, payload: str | bytes) -> None:
        """Count."""
        self.count += 1
        self.last = payload

    def close(self, conn: Any, code: int, reason: str) -> None:
        """Nothing to clean up."""

    def failed(self, conn: Any, exc: BaseException) -> None:
        """Keep it for the check."""
        self.error = exc


class NullSink:
    """Takes everything and keeps the last."""

    def __init__(self) -> None:
        self.calls = 0
        self.size = 0

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        """Take all."""
        self.calls += 1
        size = sum(map(len, buffers))
        self.size += size
        return size

    def unsent(self) -> int:
        """Nothing waits."""
        return 0

    def close(self) -> None:
        """Nothing to close."""


def new_turn(core: ModuleType, handler: Listener) -> Any:
    """A turn that holds back nothing."""
    limits = core.Limits(queue_messages=1 << 16, queue_bytes=1 << 28, ping_interval=0)
    return core.Turn(limits, handler)


def _opened(core: ModuleType, turn: Any, role: int = SERVER) -> Any:
    conn = core.Connection(turn, NullSink(), role)
    conn._feed(b"GET / HTTP/1.1\r\n\r\n")
    assert conn.is_open
    return conn


@contextmanager
def _mask(core: ModuleType, size: int) -> Iterator[Operation]:
    buffer = bytearray(range(256)) * (size // 256 + 1)
    del buffer[size:]

    def check() -> None:
        plain = bytes(buffer)
        core.apply_mask(buffer, KEY)
        assert bytes(buffer) == bytes(b ^ KEY[i & 3] for i, b in enumerate(plain))
        core.apply_mask(buffer, KEY)
        assert bytes(buffer) == plain

    call = partial(core.apply_mask, buffer, KEY)
    yield Operation(partial(_repeat, call), check, BATCH)


@contextmanager
def _encode(core: ModuleType, size: int, key: bytes | None) -> Iterator[Operation]:
    length = bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    payload = bytes(size)
    # Keywords through `partial` cost more than the frame, so only where they must be.
    call = partial(core.encode_frame, BINARY, payload, **({} if key is None else {"key": key}))

    def check() -> None:
        frame = call()
        if key is None:
            assert frame == b"\x82" + length + payload
        else:
            masked = bytes((length[0] | 0x80, *length[1:]))
            assert frame == b"\x82" + masked + key + (key * (size // 4 + 1))[:size]

    yield Operation(partial(_repeat, call), check, BATCH)


@contextmanager
def _head(core: ModuleType) -> Iterator[Operation]:
    call = partial(core.read_plain_head, UPGRADE_HEAD)

    def check() -> None:
        values = {name.lower(): value for name, value in UPGRADE.items()}
        assert call() == ("/idle", list(UPGRADE.items()), values)

    yield Operation(partial(_repeat, call), check, BATCH)


@contextmanager
def _upgrade_head(core: ModuleType) -> Iterator[Operation]:
    call = partial(core.read_plain_upgrade, UPGRADE_HEAD)

    def check() -> None:
        host, key = UPGRADE[b"Host"].decode(), UPGRADE[b"Sec-WebSocket-Key"].decode()
        assert call() == ("/idle", "/idle", "", (host, key, None, [], []))

    yield Operation(partial(_repeat, call), check, BATCH)


@contextmanager
def _parse(
    core: ModuleType, size: int, count: int, opcode: int, reads: int = 1
) -> Iterator[Operation]:
    """`count` messages of one read, or one message that takes several."""
    handler = Listener()
    conn = _opened(core, new_turn(core, handler))
    text = "x" * size
    payload = text if opcode == TEXT else text.encode()
    data = core.encode_frame(opcode, payload, key=KEY) * count
    step = -(-len(data) // reads)
    parts = [data[at : at + step] for at in range(0, len(data), step)]

    def run() -> None:
        for part in parts:
            conn._feed(part)

    def check() -> None:
        before = handler.count
        run()
        assert handler.error is None
        assert handler.count - before == count
        assert handler.last == payload

    yield Operation(run, check, count)


@contextmanager
def _echo(core: ModuleType) -> Iterator[Operation]:
    """Sixteen messages of one read to a handler in Python, each answered, and their one write."""
    handler = Listener()
    dispatch = core.Dispatch(None, core.Message, core.Context, "text", "binary")
    handler.message = dispatch.message  # type: ignore[method-assign]
    conn = _opened(core, new_turn(core, handler))
    conn._plan = core.Plan()
    conn._plan.text = (answer,)
    payload = "x" * 64
    data = core.encode_frame(TEXT, payload, key=KEY) * BATCH

    def run() -> None:
        conn._feed(data)
        conn._turn.flush()

    def check() -> None:
        sink = conn._sink
        calls, size = sink.calls, sink.size
        run()
        assert handler.error is None
        assert sink.size - size == len(core.encode_frame(TEXT, payload)) * BATCH
        assert sink.calls - calls == 1

    yield Operation(run, check, BATCH)


def answer(ctx: Any) -> None:
    """The handler of an echo."""
    ctx.reply("text", ctx.message.data)


@contextmanager
def _queue(core: ModuleType, role: int) -> Iterator[Operation]:
    turn = new_turn(core, Listener())
    conn = _opened(core, turn, role)
    payload = bytes(64)
    frame_size = 64 + (6 if role == CLIENT else 2)

    def run() -> None:
        for _ in range(16):
            conn.send(payload)
        turn.flush()

    def check() -> None:
        sink = conn._sink
        calls, size = sink.calls, sink.size
        run()
        assert sink.size - size == 16 * frame_size
        assert sink.calls - calls == 1

    yield Operation(run, check, 16)


@contextmanager
def _publish(core: ModuleType) -> Iterator[Operation]:
    turn = new_turn(core, Listener())
    room = core.Room()
    members = [_opened(core, turn) for _ in range(MEMBERS)]
    for number, member in enumerate(members):
        member.id = f"{number:032x}"
        room.add(member)
    payload = bytes(128)

    def run() -> None:
        for _ in range(RUN):
            room.publish(core.Frame(payload))

    def check() -> None:
        turn.flush()
        sizes = [member._sink.size for member in members]
        run()
        turn.flush()
        for member, size in zip(members, sizes, strict=True):
            assert member._sink.size - size == RUN * (128 + 4)

    yield Operation(run, check, RUN * MEMBERS, prepare=turn.flush)


@contextmanager
def _flush(core: ModuleType) -> Iterator[Operation]:
    """Write a turn's messages to real sockets, through the poller, as the native engine does."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = str(Path(folder) / "socket")
        listener.bind(path)
        listener.listen(MEMBERS)
        listener.setblocking(False)
        turn = new_turn(core, Listener())
        poller = core.Poller(turn, print)
        poller.listen(listener)
        peers = [_connect(path) for _ in range(MEMBERS)]
        for _ in range(8):  # accepting and reading take a few turns
            poller.run_turn()
        room = core.Room()
        for number, conn in enumerate(turn):
            assert conn.is_open
            conn.id = f"{number:032x}"
            room.add(conn)
        assert len(room) == MEMBERS
        frames = [core.Frame(bytes(128)) for _ in range(RUN)]

        def prepare() -> None:
            for peer in peers:
                _drain(peer)
            for frame in frames:
                room.publish(frame)

        def check() -> None:
            prepare()
            turn.flush()
            for peer in peers:
                assert peer.recv(1 << 16) == (b"\x82\x7e\x00\x80" + bytes(128)) * RUN

        try:
            yield Operation(turn.flush, check, RUN * MEMBERS, prepare)
        finally:
            for peer in peers:
                peer.close()
            poller.close()


def _connect(path: str) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(path)
    peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
    peer.setblocking(False)
    return peer


def _drain(peer: socket.socket) -> None:
    try:
        while peer.recv(1 << 16):
            pass
    except BlockingIOError:
        pass


def _repeat(call: Callable[[], object]) -> None:
    """`BATCH` calls, looped over in C: the interpreter's share would hide a small change."""
    deque(starmap(call, repeat((), BATCH)), maxlen=0)


CASES = (
    Case("unmask-64", lambda core: _mask(core, 64)),
    Case("unmask-16k", lambda core: _mask(core, 16384)),
    Case("encode-64", lambda core: _encode(core, 64, None)),
    Case("encode-16k", lambda core: _encode(core, 16384, None)),
    Case("encode-masked-64", lambda core: _encode(core, 64, KEY)),
    Case("head", _head),
    Case("upgrade-head", _upgrade_head),
    Case("parse-text-64", lambda core: _parse(core, 64, 16, TEXT)),
    Case("parse-binary-64", lambda core: _parse(core, 64, 16, BINARY)),
    Case("parse-text-16k", lambda core: _parse(core, 16384, 1, TEXT)),
    Case("parse-text-64k-in-parts", lambda core: _parse(core, 65536, 1, TEXT, reads=4)),
    Case("echo", _echo),
    Case("queue", lambda core: _queue(core, SERVER)),
    Case("queue-client", lambda core: _queue(core, CLIENT)),
    Case("publish", _publish),
    Case("flush", _flush),
)
