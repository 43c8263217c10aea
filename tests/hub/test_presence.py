"""Presence in rooms of a hub, and of hubs in several processes that hear of each other."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from glyph_fast import Config
from glyph_fast.broker.memory import MemoryBroker
from glyph_fast.broker.presence import Diff, Snapshot
from glyph_fast.hub.presence import MAX_GONE, Presence
from glyph_fast.options.rooms import declaration
from tests.engine.peers import eventually
from tests.following import Follower
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores


def shown(site: Site, pattern: str = "*") -> Site:
    site.hub._declare(declaration(pattern, {"presence": True, "client_join": True}))
    return site


def presence(site: Site, room: str = "r") -> list[Any]:
    return asyncio.run(site.hub.presence(room))


def join(site: Site, user: str | None = None, room: str = "r") -> Peer:
    peer = site.connect(identity=user)
    peer.conn.join_room(room)
    return peer


def test_every_member_is_shown_however_it_came_in_and_as_long_as_it_is_one() -> None:
    site = shown(Site())
    ada, bob, eve = join(site, "ada"), site.connect(identity={"id": 7}), site.connect()
    bob.conn.info = {"name": "Bob"}
    bob.send({"type": "join_room", "room": "r"})
    site.hub.get_room_manager().get_room("r").add(eve.conn)
    assert presence(site) == [
        (ada.id, "ada", None), (bob.id, "7", {"name": "Bob"}), (eve.id, None, None)
    ]  # fmt: skip
    assert asyncio.run(site.hub.presence_stats("r")) == (3, 3)
    ada.conn.info = 1
    eve.conn.leave_room("r")
    bob.vanish()
    assert presence(site) == [(ada.id, "ada", 1)]
    site.hub.get_room_manager().delete_room("r")
    assert presence(site) == [] and asyncio.run(site.hub.presence_stats("r")) == (0, 0)
    site.hub.get_room_manager()._presence.tell()
    assert site.hub.get_room_manager()._presence.rooms == {}


def test_a_room_without_presence_is_refused_and_costs_nothing() -> None:
    site = shown(Site(), "shown:*")
    join(site)
    with pytest.raises(ValueError, match="room 'r' has no presence: server.room"):
        presence(site)
    with pytest.raises(ValueError, match="no presence"):
        asyncio.run(site.hub.presence_stats("r"))
    assert site.hub.get_room_manager()._presence.rooms == {}
    assert presence(site, "shown:nobody") == []


def test_a_declaration_counts_for_rooms_that_are_there() -> None:
    site = Site()
    ada = join(site, "ada")
    shown(site)
    assert presence(site) == [(ada.id, "ada", None)]
    assert site.hub.metrics.snapshot()["presence_members"] == 1
    site.hub._configure(Config(rooms={"r": {"presence": False}}))
    with pytest.raises(ValueError):
        presence(site)
    assert len(site.hub.get_room_manager()._presence) == 0


def test_info_of_a_member_that_has_left_is_shown_to_nobody() -> None:
    site = shown(Site())
    ada = join(site, "ada")
    ada.vanish()
    ada.conn.info = "late"
    assert presence(site) == []


# Several processes.


class Net:
    """What brokers tell each other; `loss` is the part of diffs that gets lost or comes twice."""

    def __init__(self, loss: float = 0.0, seed: int = 0) -> None:
        self.nodes: dict[str, Shared] = {}
        self.loss = loss
        self.chance = random.Random(seed)
        self.diffs = 0

    def others(self, me: Shared) -> Iterator[Shared]:
        return (each for each in list(self.nodes.values()) if each is not me)


class Shared(MemoryBroker):
    """The broker of one of several processes. Diffs take a moment, and snapshots a longer one."""

    is_alone = False

    def __init__(self, net: Net, node: str) -> None:
        super().__init__()
        self.net, self.node = net, node
        self.followed: set[str] = set()
        self.presence: Presence
        net.nodes[node] = self

    def attach_presence(self, presence: Any) -> None:
        self.presence = presence

    def tell_presence(self, room: str, diff: Diff) -> None:
        for other in self.net.others(self):
            if room not in other.followed:
                continue
            self.net.diffs += 1
            if self.net.chance.random() < self.net.loss:
                continue
            for _ in range(1 + (self.net.chance.random() < self.net.loss)):
                asyncio.get_running_loop().call_soon(other.presence.heard, room, self.node, diff)

    async def gather_presence(self, room: str, *, follow: bool) -> Sequence[Snapshot]:
        if follow:
            self.followed.add(room)
        await asyncio.sleep(0)
        found = [Snapshot(each.node, *each.presence.own(room)) for each in self.net.others(self)]
        await asyncio.sleep(0)
        return found

    def unfollow_presence(self, room: str) -> None:
        self.followed.discard(room)

    def ask_presence(self, room: str, node: str) -> None:
        if (other := self.net.nodes.get(node)) is not None:
            asyncio.get_running_loop().call_soon(self.answer, room, other)

    def answer(self, room: str, other: Shared) -> None:
        snapshot = Snapshot(other.node, *other.presence.own(room))
        asyncio.get_running_loop().call_soon(self.presence.took, room, snapshot)

    def crash(self) -> None:
        """Be gone without a word; the others notice it."""
        del self.net.nodes[self.node]
        for other in self.net.others(self):
            other.presence.gone(self.node)


def node(net: Net, name: str) -> Site:
    return shown(Site(broker=Shared(net, name)))


def broker(site: Site) -> Any:
    return site.hub.get_room_manager()._broker


async def rest(*sites: Site) -> None:
    """Until everything has been told."""
    for _ in range(8):
        for site in sites:
            site.hub.get_room_manager()._presence.tell()
            site.flush()
        for _ in range(6):
            await asyncio.sleep(0)


async def follow(site: Site, room: str = "r") -> FollowingPeer:
    peer = site.connect()
    peer.send({"type": "join_room", "room": room, "presence": True})
    return FollowingPeer(peer, await received(peer))


async def received(peer: Peer) -> list[Any]:
    """The messages that come next."""
    found: list[Any] = []
    await eventually(lambda: found.extend(peer.json()) or found)
    return found


class FollowingPeer(Follower):
    """The same of a real connection."""

    def __init__(self, peer: Peer, answers: list[Any]) -> None:
        self.peer = peer
        self.take(answers[0]["data"]["presence"])
        self.early = answers[1:]


async def whole(site: Site) -> dict[str, Any]:
    return {each.id: each._asdict() for each in await site.hub.presence("r")}


def test_a_follower_sees_the_members_of_all_processes() -> None:
    async def main() -> None:
        net = Net()
        one, two = node(net, "one"), node(net, "two")
        ada, bob = join(one, "ada"), join(two, "bob")
        eve = await follow(two)
        assert {each["user"] for each in eve.members.values()} == {"ada", "bob", None}
        bob.vanish()
        ada.conn.info = "busy"
        await rest(one, two)
        (ours, theirs) = eve.read(), await whole(one)
        assert len(ours) >= 1 and eve.members == theirs == await whole(two)
        assert eve.members[ada.id]["info"] == "busy" and len(eve.members) == 2
        assert await one.hub.presence_stats("r") == await two.hub.presence_stats("r") == (2, 2)

    asyncio.run(main())


def test_a_batch_before_the_answer_does_not_hide_the_others() -> None:
    """As where the history that is asked for as well takes its time."""

    async def main() -> None:
        net = Net()
        one, two = node(net, "one"), node(net, "two")
        ada, eve = join(one, "ada"), join(two, "eve")
        await rest(one, two)
        presence = two.hub.get_room_manager()._presence
        begin = await presence.follow(eve.conn, "r")
        presence.tell()  # nobody follows yet
        shown = {each["id"] for each in json.loads(begin()["members"])}
        await rest(one, two)
        shown |= {each["id"] for told in eve.json() for each in told["data"].get("joined", ())}
        assert shown == {ada.id, eve.id} == {*await whole(two)}

    asyncio.run(main())


def test_members_of_a_process_that_ended_leave_once_and_late_words_of_it_are_ignored() -> None:
    async def main() -> None:
        net = Net()
        one, two = node(net, "one"), node(net, "two")
        gone = [join(one, f"u{n}") for n in range(3)]
        eve = await follow(two)
        assert len(eve.members) == 4
        late = Diff(99, 0, {gone[0].id: broker(one).presence.own("r")[1][gone[0].id]}, ())
        broker(one).crash()
        broker(two).presence.heard("r", "one", late)
        broker(two).presence.took("r", Snapshot("one", 99, late.joined))
        broker(two).presence.gone("one")
        await rest(two)
        (push,) = eve.read()
        assert {each["user"] for each in push["left"]} == {"u0", "u1", "u2"}
        assert push["joined"] == [] and list(eve.members) == [eve.peer.id]

    asyncio.run(main())


def test_what_is_remembered_of_processes_that_ended_is_bounded() -> None:
    presence = shown(Site()).hub.get_room_manager()._presence
    for n in range(MAX_GONE + 10):
        presence.gone(str(n))
    assert len(presence._gone) == MAX_GONE and str(MAX_GONE + 9) in presence._gone


def test_diffs_are_told_to_those_who_follow_alone() -> None:
    async def main() -> None:
        net = Net()
        one, two, three = (node(net, name) for name in ("one", "two", "three"))
        join(one)
        await rest(one)
        assert net.diffs == 0
        eve = await follow(two)
        await rest(one, two, three)
        before = net.diffs
        join(one)
        await rest(one, two, three)
        assert net.diffs == before + 1
        eve.read()
        eve.peer.conn.leave_room("r")
        await rest(one, two, three)
        join(one)
        await rest(one, two, three)
        assert net.diffs == before + 1 and not broker(two).followed
        room = broker(two).presence.rooms.get("r")
        assert room is None or not room.others
        again = await follow(two)
        assert len(again.members) == 4

    asyncio.run(main())


@pytest.mark.parametrize("loss", [0.0, 0.4])
def test_whatever_gets_lost_all_processes_agree_in_the_end(loss: float) -> None:
    async def run(seed: int) -> None:
        net = Net(loss, seed)
        chance = random.Random(seed)
        sites = [node(net, str(n)) for n in range(3)]
        alive, followers, peers = list(sites), [], []
        for step in range(40):
            act, site = chance.random(), chance.choice(alive)
            if act < 0.35:
                peers.append(join(site, chance.choice(["ada", "bob", None])))
            elif act < 0.5 and peers:
                peers.pop(chance.randrange(len(peers))).vanish()
            elif act < 0.6 and peers:
                chance.choice(peers).conn.info = step
            elif act < 0.7:
                followers.append((site, await follow(site)))
            elif act < 0.75 and followers:
                followers.pop(chance.randrange(len(followers)))[1].peer.vanish()
            elif act < 0.78 and len(alive) > 1:
                alive.remove(site)
                broker(site).crash()
                followers = [each for each in followers if each[0] is not site]
                peers = [each for each in peers if each.site is not site]
            else:
                broker(site).presence.tell()
                await asyncio.sleep(0)
        net.loss = 0.0
        for site in alive:  # a last change of each, by which gaps are found
            peers.append(join(site, "last"))
        await rest(*alive)
        truth = await whole(alive[0])
        for site in alive:
            assert await whole(site) == truth
        for _, each in followers:
            for push in each.early:
                raise AssertionError(push)
            each.read()
            assert each.members == truth

    for seed in range(40):
        asyncio.run(run(seed))


def test_a_member_that_is_removed_while_its_answer_is_read_gets_an_error() -> None:
    async def main() -> None:
        for message, error in (
            ({"type": "join_room", "presence": True}, "removed from this room while joining"),
            ({"type": "presence"}, "not a member of this room"),
        ):
            net = Net()
            one, _ = node(net, "one"), node(net, "two")
            peer = join(one)
            peer.send({**message, "room": "r"})  # the other process is asked now
            peer.conn.leave_room("r")
            answers = await received(peer)
            assert [each["data"]["error"] for each in answers] == [error]
            await rest(one)
            assert broker(one).presence.rooms == {} and not broker(one).followed

    asyncio.run(main())


def test_a_batch_is_told_by_a_timer_of_the_loop() -> None:
    async def main() -> None:
        site = shown(Site())
        eve = await follow(site)
        ada = join(site, "ada")
        await eventually(lambda: eve.read() and ada.id in eve.members)

    asyncio.run(main())
