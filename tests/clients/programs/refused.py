"""Refusals that a browser could not see, and ends that are final."""

from __future__ import annotations

import asyncio
from typing import Any

from talk import args, opened, over, run, until

from glyph_fast.client import Client, ClientError, State, Why, connect


async def hang_up(server: Client, code: int) -> None:
    try:
        await server.call("hang up", code)
    except ClientError:
        pass


async def main() -> None:
    url, full = args  # `full` has room for one connection
    first = connect(full)
    await opened(first)
    second = connect(full)
    await until(lambda: second.state == "waiting")
    assert second.why[:2] == (4503, "too many connections"), second.why
    await first.close()
    await opened(second)

    kept = connect(url)
    await opened(kept)
    await hang_up(kept, 4000)
    await until(lambda: kept.state == "closed")
    assert kept.why.code == 4000

    denied = connect(f"{url}?no=entry")
    await until(lambda: denied.state == "closed")
    assert denied.why[:2] == (1008, "no entry"), denied.why

    again = connect(url)
    states: list[Any] = []
    await opened(again)

    @again.on("state")
    def note(state: State, why: Why) -> None:
        states.append((state, why.code))

    await hang_up(again, 4008)
    await until(lambda: len(states) == 3)
    assert states == [("waiting", 4008), ("connecting", 4008), ("open", 4008)], states

    lost = connect(url.replace("/ws", "/elsewhere"))
    await until(lambda: lost.state == "waiting")
    assert lost.why[:2] == (1006, "the server answered 404 Not Found"), lost.why
    await asyncio.sleep(0)
    await over(second, kept, denied, again, lost, first)


run(main)
