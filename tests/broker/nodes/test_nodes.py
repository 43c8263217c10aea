"""Several nodes on a bus that loses, delays and parts: what one tells, the others hear."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast.broker.nodes import messages
from glyph_fast.broker.nodes.messages import Said, message
from glyph_fast.broker.nodes.subjects import NODES
from glyph_fast.dialects.publication import CONNECTION, EVERYONE, ROOM, ROOMS, USER
from glyph_fast.errors import BrokerUnavailable
from tests.buses import Network
from tests.nodes import Node, close, until

Run = Callable[..., Any]


async def some(network: Network, count: int) -> list[Node]:
    return [await Node(network).start() for _ in range(count)]


def test_a_publication_comes_to_those_it_is_for_and_once(run: Run) -> None:
    async def main() -> None:
        one, other, third = nodes = await some(Network(), 3)
        other.broker.subscribe("r.*")
        for kind, name in (ROOM, "r.*"), (EVERYONE, None), (USER, "u"), (CONNECTION, "c"):
            assert one.publish(kind, name, "x").pending
        one.publish(ROOMS, ("r.*", "s"), "x")
        await until(lambda: len(third.came) >= 4 and len(other.came) >= 5)
        await asyncio.sleep(0.02)
        everywhere = [(EVERYONE, "", b"x"), (USER, "u", b"x"), (CONNECTION, "c", b"x"),
                      (ROOMS, ("r.*", "s"), b"x")]  # fmt: skip
        assert third.came == everywhere
        assert sorted(map(str, other.came)) == sorted(map(str, [(ROOM, "r.*", b"x"), *everywhere]))
        assert len(one.came) == 5  # its own, by itself
        await close(*nodes)

    run(main())


def test_a_node_listens_only_to_rooms_in_which_it_has_members(run: Run) -> None:
    async def main() -> None:
        network = Network()
        node = await Node(network).start()
        before = set(node.bus.subjects)
        node.broker.subscribe("r")
        own = node.bus.subjects - before
        assert len(own) == 1
        node.broker.unsubscribe("r")
        assert own <= node.bus.subjects  # it is held back
        node.broker.subscribe("r")
        await asyncio.sleep(0.06)
        assert own <= node.bus.subjects  # somebody came back
        node.broker.unsubscribe("r")
        await until(lambda: node.bus.subjects == before)
        await close(node)

    run(main())


def test_what_all_hubs_are_to_do_they_do_and_newcomers_hear_what_was_noted(run: Run) -> None:
    async def main() -> None:
        network = Network()
        one, other = await some(network, 2)
        one.broker.tell("describe_room", "r", {"a": 1})
        one.broker.tell("disconnect_user", "u", 1000, "")
        await until(lambda: len(other.obeyed) == 2)
        assert other.obeyed == [
            ("describe_room", ["r", {"a": 1}]),
            ("disconnect_user", ["u", 1000, ""]),
        ]
        assert one.obeyed == []
        late = await Node(network).start()
        await until(lambda: ("describe_room", ["r", {"a": 1}]) in late.obeyed)
        await close(one, other, late)

    run(main())


def test_counts_are_of_all_that_answer_in_time(run: Run) -> None:
    async def main() -> None:
        one, other, third = await some(Network(), 3)
        other.broker.count_here = lambda room: 2
        third.broker.count_here = lambda room: 3 if room == "r" else 0
        assert await one.broker.count("r") == 5
        third.kill()
        assert await one.broker.count("r") == 2
        other.broker.answers["take"] = lambda session, text: "taken" if session == "s" else None
        assert await one.broker.ask_worker(0, "take", "s", "x") == "taken"
        assert await one.broker.ask_worker(1, "take", "s", "x") is None
        await close(one, other)

    run(main())


def test_without_a_broker_it_serves_itself_and_says_so(run: Run) -> None:
    async def main() -> None:
        one, other = await some(Network(), 2)
        assert one.broker.state == "up"
        one.bus.set_up(False)
        assert one.broker.state == "lost"
        one.publish(EVERYONE, None)
        assert one.came == [(EVERYONE, None, b"x")]
        assert one.broker.figures()["broker_lost"] == 1
        assert one.broker.figures()["broker_up"] == 0
        with pytest.raises(BrokerUnavailable):
            await one.broker.count(None)
        one.bus.set_up(True)
        await until(lambda: one.broker.state == "up")
        one.publish(EVERYONE, None, "again")
        await until(lambda: other.came == [(EVERYONE, "", b"again")])
        await close(one, other)

    run(main())


def test_a_link_through_which_nothing_comes_back_is_lost_and_made_anew(run: Run) -> None:
    async def main() -> None:
        network = Network()
        (one,) = await some(network, 1)
        one.bus.subjects.clear()  # what it says goes nowhere
        await until(lambda: one.broker.state == "lost")
        assert not one.bus.is_up  # it was told to begin anew
        await close(one)

    run(main())


def test_a_message_that_is_too_large_is_refused_before_anybody_gets_it(run: Run) -> None:
    async def main() -> None:
        one, other = await some(Network(), 2)
        one.bus.max_payload = 200
        with pytest.raises(ValueError, match="at most 186 bytes"):
            one.publish(EVERYONE, None, "x" * 200)
        assert one.came == other.came == []
        await close(one, other)

    run(main())


@pytest.mark.parametrize("version", [messages.VERSION - 1, messages.VERSION + 1])
def test_nodes_of_neighbouring_releases_understand_each_other(run: Run, version: int) -> None:
    async def main() -> None:
        (one,) = await some(Network(), 1)
        said = message(Said.TELL, b"a" * 12, ["delete_room", "r"], version)
        one.broker.nodes.heard(b"", said)
        assert one.obeyed == [("delete_room", ["r"])]
        one.broker.nodes.heard(b"", message(Said.TELL, b"a" * 12, ["delete_room", "s"], 9))
        one.broker.nodes.heard(b"", message(Said.PUBLISH, b"a" * 12, [], 9))
        assert len(one.obeyed) == 1
        assert one.broker.figures()["broker_invalid"] == 2
        one.broker.nodes.heard(b"", messages.HEAD.pack(version, 99, b"a" * 12) + b"{}")
        assert one.broker.figures()["broker_invalid"] == 2  # a kind of a later release
        await close(one)

    run(main())


def test_whatever_comes_from_the_broker_does_nothing_but_count(run: Run) -> None:
    async def main() -> None:
        (one,) = await some(Network(), 1)
        one.broker.subscribe("r")
        await one.follow("p")
        draw = random.Random(5)
        subjects = list(one.bus.subjects)
        values: list[Any] = [
            None, 1, "x", [], {}, [1, 2, 3, 4, 5, 6], {"dead": 5}, [[[]]], ["count"],
            [1, "nothing"], [2**80, "count", None],
            ["p", "x" * 12, 1, 0, {"a": [1, 2]}, []],
            ["p", "y" * 12, 1, 0, {}, []],
            ["p", "a" * 12, 1, 0, {"i": ["u", "no json"]}, []],
        ]  # fmt: skip
        for _ in range(2000):
            said = draw.choice([*Said, 0, 77])
            if said == Said.LEAVE:
                continue
            body = message(
                said if said in list(Said) else Said.TELL, b"a" * 12, draw.choice(values)
            )
            if draw.random() < 0.5:
                cut = draw.randrange(len(body))
                body = body[:cut] + draw.randbytes(draw.randrange(20))
            one.broker.nodes.heard(draw.choice(subjects), body)
        await asyncio.sleep(0.1)
        assert one.came == []
        assert one.members("p") == set()
        assert one.broker.figures()["broker_invalid"] > 500
        assert one.broker.state == "up"
        await close(one)

    run(main())


def test_presence_comes_from_nodes_that_are_there_and_goes_with_them_once(run: Run) -> None:
    async def main() -> None:
        one, other, third = await some(Network(), 3)
        other.join("b", "r", "user")
        third.join("c", "r")
        await one.follow("r")
        await until(lambda: one.members("r") == {"b", "c"})
        other.join("b2", "r")
        await until(lambda: one.members("r") == {"b", "b2", "c"})
        author = other.broker.nodes.id.decode()
        other.kill()
        await until(lambda: one.members("r") == {"c"})
        await asyncio.sleep(0.1)
        assert one.gone == [author]
        await close(one, third)

    run(main())


def test_a_node_that_was_taken_for_dead_comes_back_under_another_id(run: Run) -> None:
    async def main() -> None:
        network = Network()
        one, other = await some(network, 2)
        other.join("b", "r")
        await one.follow("r")
        await until(lambda: one.members("r") == {"b"})
        before = other.broker.nodes.id
        network.part([other.bus])
        await until(lambda: one.members("r") == set())
        network.heal()
        await until(lambda: one.members("r") == {"b"})
        assert other.broker.nodes.id != before
        assert one.gone == [before.decode()]
        other.publish(EVERYONE, None)
        await until(lambda: one.came == [(EVERYONE, "", b"x")])
        await close(one, other)

    run(main())


def test_a_large_room_is_told_in_parts(run: Run) -> None:
    async def main() -> None:
        one, other = await some(Network(), 2)
        one.bus.max_payload = other.bus.max_payload = 200_000
        for n in range(3000):
            other.join(f"{n}" * 10, "r", "user" * 20)
        await asyncio.sleep(0.15)  # told while nobody follows
        await one.follow("r")
        await until(lambda: len(one.members("r")) == 3000)
        for n in range(3000):
            other.join(f"again{n}" * 10, "r", "user" * 20)
        await until(lambda: len(one.members("r")) == 6000)
        await close(one, other)

    run(main())


@pytest.mark.parametrize("seed", range(4))
def test_presence_is_the_truth_again_whatever_happened(run: Run, seed: int) -> None:
    """Random joins, leaves, kills, partitions, losses, outages; then quiet, and all agree."""

    async def main() -> None:
        network = Network(seed)
        draw = random.Random(seed)
        network.delay = (0, 0.01)
        rooms = ["p", "q"]
        nodes = await some(network, 4)
        truth: dict[Node, set[tuple[str, str]]] = {node: set() for node in nodes}
        for node in nodes[:3]:
            for room in rooms:
                await node.follow(room)
        for step in range(150):
            alive = list(truth)
            node = draw.choice(alive)
            roll = draw.random()
            if roll < 0.5:
                entry = f"m{step}", draw.choice(rooms)
                node.join(*entry)
                truth[node].add(entry)
            elif roll < 0.75 and truth[node]:
                entry = draw.choice(sorted(truth[node]))
                node.leave(*entry)
                truth[node].discard(entry)
            elif roll < 0.8:
                network.part(draw.sample([each.bus for each in alive], draw.randint(1, 2)))
            elif roll < 0.88:
                network.heal()
            elif roll < 0.91:
                network.loss = draw.choice([0, 0.3])
            elif roll < 0.94:
                node.bus.set_up(not node.bus.is_up)
            elif roll < 0.96 and len(alive) > 3:
                victim = alive[-1]
                victim.kill()
                del truth[victim]
                new = await Node(network).start()
                truth[new] = set()
                for room in rooms:
                    await new.follow(room)
            await asyncio.sleep(draw.choice([0, 0.01, 0.03]))
        network.heal()
        network.loss = 0
        for node in truth:
            node.bus.set_up(True)

        def differing() -> list[Any]:
            found = []
            for room in rooms:
                true = {id for had in truth.values() for id, name in had if name == room}
                found += [
                    (room, node.members(room) ^ true)
                    for node in truth
                    if node.presence._room(room).is_complete and node.members(room) != true
                ]
            return found

        await until(lambda: not differing(), differing)
        await asyncio.sleep(0.3)
        assert not differing()
        for node in truth:
            assert len(node.gone) == len(set(node.gone))
        await close(*truth)

    run(main(), deadline=50)


def test_a_message_of_a_node_to_itself_is_only_its_beat(run: Run) -> None:
    async def main() -> None:
        (one,) = await some(Network(), 1)
        nodes = one.broker.nodes
        nodes.heard(nodes.subjects.of(NODES), message(Said.TELL, nodes.id, ["delete_room", "r"]))
        assert one.obeyed == []
        await close(one)

    run(main())
