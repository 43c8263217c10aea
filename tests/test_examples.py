"""The bundled chat and every program in `examples/`, run as written and met by a foreign client."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.serving import ROOT, ServeProcess, serving

EXAMPLES = ROOT / "examples"
WITHIN_S = 10.0

Run = Callable[..., Any]

pytestmark = [pytest.mark.application, pytest.mark.both_cores]  # each program must run on both


async def receive(client: ClientConnection) -> Any:
    async with asyncio.timeout(WITHIN_S):
        return json.loads(await client.recv())


async def receive_until(client: ClientConnection, **members: object) -> Any:
    """The next message that has these members; what comes before is left out."""
    while True:
        message = await receive(client)
        if members.items() <= message.items():
            return message


def send(client: ClientConnection, message: object) -> Any:
    return client.send(json.dumps(message))


def http(method: str, url: str, body: object = None, **headers: str) -> tuple[int, Any, Any]:
    """Status, headers and body (read as JSON where it is) of one request."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
            status, fields, content = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            status, fields, content = refusal.status, refusal.headers, refusal.read()
    is_json = (fields.get("Content-Type") or "").startswith("application/json")
    return status, fields, json.loads(content) if is_json else content


# The chat: the bundled one and the two examples are programs with one behaviour ------------------

CHAT = EXAMPLES / "websocket-chat"
CHATS: dict[str, tuple[list[str], Path, str]] = {
    "bundled": ([], ROOT, ""),
    "workers": (["--workers", "2"], ROOT, ""),
    "python": (["main:server"], CHAT, ""),
    "glyph": (["main.glyph", "--serve-client"], CHAT, "/chat"),
}


class Chat:
    """A running chat; `ws` and `url` are where its page is."""

    def __init__(self, server: ServeProcess, base: str = "") -> None:
        self.url = server.url + base
        self.log = server.log

    def ws(self, path: str) -> str:
        return self.url.replace("http", "ws", 1) + path


@pytest.fixture(scope="module", params=list(CHATS))
def chat(request: pytest.FixtureRequest) -> Iterator[Chat]:
    arguments, folder, base = CHATS[request.param]
    with serving(*arguments, cwd=folder) as server:
        yield Chat(server, base)


@pytest.fixture(scope="module", params=["bundled", "python"])
def page(request: pytest.FixtureRequest) -> Iterator[Chat]:
    """A chat whose page is served with headers of its own."""
    arguments, folder, _ = CHATS[request.param]
    with serving(*arguments, cwd=folder) as server:
        yield Chat(server)


async def enter(server: Chat | ServeProcess, room: str, nick: str) -> tuple[ClientConnection, str]:
    """Open a room; the connection and the id the server gave it."""
    client = await connect(server.ws(f"/rooms/{room}/{nick}"))
    await send(client, {"type": "ping"})
    id = (await receive_until(client, type="pong"))["target"]
    assert re.fullmatch(r"[0-9a-f]{32}", id)
    return client, id


async def join(client: ClientConnection, room: str, **more: object) -> Any:
    """What answers the page when it joins the room it is in."""
    await send(client, {"type": "join_room", "room": room, "id": "1", **more})
    return (await receive_until(client, id="1"))["data"]


def test_chat_passes_what_is_said_to_the_whole_room(chat: Chat, run: Run) -> None:
    async def main() -> None:
        ada, ada_id = await enter(chat, "said", "ada")
        bob, _ = await enter(chat, "said", "bob")
        async with ada, bob:
            text = "hé <b>&amp;</b> 🎉"
            await send(ada, {"type": "say", "text": text, "key": "k1"})
            for client in (ada, bob):
                said = await receive(client)
                assert isinstance(said.pop("time"), int)
                stamped = {"type": "say", "id": ada_id, "name": "ada", "text": text, "key": "k1"}
                assert said == stamped

    run(main())


def test_chat_stamps_messages_with_the_sender_it_knows(chat: Chat, run: Run) -> None:
    async def main() -> None:
        ada, ada_id = await enter(chat, "stamps", "ada")
        async with ada:
            forged = {"type": "say", "id": "0" * 32, "name": "root", "text": "x", "key": ["k"]}
            await send(ada, forged)
            said = await receive(ada)
            assert (said["id"], said["name"], said["key"]) == (ada_id, "ada", None)

    run(main())


def test_chat_knows_who_is_in_a_room(chat: Chat, run: Run) -> None:
    async def main() -> None:
        ada, ada_id = await enter(chat, "presence", "ada")
        async with ada:
            there = (await join(ada, "presence", presence=True))["presence"]["members"]
            assert there == [{"id": ada_id, "user": None, "info": {"name": "ada"}}]
            bob, bob_id = await enter(chat, "presence", "bob")
            (joined,) = (await receive(ada))["data"]["joined"]
            assert (joined["id"], joined["info"]) == (bob_id, {"name": "bob"})

            await send(bob, {"type": "typing"})
            (typing,) = (await receive(ada))["data"]["joined"]
            number = typing["info"].pop("typing")
            assert typing == joined and number > 0
            await send(bob, {"type": "say", "text": "done"})
            await receive_until(ada, type="json")
            assert (await receive(ada))["data"]["joined"] == [joined]

            await bob.close()
            (left,) = (await receive(ada))["data"]["left"]
            assert left["id"] == bob_id

    run(main())


def test_chat_gives_what_was_said_before_and_missed(chat: Chat, run: Run) -> None:
    async def main() -> None:
        ada, _ = await enter(chat, "kept", "ada")
        bob, _ = await enter(chat, "kept", "bob")
        async with ada:
            for number in range(60):
                await send(ada, {"type": "say", "text": str(number)})
            await receive_until(ada, text="59")
            joined = await join(bob, "kept", history=50)
            assert [each["data"]["text"] for each in joined["messages"]] == [
                str(number) for number in range(10, 60)
            ]
            await bob.close()
            await send(ada, {"type": "say", "text": "60"})
            await receive_until(ada, text="60")
            bob, _ = await enter(chat, "kept", "bob")
            async with bob:
                since = {"epoch": joined["epoch"], "offset": joined["offset"]}
                resumed = await join(bob, "kept", since=since)
                assert resumed["resumed"] is True
                assert [each["data"]["text"] for each in resumed["messages"]] == ["60"]

    run(main())


def test_chat_keeps_rooms_apart(chat: Chat, run: Run) -> None:
    async def main() -> None:
        ada, _ = await enter(chat, "apart-1", "ada")
        bob, _ = await enter(chat, "apart-2", "bob")
        async with ada, bob:
            await send(ada, {"type": "say", "text": "secret"})
            await receive_until(ada, text="secret")
            await send(bob, {"type": "say", "text": "fence"})
            assert (await receive(bob))["text"] == "fence"  # the first thing bob hears

    run(main())


@pytest.mark.parametrize(
    "message",
    [
        {"type": "say"},
        {"type": "say", "text": ""},
        {"type": "say", "text": 7},
        {"type": "say", "text": "x" * 2001},
        {"type": "shout", "text": "x"},
        {"type": "joined", "id": "0", "name": "root"},
        ["say", "x"],
        {},
    ],
    ids=lambda message: json.dumps(message)[:32],
)
def test_chat_ignores_what_is_no_message_of_it(chat: Chat, run: Run, message: object) -> None:
    async def main() -> None:
        ada, _ = await enter(chat, "strict", "ada")
        async with ada:
            await send(ada, message)
            await ada.send("no JSON at all")
            await ada.send(b"\x00\xff")
            await send(ada, {"type": "say", "text": "x" * 2000})
            assert (await receive(ada))["text"] == "x" * 2000  # and nothing before it

    run(main())


def test_chat_decodes_room_and_name_once(chat: Chat, run: Run) -> None:
    async def main() -> None:
        client = await connect(chat.ws("/rooms/caf%C3%A9%2Fbar/%2541da%20L"))
        async with client:
            there = (await join(client, "café/bar", presence=True))["presence"]["members"]
            assert [each["info"] for each in there] == [{"name": "%41da L"}]

    run(main())


async def refused(client: ClientConnection) -> str:
    """The reason of a connection that is closed before it may say anything."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            assert (await receive(client))["type"] == "close"
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code in (1000, 1008)
    return closed.value.rcvd.reason


@pytest.mark.parametrize(
    "path", [f"/rooms/lobby/{'x' * 33}", "/rooms/%20/ada", "/rooms/a%01b/ada", "/rooms/a/%C2%85"]
)
def test_chat_refuses_a_bad_name_with_a_reason(chat: Chat, run: Run, path: str) -> None:
    async def main() -> None:
        async with connect(chat.ws(path)) as client:
            assert "32" in await refused(client)

    run(main())


def speak_at_once(url: str) -> None:
    """Send a message in one piece with the handshake, before it can be answered."""
    host, port, path = re.fullmatch(r"ws://(.+):(\d+)(/.*)", url).groups()  # type: ignore[union-attr]
    head = (
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    said = b'{"type":"say","text":"from outside"}'
    frame = bytes([0x81, 0x80 | len(said)]) + bytes(4) + said  # masked with zeros
    with socket.create_connection((host, int(port)), WITHIN_S) as peer:
        peer.sendall(head.encode() + frame + b"\x88\x80" + bytes(4))  # and a close frame
        while peer.recv(4096):
            pass


def test_chat_hears_nothing_of_a_refused_connection(chat: Chat, run: Run) -> None:
    async def main() -> None:
        ada, _ = await enter(chat, "deaf", "ada")
        async with ada:
            await asyncio.to_thread(speak_at_once, chat.ws(f"/rooms/deaf/{'x' * 33}"))
            await send(ada, {"type": "say", "text": "fence"})
            assert (await receive(ada))["text"] == "fence"

    run(main())


async def ignore(client: ClientConnection) -> None:
    """Read what comes, so that the sender is not held up."""
    async for _ in client:
        pass


def test_the_bundled_chat_hears_only_so_much_of_one_visitor(run: Run) -> None:
    async def main() -> None:
        with serving() as server:
            ada, _ = await enter(server, "lobby", "ada")
            bob, _ = await enter(server, "lobby", "bob")
            async with ada, bob:
                reading = asyncio.create_task(ignore(bob))
                for number in range(1000):
                    await send(bob, {"type": "say", "text": str(number)})
                await (await bob.ping())  # answered behind all of them
                reading.cancel()
                await send(ada, {"type": "say", "text": "fence"})
                heard = 0
                while (await receive(ada))["text"] != "fence":
                    heard += 1
                assert 90 <= heard < 500

    run(main())


@pytest.mark.one_process  # by which a room is full for a program
def test_chat_tells_nobody_of_a_refused_newcomer(run: Run) -> None:
    async def main() -> None:
        with serving("--max-room-members", "1") as server:
            ada, ada_id = await enter(server, "lobby", "ada")
            async with ada:
                await join(ada, "lobby", presence=True)
                async with connect(server.ws("/rooms/lobby/bob")) as bob:
                    assert await refused(bob) == "room is full"
                await send(ada, {"type": "typing"})
                told = (await receive(ada))["data"]
                assert [each["id"] for each in told["joined"]] == [ada_id] and told["left"] == []

    run(main())


def test_chat_lets_nobody_listen_unseen_or_speak_without_a_name(chat: Chat, run: Run) -> None:
    async def main() -> None:
        ada, _ = await enter(chat, "private", "ada")
        spy, _ = await enter(chat, "attic", "spy")
        async with ada, spy:
            await send(ada, {"type": "say", "text": "private"})
            await receive_until(ada, text="private")
            for word in ("join_room", "history", "presence", "broadcast"):
                await send(spy, {"type": word, "room": "private", "data": "boo"})
                assert (await receive(spy))["type"] == "error"
            await send(spy, {"type": "broadcast", "room": "attic", "data": "boo"})
            assert (await receive(spy))["type"] == "error"
            for client in (ada, spy):
                await send(client, {"type": "say", "text": "fence"})
                assert (await receive(client))["text"] == "fence"

    run(main())


def test_chat_page_is_served_with_a_strict_policy(page: Chat) -> None:
    status, headers, html = http("GET", f"{page.url}/")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert html == (ROOT / "glyph_fast/chat/page/index.html").read_bytes()


def test_chat_page_is_not_sent_again_while_unchanged(page: Chat) -> None:
    _, headers, _ = http("GET", f"{page.url}/")
    assert headers["Cache-Control"] == "no-cache"
    for known in (headers["ETag"], f'"other", W/{headers["ETag"]}', "*"):
        status, again, body = http("GET", f"{page.url}/", **{"If-None-Match": known})
        assert (status, again["ETag"], body) == (304, headers["ETag"], b"")
    assert http("GET", f"{page.url}/", **{"If-None-Match": '"other"'})[0] == 200


def test_chat_page_loads_nothing_from_elsewhere() -> None:
    html = (ROOT / "glyph_fast/chat/page/index.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", html)
    assert "@import" not in html and "url(" not in html.split("</style>")[0]
    assert "innerHTML" not in html and "insertAdjacentHTML" not in html


def test_chat_is_healthy(page: Chat) -> None:
    assert http("GET", f"{page.url}/healthz")[0] == 200


def test_chat_in_glyph_serves_the_same_page_and_its_figures(run: Run) -> None:
    with serving(*CHATS["glyph"][0], cwd=CHAT) as server:
        _, headers, html = http("GET", f"{server.url}/")  # follows the redirection
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert html == (ROOT / "glyph_fast/chat/page/index.html").read_bytes()
        assert http("GET", f"{server.url}/rooms")[2] == {"rooms": [], "people": 0}
        assert http("GET", f"{server.url}/chat/main.glyph")[0] == 404


# The others --------------------------------------------------------------------------------------


def test_echo_sends_every_message_back_as_it_was(run: Run) -> None:
    async def main() -> None:
        with serving("echo:server", cwd=EXAMPLES / "echo") as server:
            async with connect(server.ws("/ws")) as client:
                for message in ("hello", "", '{ "a": 1 }', "[1, 2]", b"", b"\x00\xff" * 1000):
                    await client.send(message)
                    async with asyncio.timeout(WITHIN_S):
                        assert await client.recv() == message

    run(main())


@pytest.mark.one_process  # the one that measures
def test_dashboard_shows_each_sample_to_all_viewers(run: Run) -> None:
    async def main() -> None:
        with serving("dashboard:server", cwd=EXAMPLES / "dashboard") as server:
            async with connect(server.ws("/live")) as one, connect(server.ws("/live")) as two:
                assert (await receive(one))["type"] == "history"
                await receive(two)
                for _ in range(50):
                    await send(one, {"n": 1})
                busy = await receive_until(one, type="sample")
                while not busy["sample"]["messages_per_s"]:
                    busy = await receive_until(one, type="sample")
                assert busy["sample"]["connections"] == 2
                assert await receive_until(two, **busy) == busy
                history = http("GET", f"{server.url}/samples")[2]
                assert busy["sample"] in history
                async with connect(server.ws("/live")) as late:
                    assert busy["sample"] in (await receive(late))["samples"]

    run(main())


def test_dashboard_serves_its_page() -> None:
    with serving("dashboard:server", cwd=EXAMPLES / "dashboard") as server:
        status, headers, html = http("GET", f"{server.url}/")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert b"Live dashboard" in html


@pytest.fixture(scope="module")
def polls() -> Iterator[ServeProcess]:
    with serving("app:server", cwd=EXAMPLES / "rooms_events_http") as server:
        yield server


def create_poll(server: ServeProcess, poll: str) -> str:
    """Make a poll of tea and coffee; its URL."""
    url = f"{server.url}/polls/{poll}"
    status, _, tally = http("POST", url, {"choices": ["tea", "coffee"]})
    assert (status, tally) == (201, {"poll": poll, "votes": {"tea": 0, "coffee": 0}, "people": 0})
    return url


@pytest.mark.one_process
def test_a_vote_is_seen_by_the_room_and_over_http(polls: ServeProcess, run: Run) -> None:
    async def main() -> None:
        url = create_poll(polls, "drink")
        async with (
            connect(polls.ws("/polls/drink")) as ada,
            connect(polls.ws("/polls/drink")) as bob,
        ):
            assert (await receive(ada))["data"]["people"] == 1
            assert (await receive(bob))["data"]["people"] == 2
            expected = {"poll": "drink", "votes": {"tea": 0, "coffee": 1}, "people": 2}
            for _ in range(2):  # who votes again changes nothing but the same vote
                await send(ada, {"event": "vote", "data": {"choice": "coffee"}})
                for client in (ada, bob):
                    event = await receive(client)
                    assert (event["event"], event["data"]) == ("tally", expected)
            assert http("GET", url)[2] == expected
            assert expected in http("GET", f"{polls.url}/polls")[2]

    run(main())


@pytest.mark.one_process
def test_a_vote_for_something_else_is_refused(polls: ServeProcess, run: Run) -> None:
    async def main() -> None:
        create_poll(polls, "strict")
        async with connect(polls.ws("/polls/strict")) as client:
            await receive(client)
            for data in ({"choice": "gin"}, {"choice": 1}, {}, "tea", None):
                await send(client, {"event": "vote", "data": data})
                answer = await receive(client)
                assert (answer["type"], answer["data"]) == ("error", {"error": "no such choice"})

    run(main())


@pytest.mark.one_process
def test_one_connection_may_follow_several_polls(polls: ServeProcess, run: Run) -> None:
    async def main() -> None:
        create_poll(polls, "first")
        create_poll(polls, "second")
        async with connect(polls.ws("/polls/first")) as client:
            await receive(client)
            vote = {"event": "vote", "room": "second", "data": {"choice": "tea"}}
            await send(client, vote)
            assert (await receive(client))["data"] == {"error": "not following second"}
            await send(client, {"type": "join_room", "room": "second"})
            assert (await receive(client))["data"]["status"] == "joined"
            await send(client, vote)
            assert (await receive(client))["data"]["votes"] == {"tea": 1, "coffee": 0}
            await send(client, {"type": "join_room", "room": "nowhere"})
            assert (await receive(client))["type"] == "error"

    run(main())


@pytest.mark.one_process
def test_a_poll_outlives_its_members_until_it_is_closed(polls: ServeProcess, run: Run) -> None:
    async def main() -> None:
        url = create_poll(polls, "lasting")
        async with connect(polls.ws("/polls/lasting")) as client:
            await receive(client)
            await send(client, {"event": "vote", "data": {"choice": "tea"}})
            await receive(client)
        async with connect(polls.ws("/polls/lasting")) as client:
            assert (await receive(client))["data"]["votes"] == {"tea": 1, "coffee": 0}
            status, _, result = http("DELETE", url)
            assert (status, result["votes"]) == (200, {"tea": 1, "coffee": 0})
            closed = await receive(client)
            assert (closed["event"], closed["data"]) == ("closed", result)
        assert http("GET", url)[0] == 404

    run(main())


@pytest.mark.one_process
def test_a_poll_is_made_once_and_from_choices(polls: ServeProcess) -> None:
    url = create_poll(polls, "once")
    assert http("POST", url, {"choices": ["gin"]})[0] == 409
    for body in ({}, {"choices": []}, {"choices": "tea"}, {"choices": [1]}, ["tea"]):
        assert http("POST", f"{polls.url}/polls/other", body)[0] == 400
    assert http("GET", f"{polls.url}/polls/other")[0] == 404


@pytest.mark.one_process
def test_a_poll_that_is_not_there_refuses_its_followers(polls: ServeProcess, run: Run) -> None:
    async def main() -> None:
        async with connect(polls.ws("/polls/missing")) as client:
            with pytest.raises(ConnectionClosed) as closed:
                await receive(client)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "no such poll")

    run(main())


PROGRAMS = sorted(
    path.relative_to(EXAMPLES)
    for path in EXAMPLES.glob("*/*.py")
    if "server.run()" in path.read_text()  # the others are modules of one
)


def test_each_folder_has_a_program() -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert {path.parent.name for path in PROGRAMS} == folders - {"__pycache__"}


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_every_example_starts_by_itself(program: Path) -> None:
    with serving(script=program.name, cwd=EXAMPLES / program.parent) as server:
        assert http("GET", f"{server.url}/healthz")[0] == 200


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_every_example_is_listed_with_the_command_that_starts_it(program: Path) -> None:
    command = f"glyph-fast serve {program.stem}:server"
    assert command in (EXAMPLES / "README.md").read_text()
    source = (EXAMPLES / program).read_text()
    assert f"cd examples/{program.parent}\n" in source and command in source
