"""Streams of events over several processes: who speaks on another worker, and who resumes there."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.listening import Listener, listening, say
from tests.serving import ServeProcess, serving
from tests.succession import Service, succession
from tests.workers.clients import APP, TRIES

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def server() -> Iterator[ServeProcess]:
    with serving("program:server", "--workers", "2", cwd=APP) as started:
        yield started


async def pid_of(stream: Listener) -> int:
    """The process that has a stream."""
    assert await stream.say({"event": "who", "id": "who"}) == 204
    while (answer := await stream.data()).get("id") != "who":
        pass
    pid: int = answer["data"]["pid"]
    return pid


@asynccontextmanager
async def stream_of_each(url: str, path: str) -> AsyncIterator[list[Listener]]:
    """One stream of each of two workers."""
    async with AsyncExitStack() as stack:
        found: dict[int, Listener] = {}
        for _ in range(TRIES):
            stream = await stack.enter_async_context(listening(url, path))
            found.setdefault(await pid_of(stream), stream)
            if len(found) == 2:
                yield list(found.values())
                return
        raise AssertionError("only one worker answered")


def test_a_message_may_come_by_any_worker(server: ServeProcess, run: Run) -> None:
    async def main() -> None:
        async with stream_of_each(server.url, "/events?room=kept:posts") as streams:
            for n in range(10):  # on both workers with near certainty
                for stream in streams:
                    assert await stream.say({"event": "who", "id": f"q{n}"}) == 204
                    answer = await stream.data()
                    assert (answer["id"], answer["data"]["id"]) == (f"q{n}", stream.id)

    run(main(), deadline=60)


def test_who_is_gone_is_gone_on_all(server: ServeProcess, run: Run) -> None:
    async def main() -> None:
        async with stream_of_each(server.url, "/events?room=kept:gone") as streams:
            sessions = [stream.session for stream in streams]
        async with asyncio.timeout(20):
            for session in sessions:
                while (await say(server.url, "/events", session, {"type": "ping"}))[0] != 404:
                    await asyncio.sleep(0.02)
        for session in sessions:
            for _ in range(4):
                assert (await say(server.url, "/events", session, {}))[0] == 404
        for guess in ("9." + "x" * 32, "0." + "x" * 32, "2." + "x" * 32):
            assert (await say(server.url, "/events", guess, {}))[0] == 404

    run(main(), deadline=60)


def test_a_message_looks_the_same_on_all_workers(server: ServeProcess, run: Run) -> None:
    async def main() -> None:
        room = "live:kinds"
        async with stream_of_each(server.url, f"/events?room={room}") as (one, two):
            for value in ("text", 5, None, [1], {"type": "json"}):
                assert await one.say({"event": "say", "room": room, "data": value}) == 204
                wanted = {"room": room, "type": "json", "data": value}
                assert await one.data() == await two.data() == wanted
            assert await one.say({"event": "everyone", "data": "all"}) == 204
            assert await two.data() == {"type": "json", "data": "all"}

    run(main(), deadline=60)


def test_one_order_and_one_place_for_all(server: ServeProcess, run: Run) -> None:
    async def main() -> None:
        room = "kept:order"
        async with stream_of_each(server.url, f"/events?room={room}") as (one, two):
            for n in range(20):
                sender = (one, two)[n % 2]
                assert await sender.say({"event": "say", "room": room, "data": n}) == 204
            heard = [[await each.next() for _ in range(20)] for each in (one, two)]
            assert [e.json for e in heard[0]] == [e.json for e in heard[1]]
            assert [e.id for e in heard[0]] == [e.id for e in heard[1]]
            assert [e.json["offset"] for e in heard[0]] == list(range(1, 21))

    run(main(), deadline=60)


def test_it_counts_where_connections_do(server: ServeProcess, run: Run) -> None:
    async def main() -> None:
        room = "here:1"
        async with stream_of_each(server.url, f"/events?room={room}") as (one, two):
            assert await one.say({"event": "count", "room": room, "id": 1}) == 204
            found = (await one.data())["data"]
            assert {one.id, two.id} <= set(found["present"])
            assert found["counts"][1] == len(found["present"])

    run(main(), deadline=60)


def test_who_was_on_a_worker_that_was_killed_resumes(run: Run) -> None:
    async def main(server: ServeProcess) -> None:
        room = "kept:killed"
        path = f"/events?room={room}"
        async with stream_of_each(server.url, path) as (one, two):
            for n in range(5):
                assert await one.say({"event": "say", "room": room, "data": n}) == 204
                assert (await one.next()).json["data"] == (await two.next()).json["data"] == n
            os.kill(await pid_of(one), signal.SIGKILL)
            with pytest.raises((EOFError, OSError, asyncio.IncompleteReadError)):
                await one.next()
            assert await two.say({"event": "say", "room": room, "data": 5}) == 204
            async with listening(server.url, path, Last_Event_ID=one.last_id) as again:
                assert (await again.next()).json["data"] == 5
                assert await two.say({"event": "say", "room": room, "data": 6}) == 204
                event = await again.next()
                assert (event.json["data"], event.json["offset"]) == (6, 7)

    with serving("program:server", "--workers", "2", cwd=APP) as server:
        run(main(server), deadline=60)


def test_a_hangup_ends_streams_which_come_back_to_the_successor(run: Run) -> None:
    async def main(server: Service) -> None:
        path = "/events?room=live:succession"
        async with listening(server.url, path) as stream:
            restarting = asyncio.ensure_future(asyncio.to_thread(server.restart))
            event = await stream.next()
            assert (event.name, event.json["code"]) == ("close", 1012)
            with pytest.raises(EOFError):
                await stream.next()
        await restarting
        async with listening(server.url, path) as again:
            assert await stream.say({"event": "who"}) in (404, 503)
            while await again.say({"event": "who", "id": 1}) != 204:  # a predecessor was asked
                await asyncio.sleep(0.02)
            assert (await again.data())["data"]["id"] == again.id

    with succession("program:server", "--workers", "2", cwd=APP) as server:
        run(main(server), deadline=60)
