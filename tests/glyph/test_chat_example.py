"""The chat in Glyph: the messages of docs/chat.md, and the page that speaks them."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from serving import ROOT, ServeProcess, serving
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

CHAT = ROOT / "examples" / "websocket-chat"

pytestmark = pytest.mark.both_cores


@pytest.fixture(scope="module")
def chat() -> Iterator[ServeProcess]:
    with serving("with_glyph:server", cwd=CHAT) as server:
        yield server


async def receive(peer: ClientConnection) -> Any:
    async with asyncio.timeout(10):
        return json.loads(await peer.recv())


async def enter(server: ServeProcess, room: str, nick: str) -> tuple[ClientConnection, str]:
    peer = await connect(server.ws(f"/rooms/{room}/{nick}"), proxy=None)
    welcome = await receive(peer)
    assert welcome == {"type": "welcome", "id": welcome["id"], "name": nick, "room": room}
    assert await receive(peer) == {"type": "joined", "id": welcome["id"], "name": nick}
    return peer, welcome["id"]


def test_members_hear_who_comes_speaks_and_goes(
    chat: ServeProcess, run: Callable[..., Any]
) -> None:
    async def main() -> None:
        ada, ada_id = await enter(chat, "tea", "ada")
        bob, bob_id = await enter(chat, "tea", "bob")
        assert await receive(ada) == {"type": "joined", "id": bob_id, "name": "bob"}
        for word in ("who", "here", "typing"):
            await bob.send(json.dumps({"type": word, "id": "claimed", "text": "x"}))
            expected = {"type": word, "id": bob_id, "name": "bob"}
            assert await receive(ada) == await receive(bob) == expected
        await ada.send(json.dumps({"type": "say", "text": "hello é😀"}))
        said = await receive(bob)
        assert abs(said.pop("time") - time.time()) < 60
        assert said == {"type": "say", "id": ada_id, "name": "ada", "text": "hello é😀"}
        assert (await receive(ada))["text"] == "hello é😀"
        await bob.close()
        assert await receive(ada) == {"type": "left", "id": bob_id, "name": "bob"}
        await ada.close()

    run(main())


def test_anything_else_is_ignored(chat: ServeProcess, run: Callable[..., Any]) -> None:
    async def main() -> None:
        peer, _ = await enter(chat, "odd", "ada")
        for message in (
            "text", "[1]", "{}", '{"type":"say"}', '{"type":"say","text":""}',
            '{"type":"say","text":5}', '{"type":"say","text":null}', '{"type":"nope"}',
            '{"type":"join_room","room":"tea"}', '{"type":5}', "null",
            json.dumps({"type": "say", "text": "x" * 2001}),
        ):  # fmt: skip
            await peer.send(message)
        await peer.send(json.dumps({"type": "say", "text": "x" * 2000}))
        assert len((await receive(peer))["text"]) == 2000
        await peer.send('{"type":"ping"}')
        assert (await receive(peer))["type"] == "pong"
        await peer.close()

    run(main())


@pytest.mark.parametrize("path", ["/rooms/%20/ada", "/rooms/tea/" + "x" * 33, "/rooms/a%01b/ada"])
def test_bad_names_are_refused_with_a_reason(
    chat: ServeProcess, run: Callable[..., Any], path: str
) -> None:
    async def main() -> None:
        async with connect(chat.ws(path), proxy=None) as peer:
            refusal = await receive(peer)
            assert refusal["type"] == "close" and "1 to 32" in refusal["reason"]
            with pytest.raises(ConnectionClosed):
                await receive(peer)

    run(main())


def test_page_is_the_bundled_one(chat: ServeProcess) -> None:
    with urllib.request.urlopen(chat.url + "/", timeout=10) as answer:
        page = answer.read()
    assert page == (ROOT / "glyph_fast" / "chat" / "index.html").read_bytes()


def test_rooms_alone_are_a_program_too(run: Callable[..., Any]) -> None:
    with serving("main.glyph", cwd=CHAT) as server:
        with urllib.request.urlopen(server.url + "/rooms", timeout=10) as answer:
            assert json.loads(answer.read()) == {"rooms": [], "people": 0}
