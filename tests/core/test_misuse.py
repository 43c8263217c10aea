"""Programs that use the core as nobody should: an error says so, and nothing else is the worse."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from glyph_fast.errors import ConnectionClosed
from glyph_fast.wire import BINARY, CLOSED, CLOSING, ENDING, OPEN, OPENING, TEXT, SendResult
from tests.core.peer import Peer

ROOT = Path(__file__).parents[2]

CLASSES = [
    "Limits", "Counters", "Histogram", "Frame", "Turn", "Connection", "Room", "Message", "Context",
    "Plan", "Dispatch", "Poller",
]  # fmt: skip


# --- objects that nobody has initialised ----------------------------------------------------------


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []


def touch(thing: Any, others: list[Any]) -> None:
    """Read every attribute, call every method with everything."""
    for name in dir(thing):
        if name in ("__class__", "__init_subclass__", "__subclasshook__", "__new__", "__init__"):
            continue
        try:
            found = getattr(thing, name)
        except (AttributeError, TypeError):
            continue
        if not callable(found) or name.startswith("__"):
            continue
        for count in range(5):
            for given in others:
                try:
                    found(*[given] * count)
                except Exception:  # whatever it says: it has said something
                    pass


@pytest.mark.parametrize("name", CLASSES)
def test_an_object_without_its_init_is_refused_or_harmless(core, name):
    cls = getattr(core, name)
    before = descriptors()
    try:
        bare = cls.__new__(cls)
    except TypeError as exc:
        assert "argument" in str(exc)
        assert descriptors() == before  # none of them is its own
        return
    peer = Peer(core)
    touch(bare, [1, "x", b"x", None, peer.conn, bare])
    peer.conn.send("still whole")
    peer.flush()


def test_a_bare_dispatch_and_a_connection_without_a_plan_handle_nothing(core):
    peer = Peer(core)
    dispatch = core.Dispatch.__new__(core.Dispatch)
    for opcode, payload in ((TEXT, "x"), (BINARY, b"x")):
        with pytest.raises((AttributeError, NotImplementedError)):
            dispatch.handle(peer.conn, opcode, payload)


@pytest.mark.parametrize(("opcode", "payload"), [(TEXT, b"{}"), (BINARY, "x"), (TEXT, None)])
def test_a_message_of_the_wrong_type_is_refused(core, opcode, payload):
    dispatch = core.Dispatch(None, core.Message, core.Context, "text", "binary")
    peer = Peer(core)
    peer.conn._plan = core.Plan()
    for method in (dispatch.handle, dispatch.message):
        with pytest.raises(TypeError, match="a message is str with opcode 1"):
            method(peer.conn, opcode, payload)


def test_a_second_init_changes_nothing(core):
    peer = Peer(core)
    other, _ = peer.join()
    if core.__name__.endswith("_core"):  # in Python it is the program's own doing
        type(peer.conn).__init__(peer.conn, peer.turn, peer.sink)
        type(peer.turn).__init__(peer.turn, peer.turn.limits, peer.handler)
    assert len(peer.turn) == len(list(peer.turn)) == 2
    peer.conn.abort()
    peer.flush()
    assert list(peer.turn) == [other]


# --- who is left out of a broadcast ---------------------------------------------------------------


def members(core: Any) -> tuple[Any, Peer, list[Any]]:
    peer = Peer(core)
    conns = [peer.conn, *(peer.join(name=name)[0] for name in ("two", "three"))]
    room = core.Room()
    for conn in conns:
        room.add(conn)
    return room, peer, conns


def test_an_exclusion_that_cannot_be_an_id_mutes_nobody(core):
    room, _, _ = members(core)
    with pytest.raises(TypeError, match="unhashable"):
        room.publish(core.Frame("x"), ["one", []])
    with pytest.raises(TypeError):
        room.publish(core.Frame("x"), 5)
    assert room.publish(core.Frame("x")) == SendResult(3, 0, 0)


def test_an_exclusion_that_can_be_walked_once_counts_once(core):
    room, _, _ = members(core)
    assert room.publish(core.Frame("x"), (name for name in ("one", "two"))) == SendResult(1, 0, 0)
    assert room.publish(core.Frame("x")) == SendResult(3, 0, 0)


def test_an_exclusion_that_fails_half_way_mutes_nobody(core):
    room, _, _ = members(core)

    def names():
        yield "one"
        raise RuntimeError("no more names")

    with pytest.raises(RuntimeError, match="no more names"):
        room.publish(core.Frame("x"), names())
    assert room.publish(core.Frame("x")) == SendResult(3, 0, 0)


def test_an_exclusion_may_change_the_room_when_it_is_compared(core):
    """What only looks like an id runs its own `__eq__`, which empties the room."""
    room, _, conns = members(core)

    class Lookalike:
        def __hash__(self) -> int:
            return hash("one")

        def __eq__(self, other: object) -> bool:
            for conn in conns:
                room.discard(conn)
            return True

    try:
        room.publish(core.Frame("x"), [Lookalike()])
    except RuntimeError:  # "dictionary changed size during iteration"
        assert core.__name__.endswith("_pure")
    for conn in conns:
        room.add(conn)
    assert room.publish(core.Frame("x")) == SendResult(3, 0, 0)


# --- after the end, and before the beginning ------------------------------------------------------


@pytest.mark.parametrize("phase", [OPENING, CLOSING, ENDING, CLOSED])
def test_a_ping_outside_of_the_open_phase_is_nothing(core, phase):
    peer = Peer(core, is_open=phase != OPENING)
    if phase == CLOSING:
        peer.conn.close(1000)
    elif phase == ENDING:
        peer.conn._feed(b"\xff")
    elif phase == CLOSED:
        peer.conn.abort()
    assert peer.conn._phase == phase
    peer.flush()
    peer.conn._ping()
    assert peer.flush() == b""
    assert peer.conn.missed_pongs == 0
    assert peer.turn.counters.pings_sent == 0
    assert not peer.handler.failures


def test_http_after_our_end_goes_nowhere(core):
    peer = Peer(core, is_open=False)
    peer.conn._feed(b"GET")  # something was asked
    peer.conn._finish()
    peer.flush()
    assert "shutdown" in peer.sink.events
    peer.conn._write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert peer.flush() == b""
    assert not peer.handler.failures


def test_a_send_after_the_close_began_is_refused(core):
    peer = Peer(core)
    peer.conn.close(1000)
    with pytest.raises(ConnectionClosed):
        peer.conn.send("x")


# --- forks ----------------------------------------------------------------------------------------

FORKED = """
import gc, os, socket, sys
from importlib import import_module
core = import_module("glyph_fast." + sys.argv[1])
from tests.core.peer import HEAD, Handler

handler = Handler()
turn = core.Turn(core.Limits(), handler)
poller = core.Poller(turn, handler.failures.append)
listener = socket.create_server(("127.0.0.1", 0))
listener.setblocking(False)
poller.listen(listener)
handler.on_request = lambda conn, head: conn._upgrade()
socks = []
while len(socks) < 12:  # enough for their sends to go by one system call
    socks.append(socket.create_connection(listener.getsockname()))
    socks[-1].sendall(HEAD)
    while sum(conn.is_open for conn in turn) < len(socks):
        poller.run_turn()
room = core.Room()
for n, conn in enumerate(turn):
    conn.id = str(n)
    room.add(conn)
room.publish(core.Frame("before"))
turn.flush()
pid = os.fork()
if pid == 0:
    status = 0
    for call in CALLS:
        try:
            call(conn)
            status = 2
        except RuntimeError as exc:
            if "was forked from the server's" not in str(exc):
                status = 3
    turn.flush()          # as an end that unwinds the loop does
    poller.stop_listening()
    poller.close()
    import mmap
    maps = [mmap.mmap(-1, 1 << 16) for _ in range(200)]  # where the parent's ring lies
    for each in maps:
        each[:] = b"x" * len(each)
    del room, conn, turn, poller, handler
    gc.collect()
    assert all(each[:] == b"x" * len(each) for each in maps)
    os._exit(status)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert room.publish(core.Frame("behind")) == (12, 0, 0)
turn.flush()
for sock in socks:
    sock.settimeout(5)
    data = b""
    while len(data) < 16:
        data += sock.recv(100)
    assert data == b"\\x81\\x06before\\x81\\x06behind", data
late = socket.create_connection(listener.getsockname())  # it is still accepted
late.sendall(HEAD)
while len(turn) < 13:
    poller.run_turn()
poller.close()
"""
CALLS = """
CALLS = [
    lambda conn: conn.send("x"),
    lambda conn: conn._ping(),
    lambda conn: conn.close(1000),
    lambda conn: conn.abort(),
    lambda conn: conn._flush(),
    lambda conn: conn._write(b"x"),
    lambda conn: conn._feed(b"x"),
    lambda conn: conn._lost(),
    lambda conn: room.publish(core.Frame("x")),
    lambda conn: room.discard(conn),
    lambda conn: turn.post(print, "x"),
    lambda conn: poller.run_turn(),
    lambda conn: turn.sweep(1.0),
]
"""


@pytest.mark.skipif("not hasattr(os, 'fork')", reason="the platform has no fork")
@pytest.mark.parametrize("ring", ["", "0"], ids=["automatic", "off"])
def test_a_forked_child_can_neither_use_nor_harm_the_connections(core, ring):
    """It says so to the child, and the parent's epoll, sockets and ring are as they were."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CALLS + FORKED), core.__name__.split(".")[-1]],
        cwd=ROOT,
        env={**os.environ, "GLYPH_FAST_IO_URING": ring},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_turn_that_a_child_binds_is_its_own(core):
    peer = Peer(core)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            peer.turn.bind()
            peer.conn.send("x")
            status = 0 if peer.flush() == b"\x81\x01x" else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert peer.conn._phase == OPEN
    assert not peer.conn.queued_messages


def test_a_posted_call_may_flush_and_so_run_those_behind_it(core):
    peer = Peer(core)
    heard: list[str] = []
    for call in (peer.turn.flush, peer.turn.flush):
        peer.turn.post(call)
        peer.turn.post(heard.append, "x")
    peer.flush()
    assert heard == ["x", "x"]
    assert not peer.handler.failures
