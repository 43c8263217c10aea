"""A connection that the system no longer watches ends, instead of staying mute."""

from __future__ import annotations

import os
import socket
import stat
import sys
import tempfile

import pytest

from glyph_fast.wire import PAUSE_BODY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="epoll")


class Handler:
    def __init__(self) -> None:
        self.closed = []
        self.messages = []

    def request(self, conn, head):
        conn._upgrade()

    def message(self, conn, opcode, payload):
        self.messages.append(payload)

    def close(self, conn, code, reason):
        self.closed.append(conn)

    def failed(self, conn, exc):
        raise AssertionError("no failure of ours") from exc


@pytest.fixture
def poller(core):
    """A poller with one connection, its descriptor, and the peer's socket."""
    handler = Handler()
    turn = core.Turn(core.Limits(ping_interval=0), handler)
    poller = core.Poller(turn, pytest.fail)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        poller.listen(listener)
        peer = socket.create_connection(listener.getsockname())
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while not len(turn):
            poller.run_turn()
        (conn,) = turn
        while not conn.is_open:
            poller.run_turn()
        fd = descriptor_of(listener.getsockname(), peer.getsockname())
        yield poller, turn, conn, fd, peer
        poller.close()
        peer.close()


def descriptor_of(here, there):
    """The descriptor of this process whose socket has these two addresses."""
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
            with socket.socket(fileno=os.dup(fd)) as sock:
                if (sock.getsockname(), sock.getpeername()) == (here, there):
                    return fd
        except OSError:
            pass
    raise AssertionError("no descriptor")


def test_a_connection_that_epoll_refuses_ends_at_once(poller):
    poller, turn, conn, fd, peer = poller
    conn._pause_reading(PAUSE_BODY)
    kept = os.dup(fd)  # the peer's end would be heard otherwise
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), fd)  # a file is nothing that epoll watches: EPERM
    conn._resume_reading(PAUSE_BODY)
    turn.flush()
    assert turn.handler.closed == [conn]
    assert len(turn) == 0
    with pytest.raises(OSError):
        os.fstat(fd)
    os.close(kept)


def test_a_connection_whose_watch_cannot_be_changed_ends_at_once(poller):
    poller, turn, conn, fd, peer = poller
    kept = os.dup(fd)
    other, far = socket.socketpair()
    other.setblocking(False)
    os.dup2(other.fileno(), fd)  # watched is the socket that was here before: ENOENT
    while other.send(bytes(1 << 16), socket.MSG_DONTWAIT) == 1 << 16:
        pass
    conn.send(bytes(1 << 18))
    turn.flush()
    assert turn.handler.closed == [conn]
    assert len(turn) == 0
    with pytest.raises(OSError):
        os.fstat(fd)
    for each in (other, far):
        each.close()
    os.close(kept)
