"""Ten thousand messages, more than any queue holds: all arrive, once and in order."""

from __future__ import annotations

import asyncio
from typing import Any

from talk import args, joined, over, run, until

from glyph_fast.client import connect


async def main() -> None:
    url, count = args[0], int(args[1])
    ada, bob = connect(url), connect(url)
    one, two = ada.join("chat:1"), bob.join("chat:1")
    heard: list[Any] = []
    resets: list[int] = []
    two.on("message", heard.append)
    two.on("reset", lambda: resets.append(1))
    await joined(one, two)
    places = await asyncio.gather(*(one.publish(n) for n in range(count)))
    await until(lambda: len(heard) == count, "all is heard")
    assert heard == list(range(count))
    assert [place and place.offset for place in places] == [n + 1 for n in heard]
    assert not resets
    await over(ada, bob)


run(main)
