"""Durations: how they are counted, and what the core measures by itself."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from glyph_fast.wire import BINARY, CLIENT, PING, PONG
from tests.core.peer import Peer


def test_a_duration_counts_in_the_bucket_of_the_least_bound_not_below_it(core: ModuleType) -> None:
    histogram = core.Histogram()
    for seconds in (0.0, 1e-6, 1.1e-6, 10.0, 10.1):
        histogram.observe(seconds)
    assert histogram.counts[:3] == (2, 1, 0)
    assert histogram.counts[-2:] == (1, 1)
    assert sum(histogram.counts) == 5
    assert histogram.total == 0.0 + 1e-6 + 1.1e-6 + 10.0 + 10.1


def test_a_duration_may_stand_for_others(core: ModuleType) -> None:
    histogram = core.Histogram()
    histogram.observe(0.5, 16)
    assert sum(histogram.counts) == 16
    assert histogram.total == 8.0


def test_the_twins_have_the_same_bounds(core: ModuleType) -> None:
    from glyph_fast import _pure

    bounds = core.Histogram.bounds
    assert bounds == _pure.Histogram.bounds
    assert list(bounds) == sorted(bounds)
    assert len(core.Histogram().counts) == len(bounds) + 1


def test_each_broadcast_that_reaches_somebody_is_timed(core: ModuleType) -> None:
    peer = Peer(core)
    room = core.Room()
    room.publish(core.Frame("to nobody"))
    room.add(peer.conn)
    for _ in range(3):
        room.publish(core.Frame("hello"))
    histogram = peer.turn.counters.broadcast_seconds
    assert sum(histogram.counts) == 3
    assert 0 < histogram.total < 10


def test_the_round_trip_of_an_answered_ping_is_counted(core: ModuleType) -> None:
    peer = Peer(core, ping_interval=5.0, write_timeout=100.0)
    out = peer.sweep(7)
    assert out[0] & 15 == PING
    peer.now += 0.2
    peer.feed(core.encode_frame(PONG, out[2:6], key=b"abcd"))
    histogram = peer.turn.counters.ping_rtt_seconds
    assert sum(histogram.counts) == 1
    assert histogram.total == peer.conn._ping_rtt > 0.19


def test_one_handler_call_in_sixteen_is_timed_and_stands_for_all(core: ModuleType) -> None:
    calls: list[Any] = []
    peer = Peer(core)
    peer.conn._plan = core.Plan()
    peer.conn._plan.text = peer.conn._plan.binary = (calls.append,)

    class Dispatch(core.Dispatch):  # type: ignore[name-defined,misc]
        pass

    dispatch = Dispatch(None, core.Message, core.Context, "text", "binary")
    for _ in range(33):
        dispatch.message(peer.conn, BINARY, b"x")
    assert len(calls) == 33
    assert sum(peer.turn.counters.handler_seconds.counts) == 32


def test_clients_have_figures_of_their_own(core: ModuleType) -> None:
    ours, theirs = Peer(core), Peer(core, role=CLIENT)
    room = core.Room()
    room.add(theirs.conn)
    room.publish(core.Frame("hello"))
    assert sum(ours.turn.counters.broadcast_seconds.counts) == 0
    assert sum(theirs.turn.counters.broadcast_seconds.counts) == 1
