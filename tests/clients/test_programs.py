"""The client libraries against a real server: in Node, Bun, Deno and Python.

The programs are in `programs/`; what they expect of each other and of the server they assert
themselves. Here the server is started, killed, cut off and asked for tokens.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.auth.signing import SECRET, signed
from tests.clients.cutting import Cutter
from tests.clients.drive import Program, app
from tests.nodejs import LIBRARY
from tests.serving import ROOT

pytestmark = pytest.mark.slow

RUNTIMES = ("node", "bun", "deno", "python")


@pytest.fixture(params=RUNTIMES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.both_cores
def test_rooms_calls_and_events(engine: str) -> None:
    with app() as server, Program(engine, "basics", server.ws("/ws")) as program:
        program.over()


def test_a_refusal_says_why_and_an_end_may_be_final(engine: str) -> None:
    with (
        app() as server,
        app("--max-connections", "1") as full,
        Program(engine, "refused", server.ws("/ws"), full.ws("/ws")) as program,
    ):
        program.over()


@pytest.mark.both_cores
def test_a_killed_server_loses_no_publish(engine: str) -> None:
    with app() as server, Program(engine, "restart", server.ws("/ws")) as program:
        assert program.heard() == "kill"
        server.kill()
        with app(port=server.port):
            program.say("back")
            program.over()


def test_a_refused_message_keeps_its_place_among_those_of_its_sender(engine: str) -> None:
    with app() as server, Program(engine, "refusing", server.ws("/ws")) as program:
        program.over()


@pytest.mark.both_cores
def test_what_was_missed_comes_or_is_told(engine: str) -> None:
    with app() as server, Cutter(server.port, seed=1) as cutter:
        cutter.calm()
        cut = f"ws://127.0.0.1:{cutter.port}/ws"
        with Program(engine, "gaps", server.ws("/ws"), cut) as program:
            assert program.heard() == "cut"
            cutter.refuse()
            assert program.heard() == "back"
            cutter.admit()
            program.over()


@pytest.mark.parametrize("engine", ["node", "bun", "deno"])
@pytest.mark.both_cores
def test_where_websockets_are_blocked_events_take_their_place(engine: str) -> None:
    with (
        app("--jwt-secret", SECRET) as server,
        Cutter(server.port, seed=1, blocks_websockets=True) as cutter,
    ):
        cutter.calm()
        urls = (server.ws("/ws"), f"ws://127.0.0.1:{cutter.port}/ws")
        tokens = (signed(sub="ada"), signed(sub="bob"))
        with Program(engine, "blocked", *urls, *tokens) as program:
            assert program.heard() == "cut"
            cutter.refuse()
            assert program.heard() == "back"
            cutter.admit()
            program.over()


@pytest.mark.both_cores
def test_who_is_there_is_followed(engine: str) -> None:
    with app() as server, Cutter(server.port, seed=1) as cutter:
        cutter.calm()
        cut = f"ws://127.0.0.1:{cutter.port}/ws"
        with Program(engine, "presence", server.ws("/ws"), cut) as program:
            assert program.heard() == "cut"
            cutter.refuse()
            assert program.heard() == "back"
            cutter.admit()
            program.over()


@pytest.mark.both_cores
def test_ten_thousand_messages_arrive_once_and_in_order(engine: str) -> None:
    with app() as server, Program(engine, "flood", server.ws("/ws"), "10000") as program:
        program.over()


def test_tokens_are_replaced_in_place_and_asked_for_again(engine: str) -> None:
    def answer(_: Any) -> None:
        now = int(time.time())
        program.say(signed(sub="ada", iat=now, exp=now + 4))

    with (
        app("--jwt-secret", SECRET) as server,
        Program(engine, "tokens", server.ws("/ws")) as program,
    ):
        program.over(answer)


def test_what_the_page_shows_runs() -> None:
    """But for the page of ten lines, which `tests/browser/test_client.py` opens."""
    page = ROOT / "docs" / "clients.md"
    esbuild = LIBRARY / "node_modules" / "esbuild" / "lib" / "main.js"
    with (
        app() as server,
        Program("node", "page", server.ws("/ws"), str(page), str(esbuild)) as program,
    ):
        program.over()
