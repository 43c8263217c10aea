"""docs/centrifuge.md: its program serves, both protocols meet in its room, its table is whole."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import websockets

from tests.serving import serving

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/centrifuge.md").read_text()
PROGRAM, TOKEN = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LIBRARY: Any = importlib.import_module("centrifuge")

Run = Callable[..., Any]


@pytest.mark.parametrize("is_protobuf", [False, True], ids=["json", "protobuf"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_client_of_theirs_and_one_of_ours(
    run: Run, tmp_path: Path, is_protobuf: bool, workers: str
) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)

    async def main(url: str, path: str) -> None:
        got: asyncio.Queue[Any] = asyncio.Queue()

        class Events(LIBRARY.SubscriptionEventHandler):  # type: ignore[misc, name-defined]
            async def on_publication(self, ctx: Any) -> None:
                data = ctx.pub.data
                await got.put((json.loads(data) if is_protobuf else data, ctx.pub.offset))

        client = LIBRARY.Client(url + "/connection/websocket", use_protobuf=is_protobuf)
        room = client.new_subscription("chat:lobby", events=Events())
        await room.subscribe()
        await client.connect()
        await room.ready(timeout=10)
        async with websockets.connect(url + path) as ours:
            await ours.send('{"type":"join_room","room":"chat:lobby"}')
            assert json.loads(await ours.recv())["data"]["status"] == "joined"
            hello: Any = {"text": "hello"}
            await room.publish(json.dumps(hello).encode() if is_protobuf else hello)
            assert await got.get() == (hello, 1)
            message = json.loads(await ours.recv())
            assert (message["data"], message["offset"], message["room"]) == (hello, 1, "chat:lobby")
            await ours.send('{"type":"broadcast","room":"chat:lobby","data":{"text":"hi"}}')
            assert await got.get() == ({"text": "hi"}, 2)
            result = await client.rpc("double", b"21" if is_protobuf else 21)
            assert json.loads(result.data) if is_protobuf else result.data == 42
            assert (await room.presence_stats()).num_clients == 2
        await client.disconnect()

    with serving("app:server", "--workers", workers, cwd=tmp_path) as server:
        run(main(server.ws(""), "/ws"), deadline=30)


def test_a_browser_shows_its_page(run: Run) -> None:
    from glyph_fast.testing import TestClient

    names: dict[str, Any] = {}
    exec(PROGRAM, names)

    async def main() -> None:
        async with TestClient(names["server"]) as client:
            answer = await client.get("/")
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert "new Centrifuge(" in answer.text

    run(main())


def test_its_token_is_good(run: Run) -> None:
    from glyph_fast.testing import TestClient
    from tests.centrifugal.speaking import PATH, Speaker, server_of

    names: dict[str, Any] = {}
    exec(TOKEN, names)

    async def main() -> None:
        async with TestClient(server_of({"*": {}}, jwt_secret=names["SECRET"])) as client:
            speaker = Speaker(await client.connect(PATH))
            own = names["jwt"].encode({"sub": "ann"}, names["SECRET"])
            await speaker.ask("connect", token=own)
            fields = {"channel": "chat:board", "token": names["token"]}
            assert (await speaker.ask("subscribe", **fields))["expires"]

    run(main())


def test_its_numbers_are_those_of_the_code() -> None:
    from glyph_fast.centrifuge.server import MAX_PONG_WAIT_S
    from glyph_fast.centrifuge.session import GRACE_S

    assert MAX_PONG_WAIT_S == 8 and "within eight seconds" in PAGE
    assert GRACE_S == 25 and "within 25 seconds" in PAGE


def test_protobuf_is_asked_for_where_it_is_not(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from glyph_fast.testing import TestClient, UpgradeRefused
    from tests.centrifugal.speaking import PATH, server_of

    monkeypatch.delitem(sys.modules, "glyph_fast.centrifuge.protobuf", raising=False)
    monkeypatch.setitem(sys.modules, "google.protobuf", None)

    async def main() -> None:
        async with TestClient(server_of()) as client:
            for asked in ("?cf_protocol=protobuf", "?format=protobuf"):
                with pytest.raises(UpgradeRefused, match="glyph-fast.centrifuge.") as caught:
                    await client.connect(PATH + asked)
                assert caught.value.status == 501
            await client.connect(PATH)

    run(main())
