"""An engine and the rest of its process: descriptors, threads, forks, other work of the loop."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from glyph_fast.core import Limits, encode_frame
from glyph_fast.errors import ConnectionClosed
from glyph_fast.wire import PENDING, TEXT
from tests.engine.peers import UPGRADE, Recorder, listening_socket, new_engine, serving
from tests.serving import ROOT

MASK = b"\1\2\3\4"


@contextmanager
def echo_process(backend, *arguments):
    """A server in its own process, and its address; it must end well."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.engine.echo_process"),
            *(backend.engine, backend.loop, *arguments),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, ("127.0.0.1", int(process.stdout.readline()))
        process.stdin.close()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(20)
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


@contextmanager
def client(address):
    """A socket that speaks frames."""
    with socket.create_connection(address, timeout=20) as sock:
        sock.sendall(UPGRADE % b"/")
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1)
        yield sock


def echoed(sock, text) -> bool:
    """Whether a message comes back."""
    frame = encode_frame(TEXT, text)
    sock.sendall(encode_frame(TEXT, text, key=MASK))
    answer = b""
    while len(answer) < len(frame) and (chunk := sock.recv(1000)):
        answer += chunk
    return answer == frame


class TestDescriptors:
    """EMFILE on accept: those who are connected are served, those who wait come in later."""

    def test_without_free_descriptors_clients_wait_and_get_in_later(self, backend):
        with echo_process(backend, "8") as (process, address):
            socks = []
            for _ in range(16):
                sock = socket.create_connection(address, timeout=20)
                sock.sendall(UPGRADE % b"/")
                socks.append(sock)
            # The server has said that it is out of descriptors once some clients are in.
            assert "cannot accept connections" in process.stderr.readline()
            assert socks[0].recv(1000).startswith(b"HTTP/1.1 101")
            assert echoed(socks[0], "by then all that are in were answered")
            inside = [socks[0]]
            inside += [sock for sock in socks[1:] if select.select([sock], [], [], 0)[0]]
            waiting = [sock for sock in socks if sock not in inside]
            assert waiting
            for sock in inside[1:]:
                assert sock.recv(1000).startswith(b"HTTP/1.1 101")
                assert echoed(sock, "hello")
            for sock in inside:
                sock.close()
            for sock in waiting[: len(inside)]:
                assert sock.recv(1000).startswith(b"HTTP/1.1 101")
            for sock in waiting:
                sock.close()


class TestThreads:
    def test_sends_of_other_threads_arrive_in_the_order_of_each(self, backend, run):
        async def main():
            # The queue holds them all: what is asserted is their order.
            limits = Limits(queue_messages=10_000)
            async with serving(backend, Recorder(), limits=limits) as server:
                peer = await server.upgraded()
                (conn,) = server.handler.conns
                results = []

                def send(name):
                    for n in range(300):
                        results.append(conn.send(f"{name}{n}"))

                threads = [threading.Thread(target=send, args=(name,)) for name in "abc"]
                for thread in threads:
                    thread.start()
                found = [(await peer.frame())[1].decode() for _ in range(900)]
                for thread in threads:
                    thread.join()
                for name in "abc":
                    mine = [text for text in found if text.startswith(name)]
                    assert mine == [f"{name}{n}" for n in range(300)]
                assert set(results) == {PENDING}

        run(main())

    def test_a_close_by_another_thread_comes_after_its_sends(self, backend, run):
        async def main():
            async with serving(backend, Recorder()) as server:
                peer = await server.upgraded()
                (conn,) = server.handler.conns

                def talk():
                    conn.send("last words")
                    conn.close(1000, "done")
                    conn.send("too late")

                thread = threading.Thread(target=talk)
                thread.start()
                assert await peer.frame() == (TEXT, b"last words")
                assert await peer.close_code() == 1000
                thread.join()
                await server.handler.until(lambda heard: heard.closes)
                assert server.handler.errors == []
                with pytest.raises(ConnectionClosed):
                    conn.send("in the loop's thread it is an error")

        run(main())


class TestTurns:
    def test_a_flood_from_one_peer_leaves_the_loop_time(self, backend, run):
        """What one peer sends faster than it is handled does not hold up timers and others."""
        seen_by_others = []

        class Busy(Recorder):
            def on_message(self, conn, payload):
                if len(self.messages) == 1:
                    # Runs when this turn of the loop is over.
                    loop.call_soon(lambda: seen_by_others.append(len(self.messages)))

        async def main():
            nonlocal loop
            loop = asyncio.get_running_loop()
            async with serving(backend, Busy()) as server:
                sock = server.socket(UPGRADE % b"/")
                await server.handler.until(lambda heard: heard.conns)
                frame = encode_frame(TEXT, b"x" * 90, key=MASK)
                total = 40_000  # 4 MB, far more than one read
                sender = threading.Thread(target=sock.sendall, args=(frame * total,))
                sender.start()
                await server.handler.until(lambda heard: len(heard.messages) == total)
                sender.join()
                assert 0 < seen_by_others[0] < total / 2

        loop = None
        run(main())


@pytest.mark.skipif("not hasattr(os, 'fork')", reason="the platform has no fork")
class TestForks:
    def test_a_child_that_holds_copies_of_all_descriptors_disturbs_nobody(self, backend):
        with echo_process(backend) as (_, address), client(address) as other:
            with client(address) as sock:
                assert echoed(sock, "fork")
                assert echoed(sock, "the parent goes on")
            for n in range(10):  # they get the numbers of those before, which the child has open
                with client(address) as sock:
                    assert echoed(sock, f"newcomer {n}")
            assert echoed(other, "still there")

    def test_a_socket_that_listens_may_be_handed_to_a_child(self, backend):
        """As servers with several processes do: bind, fork, then serve in the child."""
        sock = listening_socket()
        address = sock.getsockname()
        parent, child = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                parent.close()

                async def main():
                    engine, _ = new_engine(backend, Recorder())
                    await engine.listen(sock)
                    child.setblocking(False)
                    await asyncio.get_running_loop().sock_recv(child, 1)  # until the parent goes
                    await engine.close()

                with asyncio.Runner(loop_factory=backend.new_event_loop) as runner:
                    runner.run(main())
                status = 0
            finally:
                os._exit(status)
        try:
            sock.close()
            child.close()
            with socket.create_connection(address, timeout=20) as client:
                client.sendall(UPGRADE % b"/" + encode_frame(TEXT, b"hello", key=MASK))
                answer = b""
                while not answer.endswith(encode_frame(TEXT, b"hello")):
                    answer += client.recv(1000)
        finally:
            parent.close()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
