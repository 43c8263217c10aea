"""A network that parts a node from Redis without a word, and heals."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glyph_fast.broker.nodes import nodes as module
from glyph_fast.broker.nodes.peers import Times
from glyph_fast.broker.redis import link
from tests.broker.parted import broker_behind_two_links
from tests.broker.redis.nodes import Client, Follower, Node, Publisher, node, until
from tests.broker_servers import VALKEY

PORT = 6379
QUICK = Times(beat=0.2, dead=2.0, tick=0.05, silent=0.6, verify=2.0)


class Watcher(Client):
    """A member that follows who comes and goes."""

    def __init__(self, at: Node) -> None:
        super().__init__(at)
        self.seen: list[tuple[str, str]] = []

    def take(self, message: dict[str, Any]) -> None:
        if message["type"] == "presence":
            for what in ("left", "joined"):
                self.seen += [(what, each["id"]) for each in message["data"].get(what, [])]


def test_nodes_that_were_parted_from_the_broker_miss_nothing_when_it_heals(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(link, "PING_S", 0.1)
    monkeypatch.setattr(module, "Times", lambda: QUICK)
    command = [
        VALKEY, "--port", str(PORT), "--bind", "0.0.0.0", "--protected-mode", "no",
        "--save", "", "--dir", str(tmp_path),
    ]  # fmt: skip

    async def main(paths: list[Any]) -> None:
        at: list[Any] = [SimpleNamespace(url=f"redis://{each.address}:{PORT}") for each in paths]
        async with (
            node(at[0]) as cut, node(at[1]) as whole,
            Follower(cut) as a, Follower(whole) as b,
            Publisher(cut, "p") as p, Publisher(whole, "q") as q,
            Watcher(whole) as watcher,
        ):  # fmt: skip
            present = await watcher.join(presence=True)
            assert len(present["presence"]["members"]) == 5
            for each in (p, q):
                each.begin()
            await asyncio.gather(p.more(20), q.more(20))

            await asyncio.to_thread(paths[0].cut)
            await until(lambda: not cut.figures["broker_up"])
            await until(lambda: sum(what == "left" for what, _ in watcher.seen) == 2)
            await q.more(20)
            refused = p.refused
            await until(lambda: p.refused > refused)

            await asyncio.to_thread(paths[0].heal)
            await until(lambda: cut.figures["broker_up"])
            await until(lambda: sum(what == "joined" for what, _ in watcher.seen) == 2)
            await asyncio.gather(p.more(20), q.more(20))
            last = [await p.end(), await q.end()]
            for each in (a, b):
                await asyncio.gather(*map(each.follows, last))
                assert each.resets == 0
            assert a.texts == b.texts
            assert sorted(a.texts) == sorted(p.acknowledged + q.acknowledged)
            assert len(watcher.seen) == 4

    with broker_behind_two_links(command, PORT) as paths:
        run(main(paths))
