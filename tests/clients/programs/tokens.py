"""Tokens that end in seconds: replaced in place, and asked for again where they were not."""

from __future__ import annotations

from typing import Any

from talk import args, joined, opened, over, run, tell, told, until

from glyph_fast.client import State, Why, connect


async def main() -> None:
    (url,) = args
    asked: list[int] = []

    async def token() -> str:
        """The test signs them; two at once would be mixed up."""
        asked.append(1)
        tell("token")
        return await told()

    ada = connect(url, token=token)
    states: list[Any] = []

    def note(state: State, why: Why) -> None:
        states.append((state, why.code))

    ada.on("state", note)
    room = ada.join("chat:1")
    await joined(room)
    before = ada.id
    await until(lambda: len(asked) == 3, "it was replaced twice")
    assert await ada.call("double", 1) == 2
    assert ada.id == before
    assert states == [("open", 0)], states
    await ada.close()

    # One that is refused, then a good one.
    states.clear()
    first = ["not.a.token"]

    async def second_is_good() -> str:
        return first.pop() if first else await token()

    bob = connect(url, token=second_is_good)
    bob.on("state", note)
    await opened(bob)
    assert states == [("waiting", 4401), ("connecting", 4401), ("open", 4401)], states
    await bob.close()

    # One that is refused for good.
    eve = connect(url, token=lambda: "not.a.token")
    await until(lambda: eve.state == "closed", "it is refused")
    assert eve.why[:2] == (4401, "the token is malformed"), eve.why
    mallory = connect(url, token="not.a.token")  # nobody to ask again
    await until(lambda: mallory.state == "closed", "it is refused at once")
    await over(ada, bob, eve, mallory)


run(main)
