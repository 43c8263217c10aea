"""Random commands with fields of right types: each is answered, or ends the connection."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from glyph_fast import MessageContext, MessageType
from glyph_fast.centrifuge.fields import COMMANDS, MESSAGES
from glyph_fast.errors import ConnectionClosed
from glyph_fast.testing import TestClient
from tests.centrifugal.speaking import KEPT, PATH, Speaker, server_of

pytestmark = pytest.mark.both_cores

ROOMS: dict[str, dict[str, Any]] = {
    "a": {"client_join": True}, "b": KEPT | {"history_size": 1}, "c": KEPT | {"history_size": 3}
}  # fmt: skip
VALUES: dict[str, list[Any]] = {
    "string": ["a", "b", "c", "", "x" * 300, "fossil", "é", "\n", "double"],
    "bool": [True, False],
    "bytes": [1, None, "x", {"type": "join_room"}, [1]],
    "uint32": [0, 1, 5, 2**32 - 1],
    "uint64": [0, 1, 2, 3, 2**64 - 1],
    "int32": [0, -1, 1, 2, 2**31 - 1, -(2**31)],
    "int64": [0, 2, -1],
}


def value(random: Random, type_: str, depth: int = 0) -> Any:
    """A random value of a type of the protocol."""
    if type_.startswith("{}"):
        return {name: value(random, type_[2:], depth + 1) for name in random.choices("abc", k=2)}
    if type_.startswith("[]"):
        return [value(random, type_[2:], depth + 1) for _ in range(random.randint(0, 2))]
    if type_ not in MESSAGES:
        return random.choice(VALUES[type_])
    fields = {name: kind for name, (_, kind) in MESSAGES[type_].items()}
    said = {
        name: value(random, kind, depth + 1)
        for name, kind in fields.items()
        if random.random() < (0.3 if depth < 3 else 0.1)
    }
    return said | ({"channel": random.choice("abc")} if not depth and "channel" in fields else {})


@pytest.mark.parametrize("seed", range(3))
def test_nothing_breaks(run: Callable[..., Any], seed: int) -> None:
    server, random = server_of(ROOMS), Random(seed)

    @server.on_event("double")
    def double(ctx: MessageContext, data: int) -> int:
        return 2 * data

    @server.on_message(MessageType.JSON)
    def json(ctx: MessageContext) -> None:
        ctx.reply_json(ctx.message.data)

    async def talk(client: Any) -> None:
        speaker = Speaker(await client.connect(PATH))
        await speaker.ask("connect")
        try:
            for id in range(2, 40):
                kind = random.choice(COMMANDS[1:])
                fields = value(random, MESSAGES["Command"][kind][1])
                if kind != "ping" or random.random() < 0.05:
                    await speaker.say({kind: fields} | ({"id": id} if kind != "send" else {}))
            await client.settle()
            await speaker.socket.close()
        except ConnectionClosed as exc:
            assert 3500 <= exc.code <= 3508
        await client.settle()

    async def main() -> None:
        async with TestClient(server) as client:
            for _ in range(40):
                await talk(client)
            assert server._centrifuge is not None and not server._centrifuge.sessions
            assert server.hub._count() == 0 and server.hub.metrics.handler_errors == 0

    run(main())
