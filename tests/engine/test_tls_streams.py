"""What TLS does to streams, on each engine: records, ends, failures, and many peers at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import struct
import subprocess

import pytest

from glyph_fast.core import Limits, encode_frame
from glyph_fast.engine.tls import server_context
from glyph_fast.wire import BINARY, CLOSE, TEXT
from tests.backend import Backend
from tests.engine.peers import MASK, UPGRADE, Peer, Recorder, eventually, serving
from tests.engine.secured import SecuredSocket

pytestmark = pytest.mark.both_cores
RECORD = 16 * 1024
NATIVE = Backend("", "native", "asyncio")


def trusting(certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate.cert)


@contextlib.asynccontextmanager
async def secure(backend, certificate, handler=None, **options):
    """A server that speaks TLS, whose clients do."""
    options.setdefault("tls", server_context(*certificate))
    async with serving(backend, handler or Recorder(), **options) as server:
        server.context = trusting(certificate)
        yield server


async def upgraded(server) -> tuple[SecuredSocket, Peer]:
    client = await server.idle(UPGRADE % b"/")
    peer = await server.adopt(client)
    await peer.head()
    return client, peer


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    return encode_frame(opcode, payload, key=MASK)


def records(ciphertext: bytes) -> list[int]:
    """The sizes of the records it is made of; it must be whole ones."""
    sizes = []
    while ciphertext:
        size = int.from_bytes(ciphertext[3:5], "big")
        assert len(ciphertext) >= 5 + size
        sizes.append(size)
        ciphertext = ciphertext[5 + size :]
    return sizes


async def ciphertext(client: SecuredSocket, size: int) -> bytes:
    """So many bytes as they come, which `client` does not decrypt."""
    data = b""
    while len(data) < size:
        more = await asyncio.get_running_loop().sock_recv(client.sock, size - len(data))
        assert more
        data += more
    return data


class TestRecords:
    def test_where_records_are_cut_means_nothing(self, backend, run, certificate):
        dice = random.Random(23)
        messages = [b"%d" % n * dice.randrange(1, 4000) for n in range(60)]
        stream = b"".join(frame(each, BINARY) for each in messages)

        async def main():
            async with secure(backend, certificate, Recorder(echoes=False)) as server:
                client, _ = await upgraded(server)
                sent = 0
                while sent < len(stream):
                    size = dice.choice((1, 2, 5, 100, RECORD, 40_000))
                    client.sendall(stream[sent : sent + size])
                    sent += size
                    await asyncio.sleep(0)
                await server.handler.until(lambda heard: len(heard.messages) == len(messages))
                assert server.handler.messages == messages

        run(main())

    def test_a_record_may_come_byte_by_byte(self, backend, run, certificate):
        async def main():
            async with secure(backend, certificate) as server:
                client, peer = await upgraded(server)
                _, other = await upgraded(server)
                for byte in client.encrypted(frame(b"slow") + frame(b"and steady")):
                    client.sock.sendall(bytes([byte]))
                    other.send(TEXT, b"meanwhile")  # whose session has the same buffers
                    assert await other.frame() == (TEXT, b"meanwhile")
                assert await peer.frame() == (TEXT, b"slow")
                assert await peer.frame() == (TEXT, b"and steady")

        run(main())

    def test_the_answers_of_one_turn_are_one_record(self, backend, run, certificate):
        asks = b"".join(frame(b"%d" % n) for n in range(10))
        answers = b"".join(encode_frame(TEXT, b"%d" % n) for n in range(10))

        async def main():
            async with secure(backend, certificate) as server:
                client, _ = await upgraded(server)
                client.sendall(asks)
                head = await ciphertext(client, 5)
                size = int.from_bytes(head[3:], "big")
                await ciphertext(client, size)
                assert size == len(answers) + 17  # the type and the tag
                client.sock.setblocking(False)
                with pytest.raises(BlockingIOError):
                    client.sock.recv(1)

        run(main())

    def test_messages_of_any_size_go_both_ways(self, backend, run, certificate):
        async def main():
            limits = Limits(max_message_size=10**7)
            async with secure(backend, certificate, limits=limits) as server:
                _, peer = await upgraded(server)
                for size in (0, 1, 16_379, 16_380, 16_384, 65_535, 65_536, 131_063, 3_000_001):
                    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
                    await asyncio.get_running_loop().sock_sendall(
                        peer.writer.sock, peer.writer.encrypted(frame(payload, BINARY))
                    )
                    assert await peer.frame() == (BINARY, payload)

        run(main())


class TestRecordSizes:
    """Of the native engine: small where a window is to be opened, then as large as can be."""

    async def sizes(self, server, client, conn, size: int) -> list[int]:
        """Of the records of one message."""
        conn.send(bytes(size))
        conn._flush()
        data = b""
        while sum(records_of := whole_records(data)) - 17 * len(records_of) < size:
            data += await asyncio.get_running_loop().sock_recv(client.sock, 10**6)
        return records_of

    def test_the_first_ones_fit_a_segment(self, run, certificate):
        async def main():
            async with secure(NATIVE, certificate) as server:
                client, _ = await upgraded(server)
                (conn,) = server.handler.conns
                first = await self.sizes(server, client, conn, 40_000)
                assert max(first) <= 1369 + 17
                assert max(await self.sizes(server, client, conn, 40_000)) == RECORD + 17
                server.turn.sweep(0.0)
                assert max(await self.sizes(server, client, conn, 40_000)) == RECORD + 17
                for _ in range(3):  # in which nothing is sent
                    server.turn.sweep(0.0)
                assert max(await self.sizes(server, client, conn, 40_000)) <= 1369 + 17

        run(main())


def whole_records(data: bytes) -> list[int]:
    sizes = []
    while len(data) >= 5 and len(data) >= 5 + (size := int.from_bytes(data[3:5], "big")):
        sizes.append(size)
        data = data[5 + size :]
    return sizes


class TestEnds:
    def test_what_came_before_the_end_is_handled_before_it(self, backend, run, certificate):
        """Also where it has to wait for a handler."""

        class Pausing(Recorder):
            def on_message(self, conn, payload):
                if payload == "0":
                    conn._pause_reading(2)

        async def main():
            async with secure(backend, certificate, Pausing()) as server:
                client, _ = await upgraded(server)
                data = client.encrypted(b"".join(frame(b"%d" % n) for n in range(100)))
                with contextlib.suppress(ssl.SSLWantReadError):
                    client.tls.unwrap()
                client.sock.sendall(data + client.outgoing.read())
                await server.handler.until(lambda heard: heard.messages)
                for _ in range(5):
                    await asyncio.sleep(0.005)
                assert (server.handler.messages, server.handler.closes) == (["0"], [])
                server.handler.conns[0]._resume_reading(2)
                await server.handler.until(lambda heard: heard.closes)
                assert server.handler.messages == [str(n) for n in range(100)]

        run(main())

    def test_who_ended_tls_still_reads_the_answer(self, backend, run, certificate):
        class Page(Recorder):
            def request(self, conn, head):
                self.conns.append(conn)
                conn._hold()
                self._heard()

            def ended(self, conn):
                conn._write(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + bytes(300_000))
                conn._finish()

        async def main():
            async with secure(backend, certificate, Page()) as server:
                client = await server.idle(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                await server.handler.until(lambda heard: heard.conns)
                with contextlib.suppress(ssl.SSLWantReadError):
                    client.tls.unwrap()
                client.sock.sendall(client.outgoing.read())
                data = await ciphertext(client, 300_000)
                while more := await asyncio.get_running_loop().sock_recv(client.sock, 10**6):
                    data += more
                sizes = records(data)
                assert sum(sizes) - 17 * len(sizes) > 300_000
                await server.handler.until(lambda heard: heard.closes)

        run(main())

    def test_an_abort_is_a_reset(self, backend, run, certificate):
        async def main():
            async with secure(backend, certificate) as server:
                client, _ = await upgraded(server)
                server.handler.conns[0].abort()
                with pytest.raises(ConnectionResetError):
                    while await asyncio.get_running_loop().sock_recv(client.sock, 1000):
                        pass
                await server.handler.until(lambda heard: heard.closes)

        run(main())

    def test_nothing_is_left_of_a_session(self, backend, run, certificate):
        async def main():
            async with secure(backend, certificate) as server:
                client, _ = await upgraded(server)
                (conn,) = server.handler.conns
                assert conn._sink.tls.version == "TLSv1.3"
                client.close()
                await server.handler.until(lambda heard: heard.closes)
                await eventually(lambda: conn._sink is None)

        run(main())


class TestFailures:
    @pytest.mark.parametrize(
        "hello",
        [
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\xff\xff" + bytes(65535),  # a record longer than records may be
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",  # a hello that is none
            b"\x17\x03\x03\x00\x01x",  # data before anything
            b"\x80\x2e\x01\x03\x01" + bytes(50),  # SSLv2
            b"\x15\x03\x01\x00\x02\x02\x28",  # an alert
        ],
        ids=["http", "too long", "no hello", "data", "sslv2", "alert"],
    )
    def test_what_is_no_handshake_ends_that_connection(self, backend, run, certificate, hello):
        async def main():
            async with secure(backend, certificate) as server:
                _, other = await upgraded(server)
                loop = asyncio.get_running_loop()
                sock = server.socket(hello)
                sock.setblocking(False)
                data = b""
                with contextlib.suppress(ConnectionError):
                    while more := await loop.sock_recv(sock, 1000):
                        data += more
                assert b"HTTP" not in data
                await server.handler.until(lambda heard: heard.closes)
                assert server.handler.closes == [(1006, "")]
                assert len(server.handler.heads) == 1 and server.handler.errors == []
                other.send(TEXT, b"still there")
                assert await other.frame() == (TEXT, b"still there")

        run(main())

    def test_the_log_says_why_to_whom_asks(self, backend, run, certificate, caplog):
        """Of http:// in the place of https://, say."""
        caplog.set_level("DEBUG")

        async def main():
            async with secure(backend, certificate) as server:
                server.socket(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                await server.handler.until(lambda heard: heard.closes)
            assert "TLS failed reason=HTTP_REQUEST remote=127.0.0.1" in caplog.text

        run(main())

    def test_the_peer_is_told_why(self, backend, run, certificate):
        async def main():
            context = server_context(*certificate, min_version="1.3")
            async with secure(backend, certificate, tls=context) as server:
                old = trusting(certificate)
                old.maximum_version = ssl.TLSVersion.TLSv1_2
                with pytest.raises(ssl.SSLError) as failure:
                    await server.idle(context=old)
                assert failure.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"

        run(main())

    def test_a_record_that_was_changed_ends_that_connection_only(self, backend, run, certificate):
        async def main():
            async with secure(backend, certificate) as server:
                client, _ = await upgraded(server)
                _, other = await upgraded(server)
                bad = bytearray(client.encrypted(frame(b"good")) + client.encrypted(frame(b"bad")))
                bad[-1] ^= 1
                client.sock.sendall(bytes(bad) + b"what follows it" * 1000)
                await server.handler.until(lambda heard: heard.closes)
                assert server.handler.messages == ["good"]
                for _ in range(3):
                    other.send(TEXT, b"still there")
                    assert await other.frame() == (TEXT, b"still there")
                assert server.handler.errors == []

        run(main())

    def test_half_a_record_and_a_reset_disturb_nobody(self, backend, run, certificate):
        async def main():
            async with secure(backend, certificate) as server:
                _, other = await upgraded(server)
                for size in (1, 4, 5, 6, 30):
                    client, _ = await upgraded(server)
                    client.sock.sendall(client.encrypted(frame(bytes(100), BINARY))[:size])
                    other.send(TEXT, b"between")
                    assert await other.frame() == (TEXT, b"between")
                    client.sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: reset
                    client.close()
                await server.handler.until(lambda heard: len(heard.closes) == 5)
                other.send(TEXT, b"after")
                assert await other.frame() == (TEXT, b"after")

        run(main())


class TestSessions:
    @pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
    def test_a_client_that_comes_back_resumes_its_session(self, backend, run, certificate, version):
        async def main():
            async with secure(backend, certificate) as server:
                server.context.maximum_version = ssl.TLSVersion[version]
                client, peer = await upgraded(server)
                assert not client.tls.session_reused
                again = await server.idle(UPGRADE % b"/", session=client.tls.session)
                assert again.tls.session_reused
                peer = await server.adopt(again)
                await peer.head()
                peer.send(TEXT, b"hello again")
                assert await peer.frame() == (TEXT, b"hello again")

        run(main())

    @pytest.mark.parametrize(
        ("version", "steps"),
        [
            ("-tls1_2", [(b"R\n", b"no renegotiation")]),
            ("-tls1_3", [(b"K\n", b"KEYUPDATE"), (UPGRADE % b"/", b"HTTP/1.1 101")]),
        ],
    )
    def test_new_keys_are_made_without_another_handshake(
        self, backend, run, certificate, version, steps
    ):
        def talk(port: int) -> None:
            command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", version]
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as client:
                assert client.stdin is not None and client.stdout is not None
                for says, hears in steps:
                    client.stdin.write(says)
                    client.stdin.flush()
                    heard = b""
                    while hears not in heard and (line := client.stdout.readline()):
                        heard += line
                    assert hears in heard
                client.kill()

        async def main():
            async with secure(backend, certificate) as server:
                await asyncio.to_thread(talk, server.address[1])

        run(main())

    def test_many_hands_are_shaken_while_others_are_served(self, backend, run, certificate):
        async def main():
            async with secure(backend, certificate) as server:
                _, early = await upgraded(server)
                coming = [asyncio.create_task(upgraded(server)) for _ in range(120)]
                while not all(each.done() for each in coming):
                    early.send(TEXT, b"served")
                    assert await early.frame() == (TEXT, b"served")
                for each in coming:
                    _, peer = each.result()
                    peer.send(TEXT, b"me too")
                    assert await peer.frame() == (TEXT, b"me too")

        run(main())

    def test_the_server_ends_with_those_who_shake_hands(self, backend, run, certificate):
        async def main():
            async with secure(backend, certificate) as server:
                _, peer = await upgraded(server)
                server.socket(b"\x16\x03\x01\x02\x00\x01")
                await eventually(lambda: len(server.turn) == 2)
                await server.engine.close()
                assert len(server.turn) == 0
                with contextlib.suppress(ConnectionError):
                    assert await peer.rest() == b""

        run(main())

    def test_a_close_is_told_in_words_of_both_protocols(self, backend, run, certificate):
        async def main():
            async with secure(backend, certificate) as server:
                client, peer = await upgraded(server)
                peer.send(CLOSE, b"\x03\xe8")
                assert await peer.frame() == (CLOSE, b"\x03\xe8")
                assert await client.read() == b""  # else SSLEOFError

        run(main())
