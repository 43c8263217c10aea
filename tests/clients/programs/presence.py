"""Who is there: from the first, through changes, over a lost connection."""

from __future__ import annotations

from talk import args, joined, over, run, tell, until

from glyph_fast.client import Crowd, Member, Room, connect


async def main() -> None:
    url, cut = args  # `cut` goes through a proxy that the test cuts
    ada, bob = connect(url), connect(cut)
    one = ada.join("chat:1", presence=True)
    await joined(one)
    counts: list[int] = []

    @one.on("presence")
    def count(members: list[Member], crowd: Crowd) -> None:
        assert len(members) == crowd.clients == crowd.users  # who is nobody is a user of its own
        counts.append(crowd.clients)

    two = bob.join("chat:1", presence=True)
    await joined(two)

    def ids(room: Room) -> list[str]:
        return sorted(each.id for each in room.members)

    def both() -> bool:
        return len(ids(one)) == 2 and ids(one) == ids(two)

    await until(both, "both")
    assert ids(one) == sorted([str(ada.id), str(bob.id)])
    await bob.call("show", {"mood": "fine"})
    await until(lambda: any(each.info == {"mood": "fine"} for each in one.members))
    assert [each.id for each in one.members if each.info] == [bob.id]

    former = bob.id
    tell("cut")
    await until(lambda: len(ids(one)) == 1, "it has left, once")
    tell("back")
    await until(both, "both again")
    assert bob.id != former and former not in ids(one)
    two.leave()
    await until(lambda: len(ids(one)) == 1, "it has left")
    changes = [each for n, each in enumerate(counts) if not n or each != counts[n - 1]]
    assert changes == [2, 1, 2, 1], counts
    await over(ada, bob)


run(main)
