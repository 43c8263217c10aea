"""Rooms that remember, over a server's successors: nobody loses anything, or gets it twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest
from websockets.sync.client import connect

from glyph_fast import BrokerUnavailable, Config
from glyph_fast.admin.calls import CALLS, CallError, finished
from glyph_fast.server.succession import Succession
from tests.estates import until
from tests.following_streams import REMEMBERING, Crowd
from tests.succession import Service, adopting, options_of, succession, wait
from tests.wired import Site, settled, spin

TIDY = """

@server.on_disconnect
def tidy(conn):
    rooms = server.hub.get_room_manager()
    for room in conn.get_rooms():
        if not rooms.get_room_size(room):
            rooms.delete_room(room)
            print("tidied", file=__import__("sys").stderr, flush=True)
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(REMEMBERING + TIDY)
    return tmp_path


async def restart(service: Service) -> int:
    return await asyncio.to_thread(service.restart)


def test_nobody_loses_anything_or_gets_it_twice(backend, run, app: Path) -> None:
    async def main() -> None:
        options = options_of(backend)
        with succession("app:server", "--history-answer=5000", *options, cwd=app) as service:
            crowd = Crowd(service.ws("/ws"))
            await crowd.start()
            for _ in range(3):
                await crowd.more(5)
                await restart(service)
            await crowd.more(5)
            await crowd.end()
            assert all(each.connections == 4 for each in crowd.readers)
            assert all(len(each.epochs) == 1 for each in crowd.readers)
            assert "begin anew" not in service.log()
            assert service.log().count("tidied") >= 3

    run(main(), deadline=120)


def test_nobody_loses_anything_over_a_reload(run, app: Path) -> None:
    async def main() -> None:
        with adopting():
            options = "--reload", "--history-answer=5000"
            service = await asyncio.to_thread(Service, "app:server", *options, cwd=app)
            try:
                await asyncio.to_thread(service.logged, "watching")
                crowd = Crowd(service.ws("/ws"))
                await crowd.start()
                for version in range(3):
                    await crowd.more(5)
                    (app / "app.py").write_text(f"{REMEMBERING}\nVERSION = {version}\n")
                    await asyncio.to_thread(service.logged, "reloaded")
                await crowd.more(5)
                await crowd.end()
                assert all(len(each.epochs) == 1 for each in crowd.readers)
                assert "begin anew" not in service.log()
                assert await asyncio.to_thread(service.stop) == 0
            finally:
                if service.process.poll() is None:
                    service.kill()
                service.release()

    run(main(), deadline=120)


PAUSING = f"""
import os, time
from pathlib import Path
{REMEMBERING}

@server.on_startup
async def pause():
    await server.hub.publish("kept:log", "begin")
    if Path("slow").exists():
        Path("starting").touch()
        while not Path("go").exists():
            time.sleep(0.01)


@server.post("/publish")
async def publish(request):
    position = await server.hub.publish("kept:log", ["posted"], idempotency_key="the-key")
    return {{"epoch": position.epoch, "offset": position.offset, "pid": os.getpid()}}
"""


def posted(service: Service) -> dict:
    asked = urllib.request.Request(f"{service.url}/publish", method="POST", data=b"")
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def resumed(service: Service, since: dict, **more) -> dict:
    with connect(service.ws("/ws")) as client:
        asked = {"type": "join_room", "room": "kept:log", "since": since, **more}
        client.send(json.dumps(asked))
        return json.loads(client.recv(timeout=60))["data"]


def test_a_key_counts_on_and_what_the_hooks_publish_gets_its_place(app: Path) -> None:
    (app / "app.py").write_text(PAUSING)
    with succession("app:server", cwd=app) as service:
        first = posted(service)
        assert first["offset"] == 2
        service.restart()
        again = posted(service)
        assert (again["pid"], again["epoch"], again["offset"]) == (
            service.pid, first["epoch"], 2
        )  # fmt: skip
        answer = resumed(service, {"epoch": first["epoch"], "offset": 0})
        assert [each["data"] for each in answer["messages"]] == ["begin", ["posted"], "begin"]
        # A program that keeps less.
        (app / "app.py").write_text(PAUSING.replace("5000", "2"))
        service.restart()
        epoch = first["epoch"]
        assert resumed(service, {"epoch": epoch, "offset": 1})["resumed"] is False
        answer = resumed(service, {"epoch": epoch, "offset": 2})
        assert answer["resumed"] is True
        assert [each["offset"] for each in answer["messages"]] == [3, 4]
        # And one in which the room does not remember.
        (app / "app.py").write_text(PAUSING.replace("history_size=5000, ", ""))
        service.restart()
        assert "resumed" not in resumed(service, {"epoch": epoch, "offset": 2})


@pytest.mark.parametrize("fate", [signal.SIGSTOP, signal.SIGKILL])
def test_without_the_former_process_rooms_begin_anew(app: Path, fate: signal.Signals) -> None:
    (app / "app.py").write_text(PAUSING)
    with succession("app:server", cwd=app) as service:
        service.restart()
        first, former = posted(service), service.pid
        (app / "slow").touch()
        os.kill(former, signal.SIGHUP)
        while not (app / "starting").exists():
            time.sleep(0.01)
        os.kill(former, fate)
        try:
            (app / "go").touch()
            answer = resumed(service, {"epoch": first["epoch"], "offset": 1})
            assert answer["resumed"] is False and answer["epoch"] != first["epoch"]
            service.logged("not handed over: rooms that remember begin anew")
            second = posted(service)  # the key is forgotten as well
            assert second["epoch"] == answer["epoch"] and second["offset"] == 2
            service.pid = second["pid"]
        finally:
            os.kill(former, signal.SIGCONT)
        assert wait(former) == (0 if fate == signal.SIGSTOP else -signal.SIGKILL)
        assert posted(service)["offset"] == 2  # what came too late changes nothing


# The same within one process: two sites, one of which takes over from the other.


class Process:
    """A site and its part of the succession."""

    def __init__(self, former: socket.socket | None = None) -> None:
        self.site = Site(Config(rooms={"kept": {"history_size": 100, "client_join": True}}))
        self.hub = self.site.hub
        self.succession = Succession(self.hub, former)
        self.succession.started()
        self.succession.serving()

    def next(self) -> tuple[Process, socket.socket]:
        ours, theirs = socket.socketpair()
        return Process(theirs), ours

    async def kept(self) -> list:
        return [each.data for each in (await self.hub.history("kept")).messages]


async def moved(first: Process) -> Process:
    second, link = first.next()
    await first.succession.hand_on(link)
    await second.succession._has_order.wait()
    return second


def test_what_handlers_of_the_former_process_do_is_done_by_the_successor(run) -> None:
    async def main() -> None:
        first = Process()
        begun = await first.hub.publish("kept", [1], idempotency_key="one")
        second = await moved(first)
        peer = second.site.connect()
        peer.conn.join_room("kept")
        peer.conn.join_room("other")
        assert await first.hub.publish("kept", [2], exclude="nobody") == (begun.epoch, 2)
        assert await first.hub.publish("kept", [1], idempotency_key="one") == begun
        assert await second.hub.publish("kept", [1], idempotency_key="one") == begun
        assert first.hub.broadcast_to_room("kept", "3").pending
        assert (await second.hub.publish("kept", {"n": 4})).offset in (3, 4)
        assert sorted(map(str, await first.kept())) == ["3", "[1]", "[2]", "{'n': 4}"]
        first.hub.broadcast_to_room("other", "5")
        await first.hub.publish("other", "6", idempotency_key="six")
        await first.hub.publish("other", "6", idempotency_key="six")
        await second.hub.publish("other", "6", idempotency_key="six")
        first.hub.broadcast("7")
        assert await first.hub.count("kept") == 1
        got = peer.received()
        assert got.pop(0) == "[2]"
        assert sorted(got[:2]) == ["3", '{"n":4}']
        assert got[2:] == ["5", "6", "7"]
        await first.hub.remove_history("kept")
        assert await second.kept() == []
        # A program tidies up when its last member is gone.
        first.hub.get_room_manager().get_or_create_room("other").set_metadata("topic", "news")
        first.hub.get_room_manager().delete_room("kept")
        first.hub.get_room_manager().delete_room("other")
        first.hub.get_room_manager().clear()
        assert (await first.hub.history("kept")).position.epoch == begun.epoch
        assert peer.conn.is_in_room("kept") and peer.conn.is_in_room("other")
        other = second.hub.get_room_manager().get_room("other")
        assert other is not None and other.get_metadata("topic") == "news"
        await first.succession.close()
        await second.succession.close()

    run(main())


def test_it_goes_on_over_a_third_while_the_first_still_speaks(run) -> None:
    async def main() -> None:
        first = Process()
        begun = await first.hub.publish("kept", [1])
        second = await moved(first)
        third = await moved(second)
        peer = third.site.connect()
        peer.conn.join_room("other")
        assert await first.hub.publish("kept", [2]) == (begun.epoch, 2)
        assert await second.hub.publish("kept", [3]) == (begun.epoch, 3)
        first.hub.broadcast_to_room("other", "4")
        assert await first.kept() == await second.kept() == await third.kept() == [[1], [2], [3]]
        assert peer.received() == ["4"]
        for each in (first, second, third):
            await each.succession.close()

    run(main())


def test_a_successor_that_is_not_done_hands_on_once_it_is(run) -> None:
    async def main() -> None:
        first = Process()
        begun = await first.hub.publish("kept", [1])
        second, to_second = first.next()
        third, to_third = second.next()
        later = asyncio.ensure_future(second.succession.hand_on(to_third))
        published = asyncio.ensure_future(second.hub.publish("kept", [2]))
        await spin()
        assert not later.done()
        await first.succession.hand_on(to_second)
        await later
        assert await published == (begun.epoch, 2)
        assert await third.hub.publish("kept", [3]) == (begun.epoch, 3)
        for each in (first, second, third):
            await each.succession.close()

    run(main())


def test_without_a_successor_what_is_published_is_refused(run) -> None:
    async def main() -> None:
        first = Process()
        await first.hub.publish("kept", [1])
        second = await moved(first)
        await second.succession.close()
        await until(lambda: not first.succession._bequest.link.is_open)
        with pytest.raises(BrokerUnavailable):
            await first.hub.publish("kept", [2])
        with pytest.raises(BrokerUnavailable):
            await first.hub.history("kept")
        assert first.hub.broadcast_to_room("other", "3").pending
        await first.succession.close()
        assert (await first.hub.publish("kept", [1])).offset == 1  # another run begins anew

    run(main())


def test_members_keep_their_place_when_the_order_moves(run) -> None:
    """One that waits is answered from what comes over; nothing is left out, or comes twice."""

    async def main() -> None:
        first = Process()
        positions = [await first.hub.publish("kept", [n]) for n in range(10)]
        second, link = first.next()
        peer = second.site.connect()
        since = {"epoch": positions[4].epoch, "offset": 5}
        peer.send({"type": "join_room", "room": "kept", "since": since})
        second.hub.broadcast_json_to_room("kept", ["between"])
        await spin()
        await first.succession.hand_on(link)
        await first.hub.publish("kept", ["after"])
        await settled(peer)
        answer, *live = peer.json()
        assert answer["data"]["resumed"] is True
        got = [*answer["data"]["messages"], *live]
        assert [each["offset"] for each in got] == list(range(6, 13))
        assert [each["data"] for each in got[:5]] == [[n] for n in range(5, 10)]
        assert sorted(each["data"][0] for each in got[5:]) == ["after", "between"]
        for each in (first, second):
            await each.succession.close()

    run(main())


def test_the_server_api_tells_the_place_all_the_same(run) -> None:
    async def main() -> None:
        first = Process()
        begun = await first.hub.publish("kept", [1])
        second, link = first.next()
        publish = CALLS["publish"]
        told = asyncio.ensure_future(finished(publish(second.hub, {"room": "kept", "data": [2]})))
        await spin()
        assert not told.done()
        await first.succession.hand_on(link)
        assert (await told)["offset"] == 2
        late = await finished(publish(first.hub, {"room": "kept", "data": [3]}))
        assert (late["epoch"], late["offset"], late["pending"]) == (begun.epoch, 3, True)
        await second.succession.close()
        await until(lambda: not first.succession._bequest.link.is_open)
        with pytest.raises(CallError, match="try again") as caught:
            await finished(publish(first.hub, {"room": "kept", "data": [4]}))
        assert caught.value.status == 503
        await first.succession.close()

    run(main())


def test_a_process_that_is_stopped_while_it_hands_over_hands_over_all(run) -> None:
    async def main() -> None:
        first = Process()
        for _ in range(100):
            begun = await first.hub.publish("kept", "x" * 20_000)
        second, link = first.next()
        handing = asyncio.create_task(first.succession.hand_on(link))
        await spin(2)
        handing.cancel()
        await first.succession.close()
        assert (await second.hub.history("kept")).position == begun
        await second.succession.close()

    run(main())


def test_very_many_who_join_while_the_order_comes_are_all_answered(run) -> None:
    async def main() -> None:
        first = Process()
        begun = await first.hub.publish("kept", [0])
        second, link = first.next()
        since = {"epoch": begun.epoch, "offset": 1}
        peers = []
        for n in range(900):
            peers.append(second.site.connect())
            peers[-1].send({"type": "join_room", "room": "kept", "since": since})
            second.hub.broadcast_json_to_room("kept", [n])
        await first.succession.hand_on(link)
        await settled(*peers)
        for n, peer in enumerate(peers):
            answer, *live = peer.json()
            if n < 100:  # of whom 100 messages are kept, so nobody can have missed more
                got = [*answer["data"]["messages"], *live]
                assert answer["data"]["resumed"] is True
                assert [each["data"][0] for each in got] == list(range(900))
            else:
                assert answer["data"]["resumed"] is (n <= 100)
                assert [each["data"][0] for each in live] == list(range(n, 900))
        for each in (first, second):
            await each.succession.close()

    run(main(), deadline=60)
