"""Sessions of the interpreter's OpenSSL between poller and connection: by `ssl`, and past it."""

from __future__ import annotations

import _ssl
import ctypes
import gc
import os
import random
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from glyph_fast.core import encode_frame
from glyph_fast.engine.tls import client_context, server_context
from glyph_fast.records import MAX_HANDSHAKE
from glyph_fast.wire import CLOSED, OPEN
from tests.core.peer import HEAD, Handler
from tests.engine.certificates import certificate
from tests.tls_keys import SessionObject, ask_for_new_keys

__all__ = ["certificate"]


def client(first: int, payload: bytes) -> bytes:
    """A frame as a client sends it."""
    return encode_frame(first & 15, payload, key=b"\x37\xfa\x21\x3d")


def server(first: int, payload: bytes) -> bytes:
    """A frame as the server sends it."""
    return encode_frame(first & 15, payload)


def echo(conn: Any, opcode: int, payload: Any) -> None:
    conn.send(payload)


class Site:
    """A poller that speaks TLS, and one client, both driven by hand."""

    def __init__(self, core: ModuleType, stack: ExitStack, files: Any, folder: Path) -> None:
        self.handler = Handler()
        self.handler.on_request = lambda conn, head: conn._upgrade()
        self.handler.on_message = echo
        self.turn = core.Turn(core.Limits(queue_bytes=10**8), self.handler)
        self.poller = core.Poller(self.turn, self.handler.failures.append)
        self.broken: list[ssl.SSLError] = []
        self.poller.use_tls(
            server_context(*files),
            describe=lambda session: session,
            failed=lambda conn, exc: self.broken.append(exc),
        )
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        self.path = str(folder / "socket")
        listener.bind(self.path)
        listener.listen(1)
        listener.setblocking(False)
        self.poller.listen(listener)
        stack.callback(self.poller.close)
        self.trusted = files.cert
        self._stack = stack

    def open(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, behind: bytes = b"") -> Any:
        self.socket = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        self.socket.connect(self.path)
        self.socket.setblocking(False)
        context = client_context(self.trusted)
        context.maximum_version = version
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        while True:
            with suppress(ssl.SSLWantReadError):
                self.session.do_handshake()
                break
            self.send()
            self.receive()
        self.session.write(HEAD + behind)
        self.send()
        (conn,) = self.turn
        while conn._phase != OPEN:
            self.poller.run_turn()
        return conn

    def send(self, size: int = 1 << 30) -> None:
        """What the client has to say, as far as it gets."""
        data = self.outgoing.read()
        while data:
            with suppress(BlockingIOError):
                data = data[self.socket.send(data[:size]) :]
            self.poller.run_turn()

    def receive(self, size: int = 1 << 16) -> None:
        """Let the server have a turn, and take some of what it says."""
        self.poller.run_turn()
        self.turn.flush()
        with suppress(BlockingIOError):
            self.incoming.write(self.socket.recv(size))

    def read(self, size: int) -> bytes:
        """So much plaintext; less at the end."""
        found = bytearray()
        while len(found) < size:
            try:
                plain = self.session.read(size - len(found))
            except ssl.SSLWantReadError:
                self.receive()
                continue
            if not plain:
                break
            found += plain
        return bytes(found)


@pytest.fixture(params=["direct", "by ssl"])
def site(
    request: pytest.FixtureRequest,
    core: ModuleType,
    certificate: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    monkeypatch.setenv("GLYPH_FAST_DIRECT_TLS", str(int(request.param == "direct")))
    with ExitStack() as stack:
        yield Site(core, stack, certificate, tmp_path)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_messages_of_all_sizes_come_back(site, version):
    site.open(version)
    for size in (0, 1, 125, 1369, 1370, 16383, 16384, 65535, 65536, 300_000):
        payload = random.randbytes(size)
        site.session.write(client(0x82, payload))
        site.send()
        assert site.read(len(server(0x82, payload))) == server(0x82, payload)
    assert not site.handler.failures


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_comes_in_one_reading_with_the_end_of_the_handshake_is_no_part_of_it(site, version):
    payload = random.randbytes(4 * MAX_HANDSHAKE)
    site.open(version, client(0x82, payload))
    assert site.read(len(server(0x82, payload))) == server(0x82, payload)
    assert not site.handler.failures and not site.broken


def test_a_handshake_without_end_is_cut(site):
    """OpenSSL would take 100 KiB of certificates, which are looked at all at once."""
    long = site._stack.enter_context(socket.socket(socket.AF_UNIX))
    long.connect(site.path)
    message = b"\x01\x01\xff\xfc" + bytes(0x1FFFC)  # a first one of 128 KiB
    records = [message[at : at + 0x4000] for at in range(0, len(message), 0x4000)]
    data = b"".join(b"\x16\x03\x01" + len(each).to_bytes(2) + each for each in records)
    sent = 0
    while not site.broken:
        assert sent <= MAX_HANDSHAKE
        long.sendall(data[sent : sent + 5000])
        sent += 5000
        site.poller.run_turn()
    assert [each.reason for each in site.broken] == ["HANDSHAKE_TOO_LONG"]
    assert not list(site.turn)
    site.open()


@pytest.mark.parametrize("together", [False, True])
def test_a_long_handshake_counts_as_many_steps_of_its_turn(site, together):
    """Else 32 of them, each as long as a hundred messages, would be one turn."""
    size = 15_000 if together else 500
    data = b"\x16\x03\x01" + (0x4000).to_bytes(2) + b"\x01\x01\xff\xfc" + bytes(size)
    sockets = []
    for _ in range(12):
        sockets.append(site._stack.enter_context(socket.socket(socket.AF_UNIX)))
        sockets[-1].connect(site.path)
        site.poller.run_turn()
    for each in sockets:
        each.sendall(data)
    turns = 0
    while any(not conn._sink.tls for conn in site.turn):
        site.poller.run_turn()
        turns += 1
    assert turns == (4 if together else 1)


@pytest.mark.parametrize("seed", range(3))
def test_records_may_be_cut_anywhere_and_read_late(site, seed):
    dice = random.Random(seed)
    conn = site.open()
    expected = b""
    for number in range(60):
        payload = bytes([number]) * dice.choice((0, 1, 100, 5_000, 70_000))
        expected += server(0x82, payload)
        conn.send(payload)
        site.session.write(client(0x82, payload))
        expected += server(0x82, payload)
        site.send(dice.choice((1_000, 30_000)))
    assert site.read(len(expected)) == expected


def test_a_record_that_was_changed_breaks_the_session_with_an_alert(site):
    conn = site.open()
    site.session.write(client(0x81, b"before"))
    site.send()
    site.session.write(client(0x81, b"after"))
    record = bytearray(site.outgoing.read())
    record[-1] ^= 1
    site.socket.sendall(record)
    while conn._phase != CLOSED:
        site.receive()
    assert site.handler.messages == ["before"]
    (failure,) = site.broken
    assert isinstance(failure, ssl.SSLError)
    assert failure.reason == "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"
    with pytest.raises(ssl.SSLError, match="(?i)bad.record.mac"):
        site.read(1000)


def test_another_connection_comes_when_one_broke(site):
    broken = site.open()
    site.socket.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    while broken._phase != CLOSED:
        site.receive()
    site.open()
    site.session.write(client(0x81, b"hello"))
    site.send()
    assert site.read(7) == server(0x81, b"hello")


def test_each_side_hears_the_end_of_the_other(site):
    conn = site.open()
    conn.close()
    assert site.read(4) == server(0x88, b"\x03\xe8")
    site.session.write(client(0x88, b"\x03\xe8"))
    site.send()
    assert site.read(1) == b""
    assert (conn._phase, conn.close_code) == (CLOSED, 1000)


def test_an_end_of_tls_alone_is_no_close_frame(site):
    conn = site.open()
    with pytest.raises(ssl.SSLWantReadError):
        site.session.unwrap()
    site.send()
    while conn._phase != CLOSED:
        site.receive()
    assert (conn.close_code, site.broken) == (1006, [])


def test_a_session_may_be_kept_beyond_its_connection(site):
    conn = site.open()
    session = conn._sink.tls
    assert session.version() == "TLSv1.3"
    conn.abort()
    site.turn.flush()
    site.poller.close()
    del conn, site.poller
    gc.collect()
    assert session.cipher() is not None
    with pytest.raises(ssl.SSLError):
        session.read(1)


def test_keys_change_on_the_way(site):
    site.open()
    for _ in range(3):
        ask_for_new_keys(site.session)
        site.session.write(client(0x81, b"hello"))
        site.send()
        assert site.read(7) == server(0x81, b"hello")


@pytest.mark.parametrize("site", ["direct"], indirect=True)
def test_a_peer_that_asks_for_keys_and_reads_none_is_cut(site):
    """Each answer is a record, and they must not be kept without end."""
    conn = site.open()
    site.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(1500):
        for _ in range(15):
            ask_for_new_keys(site.session)
        site.session.write(client(0x8A, b""))
        with suppress(OSError):
            site.send()
        if conn._phase == CLOSED:
            break
    assert conn._phase == CLOSED
    assert "reads none" in str(site.broken[0])


def test_a_peer_that_changes_keys_and_says_nothing_is_cut(site):
    """Each change takes as long as some messages, and there would be 10,000 in one reading."""
    conn = site.open()
    for _ in range(40):
        for _ in range(50):
            ask_for_new_keys(site.session)
        with suppress(OSError):
            site.send()
            site.receive()
        if conn._phase == CLOSED:
            break
    assert conn._phase == CLOSED
    assert str(site.broken[0]).endswith("too many records without data")
    assert site.broken[0].reason == "TOO_MANY_RECORDS_WITHOUT_DATA"


def test_no_reading_holds_many_changes_of_keys_whatever_comes_between(site):
    conn = site.open()
    for _ in range(5):
        for _ in range(20):
            ask_for_new_keys(site.session)
        site.session.write(client(0x8A, b""))
    site.send()
    assert conn._phase == CLOSED
    assert str(site.broken[0]).endswith("too many records without data")


def test_the_direct_way_is_taken_where_it_can_be(site, core):
    """What OpenSSL reads from is the core's own, and not a buffer of `ssl`."""
    library = ctypes.CDLL(_ssl.__file__)
    library.SSL_get_rbio.restype = ctypes.c_void_p
    library.BIO_method_name.restype = ctypes.c_char_p
    conn = site.open()
    found = SessionObject.from_address(id(conn._sink.tls._sslobj)).session
    bio = ctypes.c_void_p(library.SSL_get_rbio(ctypes.c_void_p(found)))
    is_direct = core.__name__ == "glyph_fast._core" and os.environ["GLYPH_FAST_DIRECT_TLS"] == "1"
    assert library.BIO_method_name(bio) == (b"glyph_fast" if is_direct else b"memory buffer")
