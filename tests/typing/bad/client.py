"""What the client does not know; each line marked is refused, and no other."""

from __future__ import annotations

from glyph_fast.client import Meta, Room, State, connect

server = connect("ws://a.test/")
connect("ws://a.test/", tokn="x")  # refused: no such option
connect("ws://a.test/", token=7)  # refused: no token
room: Room = server.join("chat:1")
server.join("chat:1", histroy=5)  # refused: no such option
room.on("mesage", print)  # refused: no such event


@room.on("message")  # refused: it is given two arguments
def three(data: str, meta: Meta, more: int) -> None: ...


@room.on("resumed")  # refused: it is given a number
def resumed(count: str) -> None: ...


@server.on("state")  # refused: it is given a state
def state(number: int) -> None: ...


async def main() -> None:
    for _ in room:  # refused: it is `async for`
        pass
    await room.publish({}, timeout=1)  # refused: a publish waits
    position: int = await room.publish({})  # refused: it is a Position, or None
    print(position)
    state: State = "offline"  # refused: that is of pages
    print(state)
