"""Rooms, publishing, calls both ways, events: against a real server."""

from __future__ import annotations

import asyncio
from typing import Any

from talk import args, joined, opened, over, run, until

from glyph_fast.client import ClientError, Meta, connect


async def main() -> None:
    (url,) = args
    ada, bob = connect(url), connect(url)
    states: list[str] = []
    notices: list[Any] = []
    ada.on("state", lambda state: states.append(state))
    bob.on("confirm", lambda data: f"{data['question']} yes")
    bob.on("notice", notices.append)

    one, two = ada.join("chat:1"), bob.join("chat:1")
    assert ada.join("chat:1") is one
    heard: list[Any] = []

    @two.on("message")
    def listen(data: Any, meta: Meta) -> None:
        heard.append((data, meta.room, meta.connection_id))

    stream = aiter(two)
    await joined(one, two)
    await opened(ada)
    assert states == ["open"], states

    places = await asyncio.gather(*(one.publish(each) for each in (1, {"text": "two"}, "three")))
    assert [place.offset for place in places if place] == [1, 2, 3]
    await until(lambda: len(heard) == 3)
    assert heard == [(each, "chat:1", ada.id) for each in (1, {"text": "two"}, "three")]
    assert [(await anext(stream)).data for _ in range(3)] == [1, {"text": "two"}, "three"]

    assert await ada.call("double", 21) == 42
    assert await refused(ada.call("fail")) == ("not today", False)
    assert await bob.call("ask me", timeout=5) == "really? yes"
    await ada.call("tell all", "news")
    await until(lambda: notices == ["news"])

    async def slowly(data: Any) -> str:
        await asyncio.sleep(0.01)
        return f"{data['question']} slowly"

    eve = connect(url)
    eve.on("confirm", slowly)
    assert await eve.call("ask me") == "really? slowly"
    closed = eve.join("secret")
    errors: list[Any] = []
    closed.on("error", errors.append)
    text, maybe_sent = await refused(closed.joined())
    assert "clients may not join" in text and not maybe_sent
    assert [str(each) for each in errors] == [text]
    assert await refused(closed.publish(1)) == (text, False)

    two.leave()
    await one.publish("unheard")
    assert await bob.call("double", 1) == 2  # by then it would have come
    assert len(heard) == 3
    assert [each async for each in stream] == []  # it has ended

    bare: list[Any] = []
    ada.on("message", bare.append)
    assert ada.send({"type": "say", "text": "as it is"})
    await until(lambda: bare == [{"heard": {"type": "say", "text": "as it is"}}])
    await opened(bob)
    late = asyncio.gather(*(bob.call("ask me") for _ in range(3)), return_exceptions=True)
    await asyncio.sleep(0)
    await over(bob, ada, eve)
    assert all(isinstance(each, ClientError) and each.maybe_sent for each in await late)
    assert await refused(one.publish(1)) == ("closed", False)
    assert await refused(ada.join("chat:1").joined()) == ("closed", False)


async def refused(call: Any) -> tuple[str, bool]:
    try:
        await call
    except ClientError as exc:
        return str(exc), exc.maybe_sent
    raise AssertionError("it succeeded")


run(main)
