"""TLS between poller and connection, with a session that encrypts nothing: so a test sees what
leaves byte by byte, and has it fail where OpenSSL hardly ever does."""

from __future__ import annotations

import os
import random
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import pytest

from glyph_fast.core import encode_frame
from glyph_fast.wire import CLOSED, DROP_NEWEST, OPEN
from tests.core.peer import Handler
from tests.vectors import client

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
TICKETS = b"<tickets>"
END = b"<end>"


def server(first: int, payload: bytes) -> bytes:
    """A frame as the server sends it."""
    return encode_frame(first & 15, payload)


class Session:
    """What `ssl.SSLObject` does, without a secret; `fails` has the exceptions of its methods."""

    def __init__(self, incoming: Any, outgoing: Any, fails: dict[str, BaseException]) -> None:
        self.incoming = incoming
        self.outgoing = outgoing
        self.fails = fails

    def _step(self, name: str) -> None:
        if name in self.fails:
            self.outgoing.write(b"<garbage>")
            raise self.fails[name]

    def do_handshake(self) -> None:
        self._step("do_handshake")
        if not self.incoming.pending:
            raise ssl.SSLWantReadError
        self.outgoing.write(TICKETS)

    def read(self, size: int, buffer: Any = None) -> Any:
        self._step("read")
        if not self.incoming.pending:
            raise ssl.SSLWantReadError
        data = self.incoming.read(size)
        if buffer is None:
            return data
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        self._step("write")
        self.outgoing.write(data)
        return len(data)

    def unwrap(self) -> None:
        self._step("unwrap")
        self.outgoing.write(END)


class Context:
    """Makes sessions; `fails` is theirs, for those to come."""

    def __init__(self) -> None:
        self.fails: dict[str, BaseException] = {}
        self.session_type = Session

    def wrap_bio(self, incoming: Any, outgoing: Any, *, server_side: bool) -> Session:
        assert server_side
        return self.session_type(incoming, outgoing, self.fails)


class Site:
    """A poller that speaks it, driven by hand."""

    def __init__(self, core: ModuleType, stack: ExitStack, **limits: Any) -> None:
        self.handler = Handler()
        self.handler.on_request = lambda conn, head: conn._upgrade()
        self.turn = core.Turn(core.Limits(**limits), self.handler)
        self.poller = core.Poller(self.turn, self.handler.failures.append)
        self.context = Context()
        self.broken: list[Exception] = []
        self.use()
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.listener.setblocking(False)
        self.poller.listen(self.listener)
        self._stack = stack
        stack.callback(self.poller.close)

    def use(self, **options: Any) -> None:
        self.poller.use_tls(
            self.context,
            describe=lambda session: session,
            failed=lambda conn, exc: self.broken.append(exc),
            **options,
        )

    def connect(self) -> tuple[socket.socket, Any]:
        known = set(self.turn)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(5)
        sock.connect(self.listener.getsockname())
        self._stack.enter_context(sock)
        while not (new := set(self.turn) - known):
            self.poller.run_turn()
        return sock, new.pop()

    def opened(self) -> tuple[socket.socket, Any]:
        sock, conn = self.connect()
        sock.sendall(HEAD)
        while conn._phase != OPEN:
            self.poller.run_turn()
        assert sock.recv(len(TICKETS)) == TICKETS
        return sock, conn

    def run(self, turns: int = 3) -> None:
        for _ in range(turns):
            self.poller.run_turn()
            self.turn.flush()

    def until(self, condition: Any) -> None:
        while not condition():
            self.run(1)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def echo(conn: Any, opcode: int, payload: Any) -> None:
    conn.send(payload)


def test_a_conversation(core, stack):
    site = Site(core, stack)
    site.handler.on_message = echo
    sock, conn = site.opened()
    assert isinstance(conn._sink.tls, Session)
    sock.sendall(client(0x81, b"hello") + client(0x82, b"you"))
    site.until(lambda: len(site.handler.messages) == 2)
    site.run()
    expected = server(0x81, b"hello") + server(0x82, b"you")
    assert sock.recv(1000) == expected
    conn.close()
    site.run()
    sock.sendall(client(0x88, b"\x03\xe8"))
    site.until(lambda: site.handler.closed)
    assert sock.recv(1000) == server(0x88, b"\x03\xe8") + END
    assert (conn._phase, conn._sink) == (CLOSED, None)


def test_a_peer_that_says_nothing_has_no_session(core, stack):
    site = Site(core, stack)
    _, conn = site.connect()
    assert conn._sink.tls is None


def test_the_first_answer_leaves_with_the_tickets(core, stack):
    site = Site(core, stack)
    site.handler.on_message = echo
    sock, _ = site.connect()
    sock.sendall(HEAD + client(0x81, b"hello"))
    site.until(lambda: site.handler.messages)
    site.run()
    assert sock.recv(1000) == TICKETS + server(0x81, b"hello")


ERRORS = [MemoryError("none"), ssl.SSLError("broken"), RuntimeError("odd"), KeyboardInterrupt()]


@pytest.mark.parametrize("exc", ERRORS, ids=lambda exc: type(exc).__name__)
@pytest.mark.parametrize("step", ["do_handshake", "read", "write", "unwrap"])
def test_a_step_that_fails_ends_that_connection_only(core, stack, step, exc):
    site = Site(core, stack)
    site.handler.on_message = echo
    sock, other = site.opened()
    site.context.fails = {step: exc}
    bad, conn = site.connect()
    bad.sendall(HEAD + client(0x81, b"mine"))
    if step == "unwrap":
        site.until(lambda: conn._phase == OPEN and conn.messages_received)
        conn.close()
        site.run()
        bad.sendall(client(0x88, b"\x03\xe8"))
    site.until(lambda: conn._phase == CLOSED)
    site.run()
    sock.sendall(client(0x81, b"theirs"))
    site.until(lambda: "theirs" in site.handler.messages)
    site.run()
    assert sock.recv(1000) == server(0x81, b"theirs")
    assert other._phase == OPEN
    told = site.broken + site.handler.failures
    assert told == [exc] or (step in ("write", "unwrap") and isinstance(exc, ssl.SSLError))
    assert site.handler.closed[0][0] == (1000 if step == "unwrap" else 1006)


def test_what_was_read_before_a_failure_counts(core, stack):
    class Failing(Session):
        def read(self, size: int, buffer: Any = None) -> Any:
            if self.incoming.pending < 10:
                raise ssl.SSLError("broken")
            return super().read(self.incoming.pending - 5, buffer)

    site = Site(core, stack)
    site.context.session_type = Failing
    sock, conn = site.connect()
    sock.sendall(HEAD + client(0x81, b"hello") + b"<bad>")
    site.until(lambda: conn._phase == CLOSED)
    assert site.handler.messages == ["hello"]


def test_a_peer_that_causes_answers_and_reads_none_is_cut(core, stack):
    class Talkative(Session):
        def read(self, size: int, buffer: Any = None) -> Any:
            self.outgoing.write(bytes(20_000))
            return super().read(size, buffer)

    site = Site(core, stack)
    site.context.session_type = Talkative
    sock, conn = site.opened()
    sock.setblocking(False)
    while conn._phase != CLOSED:
        try:
            sock.sendall(client(0x81, b"x"))
        except BlockingIOError:
            pass
        except ConnectionError:
            break
        site.run(1)
    site.until(lambda: site.handler.closed)
    assert "reads none" in str(site.broken[0])


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_kernel_takes_the_stream_is_whole(core, stack, seed):
    """Messages of all sizes, pings between, a peer that reads now and then, and a policy."""
    dice = random.Random(seed)
    site = Site(core, stack, queue_messages=8, queue_bytes=10**8, queue_policy=DROP_NEWEST)
    sock, conn = site.opened()
    sock.setblocking(False)
    expected, got = b"", b""
    for n in range(120):
        payload = bytes([n]) * dice.choice((0, 1, 100, 5_000, 70_000, 600_000))
        if not conn.send(payload).dropped:
            expected += server(0x82, payload)
        if dice.random() < 0.5:
            site.run(1)
        while dice.random() < 0.5:
            try:
                got += sock.recv(dice.choice((1, 1000, 300_000)))
            except BlockingIOError:
                break
    sock.settimeout(5)
    while len(got) < len(expected):
        site.run(1)
        got += sock.recv(1_000_000)
    assert got == expected
    site.until(lambda: not conn.queued_messages)
    assert conn.queued_bytes == 0
    assert conn.bytes_sent == len(expected)
    assert site.handler.failures == [] == site.broken


def test_the_last_byte_counts_when_the_rest_has_left(core, stack):
    site = Site(core, stack)
    sock, conn = site.opened()
    conn.send(bytes(8_000_000))
    site.run()
    assert conn.queued_messages == 1
    before = conn.queued_bytes
    assert before > 0
    got = 0
    while got < 8_000_010:
        got += len(sock.recv(1_000_000))
        site.run(1)
    site.run()
    assert (conn.queued_messages, conn.queued_bytes, conn.messages_sent) == (0, 0, 1)


def test_a_close_waits_for_the_rest_and_a_shut_follows_it(core, stack):
    site = Site(core, stack)
    sock, conn = site.opened()
    conn.send(bytes(3_000_000))
    conn.close(1001)
    got = b""
    while len(got) < 3_000_010 + 4:
        site.run(1)
        got += sock.recv(1_000_000)
    assert got.endswith(server(0x88, b"\x03\xe9"))
    sock.sendall(client(0x88, b"\x03\xe9"))
    site.until(lambda: conn._phase == CLOSED)
    assert sock.recv(1000) == END
    assert sock.recv(1000) == b""


def test_settings_are_those_of_who_comes(core, stack):
    site = Site(core, stack)
    first, _ = site.opened()
    old, site.context = site.context, Context()
    old.fails["read"] = ssl.SSLError("old settings")
    site.use()
    second, conn = site.opened()
    site.handler.on_message = echo
    second.sendall(client(0x81, b"x"))
    site.until(lambda: site.handler.messages)
    site.run()
    assert second.recv(100) == server(0x81, b"x")
    first.sendall(client(0x81, b"y"))
    site.until(lambda: site.broken)
    assert conn._phase == OPEN


def test_a_connection_that_cannot_be_made_leaks_no_descriptor(core, stack):
    def refuse(turn: Any, sink: Any) -> Any:
        raise RuntimeError("no more of these")

    site = Site(core, stack)
    site.turn.connection_type = refuse
    before = len(os.listdir("/proc/self/fd"))
    sock = stack.enter_context(socket.create_connection(site.listener.getsockname(), timeout=5))
    site.until(lambda: site.handler.failures)
    assert sock.recv(1) == b""
    assert len(os.listdir("/proc/self/fd")) == before + 1


@pytest.mark.parametrize("flushes", [False, True])
def test_a_handler_may_close_peers_whose_input_waits_in_the_same_turn(core, stack, flushes):
    site = Site(core, stack)
    pairs = [site.opened() for _ in range(8)]
    before = len(os.listdir("/proc/self/fd"))

    def on_message(conn: Any, opcode: int, payload: Any) -> None:
        for other in list(site.turn):
            if other is not conn:
                other.abort()
        if flushes:
            site.turn.flush()

    site.handler.on_message = on_message
    socks = [sock for sock, _ in pairs]
    del pairs[:]  # nothing but the core holds the connections now
    for sock in socks:
        sock.sendall(client(0x81, b"x"))
    site.run(1)
    assert len(site.handler.messages) == 1
    assert len(site.turn) == 1
    assert before - len(os.listdir("/proc/self/fd")) == 7


def test_a_handler_may_close_the_poller(core, stack):
    site = Site(core, stack)
    socks = [site.opened()[0] for _ in range(4)]
    before = len(os.listdir("/proc/self/fd"))
    site.handler.on_message = lambda conn, opcode, payload: site.poller.close()
    for sock in socks:
        sock.sendall(client(0x81, b"x"))
    site.poller.run_turn()
    assert len(site.handler.messages) == 1
    assert len(site.turn) == 0
    assert before - len(os.listdir("/proc/self/fd")) == 5  # with epoll's own
    assert len(site.handler.closed) == 4


def test_what_stands_before_tls_is_read_by_whoever_knows_it(core, stack):
    seen: list[bytes] = []

    def preface(conn: Any, data: bytes) -> int:
        seen.append(data)
        if data.startswith(b"BAD"):
            return -1
        return data.find(b"\n") + 1

    site = Site(core, stack)
    site.use(preface=preface)
    sock, conn = site.connect()
    for piece in (b"PRO", b"XY\n" + HEAD):
        sock.sendall(piece)
        site.until(lambda piece=piece: seen and seen[-1].endswith(piece))
    site.until(lambda: conn._phase == OPEN)
    assert seen == [b"PRO", b"PROXY\n" + HEAD]
    bad, conn = site.connect()
    bad.sendall(b"BAD")
    site.until(lambda: conn._phase == CLOSED)
