"""Many threads send while connections come and go: each one's order is kept, nothing is lost."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict

from glyph_fast import Server
from glyph_fast.errors import ConnectionNotFound
from glyph_fast.wire import CLOSE, TEXT
from tests.running import running

THREADS, EACH = 8, 400
MEMBERS = 10
CHURNING = 5


def work(server: Server, thread: int, target: str) -> None:
    """Send by every way there is, numbered; the last to one connection only."""
    hub, breath = server.hub, threading.Event()
    for number in range(EACH):
        text = f"{thread} {number}"
        way = number % 4
        if way == 0:
            result = hub.broadcast(text)
        elif way == 1:
            result = hub.broadcast_to_room("all", text)
        elif way == 2:
            room = hub.get_room_manager().get_room("all")
            assert room is not None
            result = room.broadcast(text)
        else:
            try:
                result = hub.send_to(target, text)
            except ConnectionNotFound:
                raise AssertionError("the target stays") from None
        assert result.pending  # it was handed over
        if not number % 50:
            hub.get_connections()
            hub._figures()
            breath.wait(0.01)  # else they were done before the first connection had come and gone


def test_each_threads_messages_arrive_in_order_and_none_is_lost(backend, run):
    server = Server()
    errors: list[BaseException] = []

    @server.on_connect
    def enter(conn):
        conn.join_room("all")

    def start(thread: int, target: str) -> threading.Thread:
        def guarded() -> None:
            try:
                work(server, thread, target)
            except BaseException as exc:
                errors.append(exc)

        return threading.Thread(target=guarded)

    async def listen(peer, expected: int) -> dict[int, list[int]]:
        heard = defaultdict(list)
        for _ in range(expected):
            opcode, payload = await peer.frame()
            assert opcode == TEXT
            thread, number = map(int, payload.split())
            heard[thread].append(number)
        return heard

    async def churn(url, done: asyncio.Event) -> int:
        times = 0
        while times < 2 or not done.is_set():  # both ways to go, however slow the machine is
            peer = await url.peer()
            await peer.upgrade(b"/ws")
            if times % 2:
                peer.send(CLOSE, b"\x03\xe8")
            else:
                peer.reset()
            await peer.close()
            times += 1
            await asyncio.sleep(0.002)
        return times

    async def main():
        async with running(server, backend, queue_messages=10**6, queue_bytes=10**9) as url:
            peers = []
            for _ in range(MEMBERS):
                peers.append(await url.peer())
                await peers[-1].upgrade(b"/ws")
            target = server.hub.get_connections()[0].id
            done = asyncio.Event()
            churning = [asyncio.create_task(churn(url, done)) for _ in range(CHURNING)]
            threads = [start(thread, target) for thread in range(THREADS)]
            for thread in threads:
                thread.start()
            to_all = [n for n in range(EACH) if n % 4 != 3]
            expected = [list(range(EACH)), *[to_all] * (MEMBERS - 1)]
            for peer, numbers in zip(peers, expected, strict=True):
                heard = await listen(peer, THREADS * len(numbers))
                assert heard == dict.fromkeys(range(THREADS), numbers)
            done.set()
            came = sum(await asyncio.gather(*churning))
            for thread in threads:
                await asyncio.to_thread(thread.join)
            assert errors == []
            assert came >= 2 * CHURNING
            assert server.hub.metrics.handler_errors == 0
            for peer in peers:
                await peer.close()

    run(main(), deadline=60)
