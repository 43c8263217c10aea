"""Granian's own interface, RSGI, which spares the dictionaries of ASGI."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

ROOMS: defaultdict[str, set[Any]] = defaultdict(set)
CLOSE, BYTES = 0, 1


async def app(scope: Any, protocol: Any) -> None:
    if scope.proto != "ws":
        protocol.response_empty(426, [])
        return
    transport = await protocol.accept()
    path = scope.path
    if path == "/echo":
        await echo(transport)
    elif path.startswith("/room/"):
        await member(transport, path[len("/room/") :])
    else:
        while (await transport.receive()).kind != CLOSE:
            pass
    protocol.close()


async def echo(transport: Any) -> None:
    while (message := await transport.receive()).kind != CLOSE:
        if message.kind == BYTES:
            await transport.send_bytes(message.data)
        else:
            await transport.send_str(message.data)


async def member(transport: Any, name: str) -> None:
    members = ROOMS[name]
    members.add(transport)
    try:
        while (message := await transport.receive()).kind != CLOSE:
            for other in list(members):
                if other is transport:
                    continue
                try:
                    if message.kind == BYTES:
                        await other.send_bytes(message.data)
                    else:
                        await other.send_str(message.data)
                except Exception:  # it has just left; its own coroutine removes it
                    pass
    finally:
        members.discard(transport)
        if not members:
            ROOMS.pop(name, None)
