"""The broker of the server is away for a while: what is published keeps its order."""

from __future__ import annotations

import asyncio
from typing import Any

from talk import args, joined, opened, over, run, until

from glyph_fast.client import connect


async def main() -> None:
    ada, bob = connect(args[0]), connect(args[0])
    one, two = ada.join("chat:1"), bob.join("chat:1")
    heard: list[Any] = []
    two.on("message", lambda data: heard.append(data))
    await opened(ada, bob)
    await joined(one, two)

    await bob.call("away", True)
    places = [asyncio.create_task(one.publish(n)) for n in (1, 2, 3)]
    await asyncio.sleep(0)
    late = ada.join("chat:2")
    assert await ada.call("double", 2) == 4  # so they were refused before
    places.append(asyncio.create_task(one.publish(4)))
    assert not late.is_joined
    await bob.call("away", False)
    places.append(asyncio.create_task(one.publish(5)))

    assert [each.offset for each in await asyncio.gather(*places)] == [1, 2, 3, 4, 5]  # type: ignore
    await one.publish(6)
    await until(lambda: len(heard) == 6, "all is heard")
    assert heard == [1, 2, 3, 4, 5, 6]
    await joined(late)
    await over(ada, bob)


run(main)
