"""Envelopes that clients send to a server, each by a line of a test."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

_numbers = itertools.count(1)  # of the ids of what is asked

__tracebackhide__ = True  # pytest shows the test and the handlers, not this module


class Envelopes:
    """The part of a client that speaks in envelopes."""

    async def send_json(self, value: object, timeout: float | None = None) -> None:
        """Send the JSON of a value."""
        raise NotImplementedError

    async def receive_json(self, timeout: float | None = None) -> Any:
        """The next message, which must be text, read as JSON."""
        raise NotImplementedError

    async def receive(self, timeout: float | None = None) -> str | bytes:
        """The next message."""
        raise NotImplementedError

    def put_back(self, messages: Sequence[str | bytes]) -> None:
        """Let messages be the next again."""
        raise NotImplementedError

    async def ask(self, word: str, timeout: float | None = None, **members: Any) -> Any:
        """Send a built-in message; return the `data` of its answer.

        Messages that come before that stay unread. A refusal is an AssertionError.
        """
        id = f"test-{next(_numbers)}"
        if isinstance(since := members.get("since"), tuple):
            members["since"] = dict(zip(("epoch", "offset"), since, strict=True))
        elif isinstance(since, dict):
            members["since"] = {key: since[key] for key in ("epoch", "offset") if key in since}
        await self.send_json({"type": word, **members, "id": id}, timeout)
        others: list[str | bytes] = []
        try:
            while True:
                message = await self.receive(timeout)
                if (answer := _answer(message, id)) is not None:
                    break
                others.append(message)
        finally:
            self.put_back(others)
        assert answer["type"] != "error", f"{word} was refused: {answer['data']['error']}"
        return answer.get("data")

    async def join(self, room: str, timeout: float | None = None, **members: Any) -> Any:
        """Join a room by a message, with `presence=True` and what else it takes; see `ask`.

        `since` is a `Position`, or what an earlier `join` returned.
        """
        return await self.ask("join_room", timeout, room=room, **members)

    async def present(self, room: str, timeout: float | None = None) -> list[Any]:
        """List who is in a room of this client; see `ask`."""
        members: list[Any] = (await self.ask("presence", timeout, room=room))["members"]
        return members

    async def send_event(self, name: str, data: object = None, room: str = "") -> None:
        """Send what `on_event(name)` hears."""
        envelope = {"event": name, "data": data, **({"room": room} if room else {})}
        await self.send_json(envelope)

    async def answer(
        self,
        event: str,
        data: object = None,
        *,
        error: object = None,
        timeout: float | None = None,
    ) -> Any:
        """Reply to `conn.call(event, …)`, which the next message must be; return what it asks.

        With `error` the call fails. Waits for at most `timeout` seconds.
        """
        asked = await self.receive_json(timeout)
        is_call = isinstance(asked, dict) and asked.get("event") == event and "id" in asked
        assert is_call, f"expected a call of {event!r}, got {asked!r}"
        said = {"data": data} if error is None else {"error": error}
        await self.send_json({"type": "reply", "id": asked["id"], **said})
        return asked.get("data")


def _answer(message: str | bytes, id: str) -> Any:
    """A message, if it is the answer to what was asked under an id."""
    if not isinstance(message, str) or id not in message:
        return None
    value = json.loads(message)
    return (
        value if isinstance(value, dict) and value.get("id") == id and "target" in value else None
    )


__all__ = ["Envelopes"]
