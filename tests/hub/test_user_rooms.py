"""A room for each user: who is in it, who may not be, and what is published there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from glyph_fast import Config, ConfigError, Server
from glyph_fast.hub.user_rooms import UserRooms
from tests.running import running
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores


def site(**options: Any) -> Site:
    return Site(Config(**{"user_room": "user:{user}", **options}))


def ask(peer: Peer, word: str, room: str, **more: Any) -> str:
    peer.send({"type": word, "room": room, **more})
    data = peer.json()[-1]["data"]
    return str(data.get("error", data.get("status")))


def test_a_name_has_the_user_as_in_a_path() -> None:
    rooms = UserRooms("user:{user}!")
    assert rooms.of("ada") == "user:ada!"
    assert rooms.of("a/b ü%\n") == "user:a%2Fb%20%C3%BC%25%0A!"
    assert rooms.of("\ud800") == "user:%ED%A0%80!"
    assert rooms.of(None) is rooms.of(("a", "tuple")) is None
    assert rooms.covers("user:ada!") and rooms.covers("user:a/b!")
    assert not any(map(rooms.covers, ("user:!", "user:ada", "auser:ada!", "user")))


@pytest.mark.parametrize(
    "pattern", ["user", "{user}", "{user}:{user}", "a{user}\n", "a{user}\x7f", 5]
)
def test_a_pattern_that_cannot_be_one_is_refused(pattern: Any) -> None:
    with pytest.raises(ConfigError, match="user_room"):
        Config(user_room=pattern)


def test_each_connection_of_a_user_is_a_member_as_it_opens() -> None:
    server = site()
    ada, phone = server.connect(identity="ada"), server.connect(identity={"sub": "ada"})
    number, nobody = server.connect(identity=UUID(int=7)), server.connect()
    thing = server.connect(identity=("a", "tuple"))
    assert ada.conn.get_rooms() == phone.conn.get_rooms() == ["user:ada"]
    assert number.conn.get_rooms() == [f"user:{UUID(int=7)}"]
    assert nobody.conn.get_rooms() == thing.conn.get_rooms() == []
    assert server.hub.send_to_user("ada", "hello").sent == 2
    assert ada.received() == phone.received() == ["hello"]
    assert server.hub.broadcast_to_room("user:ada", "again").sent == 2
    assert server.hub.send_to_user(("a", "tuple"), "you").sent == 1
    assert thing.received() == ["you"]
    ada.vanish()
    phone.vanish()
    assert server.hub.get_room_manager().get_room("user:ada") is None
    assert server.hub.send_to_user("ada", "hello") == (0, 0, 0)


@pytest.mark.parametrize("words", ["auto", "join_room,leave_room,broadcast"])
def test_it_is_closed_to_others_whatever_allows_them(words: str) -> None:
    rooms = {"*": {"client_join": True, "client_publish": True}}
    server = site(client_commands=words, rooms=rooms)
    asked: list[str] = []
    server.dispatcher.on_join("*")(lambda conn, room: asked.append(room) or True)
    ada, eve, nobody = (
        server.connect(identity="ada"),
        server.connect(identity="eve"),
        server.connect(),
    )
    for peer in (eve, nobody):
        for word in ("join_room", "leave_room", "broadcast"):
            error = ask(peer, word, "user:ada", data=1)
            assert error.endswith("this room: it is a user's own"), error
    for word in ("leave_room", "broadcast"):
        assert ask(ada, word, "user:ada", data=1).endswith("this room: it is a user's own")
    assert ask(eve, "join_room", "user:%61da").endswith("it is a user's own")  # no other spelling
    assert asked == []
    assert server.hub.get_room_manager().get_room_size("user:ada") == 1
    assert ask(eve, "join_room", "other") == "joined" and asked == ["other"]


def test_its_own_user_may_join_it_whoever_judges() -> None:
    server = site()
    server.dispatcher.on_join("*")(lambda conn, room: False)
    ada = server.connect(identity="ada")
    assert ask(ada, "join_room", "user:ada") == "joined"
    ada.conn.leave_room("user:ada")
    assert server.hub.send_to_user("ada", "nobody there").sent == 0
    assert ask(ada, "join_room", "user:ada") == "joined"
    assert server.hub.send_to_user("ada", "there").sent == 1


def test_it_counts_in_no_limit() -> None:
    server = site(max_rooms_per_connection=2, max_room_members=1)
    peers = [server.connect(identity="ada") for _ in range(3)]
    assert server.hub.get_room_manager().get_room_size("user:ada") == 3
    ada = peers[0]
    for room in "ab":
        ada.conn.join_room(room)
    with pytest.raises(Exception, match="a connection may be in 2 rooms at a time"):
        ada.conn.join_room("c")
    assert ada.conn.get_rooms() == ["user:ada", "a", "b"]
    nobody = server.connect()
    for room in "cd":
        nobody.conn.join_room(room)
    with pytest.raises(Exception, match="2 rooms"):
        nobody.conn.join_room("e")


def test_a_user_whose_room_would_have_too_long_a_name_is_refused(backend: Any, run: Any) -> None:
    async def main() -> None:
        server = Server(Config(user_room="user:{user}", max_room_name=20))
        server.authenticate(lambda request: request.query.get("name"))
        server.websocket("/ws")
        async with running(server, backend) as url:
            async with connect(url.ws("/ws?name=" + "a" * 15)), connect(url.ws("/ws")):
                pass
            with pytest.raises(InvalidStatus) as caught:
                await connect(url.ws("/ws?name=" + "a" * 16))
            assert caught.value.response.status_code == 403
            assert b"the name of this user is too long" in caught.value.response.body

    run(main())
