"""A server of several processes that is replaced by another one on the same sockets."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.admin.operated import BEARER, TOKEN
from tests.following_streams import REMEMBERING, Crowd
from tests.succession import Service, adopting, get, program, succession
from tests.workers.clients import (
    APP,
    children_of,
    client_of,
    eventually,
    is_running,
)


@pytest.fixture
def service(tmp_path: Path):
    (tmp_path / "app.py").write_text(program(1))
    with succession("app:server", "--workers", "2", cwd=tmp_path) as started:
        yield started


def test_a_signal_replaces_main_and_workers_on_the_same_port(
    service: Service, tmp_path: Path
) -> None:
    former = service.pid
    workers = children_of(former)
    assert get(service)["version"] == 1
    (tmp_path / "app.py").write_text(program(2))
    service.restart()
    assert service.pid != former
    eventually(lambda: not any(map(is_running, workers)))
    for _ in range(20):
        assert get(service)["version"] == 2
    assert len(children_of(service.pid)) == 2


def test_nobody_is_refused_while_it_is_replaced(service: Service) -> None:
    failures: list[BaseException] = []
    is_done = threading.Event()
    answered = 0

    def ask() -> None:
        nonlocal answered
        while not is_done.is_set():
            try:
                get(service)
                answered += 1
            except OSError as exc:
                failures.append(exc)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for _ in range(2):
        service.restart()
    is_done.set()
    for each in threads:
        each.join()
    assert failures == []
    assert answered > 0


def test_the_operators_port_answers_all_the_time_and_for_the_new_workers(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(program(1))
    options = ("--workers", "2", "--admin", "127.0.0.1:0", "--admin-token", TOKEN)
    with succession("app:server", *options, cwd=tmp_path) as service:
        admin = service.said()
        failures: list[BaseException] = []
        is_done = threading.Event()
        scrapes = 0

        def scrape() -> bytes:
            request = urllib.request.Request(f"{admin}/metrics", headers=BEARER)
            with urllib.request.urlopen(request, timeout=20) as answer:
                return bytes(answer.read())

        def keep_on() -> None:
            nonlocal scrapes
            while not is_done.is_set():
                try:
                    assert b"glyph_fast_worker_connections" in scrape()
                    scrapes += 1
                except (OSError, AssertionError) as exc:
                    failures.append(exc)

        with connect(service.ws("/ws")):
            eventually(lambda: connections_of(scrape()) == 1)
        scraping = threading.Thread(target=keep_on)
        scraping.start()
        eventually(lambda: scrapes > 2)
        former = children_of(service.pid)
        service.restart()
        eventually(lambda: not any(map(is_running, former)))
        before = scrapes
        eventually(lambda: scrapes > before + 2)
        is_done.set()
        scraping.join()
        assert failures == []
        assert connections_of(scrape()) == 0  # the figures are those of the workers that serve
        with connect(service.ws("/ws")):
            eventually(lambda: connections_of(scrape()) == 1)


def connections_of(figures: bytes) -> float:
    """How many connections the metrics say there have been."""
    (found,) = re.findall(rb"^glyph_fast_connections_total (\S+)$", figures, re.MULTILINE)
    return float(found)


def test_clients_are_told_to_come_back(service: Service) -> None:
    with connect(service.ws("/ws")) as client:
        client.send("hello")
        assert client.recv(timeout=20) == "hello"
        service.restart()
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=20)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012


def test_a_program_that_does_not_load_leaves_the_old_one(service: Service, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import nowhere_to_be_found\n")
    os.kill(service.pid, signal.SIGHUP)
    service.logged("no new process serves; this one goes on")
    assert get(service)["version"] == 1
    assert len(children_of(service.pid)) == 2


def test_another_number_of_workers_takes_over(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(program(1))
    options = tmp_path / "glyph-fast.toml"
    options.write_text("workers = 3\n")
    with succession("app:server", cwd=tmp_path) as service:
        for count in (2, 4, 1, 2):
            options.write_text(f"workers = {count}\n")
            service.restart()
            seen = set()
            end = time.monotonic() + 20
            while len(seen) < count and time.monotonic() < end:
                seen.add(get(service)["pid"])
            assert len(seen) == count


def test_a_changed_source_reloads_all(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(program(1))
    with adopting():
        service = Service("app:server", "--workers", "2", "--reload", cwd=tmp_path)
        try:
            service.logged("watching")
            (main,) = children_of(service.pid)
            (tmp_path / "app.py").write_text(program(2))
            service.logged("reloaded")
            eventually(lambda: not is_running(main))  # until then both accept
            for _ in range(20):
                assert get(service)["version"] == 2
            (tmp_path / "app.py").write_text("x = (\n")
            service.logged("not reloaded")
            assert get(service)["version"] == 2
            assert service.stop() == 0
        finally:
            if service.process.poll() is None:
                service.kill()
            service.release()


def test_two_thousand_connections_and_a_publisher_over_a_replacement() -> None:
    """None is refused, and each is closed with 1012 by the process that goes."""
    from tests.workers.crowd import Crowd

    with succession("program:server", "--workers", "2", cwd=APP) as service, ExitStack() as stack:
        crowd = stack.enter_context(Crowd(service.port, 2000))
        stack.enter_context(client_of(service.ws("/ws")))
        service.restart()
        eventually(lambda: crowd.closed() == {1012: 2000})


@pytest.mark.parametrize("counts", [(2, 2), (1, 2, 1)], ids=str)
def test_nobody_loses_anything_or_gets_it_twice(run, tmp_path: Path, counts) -> None:
    """Over SIGHUPs, also from one process to several and back."""
    (tmp_path / "app.py").write_text(REMEMBERING)
    options = tmp_path / "glyph-fast.toml"

    async def main() -> None:
        options.write_text(f"workers = {counts[0]}\n")
        with succession("app:server", "--history-answer=5000", cwd=tmp_path) as service:
            crowd = Crowd(service.ws("/ws"), readers=4)
            await crowd.start()
            for count in counts[1:]:
                await crowd.more(5)
                options.write_text(f"workers = {count}\n")
                await asyncio.to_thread(service.restart)
            await crowd.more(5)
            await crowd.end()
            assert all(len(each.epochs) == 1 for each in crowd.readers)
            assert "begin anew" not in service.log()

    run(main(), deadline=120)


def test_nobody_loses_anything_over_a_reload(run, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(REMEMBERING)

    async def main() -> None:
        options = "--workers=2", "--reload", "--history-answer=5000"
        with adopting():
            service = await asyncio.to_thread(Service, "app:server", *options, cwd=tmp_path)
            try:
                await asyncio.to_thread(service.logged, "watching")
                crowd = Crowd(service.ws("/ws"), readers=4)
                await crowd.start()
                for version in range(2):
                    await crowd.more(5)
                    (tmp_path / "app.py").write_text(f"{REMEMBERING}\nVERSION = {version}\n")
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


HOOKS = """
@server.on_startup
async def begin():
    await server.hub.publish("kept:log", "begin", idempotency_key=f"begin {os.getpid()}")
    await server.hub.history("kept:log")
    server.hub.get_room_manager().get_or_create_room("described").set_metadata("topic", "news")


@server.get("/log")
async def log(request):
    kept = await server.hub.history("kept:log")
    return [each.data for each in kept.messages]


@server.post("/publish")
async def publish(request):
    position = await server.hub.publish("kept:log", ["posted"], idempotency_key="the-key")
    return {"epoch": position.epoch, "offset": position.offset}
"""


def test_hooks_wait_for_nobody_and_keys_count_on(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(f"import os\n{REMEMBERING}{HOOKS}")
    with succession("app:server", "--workers=2", cwd=tmp_path) as service:
        assert get(service, "/log") == ["begin"] * 2
        first = get(service, "/publish", data=b"")
        assert first["offset"] == 3
        service.restart()
        assert get(service, "/publish", data=b"") == first
        eventually(lambda: get(service, "/log") == [*["begin"] * 2, ["posted"], *["begin"] * 2])
