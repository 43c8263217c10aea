"""What is particular to the native engine; what it shares with the other is in test_sockets."""

from __future__ import annotations

import asyncio
import socket

import pytest

from glyph_fast.core import encode_frame
from tests.backend import Backend
from tests.engine.peers import UPGRADE, Recorder, listening_socket, new_engine, serving

pytestmark = pytest.mark.both_cores
NATIVE = Backend("", "native", "asyncio")


def test_accepted_sockets_do_not_wait_to_fill_packets(run):
    async def main():
        engine, _ = new_engine(NATIVE, Recorder())
        listener = listening_socket()
        await engine.listen(listener)
        # On Linux, accepted sockets have what their listener has.
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await engine.close()

    run(main())


def test_the_messages_of_one_turn_leave_in_one_write(run):
    async def main():
        async with serving(NATIVE, Recorder()) as server:
            sock = server.socket(UPGRADE % b"/")
            await server.handler.until(lambda heard: heard.conns)
            sock.sendall(b"".join(encode_frame(1, str(n), key=b"\1\2\3\4") for n in range(10)))
            await server.handler.until(lambda heard: len(heard.messages) == 10)
            # One that reads as soon as there is something gets it all: there was one write.
            await asyncio.sleep(0)
            answer = sock.recv(65536).partition(b"\r\n\r\n")[2]
            assert answer == b"".join(encode_frame(1, str(n)) for n in range(10))

    run(main())


def test_the_loop_is_left_as_it_was(run):
    async def main():
        loop = asyncio.get_running_loop()
        engine, _ = new_engine(NATIVE, Recorder())
        fd = engine._poller.fileno()
        await engine.close()
        assert not loop.remove_reader(fd)

    run(main())
