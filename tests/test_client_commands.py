"""What clients can do by built-in words: in programs in Python and in Glyph, and by the file."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from glyph_fast import Config, Connection, GlyphServer, MessageContext, Server
from glyph_fast.options.sources import load_config
from tests.running import Url, running

Run = Callable[..., Any]

ROOT = Path(__file__).parents[1]
PROGRAM = (
    "@ ws /glyph/:room {\n  on connect { ws.join(room) }\n  on message { ws.send(input) }\n}\n"
)


def client(url: Url, path: str) -> connect:
    return connect(url.ws(path), proxy=None, compression=None)


async def ask(peer: ClientConnection, type: str, room: str = "", **more: Any) -> Any:
    """The data of the answer to a built-in message."""
    await peer.send(json.dumps({"type": type, "room": room} | more))
    async with asyncio.timeout(10):
        return json.loads(await peer.recv())["data"]


async def heard(peer: ClientConnection) -> list[Any]:
    """What has come up to the answer to a ping."""
    await peer.send('{"type":"ping"}')
    found = []
    async with asyncio.timeout(10):
        while (message := json.loads(await peer.recv())).get("type") != "pong":
            found.append(message)
    return found


def readme_server() -> Server:
    """The first program of README.md."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    program = re.search(r"^```python\n# app.py\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert program is not None
    names: dict[str, Any] = {}
    exec(program[1], names)
    server: Server = names["server"]
    return server


def own_rooms() -> Server:
    """The same with a room that clients may ask for, and get none."""
    server = readme_server()
    server.on_join("secret")(lambda: False)
    return server


@pytest.mark.parametrize("make", [readme_server, own_rooms])
def test_a_client_does_not_read_a_room_it_was_not_allowed_into(
    make: Callable[[], Server], backend: Any, run: Run
) -> None:
    async def main() -> None:
        server = make()
        async with running(server, backend) as url:
            async with client(url, "/chat/secret") as ada, client(url, "/chat/lobby") as eve:
                for peer in (ada, eve):
                    assert "welcome" in json.loads(await peer.recv())
                assert "error" in await ask(eve, "join_room", "secret")
                assert "error" in await ask(eve, "broadcast", "secret", data="I am here")
                assert server.hub.get_room_manager().get_room_size("secret") == 1
                await ada.send("for the room alone")
                assert [each["text"] for each in await heard(ada)] == ["for the room alone"]
                assert await heard(eve) == []

    run(main())


def both_routes(config: Config | None, tmp_path: Path) -> GlyphServer:
    """A server with a route in Python and one of a program in Glyph."""
    file = tmp_path / "app.glyph"
    file.write_text(PROGRAM)
    server = GlyphServer(config)
    server.load(file)

    @server.on_connect(route="/python/:room")
    def enter(conn: Connection) -> None:
        conn.join_room(conn.path_params["room"])

    server.room("open:*", client_join=True)
    server.room("small:*", client_join=True, max_members=1)
    server.on_join("asked:*")(lambda conn, room: room != "asked:no")
    return server


WORDS = ("join_room", "leave_room", "broadcast")
# Config, then for each room of whom the words work: of both routes, of the one in Glyph, of nobody.
CASES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {"plain": "glyph", "open:1": "both", "asked:1": "both"}),
    ({"client_commands": "auto"}, {"plain": "glyph", "open:1": "both"}),
    (
        {"client_commands": "join_room,leave_room,broadcast,ping"},
        {"plain": "both", "open:1": "both", "asked:1": "both"},
    ),
    ({"rooms": {"*": {}}}, {"plain": "none", "open:1": "none", "asked:1": "both"}),
    (
        {"rooms": {"*": {"client_join": True}, "open:*": {}}},
        {"plain": "both", "open:1": "none", "asked:1": "both"},
    ),
]


@pytest.mark.parametrize(("options", "rooms"), CASES)
def test_words_work_where_the_room_is_covered(
    options: dict[str, Any], rooms: dict[str, str], backend: Any, run: Run, tmp_path: Path
) -> None:
    async def main() -> None:
        server = both_routes(Config(**options), tmp_path)
        async with running(server, backend) as url:
            for room, who in rooms.items():
                for route in ("python", "glyph"):
                    may = who == "both" or who == route
                    async with client(url, f"/{route}/{room}") as ada:
                        assert await ask(ada, "ping") == {"timestamp": None}
                        for word in ("join_room", "broadcast", "leave_room"):
                            # A broadcast without data is refused by another error where it may be.
                            answer = await ask(ada, word, room)
                            refused = answer.get("error", "").startswith("clients may not")
                            assert refused is not may, (room, route, word, answer)

    run(main())


@pytest.mark.parametrize("route", ["python", "glyph"])
def test_without_the_words_the_program_gets_them(
    route: str, backend: Any, run: Run, tmp_path: Path
) -> None:
    async def main() -> None:
        server = both_routes(Config(client_commands="none"), tmp_path)

        @server.on_message("json", route="/python/:room")
        def back(ctx: MessageContext) -> None:
            ctx.conn.send(str(ctx.message.raw))

        async with running(server, backend) as url, client(url, f"/{route}/open:1") as ada:
            for word in (*WORDS, "ping"):
                await ada.send(json.dumps({"type": word, "room": "open:1"}))
                assert json.loads(await ada.recv()) == {"type": word, "room": "open:1"}

    run(main())


def test_the_file_goes_before_the_program(backend: Any, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "glyph-fast.toml"
    file.write_text('[rooms."small:*"]\nclient_join = true\nmax_members = 2\n[rooms."open:1"]\n')

    async def main() -> None:
        server = both_routes(load_config({}, {}, file), tmp_path)
        async with running(server, backend) as url:
            async with (
                client(url, "/python/a") as ada,
                client(url, "/python/b") as bob,
                client(url, "/python/c") as eve,
            ):
                for peer in (ada, bob):
                    assert (await ask(peer, "join_room", "small:1"))["status"] == "joined"
                assert await ask(eve, "join_room", "small:1") == {"error": "room is full"}
                assert "clients may not" in (await ask(eve, "join_room", "open:1"))["error"]
                assert (await ask(eve, "join_room", "open:2"))["status"] == "joined"

    run(main())
