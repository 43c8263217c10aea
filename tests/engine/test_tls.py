"""TLS: the session by itself, then on sockets of each engine with both loops' clients."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from glyph_fast.core import Limits
from glyph_fast.engine.tls import Certificates, TlsSession, server_context
from glyph_fast.errors import ConfigError
from glyph_fast.wire import BINARY, CLOSE, DROP_NEWEST, TEXT
from tests.engine.certificates import make_certificate
from tests.engine.peers import Recorder, serving
from tests.tls_keys import ask_for_new_keys

pytestmark = pytest.mark.both_cores


def trusting(certificate, version: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificate.cert)
    if version == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class TestTheSession:
    """A session against a client of the same kind, by hand."""

    def talk(self, certificate):
        session = TlsSession(server_context(*certificate))
        to_client, from_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting(certificate).wrap_bio(to_client, from_client, server_hostname="localhost")
        return session, client, to_client, from_client

    def shake(self, certificate):
        session, client, to_client, from_client = self.talk(certificate)
        buffer = memoryview(bytearray(1000))
        for _ in range(3):
            try:
                client.do_handshake()
            except ssl.SSLWantReadError:
                pass
            session.feed(from_client.read())
            with pytest.raises(ssl.SSLWantReadError):
                session.read_into(buffer)
            to_client.write(session.to_send())
        return session, client, to_client, from_client

    def test_bytes_go_both_ways(self, certificate):
        session, client, to_client, from_client = self.shake(certificate)
        client.write(b"from the client")
        session.feed(from_client.read())
        buffer = memoryview(bytearray(8))
        assert (session.read_into(buffer), bytes(buffer)) == (8, b"from the")
        assert (session.read_into(buffer), bytes(buffer[:7])) == (7, b" client")
        session.write(b"from the server")
        to_client.write(session.to_send())
        assert client.read() == b"from the server"
        assert session.to_send() == b""

    def test_both_ends_are_told(self, certificate):
        session, client, to_client, from_client = self.shake(certificate)
        with pytest.raises(ssl.SSLWantReadError):
            client.unwrap()
        session.feed(from_client.read())
        assert session.read_into(memoryview(bytearray(8))) == 0
        session.end()
        to_client.write(session.to_send())
        client.unwrap()

    def test_nothing_is_sent_before_the_handshake(self, certificate):
        session, *_ = self.talk(certificate)
        with pytest.raises(OSError):
            session.write(b"secret")
        session.end()
        assert session.to_send() == b""

    @pytest.mark.parametrize(("changes", "between"), [(33, b""), (40, b"x")])
    def test_keys_are_not_changed_without_end(self, certificate, changes, between):
        session, client, _, from_client = self.shake(certificate)
        buffer = memoryview(bytearray(1000))
        for count in (3, changes):
            for number in range(count):
                ask_for_new_keys(client)
                if between and number % 10 == 0:
                    client.write(between)
            session.feed(from_client.read())
            while True:
                try:
                    session.read_into(buffer)
                except ssl.SSLWantReadError:
                    assert count == 3
                    break
                except ssl.SSLError as exc:
                    assert count == changes
                    assert exc.reason == "TOO_MANY_RECORDS_WITHOUT_DATA"
                    break

    def test_what_is_no_tls_is_an_error(self, certificate):
        session, *_ = self.talk(certificate)
        session.feed(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(ssl.SSLError):
            session.read_into(memoryview(bytearray(8)))


WORDS = {"cert": "certificate", "key": "key", "client_ca": "authorities"}


class TestTheContext:
    @pytest.mark.parametrize("name", ["cert", "key", "client_ca"])
    def test_a_file_that_is_no_pem_is_a_configuration_error(self, certificate, tmp_path, name):
        bad = tmp_path / "bad.pem"
        bad.write_text("not PEM")
        files = {"cert": certificate.cert, "key": certificate.key, name: str(bad)}
        with pytest.raises(ConfigError, match=rf"cannot use the {WORDS[name]} {bad}"):
            server_context(**files)

    def test_a_key_of_another_certificate_is_a_configuration_error(self, certificate, tmp_path):
        other = make_certificate(tmp_path, "other")
        said = f"cannot use the key {other.key}: it is not that of the certificate"
        with pytest.raises(ConfigError, match=f"{said} {certificate.cert}"):
            server_context(certificate.cert, other.key)

    def test_a_key_with_a_password_is_an_error_and_no_question(self, tmp_path):
        locked = make_certificate(tmp_path, "locked", password="secret")
        said = f"cannot use the key {locked.key}: it has a password, see --tls-key-password"
        with pytest.raises(ConfigError, match=said):
            server_context(locked.cert, locked.key)

    def test_a_key_with_a_password_is_used_with_it(self, tmp_path):
        locked = make_certificate(tmp_path, "locked", password="secret")
        server_context(locked.cert, locked.key, password="secret")
        said = f"cannot use the key {locked.key}: the password is not its own"
        with pytest.raises(ConfigError, match=said):
            server_context(locked.cert, locked.key, password="other")

    def test_a_file_that_is_not_there_is_named(self, certificate, tmp_path):
        nowhere = str(tmp_path / "nowhere.key")
        with pytest.raises(ConfigError, match=f"cannot use the key {nowhere}: no such file"):
            server_context(certificate.cert, nowhere)

    @pytest.mark.parametrize(("oldest", "works"), [("1.2", True), ("1.3", False)])
    def test_the_oldest_version_counts(self, backend, run, certificate, oldest, works):
        async def main():
            context = server_context(*certificate, min_version=oldest)
            async with serving(backend, Recorder(), tls=context) as server:
                client = trusting(certificate, "1.2")
                if works:
                    peer = await server.connect(ssl=client, server_hostname="localhost")
                    assert peer.writer.get_extra_info("ssl_object").version() == "TLSv1.2"
                else:
                    with pytest.raises(ssl.SSLError):
                        await server.connect(ssl=client, server_hostname="localhost")

        run(main())


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_foreign_client_speaks_wss(backend, run, certificate, version):
    async def main():
        async with serving(backend, Recorder(), tls=server_context(*certificate)) as server:
            url = f"wss://localhost:{server.address[1]}/"
            async with connect(
                url, ssl=trusting(certificate, version), compression=None, max_size=None
            ) as client:
                await client.send("hello")
                assert await client.recv() == "hello"
                for size in (0, 1, 16384, 300_000):
                    await client.send(b"\x07" * size)
                    assert await client.recv() == b"\x07" * size
            assert client.close_code == 1000
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(1000, "")]

    run(main())


def test_a_client_without_the_right_certificate_gets_nowhere(backend, run, certificate, tmp_path):
    mine = make_certificate(tmp_path, "mine")

    async def main():
        context = server_context(*certificate, client_ca=certificate.cert)
        async with serving(backend, Recorder(), tls=context) as server:
            for files, works in ((None, False), (mine, False), (certificate, True)):
                client = trusting(certificate)
                if files is not None:
                    client.load_cert_chain(*files)
                try:
                    peer = await server.connect(ssl=client, server_hostname="localhost")
                    head = await peer.upgrade()
                except (ssl.SSLError, OSError, asyncio.IncompleteReadError):
                    assert not works
                else:
                    assert works
                    assert head.startswith(b"HTTP/1.1 101")
            assert len(server.handler.heads) == 1

    run(main())


@pytest.mark.parametrize(("extra", "works"), [(20, True), (100, False)])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_no_more_certificates_are_looked_at_than_a_chain_has(
    backend, run, certificate, tmp_path, version, extra, works
):
    """Each takes a quarter of a millisecond, from whoever connects and of whomever it is."""
    chain = tmp_path / "chain.pem"
    junk = Path(make_certificate(tmp_path, "junk").cert).read_text()
    chain.write_text(Path(certificate.cert).read_text() + junk * extra)

    async def main():
        context = server_context(*certificate, client_ca=certificate.cert)
        async with serving(backend, Recorder(), tls=context) as server:
            client = trusting(certificate, version)
            client.load_cert_chain(chain, certificate.key)
            try:
                peer = await server.connect(ssl=client, server_hostname="localhost")
                head = await peer.upgrade()
            except (ssl.SSLError, OSError, asyncio.IncompleteReadError):
                assert not works
                await server.handler.until(lambda heard: heard.closes)
            else:
                assert works
                assert head.startswith(b"HTTP/1.1 101")

    run(main())


def test_what_is_no_tls_ends_the_connection(backend, run, certificate):
    async def main():
        async with serving(backend, Recorder(), tls=server_context(*certificate)) as server:
            peer = await server.connect()
            peer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"HTTP" not in await peer.rest()
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.heads == []

    run(main())


def test_a_handshake_that_takes_too_long_ends_the_connection(backend, run, certificate):
    async def main():
        limits = Limits(head_timeout=0.05, close_timeout=0.05)
        context = server_context(*certificate)
        async with serving(backend, Recorder(), tls=context, limits=limits) as server:
            silent, halting = await server.connect(), await server.connect()
            halting.write(b"\x16\x03\x01\x02\x00\x01")
            assert await silent.rest() == b""
            assert await halting.rest() == b""
            await server.handler.until(lambda heard: len(heard.closes) == 2)

    run(main())


def test_a_peer_that_reads_slowly_is_felt_in_the_queue(backend, run, certificate):
    """The queue policy applies behind TLS too; when the peer reads on, nothing is torn or lost."""

    async def main():
        limits = Limits(queue_messages=10, queue_bytes=10**9, queue_policy=DROP_NEWEST)
        context = server_context(*certificate)
        handler = Recorder()
        async with serving(backend, handler, tls=context, limits=limits) as server:
            options = {"ssl": trusting(certificate), "server_hostname": "localhost", "limit": 2**16}
            peer = await server.connect(**options)
            await peer.upgrade()
            (conn,) = handler.conns
            accepted = []
            while conn.messages_dropped < 3:
                number = b"%08d" % len(accepted)
                result = conn.send(number * 5000)
                if not result.dropped:
                    accepted.append(number * 5000)
            assert conn.queued_messages == 10
            for expected in accepted:
                assert await peer.frame() == (BINARY, expected)
            assert handler.drains == [conn]
            assert conn.queued_messages == 0

    run(main())


def test_a_peer_that_sips_is_not_closed(backend, run, certificate):
    """The kernel's buffer frees in big steps, and the transport's only then."""

    async def main():
        now = [0.0]
        limits = Limits(write_timeout=10.0, ping_interval=5.0)
        options = {"tls": server_context(*certificate), "limits": limits, "clock": lambda: now[0]}
        async with serving(backend, Recorder(), **options) as server:
            asks = {"ssl": trusting(certificate), "server_hostname": "localhost", "limit": 2**16}
            peer = await server.connect(**asks)
            await peer.upgrade()
            (conn,) = server.handler.conns
            conn.send(bytes(20_000_000))
            server.turn.sweep(now[0])
            assert await peer.reader.readexactly(10) == b"\x82\x7f" + (20_000_000).to_bytes(
                8, "big"
            )
            for _ in range(30):  # what is left then, the client's kernel has already
                assert not any(await peer.reader.readexactly(400_000))
                now[0] += 6.0
                server.turn.sweep(now[0])
                assert conn.is_open

    run(main())


def test_input_waits_while_reading_is_paused(backend, run, certificate):
    class Pausing(Recorder):
        def on_message(self, conn, payload):
            if payload == "pause":
                conn._pause_reading(2)

    async def main():
        context = server_context(*certificate)
        async with serving(backend, Pausing(), tls=context) as server:
            peer = await server.connect(ssl=trusting(certificate), server_hostname="localhost")
            await peer.upgrade()
            peer.send(TEXT, b"pause")
            for _ in range(100):
                peer.send(TEXT, b"x" * 10_000)
            await server.handler.until(lambda heard: heard.messages)
            await asyncio.sleep(0.01)
            assert server.handler.messages == ["pause"]
            server.handler.conns[0]._resume_reading(2)
            await server.handler.until(lambda heard: len(heard.messages) == 101)
            assert set(server.handler.messages[1:]) == {"x" * 10_000}

    run(main())


def test_an_end_without_a_word_is_1006(backend, run, certificate):
    async def main():
        async with serving(backend, Recorder(), tls=server_context(*certificate)) as server:
            peer = await server.connect(ssl=trusting(certificate), server_hostname="localhost")
            await peer.upgrade()
            fd = peer.writer.get_extra_info("socket").fileno()
            with socket.socket(fileno=os.dup(fd)) as sock:
                sock.shutdown(socket.SHUT_WR)  # no close frame, no close_notify
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(1006, "")]

    run(main())


def test_the_close_frame_and_the_end_of_tls_both_arrive(backend, run, certificate):
    async def main():
        async with serving(backend, Recorder(), tls=server_context(*certificate)) as server:
            context = trusting(certificate)
            peer = await server.connect(ssl=context, server_hostname="localhost")
            await peer.upgrade()
            server.handler.conns[0].close(1001, "bye")
            assert await peer.frame() == (CLOSE, b"\x03\xe9bye")
            peer.send(CLOSE, b"\x03\xe9")
            assert await peer.reader.read() == b""  # a torn end would raise SSLEOFError here
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(1001, "bye")]

    run(main())


def test_a_pipe_in_the_place_of_a_certificate_holds_nobody_up(tmp_path, caplog):
    files = make_certificate(tmp_path, "mine")
    certificates = Certificates(*files, client_ca=None, min_version="1.2")
    former = certificates.context
    os.unlink(files.cert)
    os.mkfifo(files.cert)
    held = os.open(files.cert, os.O_RDWR)
    late = threading.Timer(10, os.close, (held,))  # else a fault here would wait for ever
    late.start()
    assert certificates.renewed() is None
    late.cancel()
    late.join()
    os.close(held)
    assert certificates.context is former
    assert f"no regular file: {files.cert}" in caplog.text


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_nobody_resumes_by_a_certificate_whose_authority_is_taken_out(tmp_path, version):
    server, mine, other = (make_certificate(tmp_path, name) for name in ("server", "mine", "other"))
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(Path(mine.cert).read_bytes())
    certificates = Certificates(*server, client_ca=str(trusted), min_version="1.2")
    client = trusting(server, version)
    client.load_cert_chain(*mine)

    def shake(session=None):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        peer = client.wrap_bio(incoming, outgoing, server_hostname="localhost", session=session)
        here, plain = TlsSession(certificates.context), memoryview(bytearray(1000))
        is_written = False
        for _ in range(10):
            with suppress(ssl.SSLWantReadError):
                peer.do_handshake()
                if not is_written:
                    is_written = bool(peer.write(b"hello"))
                peer.read(1)
            here.feed(outgoing.read())
            with suppress(ssl.SSLWantReadError):
                here.read_into(plain)
            incoming.write(here.to_send())
        assert bytes(plain[:5]) == b"hello"
        return peer

    first = shake()
    assert shake(first.session).session_reused
    trusted.write_bytes(Path(other.cert).read_bytes())
    assert certificates.renewed() is certificates.context
    with pytest.raises(ssl.SSLError, match="(?i)certificate.verify.failed"):
        shake(first.session)
