"""Order, by property: whatever waits where, each connection sees its own events in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyph_fast.options.config import Config
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores

Step = tuple[int, Literal["message", "leave", "loop"], int]  # which peer, what, how many waits

PEERS = 3
steps = st.lists(
    st.tuples(
        st.integers(0, PEERS - 1),
        st.sampled_from(["message", "message", "message", "leave", "loop"]),
        st.integers(0, 3),
    ),
    max_size=40,
)


async def wait(n: int) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


async def play(script: list[Step], connect_waits: list[int], inbox: int) -> None:
    site = Site(Config(inbox_messages=inbox)).on_loop()
    seen: dict[str, list[str]] = {}
    running: set[str] = set()

    async def note(conn: Any, what: str, waits: int) -> None:
        assert conn.id not in running
        running.add(conn.id)
        await wait(waits)
        seen.setdefault(conn.id, []).append(what)
        running.discard(conn.id)

    @site.dispatcher.on_connect
    async def connected(conn: Any) -> None:
        await note(conn, "connect", connect_waits[len(site.hub) - 1])

    @site.dispatcher.on_message("text")
    def first(ctx: Any) -> Any:
        number, waits = ctx.message.data.split()
        ctx.conn.set_data("last", number)
        return note(ctx.conn, number, int(waits)) if int(waits) else None

    @site.dispatcher.on_message("text")
    async def second(ctx: Any) -> None:
        number, waits = ctx.message.data.split()
        assert ctx.conn.get_data("last") == number
        await note(ctx.conn, f"{number} again", int(waits) % 2)

    site.dispatcher.on_disconnect(lambda conn: note(conn, "disconnect", 1))
    peers = [site.connect() for _ in range(PEERS)]
    expected: dict[str, list[str]] = {peer.id: ["connect"] for peer in peers}
    gone: list[Peer] = []
    for number, (index, what, waits) in enumerate(script):
        peer = peers[index]
        if what == "loop":
            await wait(waits)
        elif peer in gone:
            continue
        elif what == "leave":
            await settled(peer)  # reading may be paused, and then the end waits as well
            gone.append(peer)
            expected[peer.id].append("disconnect")
            peer.vanish()
        else:
            expected[peer.id] += [f"{number}"] if waits else []
            expected[peer.id] += [f"{number} again"]
            peer.send(f"{number} {waits}")
    for peer in peers:
        await settled(peer)
    assert seen == expected
    assert not site.dispatcher._tasks


async def settled(peer: Peer) -> None:
    peer.site.flush()  # what was held back while reading paused is handled at the end of a turn
    while peer.conn._inbox is not None or peer.pipe.is_paused:
        await asyncio.sleep(0)
        peer.site.flush()


@given(steps, st.lists(st.integers(0, 3), min_size=PEERS, max_size=PEERS), st.integers(1, 5))
@settings(deadline=None, max_examples=150)
def test_events_of_a_connection_are_handled_one_at_a_time_in_order(
    script: list[Step], connect_waits: list[int], inbox: int
) -> None:
    asyncio.run(asyncio.wait_for(play(script, connect_waits, inbox), 20))


def test_the_script_runs_on_the_servers_loop(run: Callable[..., Any], backend: Any) -> None:
    script: list[Step] = [(n % PEERS, "message", n % 4) for n in range(60)]
    run(play([*script, (0, "leave", 0), (1, "loop", 2), *script], [0, 1, 2], 2))
