"""The server is killed and comes back; what was published meanwhile arrives, once."""

from __future__ import annotations

import asyncio
from typing import Any

from talk import args, joined, over, run, tell, told, until

from glyph_fast.client import connect


async def main() -> None:
    (url,) = args
    ada, bob = connect(url), connect(url)
    one, two = ada.join("chat:1"), bob.join("chat:1", history=10)
    heard: list[Any] = []
    log: list[str] = []
    two.on("message", heard.append)
    two.on("reset", lambda: log.append("reset"))
    await joined(one, two)
    await one.publish("before")
    await until(lambda: len(heard) == 1)
    tell("kill")
    await until(lambda: ada.state == bob.state == "waiting")
    later = asyncio.create_task(one.publish("while it was away"))
    assert await told() == "back"
    place = await later
    assert place is not None and place.offset == 1
    await until(lambda: len(heard) == 2)
    assert heard == ["before", "while it was away"]
    assert log == ["reset"]  # the histories of a killed server are gone
    await over(ada, bob)


run(main)
