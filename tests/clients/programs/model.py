"""Publishes, calls and listens in three rooms while the test cuts every connection; then tells all.

`python model.py URL SEED PUBLISHES [SECRET]`; with a secret of tokens, these end soon. The report
is that of `model.mjs`.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import jwt
from talk import args, joined, over, run, tell, told, until

from glyph_fast.client import Client, ClientError, Meta, Position, Room, connect

URL, SEED, PUBLISHES, *SECRET = args
ROOMS = ["chat:a", "chat:b", "chat:c"]
WRITERS = 3
draw = random.Random(int(SEED))
# What the library draws its pauses by: nobody here waits for seconds.
random.random = lambda: 0.01  # type: ignore[assignment]

report: dict[str, Any] = {
    **{name: [] for name in ("published", "rejected", "calls", "failed")},
    **{name: 0 for name in ("resets", "asked")},
    **{name: {} for name in ("heard", "states")},
}


# Of tokens. While connections are cut they end soon, be they renewed in time or not; afterwards all
# clients have to be there at once, also on a machine that takes a second for it.
lifetime = 2


def token(user: str) -> str:
    now = int(time.time())
    claims = {"sub": user, "exp": now + lifetime, **({"iat": now} if draw.random() < 0.5 else {})}
    return jwt.encode(claims, SECRET[0], algorithm="HS256")


class Writer:
    """A client and its rooms."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.server: Client = connect(URL, token=self.token if SECRET else None)
        self.server.on("state", self.note)
        self.server.on("confirm", self.confirm)
        self.rooms = [self.join(name) for name in ROOMS]

    async def token(self) -> str:
        return token(f"writer {self.n}")

    def note(self, state: str) -> None:
        report["states"][state] = report["states"].get(state, 0) + 1

    async def confirm(self, data: Any) -> int:
        report["asked"] += 1
        await asyncio.sleep(0)
        return int(data["question"]) + 1

    def join(self, name: str) -> Room:
        room = self.server.join(name, presence=True)
        heard = report["heard"][f"{self.n} {name}"] = []

        def message(data: Any, meta: Meta) -> None:
            heard.append([meta.offset, data])

        async def message_later(data: Any, meta: Meta) -> None:
            await asyncio.sleep(0)
            heard.append([meta.offset, data])

        async def read() -> None:
            async for data, meta in room:
                heard.append([meta.offset, data])

        def reset() -> None:
            report["resets"] += 1

        # Each of the three ways to hear.
        if self.n == 0:
            room.on("message", message)
        elif self.n == 1:
            room.on("message", message_later)
        else:
            readers.append(asyncio.create_task(read()))
        room.on("reset", reset)
        return room

    async def write(self) -> None:
        async with asyncio.TaskGroup() as group:
            for count in range(int(PUBLISHES)):
                room = self.rooms[int(draw.random() * len(self.rooms))]
                sent = group.create_task(self.publish(room, f"{self.n}.{count}"))
                if draw.random() < 0.5:
                    await sent
                if draw.random() < 0.2:
                    event = "count" if draw.random() < 0.5 else "ask back"
                    group.create_task(self.call(event, self.n * 1_000_000 + count))
                if draw.random() < 0.3:
                    await asyncio.sleep(draw.random() * 0.03)

    async def publish(self, room: Room, data: str) -> None:
        try:
            place = await room.publish(data)
        except ClientError as exc:
            report["rejected"].append([room.name, data, str(exc), exc.maybe_sent])
        else:
            assert isinstance(place, Position)
            report["published"].append([room.name, place.offset, data])

    async def call(self, event: str, value: int) -> None:
        try:
            answer = await self.server.call(event, value, timeout=30)
        except ClientError as exc:
            report["failed"].append([event, value, str(exc), exc.maybe_sent])
        else:
            report["calls"].append([event, value, answer])


readers: list[asyncio.Task[None]] = []


async def main() -> None:
    global lifetime
    writers = [Writer(n) for n in range(WRITERS)]
    # Whoever is not there yet is told nothing of what was before.
    await joined(*(room for each in writers for room in each.rooms))
    tell("ready")
    await asyncio.gather(*(each.write() for each in writers))
    tell("written")
    assert await told() == "calm"  # no more cuts
    lifetime = 60
    last = dict.fromkeys(ROOMS, 0)
    for name, offset, _ in report["published"]:
        last[name] = max(last[name], offset)

    def is_heard(room: Room) -> bool:
        return (
            room.is_joined and room.position is not None and room.position.offset >= last[room.name]
        )

    def has_all() -> bool:
        """Each has written down what the others have published."""
        return all(
            len(report["heard"][f"{n} {name}"]) >= sum(of_others(n, name))
            for n in range(WRITERS)
            for name in ROOMS
        )

    def of_others(n: int, name: str) -> list[bool]:
        return [each[0] == name and not each[2].startswith(f"{n}.") for each in report["published"]]

    await until(lambda: all(is_heard(room) for each in writers for room in each.rooms), "heard")

    def ids() -> list[str]:
        return sorted(str(each.server.id) for each in writers)

    def present(room: Room) -> list[str]:
        return sorted(each.id for each in room.members)

    # Not by number: a connection that was cut may be counted in the place of the one after it.
    rooms = [each.rooms for each in writers]
    await until(lambda: all(present(room) == ids() for some in rooms for room in some), "presence")
    report["members"] = [[present(room) for room in some] for some in rooms]
    report["ids"] = ids()
    await until(has_all, "what waits for its reader is read")
    tell(report)
    servers = [each.server for each in writers]
    for server in servers:
        await server.close()
    await asyncio.gather(*readers)  # they end with their rooms
    await over(*servers)


run(main)
