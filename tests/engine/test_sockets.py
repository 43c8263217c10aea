"""What every engine promises, on every backend, over real sockets."""

from __future__ import annotations

import asyncio
import socket

import pytest

from glyph_fast.core import encode_frame
from glyph_fast.wire import BINARY, CLOSE, PING, PONG, TEXT
from tests.engine.peers import (
    UPGRADE,
    Recorder,
    listening_socket,
    new_engine,
    serving,
)

MASK = b"\1\2\3\4"


@pytest.mark.over_tls
def test_a_message_comes_back(backend, run):
    async def main():
        async with serving(backend, Recorder()) as server:
            peer = await server.upgraded()
            peer.send(TEXT, "grüße".encode())
            assert await peer.frame() == (TEXT, "grüße".encode())
            peer.send(BINARY, b"\0" * 300_000)
            assert await peer.frame() == (BINARY, b"\0" * 300_000)
            peer.send(CLOSE, b"\x03\xe8bye")
            assert await peer.frame() == (CLOSE, b"\x03\xe8bye")
            assert await peer.rest() == b""
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(1000, "bye")]

    run(main())


def test_a_unix_socket_serves_like_a_port(backend, run, tmp_path):
    async def main():
        async with serving(backend, Recorder(), path=str(tmp_path / "socket")) as server:
            peer = await server.upgraded()
            peer.send(TEXT, b"hello")
            assert await peer.frame() == (TEXT, b"hello")

    run(main())


@pytest.mark.over_tls
def test_the_peers_address_is_known(backend, run):
    async def main():
        async with serving(backend, Recorder()) as server:
            peer = await server.upgraded()
            (conn,) = server.handler.conns
            assert tuple(conn.peername) == peer.writer.get_extra_info("sockname")

    run(main())


@pytest.mark.over_tls
def test_messages_of_no_bytes_are_messages(backend, run):
    async def main():
        async with serving(backend, Recorder()) as server:
            peer = await server.upgraded()
            for opcode in (TEXT, BINARY):
                peer.send(opcode, b"")
                assert await peer.frame() == (opcode, b"")
            peer.send(TEXT, b"", fin=False)
            peer.send(0, b"")
            assert await peer.frame() == (TEXT, b"")
            peer.send(PING, b"")
            assert await peer.frame() == (PONG, b"")

    run(main())


@pytest.mark.over_tls
def test_the_answers_of_one_turn_leave_in_order(backend, run):
    async def main():
        async with serving(backend, Recorder()) as server:
            peer = await server.upgraded()
            numbers = [str(number).encode() for number in range(1000)]
            peer.write(b"".join(encode_frame(TEXT, each, key=MASK) for each in numbers))
            for each in numbers:
                assert await peer.frame() == (TEXT, each)

    run(main())


def test_more_peers_than_one_turn_takes_are_all_served(backend, run):
    async def main():
        async with serving(backend, Recorder()) as server:
            # Connected behind the loop's back, so that all of them wait to be accepted at once.
            for number in range(300):
                server.socket(UPGRADE % b"/" + encode_frame(TEXT, str(number), key=MASK))
            await server.handler.until(lambda heard: len(heard.messages) == 300)
            assert sorted(server.handler.messages, key=int) == [str(n) for n in range(300)]

    run(main())


@pytest.mark.over_tls
def test_a_reset_in_the_middle_of_a_frame_ends_only_that_connection(backend, run):
    async def main():
        async with serving(backend, Recorder()) as server:
            other = await server.upgraded()
            peer = await server.upgraded()
            peer.write(encode_frame(TEXT, b"x" * 5000, key=MASK)[:2000])
            await peer.writer.drain()
            peer.reset()
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(1006, "")]
            assert server.handler.messages == []
            other.send(TEXT, b"still there")
            assert await other.frame() == (TEXT, b"still there")

    run(main())


def test_the_end_of_input_without_a_close_frame_is_1006(backend, run):
    async def main():
        async with serving(backend, Recorder()) as server:
            peer = await server.upgraded()
            peer.send(TEXT, b"last words")
            peer.writer.write_eof()
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.messages == ["last words"]
            assert server.handler.closes == [(1006, "")]
            await peer.rest()

    run(main())


class Page(Recorder):
    """Answers each request with a page of `size` bytes, and closes when it is `asked` to."""

    def __init__(self, size: int, *, then_finish: bool = False) -> None:
        super().__init__()
        self.page = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"p" * size
        self.then_finish = then_finish

    def request(self, conn, head):
        self.heads.append(head)
        conn._write(self.page)
        if self.then_finish:
            conn._finish()


def test_a_peer_that_ended_its_side_still_reads_the_answer(backend, run):
    async def main():
        async with serving(backend, Page(3_000_000)) as server:
            peer = await server.connect()
            peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            peer.writer.write_eof()
            status, _, body = await peer.answer()
            assert (status, len(body)) == (200, 3_000_000)
            assert await peer.rest() == b""
            await server.handler.until(lambda heard: heard.closes)

    run(main())


@pytest.mark.over_tls
def test_input_nobody_wants_does_not_destroy_the_answer(backend, run):
    async def main():
        async with serving(backend, Page(100_000, then_finish=True)) as server:
            peer = await server.connect()
            peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + b"unread" * 100_000)
            status, _, body = await peer.answer()
            assert (status, len(body)) == (200, 100_000)
            await peer.close()
            await server.handler.until(lambda heard: heard.closes)

    run(main())


@pytest.mark.over_tls
def test_a_handler_that_raises_ends_its_message_only(backend, run):
    class Fussy(Recorder):
        def on_message(self, conn, payload):
            if payload == "bad":
                raise LookupError(payload)
            conn.send(payload)

    async def main():
        async with serving(backend, Fussy()) as server:
            peer = await server.upgraded()
            for text in (b"good", b"bad", b"good again"):
                peer.send(TEXT, text)
            assert await peer.frame() == (TEXT, b"good")
            assert await peer.frame() == (TEXT, b"good again")
            assert [str(exc) for exc in server.handler.errors] == ["bad"]

    run(main())


class Killer(Recorder):
    """`kill` aborts every other connection; anything else is echoed."""

    def on_message(self, conn, payload):
        if payload == "kill":
            for other in self.conns:
                if other is not conn:
                    other.abort()
        else:
            conn.send(payload)


def test_the_number_of_a_closed_descriptor_is_not_mistaken_for_its_successor(backend, run):
    async def main():
        async with serving(backend, Killer()) as server:
            for _ in range(20):
                server.handler.conns.clear()
                killer, *victims = [server.socket(UPGRADE % b"/") for _ in range(5)]
                await server.handler.until(lambda heard: len(heard.conns) == 5)
                # All within one turn: the kill, input of its victims, and a newcomer.
                for victim in victims[:2]:
                    victim.sendall(encode_frame(TEXT, b"before", key=MASK))
                killer.sendall(encode_frame(TEXT, b"kill", key=MASK))
                for victim in victims[2:]:
                    victim.sendall(encode_frame(TEXT, b"after", key=MASK))
                newcomer = server.socket(UPGRADE % b"/" + encode_frame(TEXT, b"hello", key=MASK))
                peer = await server.adopt(newcomer)
                assert (await peer.head()).startswith(b"HTTP/1.1 101")
                assert await peer.frame() == (TEXT, b"hello")
            assert server.handler.errors == []

    run(main())


@pytest.mark.over_tls
def test_stop_listening_leaves_connections_alone(backend, run):
    async def main():
        async with serving(backend, Recorder()) as server:
            peer = await server.upgraded()
            server.engine.stop_listening()
            with pytest.raises(ConnectionRefusedError):
                await server.connect()
            peer.send(TEXT, b"still here")
            assert await peer.frame() == (TEXT, b"still here")

    run(main())


def test_close_aborts_what_is_left_and_reports_it(backend, run):
    async def main():
        async with serving(backend, Recorder()) as server:
            peer = await server.upgraded()
            idle = await server.connect()
            server.socket(UPGRADE % b"/")
            await server.handler.until(lambda heard: len(heard.conns) == 2)
            server.handler.conns[-1].send(b"x" * 5_000_000)  # more than the kernel takes
            await server.engine.close()
            assert server.handler.closes == [(1006, "")] * 3
            assert len(server.turn) == 0
            await server.engine.close()  # once more changes nothing
            assert await peer.rest() == b""
            assert await idle.rest() == b""

    run(main())


def test_a_connection_accepted_at_the_last_moment_is_closed_too(backend, run):
    async def main():
        engine, turn = new_engine(backend, Recorder())
        listener = listening_socket()
        await engine.listen(listener)
        sock = socket.create_connection(listener.getsockname())
        await asyncio.sleep(0)  # it may be halfway through being accepted
        await engine.close()
        assert len(turn) == 0
        sock.settimeout(10)
        with pytest.raises(ConnectionError):
            sock.sendall(UPGRADE % b"/")
            while sock.recv(100):
                pass
            raise ConnectionResetError("ended in good order, which is as well")
        sock.close()

    run(main())
