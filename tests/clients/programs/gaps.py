"""Away for a while: what the room kept comes, what it did not is told."""

from __future__ import annotations

from typing import Any

from talk import args, joined, over, run, tell, until

from glyph_fast.client import Meta, Room, connect

ROOMS = {"chat:1": 0, "brief:1": 2, "plain:1": 0}


async def main() -> None:
    url, cut = args  # `cut` goes through a proxy that the test cuts
    ada, bob = connect(url), connect(cut)
    log: list[str] = []

    def follow(room: Room) -> None:
        def message(data: Any, meta: Meta) -> None:
            log.append(f"{room.name} {data}{' old' if meta.history else ''}")

        room.on("message", message)
        room.on("resumed", lambda count: log.append(f"{room.name} resumed {count}"))
        room.on("reset", lambda: log.append(f"{room.name} reset"))

    for name, history in ROOMS.items():
        room = bob.join(name, history=history)
        follow(room)
        await joined(room)
    rooms = [ada.join(name) for name in ROOMS]
    await joined(*rooms)
    for room in rooms:
        await room.publish(1)
    await until(lambda: len(log) == 3)
    tell("cut")
    await until(lambda: bob.state != "open")
    for each in (2, 3, 4, 5, 6):
        for room in rooms:
            await room.publish(each)
    tell("back")
    await until(lambda: "brief:1 6 old" in log and "plain:1 reset" in log, "it is back")
    assert log[:3] == ["chat:1 1", "brief:1 1", "plain:1 1"]

    def of(name: str) -> list[str]:
        return [each for each in log[3:] if each.startswith(name)]

    assert of("chat") == [*(f"chat:1 {n}" for n in (2, 3, 4, 5, 6)), "chat:1 resumed 5"]
    assert of("brief") == ["brief:1 reset", "brief:1 5 old", "brief:1 6 old"]
    assert of("plain") == ["plain:1 reset"]
    assert await rooms[0].history(limit=2, before=4) == []  # its own are left out
    others = await bob.join("chat:1").history(limit=2, before=4)
    assert [(each.data, each.meta.offset) for each in others] == [(2, 2), (3, 3)]
    await over(ada, bob)


run(main)
