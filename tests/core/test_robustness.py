"""Handlers, sinks and codecs that do the unexpected in the middle of the core's work."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import pytest

from glyph_fast.errors import ConnectionClosed, ProtocolError
from glyph_fast.wire import CLOSED, ENDING, OPEN, PAUSE_INBOX
from tests.core.peer import HEAD, STALLED, Handler, Peer, close_code
from tests.vectors import client

# --- a closed connection stays closed -------------------------------------------------------------


@pytest.mark.parametrize("step", ["_upgrade", "_hold", "_expect_body", "_expect_head", "_finish"])
def test_a_step_of_the_opening_after_the_peer_is_gone_changes_nothing(core, step):
    peer = Peer(core, is_open=False)
    other, _ = peer.join()
    peer.conn._lost()
    getattr(peer.conn, step)()
    peer.conn._lost()
    peer.flush()
    assert peer.conn._phase == CLOSED
    assert peer.handler.closed == [(1006, "")]
    assert list(peer.turn) == [other]


def test_what_is_written_to_a_closed_connection_goes_nowhere(core):
    peer = Peer(core)
    other, _ = peer.join()
    peer.conn.abort()
    peer.conn._write(b"HTTP/1.1 200 OK\r\n\r\n")
    peer.conn._ping()
    assert peer.conn._flush() is True
    peer.flush()
    assert peer.sink.written == b""
    assert peer.conn.missed_pongs == 0
    assert peer.handler.closed == [(1006, "")]
    assert list(peer.turn) == [other]


def test_a_connection_that_fails_twice_is_closed_once(core):
    peer = Peer(core)
    peer.sink.is_gone = True
    peer.conn.send("a")
    peer.conn._flush()
    peer.conn._flush()
    peer.conn._lost()
    peer.conn.abort()
    peer.flush()
    assert peer.handler.closed == [(1006, "")]
    assert len(peer.turn) == 0


class ClosingMessage:
    """A message whose encoding closes the connection it is for."""

    def __init__(self, conn: Any) -> None:
        self.conn = conn

    def to_json(self) -> bytes:
        self.conn.abort()
        return b"{}"


def test_a_message_whose_encoding_closes_the_connection_is_not_queued(core):
    peer = Peer(core)
    with pytest.raises(ConnectionClosed):
        peer.conn.send(ClosingMessage(peer.conn))
    assert peer.conn.queued_messages == 0
    peer.flush()
    assert peer.handler.closed == [(1006, "")]


# --- sinks ----------------------------------------------------------------------------------------


def test_a_sink_that_raises_what_it_may_not_costs_one_connection_only(core):
    peer = Peer(core)
    bad, bad_sink = peer.join(name="bad")
    good, good_sink = peer.join(name="good")

    def writev(buffers: list[bytes]) -> int:
        raise RuntimeError("handle is closed")

    bad_sink.writev = writev  # type: ignore[method-assign]
    for conn in (peer.conn, bad, good):
        conn.send("hello")
    peer.flush()
    assert [str(exc) for exc in peer.handler.failures] == ["handle is closed"]
    assert bad._phase == CLOSED
    assert peer.sink.written == good_sink.written == b"\x81\x05hello"
    good.send("again")
    peer.flush()
    assert good_sink.written.endswith(b"again")


def test_a_sink_may_report_the_loss_while_it_is_written_to(core):
    peer = Peer(core)

    def writev(buffers: list[bytes]) -> int:
        peer.conn._lost()
        return sum(map(len, buffers))

    peer.sink.writev = writev  # type: ignore[method-assign]
    peer.conn.send("hello")
    peer.conn._ping()
    peer.flush()
    assert peer.handler.closed == [(1006, "")]
    assert peer.conn.queued_bytes == 0


def test_a_sink_that_reports_the_loss_in_a_broadcast_leaves_the_others_whole(core):
    peer = Peer(core, queue_messages=1)
    other, sink = peer.join()
    room = core.Room()
    room.add(peer.conn)
    room.add(other)

    def writev(buffers: list[bytes]) -> int:
        peer.conn._lost()
        return 0

    peer.sink.writev = writev  # type: ignore[method-assign]
    room.publish(core.Frame("one"))
    assert room.publish(core.Frame("two")) == (1, 0, 1)
    peer.flush()
    assert sink.written == b"\x81\x03one\x81\x03two"


# --- codecs ---------------------------------------------------------------------------------------


class Codec:
    """Marks what passes through it, and fails on demand."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails

    def encode(self, frame: Any) -> bytes:
        return bytes(frame.data)

    def pack(self, data: bytes) -> bytes:
        if self.fails == "pack":
            raise MemoryError("no memory to compress")
        return data

    def decode(self, payload: bytes, limit: int) -> bytes:
        if self.fails == "decode":
            raise MemoryError("no memory to inflate")
        if self.fails == "data":
            raise ProtocolError(1007, "compressed data is broken")
        return payload


def with_codec(core: ModuleType, fails: str) -> Peer:
    peer = Peer(core, is_open=False)
    peer.conn._use_codec(Codec(fails))
    peer.conn._upgrade()
    return peer


def test_a_codec_that_cannot_inflate_ends_its_connection_with_1011(core):
    peer = with_codec(core, "decode")
    out = peer.feed(client(0xC1, b"x") + client(0x81, b"never handled"))
    assert close_code(out) == 1011
    assert [type(exc) for exc in peer.handler.failures] == [MemoryError]
    assert peer.handler.messages == []
    assert peer.conn._phase == ENDING


def test_a_codec_that_cannot_compress_ends_its_connection(core):
    peer = with_codec(core, "pack")
    other, sink = peer.join()
    peer.conn.send("a")
    peer.conn.send("b")
    other.send("c")
    peer.flush()
    assert [type(exc) for exc in peer.handler.failures] == [MemoryError]
    assert peer.handler.closed == [(1006, "")]
    assert peer.sink.written == b""
    assert sink.written == b"\x81\x01c"


def test_broken_compressed_data_is_told_from_a_failing_codec(core):
    peer = with_codec(core, "data")
    assert close_code(peer.feed(client(0xC1, b"x"))) == 1007
    assert peer.handler.failures == []


# --- flushing and ending in the middle ------------------------------------------------------------


def test_a_handler_may_flush_the_turn_it_runs_in(core):
    peer = Peer(core)
    wakes: list[None] = []
    peer.turn = core.Turn(peer.turn.limits, peer.handler, wake=lambda: wakes.append(None))
    conn, sink = peer.join()

    def on_message(conn: Any, opcode: int, payload: Any) -> None:
        conn.send("now")
        peer.turn.flush()
        conn.send("later")

    peer.handler.on_message = on_message
    peer.turn.in_turn = True  # as a poller has it
    conn._feed(client(0x81, b"a"))
    assert sink.read() == b"\x81\x03now"
    assert peer.turn.in_turn
    assert not wakes
    peer.turn.in_turn = False
    peer.turn.flush()
    assert sink.read() == b"\x81\x05later"


def test_posts_of_many_threads_are_all_run_with_a_wake_for_each_lot(core):
    woken = threading.Event()
    turn = core.Turn(core.Limits(), Handler(), wake_threadsafe=woken.set)
    seen: list[tuple[int, int]] = []

    def post(thread: int) -> None:
        for i in range(2000):
            turn.post(seen.append, (thread, i))

    threads = [threading.Thread(target=post, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    while len(seen) < 8000:
        assert woken.wait(10), f"nobody woke the owner for what lies behind {len(seen)} posts"
        woken.clear()
        turn.flush()
    for thread in threads:
        thread.join(10)
    for n in range(4):
        assert [i for thread, i in seen if thread == n] == list(range(2000))


# --- requests -------------------------------------------------------------------------------------


def test_answers_to_pipelined_requests_do_not_pile_up(core):
    peer = Peer(core, is_open=False, takes=STALLED)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 16384\r\n\r\n" + bytes(16384)

    def on_request(conn: Any, head: bytes) -> None:
        conn._write(answer)
        conn._expect_head()

    peer.handler.on_request = on_request
    peer.feed(HEAD * 300)
    answered = len(peer.handler.heads)
    assert 4 <= answered <= 5  # 64 KiB of answers
    assert peer.sink.events == ["pause"]
    peer.sink.takes.clear()
    peer.conn._flush()
    for _ in range(40):
        peer.flush()
    assert len(peer.handler.heads) == 300
    assert peer.sink.written == answer * 300


def test_a_body_reader_that_claims_too_much_is_not_believed(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._expect_body()
    peer.handler.on_data = lambda conn, chunk: len(chunk) + 1000
    peer.feed(HEAD + b"body")
    peer.handler.on_data = lambda conn, chunk: -5
    peer.feed(b"more")
    assert peer.handler.bodies == [b"body", b"more"]
    assert peer.handler.failures == []


# --- descriptors ----------------------------------------------------------------------------------


class Site:
    """A poller with a listening socket, driven by hand."""

    def __init__(self, core: ModuleType, stack: ExitStack, **options: Any) -> None:
        self.handler = Handler()
        self.turn = core.Turn(core.Limits(), self.handler, **options)
        self.poller = core.Poller(self.turn, self.handler.failures.append)
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.listener.setblocking(False)
        self.poller.listen(self.listener)
        self.handler.on_request = lambda conn, head: conn._upgrade()

    def connect(self, stack: ExitStack, name: str) -> tuple[socket.socket, Any]:
        known = set(self.turn)
        sock = stack.enter_context(socket.create_connection(self.listener.getsockname(), timeout=5))
        while not (new := set(self.turn) - known):
            self.poller.run_turn()
        (conn,) = new
        conn.id = name
        sock.sendall(HEAD)
        while conn._phase != OPEN:
            self.poller.run_turn()
        return sock, conn


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("flushes", [False, True])
def test_a_handler_may_close_peers_whose_input_waits_in_the_same_turn(core, stack, flushes):
    site = Site(core, stack)
    pairs = [site.connect(stack, str(n)) for n in range(8)]
    before = descriptors()

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
    site.poller.run_turn()
    assert len(site.handler.messages) == 1
    assert len(site.turn) == 1
    assert before - descriptors() == 7
    assert [code for code, _ in site.handler.closed] == [1006] * 7
    site.poller.close()


def test_a_handler_may_close_the_poller(core, stack):
    site = Site(core, stack)
    pairs = [site.connect(stack, str(n)) for n in range(4)]
    before = descriptors()
    site.handler.on_message = lambda conn, opcode, payload: site.poller.close()
    for sock, _ in pairs:
        sock.sendall(client(0x81, b"x"))
    del pairs[:]
    site.poller.run_turn()
    assert len(site.handler.messages) == 1
    assert len(site.turn) == 0
    assert before - descriptors() == 5  # with epoll's own
    assert len(site.handler.closed) == 4


def test_a_descriptor_is_closed_by_a_flush_outside_of_a_turn_too(core, stack):
    site = Site(core, stack)
    sock, conn = site.connect(stack, "a")
    before = descriptors()
    sock.close()  # with nothing unread: our first send is met by a reset, the second fails
    while conn._phase == OPEN:
        conn.send("x")
        site.turn.flush()
    assert descriptors() == before - 2
    site.poller.close()


def test_a_connection_that_cannot_be_made_leaks_no_descriptor(core, stack):
    def refuse(turn: Any, sink: Any) -> Any:
        raise RuntimeError("no more of these")

    site = Site(core, stack, connection_type=refuse)
    before = descriptors()
    sock = stack.enter_context(socket.create_connection(site.listener.getsockname(), timeout=5))
    while not site.handler.failures:
        site.poller.run_turn()
    assert sock.recv(1) == b""
    assert descriptors() == before + 1
    assert [str(exc) for exc in site.handler.failures] == ["no more of these"]
    site.poller.close()


# --- fairness -------------------------------------------------------------------------------------


def test_a_turn_handles_a_bounded_number_of_frames_of_one_peer(core):
    peer = Peer(core)
    other, sink = peer.join()
    flood = b"".join(client(0x82, bytes((n & 255,))) for n in range(1000))
    peer.conn._feed(flood)
    assert len(peer.handler.messages) == 256
    assert peer.sink.events == ["pause"]
    other._feed(client(0x81, b"me"))  # of the same turn: not behind the other 744
    assert peer.handler.messages[256:] == ["me"]
    peer.turn.flush()
    assert peer.is_woken  # the rest goes on by itself
    peer.flush()
    assert peer.handler.messages[:256] + peer.handler.messages[257:] == [
        bytes((n & 255,)) for n in range(1000)
    ]
    assert peer.sink.events[-1] == "resume"


def test_requests_are_shared_out_like_frames(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._expect_head()
    peer.conn._feed(HEAD * 300)
    assert len(peer.handler.heads) == 8  # each counts like 32 frames
    peer.flush()
    assert len(peer.handler.heads) == 300


def test_a_body_is_shared_out_as_its_handler_says(core):
    peer = Peer(core, is_open=False)
    other, _ = peer.join()
    peer.conn._expect_body()
    peer.handler.on_data = lambda conn, chunk: 2
    peer.conn._feed(b"abcdef")
    assert peer.handler.bodies == [b"abcdef"]  # once in this turn
    assert peer.sink.events == ["pause"]
    other._feed(client(0x81, b"me"))
    assert peer.handler.messages == ["me"]
    peer.turn.flush()
    assert peer.is_woken  # the rest goes on by itself
    peer.flush()
    assert peer.handler.bodies == [b"abcdef", b"cdef", b"ef"]
    assert peer.sink.events == ["pause", "resume"]


def test_what_follows_a_body_belongs_to_the_same_share(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._expect_body()

    def data(conn, chunk):
        conn._expect_head()
        return 2

    peer.handler.on_data = data
    peer.conn._feed((HEAD + b"ab") * 3)
    assert len(peer.handler.heads) == 3  # within one turn: each body was complete
    assert peer.sink.events == []


def test_empty_lines_before_a_request_are_passed_over_at_once(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._expect_head()
    peer.conn._feed(b"\r\n" * 100_000 + HEAD + b"\r\n" * 3 + HEAD + b"\r")
    assert peer.handler.heads == [HEAD, HEAD]


@pytest.mark.parametrize("step", ["close", "abort", "violation"])
def test_a_connection_that_ends_before_its_next_turn_is_left_alone(core, step):
    peer = Peer(core)
    peer.conn._feed(client(0x81, b"a") * 600)
    if step == "close":
        peer.conn.close(1000)
    elif step == "abort":
        peer.conn.abort()
    else:
        peer.conn._feed(b"\xff")  # behind the others: to be found in its turn
    peer.flush()
    if step == "violation":
        assert len(peer.handler.messages) == 600
        assert peer.conn.close_code == 1002
    else:
        assert len(peer.handler.messages) == 256
    assert not peer.handler.failures


def test_the_pauses_of_a_slow_handler_and_of_a_full_turn_do_not_mix(core):
    peer = Peer(core)
    peer.conn._feed(client(0x81, b"a") * 600)
    peer.conn._pause_reading(PAUSE_INBOX)
    peer.flush()
    assert len(peer.handler.messages) == 256
    peer.conn._resume_reading(PAUSE_INBOX)
    peer.flush()
    assert len(peer.handler.messages) == 600


def test_what_is_inflated_counts_towards_the_share(core):
    peer = with_codec(core, "")
    sizes = [1 << 17] * 10  # half a share each, in a frame of any size
    peer.conn._codec.decode = lambda payload, limit: bytes(sizes.pop())
    peer.conn._feed(client(0xC2, b"x") * 10)
    assert len(peer.handler.messages) == 2
    for _ in range(4):
        peer.flush()
    assert len(peer.handler.messages) == 10


def test_requests_that_are_answered_by_calls_share_what_a_turn_gives(core):
    """Each is held until a call has answered it, within the turn; then the next one follows."""
    peer = Peer(core, is_open=False)
    heads: list[bytes] = []

    def on_request(conn: Any, head: bytes) -> None:
        heads.append(head)
        peer.turn.charge(96)
        conn._hold()
        peer.turn.post(conn._expect_head)

    peer.handler.on_request = on_request
    peer.conn._feed(HEAD * 20)
    for count in range(2, 21, 2):  # 32 + 96 of 256 each
        peer.turn.flush()
        assert len(heads) == count
    peer.turn.flush()
    peer.feed(HEAD)  # what is read anew has a share of its own
    assert len(heads) == 21


class Panic(BaseException):
    """What is no Exception."""


@pytest.mark.parametrize("is_heard", [True, False])
def test_whatever_a_report_raises_everybody_is_told(core, is_heard):
    """Of fifty that leave in one turn, three reports fail, or even the telling that they did."""
    peer = Peer(core)
    others = [peer.join(name=str(n))[0] for n in range(50)]
    told: list[str] = []
    failed: list[BaseException] = []

    def close(conn, code, reason):
        told.append(conn.id)
        if conn.id in ("7", "8", "30"):
            raise Panic(conn.id)

    def fail(conn, exc):
        failed.append(exc)
        if not is_heard:
            raise exc

    peer.handler.close, peer.handler.failed = close, fail
    for conn in others:
        conn.abort()
    for _ in range(1 if is_heard else 4):
        peer.is_woken = False
        try:
            peer.turn.flush()
        except Panic:
            assert peer.is_woken  # the rest follows by itself
    assert told == [str(n) for n in range(50)]
    assert list(map(str, failed)) == ["7", "8", "30"]


def test_whatever_a_handler_raises_the_messages_behind_it_are_handled(core):
    peer = Peer(core)

    def on_message(conn, opcode, payload):
        if payload == "panic":
            raise Panic(payload)
        conn.send(payload)

    peer.handler.on_message = on_message
    out = peer.feed(client(0x81, b"a") + client(0x81, b"panic") + client(0x81, b"b"))
    assert out == core.encode_frame(1, "a") + core.encode_frame(1, "b")
    assert [type(exc) for exc in peer.handler.failures] == [Panic]
    assert peer.turn.current is None


def test_whatever_a_post_raises_those_behind_it_are_run(core):
    peer = Peer(core)
    seen: list[int] = []

    def panic():
        raise Panic("posted")

    for n in range(3):
        peer.turn.post(seen.append, n)
        peer.turn.post(panic)
    peer.flush()
    assert seen == [0, 1, 2] and len(peer.handler.failures) == 3


def test_whatever_a_drain_raises_the_others_hear_of_theirs(core):
    peer = Peer(core, queue_messages=1)
    others = [peer.join(name=str(n))[0] for n in range(5)]
    drained: list[str] = []

    def drain(conn):
        drained.append(conn.id)
        raise Panic(conn.id)

    peer.handler.drain = drain
    for conn in others:
        conn._want_drain()
        conn.send("x")
    peer.flush()
    assert sorted(drained) == [str(n) for n in range(5)]
    assert len(peer.handler.failures) == 5


def test_a_turn_inside_a_turn_reads_nothing(core, stack):
    """A loop that a handler runs inside its own (nest_asyncio) must not write over the buffers."""
    site = Site(core, stack)
    socks = [site.connect(stack, str(n))[0] for n in range(3)]
    seen: list[int] = []

    def on_message(conn: Any, opcode: int, payload: Any) -> None:
        if payload.startswith("first"):
            for sock in socks:
                sock.sendall(client(0x81, b"meanwhile"))
        before = len(site.handler.messages)
        site.poller.run_turn()
        seen.append(len(site.handler.messages) - before)

    site.handler.on_message = on_message
    for n, sock in enumerate(socks):
        sock.sendall(client(0x81, b"first %d" % n) + client(0x81, b"second %d" % n))
    while len(site.handler.messages) < 15:
        site.poller.run_turn()
    assert seen == [0] * 15
    for n in range(3):
        at = site.handler.messages.index(f"first {n}")
        assert site.handler.messages[at + 1] == f"second {n}"
    assert site.handler.messages.count("meanwhile") == 9
    assert not site.handler.failures
    site.poller.close()


def test_a_turn_gives_one_share_to_a_peer_whose_input_waits_however_often_others_come(core, stack):
    """Else the loop's timers waited for as many shares as somebody else had round trips."""
    site = Site(core, stack)
    flood, _ = site.connect(stack, "flood")
    sock, conn = site.connect(stack, "talks")
    texts = [client(0x81, b"%d" % n) for n in range(100)]

    def on_message(talking: Any, opcode: int, payload: Any) -> None:
        if talking is conn and texts:
            sock.sendall(texts.pop())  # there again by the time that the poller looks once more

    site.handler.on_message = on_message
    flood.sendall(client(0x82, b"x") * 5000)
    sock.sendall(texts.pop())
    site.poller.run_turn()
    assert site.handler.messages.count(b"x") == 256
    while texts or site.handler.messages.count(b"x") < 5000:  # the rest goes on by itself
        site.turn.flush()
        site.poller.run_turn()
    site.poller.close()


def test_a_turn_has_time_for_a_few_handshakes_and_for_whoever_is_there(core, stack):
    """Hundreds of heads that come at once are tens of milliseconds of work."""
    site = Site(core, stack)
    sock, _ = site.connect(stack, "talks")
    comers = [
        stack.enter_context(socket.create_connection(site.listener.getsockname(), timeout=5))
        for _ in range(100)
    ]
    while len(site.turn) <= len(comers):
        site.poller.run_turn()
    heads: list[bytes] = []

    def on_request(conn: Any, head: bytes) -> None:
        heads.append(head)
        conn._upgrade()

    site.handler.on_request = on_request
    for each in comers:
        each.sendall(HEAD)
    sock.sendall(client(0x81, b"me"))
    site.poller.run_turn()
    assert len(heads) == 32
    assert site.handler.messages == ["me"]
    while len(heads) < len(comers):
        site.poller.run_turn()
    site.poller.close()
