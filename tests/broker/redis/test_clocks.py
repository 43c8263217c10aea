"""Two nodes whose clocks are an hour apart: what lasts and what is kept goes by neither."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.broker.redis.nodes import ROOM, Client, Node, node, program, until
from tests.broker_servers import RedisServer, redis_server
from tests.serving import ROOT, ServeProcess

APP = Path(__file__).parent / "app"
AHEAD_S = 3600
SAID = 50  # which takes longer than a beat of a node, and a try to get the lease
# Read by the interpreter as it starts, so that nothing has seen the right time before.
CUSTOMIZED = f"""
import time
seconds, nanoseconds = time.time, time.time_ns
time.time = lambda: seconds() + {AHEAD_S}
time.time_ns = lambda: nanoseconds() + {AHEAD_S} * 10**9
"""


class Member(Client):
    """A member that keeps the messages of its room, and who came and went."""

    def __init__(self, at: Node) -> None:
        super().__init__(at)
        self.messages: list[dict[str, Any]] = []
        self.left: list[Any] = []

    def take(self, message: dict[str, Any]) -> None:
        if message["type"] == "presence":
            self.left += message["data"].get("left", [])
        else:
            self.messages.append(message)


@asynccontextmanager
async def node_apart(redis: RedisServer, folder: Path) -> AsyncIterator[Node]:
    """A node in a process of its own, whose wall clock is an hour ahead."""
    (folder / "sitecustomize.py").write_text(CUSTOMIZED)
    path = os.pathsep.join([str(folder), str(ROOT)])
    process = await asyncio.to_thread(
        ServeProcess, "leading:server", cwd=APP,
        env={"GLYPH_FAST_BROKER": redis.url, "PYTHONPATH": path},
    )  # fmt: skip
    at = Node.__new__(Node)
    at.url = process.ws("/ws")
    try:
        yield at
    finally:
        process.kill()
        process.release()


def seconds(message: dict[str, Any]) -> float:
    return datetime.fromisoformat(message["timestamp"]).timestamp()


def test_clocks_an_hour_apart_change_no_order_lifetime_lease_or_presence(
    run: Any, tmp_path: Path
) -> None:
    running = program()
    led: list[int] = []

    @running.background(on="cluster")
    async def once() -> None:
        led.append(1)

    async def main() -> None:
        async with (
            redis_server() as redis,
            node_apart(redis, tmp_path) as wrong,
            node(redis, running) as right,
            Member(wrong) as there,
            Member(right) as here,
        ):
            for each in (there, here):
                joined = await each.join(presence=True)
            answer = await there.ask(type="broadcast", room=ROOM, data="of the wrong", id="1")
            assert answer["type"] == "broadcast_success"
            await right.hub.publish(ROOM, "of the right")
            known = len(here.messages)
            # The wrong one leads meanwhile, and says so twenty times a second.
            await until(lambda: len(here.messages) >= known + SAID)
            last = here.messages[-1]["offset"]
            await until(lambda: there.messages[-1]["offset"] >= last)
            assert led == [] and here.left == there.left == []
            seen = {each["offset"]: each for each in there.messages}
            for each in here.messages:
                assert seen.get(each["offset"], each)["timestamp"] == each["timestamp"]
                own = each["data"] == "of the wrong"  # a client's message tells its node's clock
                assert (abs(seconds(each) - time.time()) > AHEAD_S / 2) is own
            since = {"epoch": joined["epoch"], "offset": joined["offset"]}
            async with Client(wrong) as late:
                assert (await late.join(since=since))["resumed"]
            kept = (await right.hub.history(ROOM)).messages
            assert {"of the wrong", "of the right"} <= {each.data for each in kept}

    run(main())
