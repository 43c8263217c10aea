"""Users: whose connections they are, and what is done to all of one user."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from glyph_fast.hub.users import user_of
from glyph_fast.wire import NOBODY, SendResult
from tests.wired import Site

pytestmark = pytest.mark.both_cores

NUMBER = UUID("12345678-1234-5678-1234-567812345678")


@dataclass(frozen=True)
class Frozen:
    name: str


@dataclass
class Changing:
    name: str


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.mark.parametrize(
    ("identity", "key"),
    [
        ("ada", "ada"),
        (7, "7"),
        (NUMBER, str(NUMBER)),
        ({"sub": "ada", "id": 7}, "ada"),
        ({"id": 7}, "7"),
        ({"id": NUMBER}, str(NUMBER)),
        (SimpleNamespace(id=7), "7"),
        (SimpleNamespace(id="ada"), "ada"),
        (("acme", 7), ("acme", 7)),
        (frozenset({"a"}), frozenset({"a"})),
        (Frozen("ada"), Frozen("ada")),
        (b"ada", b"ada"),
    ],
)
def test_an_identity_stands_for_a_user(identity: Any, key: object) -> None:
    assert user_of(identity) == key
    assert user_of(user_of(identity)) == key


@pytest.mark.parametrize(
    "identity",
    [None, True, False, "", {}, {"sub": ""}, {"sub": ["a"]}, {"id": True}, ["ada"], (["ada"],),
     Changing("ada"), {"name": "ada"}, SimpleNamespace(id=None)],
)  # fmt: skip
def test_an_identity_may_stand_for_nobody(site: Site, identity: Any) -> None:
    assert user_of(identity) is None
    peer = site.connect(identity=identity)
    assert peer.conn.identity is identity
    assert site.hub.get_user_connections(identity) == []
    assert site.hub.send_to_user(identity, "x") == NOBODY
    assert site.hub.disconnect_user(identity) == 0
    peer.vanish()


def test_a_message_reaches_every_connection_of_the_user(site: Site) -> None:
    phone, laptop, bob, nobody = (
        site.connect(identity=each) for each in ("ada", {"sub": "ada"}, "bob", None)
    )
    assert site.hub.send_to_user("ada", "hello") == SendResult(2, 0, 0)
    assert site.hub.send_to_user({"sub": "bob"}, b"hi") == SendResult(1, 0, 0)
    assert site.hub.send_to_user("eve", "hello") == NOBODY
    assert [peer.received() for peer in (phone, laptop)] == [["hello"]] * 2
    assert bob.received() == [b"hi"]
    assert nobody.received() == []


@pytest.mark.parametrize("user", ["ada", "eve"])
def test_what_is_no_message_is_an_error_whoever_is_there(site: Site, user: str) -> None:
    site.connect(identity="ada")
    with pytest.raises(TypeError):
        site.hub.send_to_user(user, 5)  # type: ignore[arg-type]


def test_the_connections_of_a_user_come_and_go(site: Site) -> None:
    hub = site.hub
    peers = [site.connect(identity="ada") for _ in range(3)]
    assert hub.get_user_connections("ada") == [peer.conn for peer in peers]
    for left in (2, 1, 0):
        peers.pop(0).vanish()
        assert hub.get_user_connections("ada") == [peer.conn for peer in peers]
        assert hub.get_user_connection_count("ada") == left
    assert hub._users._connections == {} and hub._users._keys == {}
    again = site.connect(identity="ada")
    assert hub.get_user_connections("ada") == [again.conn]


def test_without_an_identity_nothing_is_noted(site: Site) -> None:
    site.connect()
    assert site.hub._users._connections == {} and site.hub._users._keys == {}


def test_an_identity_changed_by_the_program_leaves_nothing_behind(site: Site) -> None:
    identity = {"sub": "ada"}
    ada = site.connect(identity=identity)
    identity["sub"] = "bob"
    ada.conn.identity = "eve"
    assert site.hub.get_user_connections("ada") == [ada.conn]
    ada.vanish()
    assert site.hub._users._connections == {} and site.hub._users._keys == {}


def test_a_user_is_disconnected_everywhere(site: Site) -> None:
    ada, also, bob = (site.connect(identity=each) for each in ("ada", "ada", "bob"))
    assert site.hub.disconnect_user("ada", 4001, "signed out") == 2
    assert site.hub.disconnect_user("ada") == 0  # they are closing
    assert site.hub.send_to_user("ada", "too late") == NOBODY
    for peer in (ada, also):
        assert peer.received() == []
        assert (peer.close_code, peer.close_reason) == (4001, "signed out")
        peer.close(4001)
    assert site.hub.get_user_connections("ada") == []
    assert bob.conn.is_open


@pytest.mark.parametrize("user", ["ada", "eve"])
def test_a_code_that_may_not_be_sent_closes_nobody(site: Site, user: str) -> None:
    ada = site.connect(identity="ada")
    with pytest.raises(ValueError, match="1006"):
        site.hub.disconnect_user(user, 1006)
    assert ada.conn.is_open


def test_a_slow_connection_holds_up_no_other_of_the_user(site: Site) -> None:
    slow, quick = site.connect(identity="ada"), site.connect(identity="ada")
    slow.pipe.room = 0
    slow.conn.send("refused by the kernel")
    slow.conn._flush()
    assert site.hub.send_to_user("ada", "x") == SendResult(1, 1, 0)
    assert quick.received() == ["x"]


def in_thread(function: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(10)
    return results[0]


def test_other_threads_hand_over_in_order_and_read_a_snapshot(site: Site) -> None:
    hub = site.hub
    ada, also = site.connect(identity="ada"), site.connect(identity="ada")
    assert in_thread(lambda: hub.send_to_user("ada", "1")).pending
    assert in_thread(lambda: hub.get_user_connections("ada")) == [ada.conn, also.conn]
    assert in_thread(lambda: hub.get_user_connection_count("ada")) == 2
    assert in_thread(lambda: hub.disconnect_user("ada", 4001)) is None
    assert ada.conn.is_open
    for peer in (ada, also):
        assert peer.received() == ["1"]
        assert peer.close_code == 4001


def test_many_threads_send_to_a_user_and_nothing_is_lost(site: Site) -> None:
    ada = site.connect(identity="ada")

    def send(name: int) -> None:
        for n in range(50):
            site.hub.send_to_user("ada", f"{name} {n}")

    threads = [threading.Thread(target=send, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    received = [str(each).split() for each in ada.received()]
    assert len(received) == 200
    for name in range(4):
        assert [int(n) for who, n in received if who == str(name)] == list(range(50))
