"""Every mode against a foreign server, and against wrong ones: each must be found out."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from glyph_fast.load import LoadError, OpeningFailed, Options, Report, run
from tests.serving import serving

ROOM = """
from glyph_fast import MessageType, Server

server = Server()

@server.on_connect
def come(conn):
    conn.join_room("all")

@server.on_message(MessageType.TEXT)
def say(ctx):
    server.hub.broadcast_to_room("all", ctx.message.raw, exclude=ctx.conn.id)
"""
Foreign = Callable[..., AbstractContextManager[str]]
Load = Callable[..., Report]


def options(url: str, **values: object) -> Options:
    short: dict[str, object] = {"duration": 0.3, "warm_up": 0.1, "hold": 0.1, "timeout": 3.0}
    return Options(url=url, pid=os.getpid(), **{**short, **values})  # type: ignore[arg-type]


@pytest.fixture
def load(foreign: Foreign) -> Load:
    """Runs a mode against a foreign server."""

    def load(path: str, wrong: str = "", **values: object) -> Report:
        with foreign(wrong) as url:
            return run(options(url + path, **values))

    return load


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_echo_counts_what_came_back(load: Load, binary: bool) -> None:
    report = load("/echo", connections=3, in_flight=4, binary=binary)
    assert report.verified >= report.count > 0
    assert report.latency.count > 0
    assert not report.is_open_loop


def test_json_messages_are_checked_like_others(load: Load) -> None:
    for path, mode in (("/echo", "echo"), ("/room/a", "fan-out")):
        report = load(path, mode=mode, connections=3, publishers=2, json_messages=True)
        assert report.verified >= report.count > 0


EVENTS = """
from glyph_fast import Server

server = Server()
count = 0

@server.on_event("move")
def move(ctx):
    global count
    count += 1
    ctx.reply_json({"note": "another"} if WRONG and count == 40 else ctx.message.data)

server.websocket("/ws")
"""


def test_answers_to_events_are_checked(tmp_path: Path) -> None:
    for wrong in (False, True):
        folder = tmp_path / str(wrong)
        folder.mkdir()
        (folder / "app.py").write_text(f"WRONG = {wrong}\n{EVENTS}")
        with serving("app:server", cwd=folder) as server:
            asked = options(server.ws("/ws"), connections=3, in_flight=4, size=200, event="move")
            if wrong:
                with pytest.raises(LoadError, match="received .*, expected"):
                    run(asked)
            else:
                report = run(asked)
                assert report.verified >= report.count > 0


def test_events_are_for_echoes_of_text() -> None:
    for more in ({"mode": "fan-out"}, {"binary": True}, {"json_messages": True}):
        with pytest.raises(ValueError, match="event is for mode echo"):
            options("ws://127.0.0.1/ws", event="move", **more)


def test_compressed_messages_are_checked_like_others(foreign: Foreign) -> None:
    with foreign(compression="deflate") as url:
        for path, mode in (("/echo", "echo"), ("/room/a", "fan-out")):
            asked = options(url + path, mode=mode, connections=3, size=600, compression=True)
            report = run(asked)
            assert report.verified >= report.count > 0


def test_compression_that_is_declined_fails_the_run(load: Load) -> None:
    with pytest.raises(OpeningFailed, match="declined permessage-deflate"):
        load("/echo", compression=True)


def test_an_open_loop_publishes_at_its_rate(load: Load) -> None:
    report = load("/echo", connections=2, rate=200.0, duration=1.0)
    assert report.is_open_loop
    assert 150 <= report.count <= 250


@pytest.mark.parametrize("wrong", ["altered", "swapped"])
def test_a_wrong_echo_fails_the_run(load: Load, wrong: str) -> None:
    with pytest.raises(LoadError, match="received .*, expected"):
        load("/echo", wrong, connections=1, in_flight=2)


def test_an_echo_that_never_comes_fails_the_run(load: Load) -> None:
    with pytest.raises(LoadError, match="received .*, expected|waiting for the last answers"):
        load("/echo", "missing", connections=1, in_flight=2)


def test_a_server_that_closes_fails_the_run(load: Load) -> None:
    with pytest.raises(LoadError, match="connection 0 was closed with 1000"):
        load("/echo", "closing", connections=1)


@pytest.mark.parametrize(("path", "mode"), [("/echo", "echo"), ("/room/a", "fan-out")])
def test_a_server_may_greet(load: Load, path: str, mode: str) -> None:
    report = load(path, "greeting", mode=mode, connections=3)
    assert report.verified >= report.count > 0


def test_a_server_that_speaks_later_of_its_own_accord_fails_the_run(load: Load) -> None:
    with pytest.raises(LoadError, match="received 'by the way'"):
        load("/echo", "talking", connections=1)


def test_a_stalled_member_that_is_closed_is_counted(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(ROOM)
    policy = ("--queue-policy", "disconnect", "--queue-bytes", "64KiB", "--close-timeout", "200ms")
    with serving("app:server", *policy, cwd=tmp_path) as server:
        values: dict[str, object] = {"mode": "stalled", "connections": 4, "stalled": 0.25}
        report = run(options(server.ws("/ws"), size=60_000, duration=2.0, **values))
    assert report.notes["of_these_closed_by_the_server"] == 1
    assert report.count > 0


def test_payloads_of_nobody_fail_the_run(load: Load) -> None:
    with pytest.raises(LoadError, match="received 'zz' .*, expected"):
        load("/room/a", "strange", mode="fan-out", connections=2, publishers=2)


def test_fan_out_follows_every_member(load: Load) -> None:
    report = load("/room/a", mode="fan-out", connections=5, in_flight=2)
    assert report.unit == "delivery"
    assert report.verified >= report.count > 0


def test_several_publishers_are_followed_each(load: Load) -> None:
    report = load("/room/a", mode="fan-out", connections=3, publishers=2, in_flight=2)
    assert report.count > 0


def test_several_rooms_have_a_publisher_each(load: Load) -> None:
    report = load("/room/{}", mode="fan-out", connections=4, rooms=2)
    assert report.count > 0


def test_a_publisher_may_hear_itself(load: Load) -> None:
    report = load("/room/a", "returning", mode="fan-out", connections=2)
    assert report.count > 0


def test_a_member_left_out_fails_the_run(load: Load) -> None:
    with pytest.raises(LoadError, match="received .*, expected|waiting for the last answers"):
        load("/room/a", "leaving one out", mode="fan-out", connections=3, in_flight=2)


def test_stalled_members_are_not_waited_for(load: Load) -> None:
    report = load("/room/a", mode="stalled", connections=4, stalled=0.25, size=16)
    assert report.notes["members_that_never_read"] == 1
    assert report.count > 0


def test_connect_measures_handshakes_and_idle_connections(load: Load) -> None:
    report = load("/idle", mode="connect", connections=20, in_flight=4, browser_head=True)
    assert report.count == 20
    assert report.latency.count == 20
    assert report.rss_per_connection is not None
    assert report.idle_cpu_us_per_second is not None


def test_churn_comes_and_leaves_by_the_closing_handshake(load: Load) -> None:
    report = load("/room/{}", mode="churn", connections=4, rooms=2, duration=0.5)
    assert report.unit == "cycle"
    assert report.count > 0
    assert report.samples


def test_a_refused_handshake_names_the_answer(load: Load) -> None:
    with pytest.raises(OpeningFailed, match="403"):
        load("/echo", "refusing", connections=1)


def test_a_port_without_a_server_is_an_error() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        with pytest.raises(LoadError, match="connection refused"):
            run(options(f"ws://127.0.0.1:{port}/echo", connections=1))
