"""Connections that end at a time, which the test sets."""

from __future__ import annotations

import math
import threading

import pytest

from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores


class Timed(Site):
    """A site whose clock stands until `at` is told."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.hub._expiry.clock = lambda: self.now

    def at(self, now: float) -> None:
        """The sweep at that time."""
        self.now = now
        self.hub._sweep()
        self.flush()


@pytest.fixture
def site() -> Timed:
    return Timed()


def is_expired(peer: Peer) -> bool:
    peer.received()
    assert peer.close_code in (None, 4401)
    return (peer.close_code, peer.close_reason) == (4401, "credentials expired")


def test_a_connection_is_closed_when_its_time_has_come(site: Timed) -> None:
    ada, bob, eve = (site.connect() for _ in range(3))
    site.hub.expire(ada.conn, 1010)
    site.hub.expire(bob.conn, 1020)
    site.at(1009.9)
    assert not any(map(is_expired, (ada, bob, eve)))
    site.at(1010)
    assert [is_expired(peer) for peer in (ada, bob, eve)] == [True, False, False]
    site.at(1e9)
    assert [is_expired(peer) for peer in (ada, bob, eve)] == [True, True, False]
    assert len(site.hub._expiry) == 0


def test_a_later_word_replaces_the_former(site: Timed) -> None:
    ada, bob, eve = (site.connect() for _ in range(3))
    for peer, at in ((ada, 1500.0), (bob, 1005.0), (eve, None)):
        site.hub.expire(peer.conn, 1010)
        site.hub.expire(peer.conn, at)
    site.at(1006)
    assert [is_expired(peer) for peer in (ada, bob, eve)] == [False, True, False]
    site.at(1499)
    assert [is_expired(peer) for peer in (ada, eve)] == [False, False]
    site.at(1500)
    assert [is_expired(peer) for peer in (ada, eve)] == [True, False]


def test_what_lies_in_the_past_ends_with_the_next_sweep(site: Timed) -> None:
    ada = site.connect()
    site.hub.expire(ada.conn, -5)
    site.at(1000)
    assert is_expired(ada)


def test_a_clock_set_back_delays_and_one_set_forward_hastens(site: Timed) -> None:
    ada = site.connect()
    site.hub.expire(ada.conn, 1010)
    site.at(500)
    assert not is_expired(ada)
    site.at(2000)
    assert is_expired(ada)


def test_never_and_no_time_at_all(site: Timed) -> None:
    ada = site.connect()
    site.hub.expire(ada.conn, math.inf)
    with pytest.raises(ValueError, match="NaN"):
        site.hub.expire(ada.conn, math.nan)
    site.at(1e300)
    assert not is_expired(ada)


def test_those_who_leave_are_forgotten(site: Timed) -> None:
    peers = [site.connect() for _ in range(10)]
    for peer in peers:
        site.hub.expire(peer.conn, 1e9)
    for peer in peers:
        peer.vanish()
    site.hub.expire(peers[0].conn, 1e9)  # too late
    assert len(site.hub._expiry) == 0


def test_nothing_is_looked_at_before_anybody_is_due(site: Timed) -> None:
    for _ in range(3):
        site.hub.expire(site.connect().conn, 1010)
    site.hub._expiry._ends = None  # type: ignore[assignment]
    site.at(1009)


def test_another_thread_may_say_so(site: Timed) -> None:
    ada = site.connect()
    thread = threading.Thread(target=site.hub.expire, args=(ada.conn, 1010))
    thread.start()
    thread.join(10)
    site.flush()
    site.at(1010)
    assert is_expired(ada)
