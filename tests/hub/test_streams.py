"""What a program does with rooms that remember."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast import HistoryLost, Message, Position, Server
from glyph_fast.options.config import Config
from tests.running import running
from tests.wired import Site

pytestmark = pytest.mark.both_cores


@pytest.fixture
def site() -> Site:
    return Site(Config(rooms={"chat*": {"history_size": 3}}))


def test_publishing_tells_the_place(site: Site, run: Any) -> None:
    ada = site.connect()
    ada.conn.join_room("chat")
    first = run(site.hub.publish("chat", "1"))
    assert (len(first.epoch), first.offset) == (8, 1)
    assert run(site.hub.publish("chat", {"a": 1}, exclude=ada.conn)) == (first.epoch, 2)
    assert run(site.hub.publish("chat", [1])) == (first.epoch, 3)
    assert run(site.hub.publish("chat", b"x")) == (first.epoch, 4)
    assert run(site.hub.publish("chat", Message("text", "y"))) == (first.epoch, 5)
    assert ada.received()[:3] == ["1", "[1]", b"x"]
    assert run(site.hub.publish("other", "1")) == ("", 0)
    with pytest.raises(TypeError):
        run(site.hub.publish("chat", {1, 2}))


def test_what_is_kept_is_read_as_messages(site: Site, run: Any) -> None:
    for message in ("0", "1", {"a": 1}, b"x"):
        last = run(site.hub.publish("chat", message))
    found = run(site.hub.history("chat"))
    assert [(each.offset, each.type, each.data) for each in found.messages] == [
        (2, "text", "1"), (3, "json", {"a": 1}), (4, "binary", b"x"),
    ]  # fmt: skip
    assert found.position == last
    numbers = {
        (None, None, False): [2, 3, 4],
        (None, 2, False): [3, 4],
        (None, None, True): [4, 3, 2],
        (None, 2, True): [4, 3],
        (2, None, False): [3, 4],
        (1, 2, False): [2, 3],
        (1, 2, True): [4, 3],
        (4, None, False): [],
    }
    for (offset, limit, reverse), expected in numbers.items():
        since = None if offset is None else Position(last.epoch, offset)
        page = run(site.hub.history("chat", since, limit, reverse))
        assert [each.offset for each in page.messages] == expected


def test_a_history_that_does_not_reach_back_is_lost(site: Site, run: Any) -> None:
    for n in range(5):
        last = run(site.hub.publish("chat", str(n)))
    for since in (Position(last.epoch, 1), Position("other", 5), (last.epoch, 6)):
        with pytest.raises(HistoryLost) as caught:
            run(site.hub.history("chat", since=since))
        assert (caught.value.name, caught.value.position) == ("chat", last)
    assert run(site.hub.history("other")) == ([], ("", 0))


def test_a_history_is_removed_and_the_position_stays(site: Site, run: Any) -> None:
    last = run(site.hub.publish("chat", "1"))
    run(site.hub.remove_history("chat"))
    run(site.hub.remove_history("other"))
    assert run(site.hub.history("chat")) == ([], last)
    assert run(site.hub.publish("chat", "2")) == (last.epoch, 2)


@pytest.mark.parametrize("how", ["delete_room", "clear"])
@pytest.mark.parametrize("has_members", [True, False])
def test_a_room_that_is_removed_begins_anew(
    site: Site, run: Any, how: str, has_members: bool
) -> None:
    if has_members:
        site.connect().conn.join_room("chat")
    first = run(site.hub.publish("chat", "1"))
    rooms = site.hub.get_room_manager()
    rooms.clear() if how == "clear" else rooms.delete_room("chat")
    second = run(site.hub.publish("chat", "2"))
    assert second.offset == 1
    assert second.epoch != first.epoch


def test_a_key_publishes_once_in_a_room(site: Site, run: Any) -> None:
    ada = site.connect()
    for name in ("chat", "chat2", "other"):
        ada.conn.join_room(name)

    def publish(room: str, text: str, key: str) -> Any:
        return run(site.hub.publish(room, text, idempotency_key=key))

    first = publish("chat", "1", "k")
    assert publish("chat", "2", "k") == first
    assert publish("chat", "3", "other").offset == 2
    assert publish("chat2", "4", "k").offset == 1
    assert publish("other", "5", "k") == publish("other", "6", "k") == ("", 0)
    assert ada.received() == ["1", "3", "4", "5"]


def test_a_room_empty_of_members_keeps_what_is_published(site: Site, run: Any) -> None:
    assert site.hub.broadcast_to_room("chat", "1") == (0, 0, 0)
    site.hub.broadcast_json_to_room("chat", {"room": "chat"})
    site.hub.broadcast_event("e", 1, "chat")
    found = run(site.hub.history("chat")).messages
    assert [(each.type, each.data, each.event) for each in found] == [
        ("text", "1", ""), ("json", {"room": "chat"}, ""), ("json", 1, "e"),
    ]  # fmt: skip


def test_of_several_rooms_each_that_remembers_gives_a_place(site: Site) -> None:
    ada = site.connect()
    for name in ("chat1", "chat2", "a", "b"):
        ada.conn.join_room(name)
    names = ["chat1", "a", "chat2", "b", "chat3", "a"]
    result, places = site.hub._publish_to_rooms(names, "1")
    assert result == (3, 0, 0)
    assert ada.received() == ["1"] * 3
    assert {name: place.offset for name, place in places.items()} == {
        "chat1": 1, "chat2": 1, "chat3": 1,
    }  # fmt: skip
    assert site.hub._publish_to_rooms(["a", "b"], "1") == ((1, 0, 0), {})


def test_declaring_anew_changes_what_rooms_remember(run: Any) -> None:
    server = Server()
    site = Site()
    rooms = site.hub.get_room_manager()
    ada = site.connect()
    ada.conn.join_room("chat")
    assert run(site.hub.publish("chat", "1")) == ("", 0)
    site.hub._configure(Config(rooms={"chat": {"history_size": 3}}))
    assert run(site.hub.publish("chat", "2")).offset == 1
    run(ada.conn.join("chat", envelopes=True))
    site.hub._configure(Config(rooms={"chat": {"history_size": 4}}))
    assert run(site.hub.publish("chat", "2b")).offset == 2
    assert ada.json()[-1]["offset"] == 2
    site.hub._configure(Config())
    assert run(site.hub.publish("chat", "3")) == ("", 0)
    assert ada.received() == ["3"]
    assert rooms.get_room_size("chat") == 1
    server.room("a", history_size=5, history_bytes="1MiB", history_ttl="1m", client_history=False)
    assert "history_size=5" in str(server.routes()[-1].handlers[0])


def test_members_and_connections_are_counted(site: Site, run: Any) -> None:
    ada = site.connect()
    ada.conn.join_room("chat")
    site.connect()
    assert run(site.hub.count()) == 2
    assert run(site.hub.count("chat")) == 1
    assert run(site.hub.count("other")) == 0


def test_all_is_waited_for_from_another_loop(backend: Any, run: Callable[..., Any]) -> None:
    server = Server()
    server.room("chat", history_size=5)
    results: list[Any] = []

    async def elsewhere() -> None:
        first = await server.hub.publish("chat", "1")
        await server.hub.publish("chat", "2")
        results.append((await server.hub.history("chat", first)).messages[0].data)
        with pytest.raises(HistoryLost):
            await server.hub.history("chat", Position("x", 0))
        await server.hub.remove_history("chat")
        results.append((await server.hub.history("chat")).position.offset)

    async def main() -> None:
        async with running(server, backend):
            thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
            thread.start()
            await asyncio.to_thread(thread.join, 20)

    run(main())
    assert results == ["2", 2]


def test_operators_are_told_places(site: Site, run: Any) -> None:
    from glyph_fast.admin.calls import CALLS

    # A room that remembers may have its place told by another process.
    answer = run(CALLS["publish"](site.hub, {"room": "chat", "data": {"a": 1}}))
    assert json.dumps(answer).startswith('{"sent": 0, "queued": 0, "dropped": 0, "epoch": "')
    assert answer["offset"] == 1
    several = CALLS["publish"](site.hub, {"rooms": ["chat", "other"], "data": 1})
    assert several["positions"] == {"chat": {"epoch": answer["epoch"], "offset": 2}}
    assert "epoch" not in CALLS["publish"](site.hub, {"room": "other", "data": 1})
