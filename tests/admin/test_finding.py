"""Connections and users by a part of their name, and the rooms that remember most."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from glyph_fast import Config
from glyph_fast.admin.finding import Found, all_found, find, largest_streams
from tests.wired import Site


@pytest.fixture
def site() -> Site:
    made = Site(Config(rooms={"kept:*": {"history_size": 10}}))
    for user in ("ada", "bob", {"sub": "Adam"}, None):
        made.connect().conn.identity = user
    return made


def named(found: Found) -> list[Any]:
    return [each["user"] for each in found.connections]


def test_all_are_found_by_nothing_and_some_by_a_part_of_their_user(site: Site) -> None:
    assert named(find(site.hub, "", 10)) == ["ada", "bob", "Adam", None]
    assert named(find(site.hub, "ADA", 10)) == ["ada", "Adam"]
    assert find(site.hub, "nobody", 10) == Found([], False)


def test_they_are_found_by_id_address_and_route(site: Site) -> None:
    conn = site.hub.get_connections()[1]
    (found,) = find(site.hub, conn.id[3:20], 10).connections
    assert found["connection"] == conn.id and found["user"] == "bob"
    assert found["rooms"] == found["queued_bytes"] == found["worker"] == 0
    assert len(find(site.hub, conn.route_pattern, 10).connections) == 4


def test_an_answer_names_a_few_and_says_that_there_are_more(site: Site) -> None:
    assert (len(find(site.hub, "", 3).connections), find(site.hub, "", 3).has_more) == (3, True)
    assert find(site.hub, "", 4).has_more is False
    one, other = find(site.hub, "", 3), find(site.hub, "bob", 3)
    assert named(all_found([one, other], 5)) == ["ada", "bob", "Adam", "bob"]
    assert all_found([one, other], 5).has_more  # of one of them
    assert len(all_found([one, one], 5).connections) == 5


def test_the_rooms_that_remember_most_come_first(site: Site) -> None:
    async def main() -> None:
        await site.hub.publish("kept:a", "x")
        for _ in range(3):
            await site.hub.publish("kept:b", "longer")

    asyncio.run(main())
    broker = site.hub.get_room_manager()._broker
    first, second = largest_streams(broker, 5)
    assert (first["room"], first["messages"], first["offset"]) == ("kept:b", 3, 3)
    assert (second["room"], second["messages"]) == ("kept:a", 1)
    assert first["bytes"] > second["bytes"] > 0
    assert len(largest_streams(broker, 1)) == 1
    assert largest_streams(object(), 5) == []
