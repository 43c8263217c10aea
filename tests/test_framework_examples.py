"""The examples of other frameworks, in one process and in two workers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.serving import ROOT, ServeProcess, serving

pytestmark = pytest.mark.application

EXAMPLES = ROOT / "examples"
WITHIN_S = 20.0
MANY = 12  # clients, of which each of two workers has one with near certainty

WAYS = {"one": [], "two": ["--workers", "2"]}


@pytest.fixture(scope="module", params=WAYS)
def kitchen(request: Any) -> Iterator[ServeProcess]:
    with serving("main:server", *WAYS[request.param], cwd=EXAMPLES / "fastapi") as server:
        yield server
        assert "Traceback" not in server.log()


@pytest.fixture(scope="module", params=WAYS)
def project(request: Any) -> Iterator[ServeProcess]:
    with serving("serve:server", *WAYS[request.param], cwd=EXAMPLES / "django") as server:
        yield server
        assert "Traceback" not in server.log()


def fetch(url: str, body: bytes | None = None, **fields: str) -> tuple[int, bytes, Any]:
    """Status, body and fields of an answer."""
    names = {name.replace("_", "-"): value for name, value in fields.items()}
    try:
        with urlopen(Request(url, body, names), timeout=WITHIN_S) as answer:
            return answer.status, answer.read(), answer.headers
    except HTTPError as refusal:
        with refusal:
            return refusal.status, refusal.read(), refusal.headers


def order(server: ServeProcess, dish: str, **fields: str) -> tuple[int, Any]:
    body = json.dumps({"dish": dish, "count": 2}).encode()
    fields = {"Content_Type": "application/json", "X_Waiter": "Ada", **fields}
    status, answer, _ = fetch(f"{server.url}/orders/garden", body, **fields)
    return status, json.loads(answer)


async def following(url: str, first: Callable[[ClientConnection], Any]) -> list[ClientConnection]:
    clients = [await connect(url) for _ in range(MANY)]
    for each in clients:
        await first(each)
    return clients


async def until(client: ClientConnection, member: str) -> Any:
    """The next message that has this member."""
    async with asyncio.timeout(WITHIN_S):
        while member not in (message := json.loads(await client.recv())):
            pass
    return message


async def close(clients: list[ClientConnection]) -> None:
    await asyncio.gather(*(each.close() for each in clients))


def test_a_fastapi_route_publishes_to_all_who_watch(kitchen: ServeProcess) -> None:
    async def main() -> None:
        async def join(client: ClientConnection) -> None:
            await client.send('{"type": "join_room", "room": "orders", "id": "1"}')
            assert (await until(client, "id"))["data"]["status"] == "joined"

        clients = await following(kitchen.ws("/live"), join)
        status, placed = await asyncio.to_thread(order, kitchen, "soup")
        assert (status, placed["waiter"], placed["count"]) == (201, "Ada", 2)
        for each in clients:
            message = await until(each, "offset")
            assert (message["offset"], message["data"]["dish"]) == (placed["number"], "soup")
        answer = await asyncio.to_thread(fetch, f"{kitchen.url}/closing", b"", X_Waiter="Ada")
        assert answer[:2] == (200, b'{"told":true}')
        for each in clients:
            assert (await until(each, "event"))["data"] == {"by": "Ada"}
        await close(clients)

    asyncio.run(main())


def test_what_fastapi_checks_it_checks_here(kitchen: ServeProcess) -> None:
    assert order(kitchen, "stone") == (404, {"detail": "no such dish"})
    assert order(kitchen, "")[0] == 422
    assert fetch(f"{kitchen.url}/orders/garden", b"{}")[0] == 422
    assert json.loads(fetch(f"{kitchen.url}/menu")[1]) == ["bread", "curry", "soup"]
    assert b"Orders" in fetch(f"{kitchen.url}/docs")[1]
    assert b"glyphFast" in fetch(f"{kitchen.url}/")[1]


def test_its_own_websocket_stays_its_own(kitchen: ServeProcess) -> None:
    async def main() -> None:
        async with connect(kitchen.ws("/echo")) as client:
            await client.send("hello")
            assert await client.recv() == "hello"

    asyncio.run(main())


def pin(server: ServeProcess, board: str, text: str) -> int:
    """Fill in the form of a board."""
    _, page, fields = fetch(f"{server.url}/boards/{board}")
    found = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    body = f"csrfmiddlewaretoken={found[1].decode()}&text={text}".encode()
    cookie = fields["Set-Cookie"].partition(";")[0]
    return fetch(f"{server.url}/boards/{board}/notes", body, Cookie=cookie)[0]


def test_a_django_view_sends_to_the_consumers_of_a_group(project: ServeProcess) -> None:
    async def main() -> None:
        async def nothing(client: ClientConnection) -> None:
            """The consumer joins its group by itself."""

        clients = await following(project.ws("/boards/kitchen/live"), nothing)
        other = await connect(project.ws("/boards/hall/live"))
        assert await asyncio.to_thread(pin, project, "kitchen", "milk") == 204
        for each in clients:
            assert await until(each, "note") == {"note": "milk"}
        await clients[0].send("{}")
        for each in clients:
            assert await until(each, "writing") == {"writing": True}
        assert await asyncio.to_thread(pin, project, "hall", "keys") == 204
        assert json.loads(await other.recv()) == {"note": "keys"}
        await close([*clients, other])

    asyncio.run(main())


def test_what_django_refuses_it_refuses_here(project: ServeProcess) -> None:
    assert fetch(f"{project.url}/boards/kitchen/notes", b"text=x")[0] == 403  # no token
    assert fetch(f"{project.url}/nowhere")[0] == 404
    assert b"Board kitchen" in fetch(project.url)[1]  # by way of a redirection


def test_their_requirements_are_what_they_import() -> None:
    for folder in ("fastapi", "django"):
        listed = (EXAMPLES / folder / "requirements.txt").read_text().split()
        sources = "\n".join(path.read_text() for path in Path(EXAMPLES / folder).rglob("*.py"))
        assert all(re.search(rf"^from {name}\b", sources, re.MULTILINE) for name in listed)
