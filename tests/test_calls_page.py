"""docs/calls.md: each row of its table is done, and reaches whom it says in the way it says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glyph_fast.client import ClientError, connect
from tests.serving import ROOT, ServeProcess, serving

pytestmark = pytest.mark.application

PAGE = (ROOT / "docs/calls.md").read_text()
ROWS = re.findall(
    r"^\| `([^`]+)` \| (\S+) \| (\S+) \| (\S+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE
)
WITHIN_S = 20.0

PROGRAM = """
from glyph_fast import MessageContext, MessageType, Server

server = Server()
hub = server.hub
server.room("tea", client_join=True)
server.websocket("/ws")
server.authenticate(lambda request: request.query.get("name"))


@server.on_event("end")
def end(ctx: MessageContext) -> None:
    hub.broadcast_event("end", None)
"""
HANDLER = """

@server.on_event("row{number}")
def row{number}(ctx: MessageContext) -> object:
    return {code}
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    """Its event `rowN` does what stands in row N."""
    folder = tmp_path_factory.mktemp("rows")
    handlers = [
        HANDLER.format(number=number, code=row[0].removeprefix("return "))
        for number, row in enumerate(ROWS)
    ]
    (folder / "rows.py").write_text(PROGRAM + "".join(handlers))
    with serving("rows:server", cwd=folder) as server:
        yield server


class Person:
    """A client that notes where everything arrives."""

    def __init__(self, url: str, name: str) -> None:
        self.heard: list[str] = []
        self.client = connect(f"{url}?name={name}")
        self.ended = asyncio.Event()
        self._note(self.client, "server", "message")
        self._note(self.client, "server", "told")
        self.client.on("end", lambda data: self.ended.set())

    def _note(self, source: Any, name: str, event: str) -> None:
        source.on(event, lambda data: self.heard.append(f'`{name}.on("{event}")`'))

    async def join(self) -> None:
        room = self.client.join("tea")
        self._note(room, "room", "message")
        await room.joined()


def test_the_table_has_its_rows() -> None:
    assert len(ROWS) == 13


@pytest.mark.parametrize("number", range(13))
def test_a_call_reaches_whom_the_page_says(rows: ServeProcess, number: int) -> None:
    code, *reached, _, where = ROWS[number]
    is_answer = where == "its `await server.call(…)`"
    expected = [] if is_answer else sorted(where.split(" and "))

    async def main() -> None:
        people = [Person(rows.ws("/ws"), name) for name in ("ada", "bob", "cyd")]
        await asyncio.gather(*(person.client.opened() for person in people))
        for person in people[:2]:
            await person.join()
        sender = people[0].client
        if is_answer:
            assert await sender.call(f"row{number}") == "hi"
        else:
            sender.send({"event": f"row{number}"})
        sender.send({"event": "end"})
        for person, word in zip(people, reached, strict=True):
            await person.ended.wait()
            assert sorted(person.heard) == (expected if word == "yes" else []), code
        await asyncio.gather(*(person.client.close() for person in people))

    asyncio.run(asyncio.wait_for(main(), WITHIN_S))


def programs(folder: Path) -> None:
    found = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in found] == ["calls.py", "checked.py"]
    for name, text in found:
        (folder / name).write_text(text)


def test_an_order_is_answered_and_told_to_the_others(tmp_path: Path) -> None:
    programs(tmp_path)

    async def main(url: str) -> None:
        async with connect(url) as ada, connect(url) as bob:
            heard: asyncio.Queue[object] = asyncio.Queue()
            bob.on("ordered", heard.put_nowait)
            await ada.join("tea").joined()
            await bob.join("tea").joined()
            assert await ada.call("order", "cake") == "cake is coming"
            assert await heard.get() == "cake"

    with serving("calls:server", cwd=tmp_path) as server:
        asyncio.run(asyncio.wait_for(main(server.ws("/ws")), WITHIN_S))


def test_what_is_said_is_checked_before_others_see_it(tmp_path: Path) -> None:
    programs(tmp_path)

    async def main(url: str) -> None:
        async with connect(url) as ada, connect(url) as bob:
            room, heard = bob.join("tea"), asyncio.Queue[object]()
            room.on("message", heard.put_nowait)
            await room.joined()
            assert await ada.call("say", {"text": "hello"}) == 1
            assert await heard.get() == {"text": "hello"}
            with pytest.raises(ClientError, match=r"data\.text"):
                await ada.call("say", {"text": "x" * 201})
            with pytest.raises(ClientError, match="may not broadcast"):
                await room.publish("unchecked")

    with serving("checked:server", cwd=tmp_path) as server:
        asyncio.run(asyncio.wait_for(main(server.ws("/ws")), WITHIN_S))
