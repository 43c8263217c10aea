"""The examples of the project, tested as their authors would test them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from glyph_fast import Server
from glyph_fast.chat import create_server
from glyph_fast.testing import TestClient, UpgradeRefused

pytestmark = pytest.mark.both_cores

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(path: str) -> Server:
    """The server of an example, fresh."""
    spec = importlib.util.spec_from_file_location(f"example_{Path(path).stem}", EXAMPLES / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a dataclass looks for its own
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    server: Server = module.server
    return server


def test_echo(run):
    async def main():
        async with TestClient(example("echo/echo.py")) as client:
            ws = await client.connect("/ws")
            for message in ("hello", "", '{ "a": 1 }', b"", b"\x00\xff" * 1000):
                await ws.send(message)
                assert await ws.receive() == message

    run(main())


def test_dashboard_shows_a_sample_to_all_viewers(run):
    async def main():
        async with TestClient(example("dashboard/dashboard.py")) as client:
            one, two = await client.connect_many(2, "/live")
            for viewer in (one, two):
                assert (await viewer.receive_json())["type"] == "history"
            sample = await one.receive_json()
            assert sample["type"] == "sample" and sample["sample"]["connections"] == 2
            assert await two.receive_json() == sample
            assert "<html" in (await client.get("/")).text

    run(main())


def test_polls_count_one_vote_each(run):
    async def main():
        async with TestClient(example("rooms_events_http/app.py")) as client:
            with pytest.raises(UpgradeRefused):
                await client.connect("/nowhere")
            made = await client.post("/polls/lunch", json={"choices": ["soup", "curry"]})
            assert made.status == 201
            ada, bob = await client.connect_many(2, "/polls/lunch")
            assert (await ada.receive_json())["data"]["people"] == 1
            assert (await bob.receive_json())["data"]["people"] == 2
            for _ in range(2):
                await ada.send_event("vote", {"choice": "soup"})
                for each in (ada, bob):
                    votes = (await each.receive_json())["data"]["votes"]
                    assert votes == {"soup": 1, "curry": 0}
            bob.drop()
            await client.settle()
            assert (await client.get("/polls/lunch")).json()["people"] == 1

    run(main())


@pytest.mark.parametrize("program", ["", "websocket-chat/main.py"], ids=["bundled", "example"])
def test_chat_keeps_what_who_is_away_misses(run, program):
    server = example(program) if program else create_server()

    async def main():
        async with TestClient(server) as client:
            ada = await client.connect("/rooms/lobby/ada")
            joined = await ada.join("lobby", presence=True)
            bob = await client.connect("/rooms/lobby/bob")
            (came,) = (await ada.receive_json())["data"]["joined"]
            assert came["info"] == {"name": "bob"}
            ada.drop()
            await bob.send_json({"type": "say", "text": "hello"})
            assert (await bob.receive_json())["text"] == "hello"
            ada = await client.connect("/rooms/lobby/ada")
            since = {"epoch": joined["epoch"], "offset": joined["offset"]}
            missed = (await ada.join("lobby", since=since))["messages"]
            assert [each["data"]["text"] for each in missed] == ["hello"]

    run(main())
