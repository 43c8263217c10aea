"""The sends of one turn by one system call (io_uring), and the same without: nobody can tell.

Where the kernel refuses io_uring, both ways are the same one, and the tests hold all the same.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import struct
from pathlib import Path

import pytest

from glyph_fast.core import NAME, Frame, Limits, Room, encode_frame
from glyph_fast.wire import BINARY, TEXT
from tests.backend import Backend
from tests.engine.peers import UPGRADE, Recorder, serving

NATIVE = Backend("", "native", "asyncio")
MEMBERS = 20  # more than the connections from which the sends of a turn go together

pytestmark = pytest.mark.both_cores


@pytest.fixture(params=["", "0"], ids=["automatic", "off"], autouse=True)
def switch(request, monkeypatch) -> str:
    monkeypatch.setenv("GLYPH_FAST_IO_URING", request.param)
    return request.param


def rings() -> int:
    """How many io_uring descriptors this process has."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            count += "io_uring" in os.readlink(link)
        except FileNotFoundError:  # the one that lists them
            continue
    return count


def is_permitted() -> bool:
    """Whether the kernel gives us a ring with the flags that the core wants."""
    libc = ctypes.CDLL(None, use_errno=True)
    parameters = struct.pack("<IIIII", 0, 0, 1 << 12 | 1 << 13, 0, 0).ljust(120, b"\0")
    fd = libc.syscall(425, 8, ctypes.create_string_buffer(parameters))
    if fd >= 0:
        os.close(fd)
    return fd >= 0


async def members(server, count: int = MEMBERS, **options) -> tuple[Room, list[socket.socket]]:
    """A room and its members' sockets; their answers to the upgrade are read."""
    room = Room()
    socks = []
    for n in range(count):
        sock = server.socket(UPGRADE % b"/", **options)
        await server.handler.until(lambda heard, n=n: len(heard.conns) > n)
        await asyncio.sleep(0)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        room.add(server.handler.conns[-1])
        socks.append(sock)
    return room, socks


def received(sock: socket.socket, size: int) -> bytes:
    """The next `size` bytes that came."""
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            break
        data += piece
    return bytes(data)


@pytest.mark.parametrize("sizes", [[5], [5, 200, 70_000], [100] * 40, [50_000, 50_000]])
def test_every_member_gets_everything_in_order(run, sizes):
    frames = [encode_frame(TEXT, chr(97 + n % 26) * size) for n, size in enumerate(sizes)]

    async def main():
        async with serving(NATIVE, Recorder()) as server:
            room, socks = await members(server)
            for n, size in enumerate(sizes):
                room.publish(Frame(chr(97 + n % 26) * size))
            server.turn.flush()
            for sock in socks:
                assert received(sock, sum(map(len, frames))) == b"".join(frames)
            for conn in server.handler.conns:
                assert conn.queued_messages == conn.queued_bytes == 0
                assert conn.messages_sent == len(sizes)

    run(main())


def test_members_with_different_messages_get_their_own(run):
    async def main():
        async with serving(NATIVE, Recorder()) as server:
            room, socks = await members(server)
            room.publish(Frame("for all"))
            for n, conn in enumerate(server.handler.conns):
                conn.send(f"for {n}")
                if n % 3 == 0:
                    conn.send(f"once more for {n}")
                if n % 5 == 0:
                    conn._ping()
            server.turn.flush()
            for n, sock in enumerate(socks):
                texts = ["for all", f"for {n}"] + [f"once more for {n}"] * (n % 3 == 0)
                want = b"".join(encode_frame(TEXT, text) for text in texts)
                if n % 5 == 0:
                    ping = received(sock, 2)
                    received(sock, ping[1])
                assert received(sock, len(want)) == want

    run(main())


def test_what_the_kernel_does_not_take_waits_for_that_member_alone(run):
    size = 1_000_000

    async def main():
        limits = Limits(queue_bytes=10**9, max_message_size=10**9)
        async with serving(NATIVE, Recorder(), limits=limits) as server:
            room, socks = await members(server, receive_buffer=4096)
            frames = [bytes([n]) * size for n in range(12)]
            for payload in frames:
                room.publish(Frame(payload))
                server.turn.flush()
            assert all(conn.queued_bytes for conn in server.handler.conns)
            want = b"".join(encode_frame(BINARY, payload) for payload in frames)
            loop = asyncio.get_running_loop()
            for sock in (socks[0], socks[-1]):
                assert await loop.run_in_executor(None, received, sock, len(want)) == want
            assert not server.handler.conns[0].queued_bytes
            assert server.handler.conns[1].queued_bytes

    run(main(), deadline=60)


def test_members_that_are_gone_are_closed_and_the_others_served(run):
    async def main():
        async with serving(NATIVE, Recorder()) as server:
            room, socks = await members(server)
            for sock in socks[::2]:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
            room.publish(Frame("hello"))
            server.turn.flush()  # the resets are there, and nobody has read them
            await server.handler.until(lambda heard: len(heard.closes) == MEMBERS // 2)
            for sock in socks[1::2]:
                assert received(sock, 7) == encode_frame(TEXT, "hello")
            assert [conn.is_open for conn in server.handler.conns] == [False, True] * (MEMBERS // 2)
            assert not server.handler.errors

    run(main())


def test_echoes_of_one_turn_reach_their_senders(run):
    async def main():
        async with serving(NATIVE, Recorder()) as server:
            _, socks = await members(server)
            for n, sock in enumerate(socks):
                sock.sendall(encode_frame(TEXT, f"number {n:4}", key=b"\1\2\3\4"))
            await server.handler.until(lambda heard: len(heard.messages) == MEMBERS)
            await asyncio.sleep(0)
            for n, sock in enumerate(socks):
                assert received(sock, 13) == encode_frame(TEXT, f"number {n:4}")

    run(main())


def test_a_ring_is_made_when_it_is_needed_and_goes_with_the_engine(run, switch):
    wanted = NAME == "compiled" and switch != "0" and is_permitted()

    async def main():
        before = rings()
        async with serving(NATIVE, Recorder()) as server:
            room, socks = await members(server)
            assert rings() == before  # answers to upgrades need none
            room.publish(Frame("hello"))
            server.turn.flush()
            assert rings() == before + wanted
            for sock in socks:
                assert received(sock, 7) == encode_frame(TEXT, "hello")
        assert rings() == before

    run(main())


def test_a_turn_with_another_owner_makes_its_own_ring(run):
    async def main():
        async with serving(NATIVE, Recorder()) as server:
            room, socks = await members(server)

            def publish(text: str) -> None:
                server.turn.bind()
                room.publish(Frame(text))
                server.turn.flush()

            loop = asyncio.get_running_loop()
            publish("here")
            await loop.run_in_executor(None, publish, "there")
            publish("back")
            for sock in socks:
                want = b"".join(encode_frame(TEXT, text) for text in ("here", "there", "back"))
                assert received(sock, len(want)) == want

    run(main())
