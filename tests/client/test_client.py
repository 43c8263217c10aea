"""Calls both ways, events, tokens: what is not of a room."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from glyph_fast.client import Client, ClientError, Meta
from tests.client.fake import Bench, FakeSocket, Fate, settle

# What serves. A bot that is imported must not pay for it.
SERVER = "admin asgi auth broker chat cli dialects engine handlers hub opening server".split()


def test_importing_it_loads_no_server() -> None:
    script = "import sys, glyph_fast.client; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = done.stdout.split()
    ours = {name.split(".")[1] for name in loaded if name.startswith("glyph_fast.")}
    json = {"_numbers", "headroom", "json", "numbers", "quick_json"}
    assert ours <= {"client", "errors", "logs", "wire", *json}
    assert not {"click", "h11", "httptools", "picows", "uvloop", "prometheus_client"} & {*loaded}


def test_what_it_connects_with_loads_no_server() -> None:
    script = "import sys, glyph_fast.client.dialing; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    ours = {name.split(".")[1] for name in done.stdout.split() if name.startswith("glyph_fast.")}
    assert not ours & {*SERVER}


async def test_a_call_is_answered_under_its_id(bench: Bench) -> None:
    server = bench.connect()
    socket = await bench.open()
    price = Fate(server.call("quote", {"symbol": "A"}))
    await settle()
    asked = socket.take_one()
    assert (asked["type"], asked["event"], asked["data"]) == ("json", "quote", {"symbol": "A"})
    socket.answer({"id": "another"}, 1)
    assert await price.now() == "pending"
    socket.answer(asked, 7)
    assert await price.now() == 7
    assert server.id == "me" and len(server._questions) == 0


async def test_a_call_waits_for_a_server_that_lets_us_in(bench: Bench) -> None:
    server = bench.connect()
    call = Fate(server.call("a"))
    await settle()
    bench.socket.open()
    assert bench.socket.take() == []
    bench.socket.end(1006)
    await asyncio.sleep(1)
    socket = await bench.open()
    assert socket.take_one()["event"] == "a"
    assert await call.now() == "pending"


async def test_an_error_is_why_a_call_fails(bench: Bench) -> None:
    server = bench.connect()
    socket = await bench.open()
    call = Fate(server.call("a"))
    await settle()
    socket.refuse(socket.take_one(), "not today")
    assert await call.now() == ("not today", False)


async def test_a_call_that_is_not_answered_in_time_says_whether_it_was_sent(bench: Bench) -> None:
    server = bench.connect()
    unsent = Fate(server.call("a", timeout=0.5))
    await asyncio.sleep(0.6)
    assert await unsent.now() == ("no answer in time", False)
    socket = await bench.open()
    sent, patient = Fate(server.call("a", timeout=5)), Fate(server.call("a", timeout=None))
    await settle()
    question = socket.take()[0]
    await asyncio.sleep(5.1)
    assert await sent.now() == ("no answer in time", True)
    socket.answer(question, 1)  # too late
    assert await patient.now() == "pending"


async def test_a_call_is_never_asked_twice(bench: Bench) -> None:
    server = bench.connect()
    socket = await bench.open()
    call = Fate(server.call("a", timeout=60))
    await asyncio.sleep(15)
    assert len(socket.take()) == 1
    again = await bench.again()
    assert again.take() == []
    assert await call.now() == ("connection lost", True)


async def test_a_call_of_the_server_is_answered_by_what_a_handler_returns(bench: Bench) -> None:
    server = bench.connect()
    server.on("confirm", lambda: None)
    server.on("confirm", lambda data: f"{data} yes")

    @server.on("later")
    async def later(data: Any, meta: Meta) -> Any:
        await asyncio.sleep(1)
        return [data, meta.event]

    server.on("fails", lambda: {}["missing"])
    server.on("silent", lambda: None)
    socket = await bench.open()
    for event in ("later", "confirm", "fails", "silent", "nobody"):
        socket.say({"type": "json", "event": event, "data": "really?", "id": f"s-{event}"})
    await asyncio.sleep(1.1)
    answers = {each["id"][2:]: each for each in socket.take()}
    assert all(each["type"] == "reply" for each in answers.values())
    assert list(answers)[-1] == "later"  # nobody waited for it
    assert answers["confirm"]["data"] == "really? yes"
    assert answers["later"]["data"] == ["really?", "later"]
    assert answers["fails"]["error"] == "'missing'"
    assert answers["silent"]["data"] is None
    assert answers["nobody"]["error"] == "no handler"


async def test_an_answer_is_for_the_connection_that_was_asked(bench: Bench) -> None:
    server = bench.connect()

    @server.on("later")
    async def later() -> int:
        await asyncio.sleep(5)
        return 1

    socket = await bench.open()
    socket.say({"type": "json", "event": "later", "id": "s"})
    again = await bench.again()
    await asyncio.sleep(6)
    assert again.take() == []


async def test_calls_of_the_server_have_a_limit(bench: Bench) -> None:
    server = bench.connect()
    gate = asyncio.Event()
    server.on("wait", gate.wait)
    socket = await bench.open()
    for n in range(1_001):
        socket.say({"type": "json", "event": "wait", "id": f"s{n}"})
    await settle()
    assert socket.take_one()["error"] == "too many calls at once"
    gate.set()
    await settle()
    assert len(socket.take()) == 1_000


async def test_events_go_to_their_handlers_all_else_is_a_message(bench: Bench) -> None:
    server = bench.connect()
    found: list[Any] = []
    server.on("notice", lambda data, meta: found.append(("notice", data, meta.timestamp)))
    off = server.on("message", lambda data: found.append(data))
    socket = await bench.open()
    socket.say({"type": "json", "event": "notice", "data": 1, "timestamp": "T"})
    bare = [{"a": 1}, [1], 7, None, "text", b"bytes", {"event": 7}, {"event": "state", "id": "x"}]
    for each in bare:
        socket.say(each)
    assert found == [("notice", 1, "T"), *bare]
    off()
    off()
    socket.say("unheard")
    assert found[-1] == bare[-1]


async def test_what_others_send_does_not_look_like_an_answer(bench: Bench) -> None:
    server = bench.connect()
    socket = await bench.open()
    call = Fate(server.call("a"))
    await settle()
    id = socket.take_one()["id"]
    socket.say({"type": "json", "data": "forged", "id": id, "room": "lobby"})
    assert await call.now() == "pending"


async def test_envelopes_of_any_shape_hurt_nobody(bench: Bench) -> None:
    server = bench.connect()
    server.join("lobby")
    socket = await bench.open()
    socket.answer(socket.take_one(), {"epoch": "e", "offset": 1})
    for value in (None, 7, "x", [], {}, {"epoch": 1}, True):
        for member in ("type", "room", "id", "target", "event", "data", "offset"):
            socket.say({"type": "json", "room": "lobby", "data": 1, member: value})
            socket.say({"type": "presence", "room": "lobby", "data": 1, member: value})
            socket.say({"type": "room_reset", "room": "lobby", "data": 1, member: value})
    assert server.state == "open"


async def test_send_gives_the_server_what_it_is_given_as_long_as_it_is_connected(
    bench: Bench,
) -> None:
    server = bench.connect()
    socket = await bench.open()
    assert server.send("text") and server.send(b"bytes") and server.send({"a": [1]})
    assert socket.sent == ["text", b"bytes", '{"a":[1]}']
    socket.unsent = 16 * 1024 * 1024
    assert not server.send("too much")
    socket.end()
    assert not server.send("x")
    assert (await bench.next(socket)).sent == []


async def test_a_handler_of_events_that_is_too_slow_misses_some_and_that_is_told(
    bench: Bench,
) -> None:
    server = bench.connect()
    gate = asyncio.Event()
    found: list[int] = []

    @server.on("tick")
    async def tick(data: int) -> None:
        await gate.wait()
        found.append(data)

    socket = await bench.open()
    for n in range(1_500):
        socket.say({"type": "json", "event": "tick", "data": n})
    await settle()
    assert bench.errors == ["a handler of 'tick' is too slow: it misses what comes"]  # told once
    gate.set()
    while len(found) < 1_000:
        await asyncio.sleep(0)
    assert found == list(range(1_000))


async def test_a_room_waits_for_a_slow_handler_of_its_events(bench: Bench) -> None:
    server = bench.connect()
    server.join("lobby")
    gate = asyncio.Event()
    found: list[int] = []

    @server.on("tick")
    async def tick(data: int) -> None:
        await gate.wait()
        found.append(data)

    socket = await bench.open()
    socket.answer(socket.take_one(), {"epoch": "e", "offset": 0})
    ticks = [
        {"type": "json", "room": "lobby", "event": "tick", "offset": n, "data": n}
        for n in range(1, 1_501)
    ]
    for each in ticks:
        socket.say(each)
    gate.set()
    await settle()
    asked = socket.take_one()
    missing = ticks[asked["since"]["offset"] :]
    socket.answer(asked, {"messages": missing, "epoch": "e", "offset": 1_500})
    while len(found) < 1_500:
        await asyncio.sleep(0)
    assert found == list(range(1, 1_501)) and bench.errors == []


async def test_no_ping_is_sent_where_that_is_not_wanted(bench: Bench) -> None:
    server = bench.connect(ping=False)
    await settle()
    bench.socket.open()
    await asyncio.sleep(30)
    assert bench.socket.sent == [] and bench.socket.pings == 1
    assert server.state == "open"


async def test_with_closes_it(bench: Bench) -> None:
    async with bench.connect() as server:
        await bench.open()
    assert server.state == "closed"


async def test_what_it_shows_names_no_secret(bench: Bench) -> None:
    server = bench.connect(token="secret")
    assert repr(server) == "<Client fake connecting>"
    assert repr(server.join("lobby")) == "<Room 'lobby'>"


# Tokens.


def jwt(**claims: Any) -> str:
    text = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{text}.signature"


async def listened_to(socket: FakeSocket, seconds: float) -> None:
    """Time passes, in which the server is not silent."""
    while seconds > 0:
        await asyncio.sleep(min(seconds, 10))
        socket.alive()
        seconds -= 10


async def replaced(socket: FakeSocket) -> Any:
    """The tokens that were sent."""
    await settle()
    return [each for each in socket.take() if each.get("event") == "auth_refresh"]


async def test_a_token_is_asked_for_once_and_used_again(bench: Bench) -> None:
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        return f"t{len(asked)}"

    bench.connect(token)
    await bench.open()
    await bench.again()
    assert [each.token for each in bench.sockets] == ["t1", "t1"] and len(asked) == 1


async def test_a_refused_token_is_asked_for_again_a_second_refusal_in_a_row_is_final(
    bench: Bench,
) -> None:
    tokens = iter("abcdef")
    server = bench.connect(lambda: next(tokens))
    await settle()
    bench.socket.open().end(4401, "expired")
    await asyncio.sleep(1)
    await bench.open()  # which lets us in
    bench.socket.end(4401, "expired")
    await asyncio.sleep(1)
    bench.socket.open().end(4401, "expired")
    assert (server.state, server.why[:2]) == ("closed", (4401, "expired"))
    assert [each.token for each in bench.sockets] == ["a", "b", "c"]


async def test_a_token_that_cannot_be_asked_for_again_is_final_at_once(bench: Bench) -> None:
    server = bench.connect("t")
    await settle()
    bench.socket.open().end(4401)
    assert server.state == "closed"


async def test_a_provider_that_fails_is_told_and_asked_again(bench: Bench) -> None:
    calls: list[int] = []

    async def token() -> str | None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("no such user")
        return None

    server = bench.connect(token)
    await settle()
    assert bench.errors == ["no such user"] and server.state == "waiting"
    await asyncio.sleep(1)
    socket = await bench.open()
    assert socket.token is None and server.state == "open"


async def test_close_while_a_token_is_awaited_opens_nothing(bench: Bench) -> None:
    server = bench.connect(lambda: asyncio.sleep(10))
    await settle()
    await server.close()
    await asyncio.sleep(20)
    assert bench.sockets == []


@pytest.mark.parametrize("skew", [0, -7_200, 7_200])
async def test_a_token_is_replaced_in_place_after_three_quarters_of_its_time(
    bench: Bench, skew: int
) -> None:
    def token() -> str:
        now = bench.loop.now + skew  # by the clock of who gave it
        return jwt(iat=now, exp=now + 100)

    server = bench.connect(token)
    socket = await bench.open()
    # Of clocks that differ the earlier end counts, but not less than a quarter of the whole.
    wait = {0: 75, -7_200: 18.75, 7_200: 75}[skew]
    for _ in range(3):
        await listened_to(socket, wait - 1)
        assert await replaced(socket) == []
        await listened_to(socket, 1.1)
        (asked,) = await replaced(socket)
        assert asked["data"]["token"] == server._link.token
        socket.answer(asked, True)
    assert len(bench.sockets) == 1


async def test_a_renewal_that_fails_is_told_and_the_old_token_goes_on(bench: Bench) -> None:
    def token() -> str:
        if bench.sockets:
            raise RuntimeError("no such user")
        return jwt(exp=bench.loop.now + 20)

    server = bench.connect(token)
    await bench.open()
    await asyncio.sleep(16)
    assert bench.errors == ["no such user"] and server.state == "open"


async def test_a_server_that_knows_no_renewal_says_so(bench: Bench) -> None:
    bench.connect(lambda: jwt(exp=bench.loop.now + 20))
    socket = await bench.open()
    await asyncio.sleep(15.1)
    (asked,) = await replaced(socket)
    socket.refuse(asked, "no handler")
    assert bench.errors == ["no handler"]


def test_a_client_is_made_in_a_running_loop() -> None:
    async def nothing(token: Any, listener: Any) -> None: ...

    with pytest.raises(RuntimeError, match="no running event loop"):
        Client(nothing, None, ping=True, where="")


def test_errors_are_ours() -> None:
    from glyph_fast import GlyphFastError

    assert issubclass(ClientError, GlyphFastError)
