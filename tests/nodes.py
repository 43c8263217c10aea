"""Nodes in memory: each a broker and the presence of a process, on a `Network`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from glyph_fast.broker.nodes.broker import NodesBroker
from glyph_fast.broker.nodes.peers import Times
from glyph_fast.dialects.publication import publication
from glyph_fast.hub.presence import Presence
from glyph_fast.wire import NOBODY, SendResult
from tests.buses import MemoryBus, Network

# A hundredth of what it takes in earnest, about.
QUICK = Times(
    beat=0.03, dead=0.15, tick=0.01, silent=0.12, answer=0.05, hello=0.005, held=0.03,
    again=0.03, verify=0.5,
)  # fmt: skip
WITHIN_S = 20.0


class Followers(list[Any]):
    """Those who follow a room, of whom there always is one."""

    def __bool__(self) -> bool:
        return True

    def publish(self, frame: Any) -> None: ...

    def discard(self, conn: Any) -> None: ...


class Node:
    """One node: what came to it, and who it thinks is there."""

    def __init__(self, network: Network, times: Times = QUICK) -> None:
        self.bus: MemoryBus = network.bus()
        self.broker = NodesBroker(self.bus, times=times)
        self.came: list[tuple[str, Any, bytes]] = []
        self.obeyed: list[tuple[str, list[Any]]] = []
        self.gone: list[str] = []
        self.broker.attach(self._deliver, lambda call, args: self.obeyed.append((call, args)))
        self.presence = Presence(self.broker)
        was_gone = self.presence.gone

        def gone(author: str) -> None:
            self.gone.append(author)
            was_gone(author)

        here = SimpleNamespace(
            own=self.presence.own, heard=self.presence.heard,
            took=self.presence.took, gone=gone,
        )  # fmt: skip
        self.broker.attach_presence(here)  # type: ignore[arg-type]

    def _deliver(self, made: Any) -> SendResult:
        self.came.append((made.kind, made.name, made.payload))
        return NOBODY

    async def start(self) -> Node:
        await self.broker.start()
        return self

    def publish(self, kind: str, name: Any, message: str = "x", exclude: Any = None) -> SendResult:
        return self.broker.publish(publication(kind, name, message, exclude))

    def join(self, id: str, room: str, user: str | None = None) -> None:
        self.presence.joined(SimpleNamespace(id=id, identity=user, _info=None), room)

    def leave(self, id: str, room: str) -> None:
        shown = self.presence.rooms[room]  # `left` takes connections of the core alone
        shown.set_own(id, None)
        self.presence._touch(shown)

    async def follow(self, room: str) -> None:
        self.presence._room(room).followers = Followers()  # type: ignore[assignment]
        await self.presence._complete(self.presence._room(room))

    def members(self, room: str) -> set[str]:
        return set(self.presence._room(room).members)

    def kill(self) -> None:
        """End at once, telling nobody."""
        self.bus.kill()
        if self.broker.nodes._ticking is not None:
            self.broker.nodes._ticking.cancel()


async def until(holds: Callable[[], bool], what: Callable[[], object] = lambda: "") -> None:
    """Wait for something to become true; AssertionError when it does not."""
    loop = asyncio.get_running_loop()
    end = loop.time() + WITHIN_S
    while not holds():
        assert loop.time() < end, what()
        await asyncio.sleep(0.005)


async def close(*nodes: Node) -> None:
    """End nodes in good order, and let the batches of presence pass."""
    for node in nodes:
        await node.broker.close()
        if node.presence._timer is not None:
            node.presence._timer.cancel()
    await asyncio.sleep(0)
