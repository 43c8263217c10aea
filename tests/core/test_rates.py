"""How many messages and bytes a client may send: token buckets of each connection."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from glyph_fast.websocket.deflate import Deflate
from glyph_fast.wire import POLICY_VIOLATION
from tests.core.peer import Peer, close_code
from tests.vectors import client

TEXT, BINARY, PING = 0x81, 0x82, 0x89


def offer(peer: Peer, *sizes: int) -> list[int]:
    """The sizes of the messages that got through, of those that come with one read."""
    before = len(peer.handler.messages)
    peer.feed(b"".join(client(BINARY, b"x" * size) for size in sizes))
    return [len(message) for message in peer.handler.messages[before:]]


def test_a_burst_passes_and_then_the_rate(core: ModuleType) -> None:
    peer = Peer(core, message_rate=2, message_burst=3)
    assert offer(peer, 1, 2, 3, 4, 5) == [1, 2, 3]
    assert peer.turn.counters.dropped_rate == 2
    assert peer.conn.messages_received == peer.turn.counters.messages_received == 5
    peer.now += 0.4
    assert offer(peer, 1) == []
    peer.now += 0.1
    assert offer(peer, 1, 1) == [1]
    peer.now += 1000
    assert offer(peer, *range(10)) == [0, 1, 2]
    assert peer.conn.is_open


def test_a_client_that_keeps_its_rate_loses_nothing(core: ModuleType) -> None:
    peer = Peer(core, message_rate=3, message_burst=1, byte_rate=30, byte_burst=10)
    peer.now = 1e6
    for number in range(3000):
        peer.now = 1e6 + number / 3
        assert offer(peer, 10) == [10]
    assert peer.turn.counters.dropped_rate == 0


def test_a_client_that_sends_on_regardless_keeps_its_rate(core: ModuleType) -> None:
    peer = Peer(core, message_rate=10, message_burst=10)
    passed = 0
    for _ in range(1000):
        peer.now += 0.01
        passed += len(offer(peer, 1, 1))
    assert 100 <= passed <= 111  # ten seconds' worth and the burst


def test_bytes_are_those_of_the_payload(core: ModuleType) -> None:
    peer = Peer(core, byte_rate=100, byte_burst=100)
    assert offer(peer, 60, 41, 40, 1) == [60, 40]
    peer.now += 0.5
    assert offer(peer, 51, 50) == [50]
    peer.feed(client(TEXT, "é".encode() * 26))
    assert "é" * 26 not in peer.handler.messages


def test_a_message_larger_than_the_burst_needs_a_full_bucket_and_is_paid_off(
    core: ModuleType,
) -> None:
    peer = Peer(core, byte_rate=100, byte_burst=100)
    assert offer(peer, 300, 1) == [300]
    peer.now += 1.9
    assert offer(peer, 1) == []
    peer.now += 0.11
    assert offer(peer, 1, 300) == [1]
    peer.now += 1
    assert offer(peer, 300) == [300]


def test_both_rates_hold_and_what_one_drops_costs_nothing_of_the_other(core: ModuleType) -> None:
    peer = Peer(core, message_rate=1, message_burst=2, byte_rate=10, byte_burst=10)
    assert offer(peer, 9, 9, 1, 1) == [9, 1]  # the second is too large, the fourth one too many
    assert peer.turn.counters.dropped_rate == 2


def test_empty_messages_count_as_messages_only(core: ModuleType) -> None:
    assert len(offer(Peer(core, byte_rate=1, byte_burst=1), *[0] * 50)) == 50
    assert len(offer(Peer(core, message_rate=1, message_burst=1), *[0] * 50)) == 1


def test_a_fragmented_message_counts_once_and_whole(core: ModuleType) -> None:
    peer = Peer(core, message_rate=1, message_burst=2, byte_rate=10, byte_burst=10)
    fragments = client(0x02, b"abc") + client(0x00, b"def") + client(0x80, b"gh")
    peer.feed(fragments + fragments + client(BINARY, b"ab"))
    assert peer.handler.messages == [b"abcdefgh", b"ab"]


def test_a_compressed_message_counts_inflated(core: ModuleType) -> None:
    deflate = Deflate("shared", 0)
    agreed = deflate.agree(["permessage-deflate"])
    assert agreed is not None
    peer = Peer(core, is_open=False, byte_rate=1000, byte_burst=1000)
    peer.conn._use_codec(agreed.codec)
    peer.conn._upgrade()
    frame = agreed.codec.encode(core.Frame("a" * 600))
    head = 2 if frame[1] < 126 else 4
    payload = frame[head:]
    assert len(payload) < 50
    peer.feed(client(0xC1, payload) + client(0xC1, payload))
    assert peer.handler.messages == ["a" * 600]
    peer.now += 1
    peer.feed(client(0xC1, payload))  # what was dropped did not put the codec out of step
    assert peer.handler.messages == ["a" * 600] * 2


def test_control_frames_do_not_count(core: ModuleType) -> None:
    peer = Peer(core, message_rate=1, message_burst=1, byte_rate=1, byte_burst=1)
    offer(peer, 1, 1)
    assert peer.feed(client(PING, b"hello") * 3) == b"\x8a\x05hello" * 3
    assert close_code(peer.feed(client(0x88, b"\x03\xe8"))) == 1000


def test_a_dropped_message_must_still_be_sound(core: ModuleType) -> None:
    peer = Peer(core, message_rate=1, message_burst=1)
    offer(peer, 1)
    assert close_code(peer.feed(client(TEXT, b"\xff"))) == 1007


@pytest.mark.parametrize("limits", [{"message_rate": 1}, {"byte_rate": 1}])
def test_the_connection_can_be_closed_instead(core: ModuleType, limits: dict[str, Any]) -> None:
    peer = Peer(core, rate_disconnects=True, **limits)
    out = peer.feed(client(BINARY, b"1") + client(BINARY, b"2") + client(BINARY, b"3"))
    assert peer.handler.messages == [b"1"]
    assert close_code(out) == POLICY_VIOLATION
    assert out.endswith(b"rate limit exceeded")
    assert peer.turn.counters.dropped_rate == 1
    peer.conn._feed_eof()
    peer.flush()
    assert peer.handler.closed == [(POLICY_VIOLATION, "rate limit exceeded")]


def test_connections_have_buckets_of_their_own(core: ModuleType) -> None:
    peer = Peer(core, message_rate=1, message_burst=1)
    other, _ = peer.join()
    assert offer(peer, 1, 2) == [1]
    other._feed(client(BINARY, b"other"))
    assert peer.handler.messages[-1] == b"other"


def test_without_rates_no_clock_is_read(core: ModuleType) -> None:
    reads = []
    peer = Peer(core)
    peer.turn.clock = lambda: reads.append(1) or 0.0
    peer.feed(client(BINARY, b"1") * 10)
    assert reads == []
    rated = Peer(core, byte_rate=1)
    rated.turn.clock = lambda: reads.append(1) or 0.0
    rated.feed(client(BINARY, b"1") * 10)
    assert reads == [1]  # one for a read, not for a message


def test_input_that_was_held_back_is_judged_when_it_is_handled(core: ModuleType) -> None:
    peer = Peer(core, message_rate=1, message_burst=1)
    peer.conn._pause_reading(2)
    peer.feed(client(BINARY, b"1") + client(BINARY, b"2"))
    peer.now += 100
    peer.conn._resume_reading(2)
    peer.flush()
    assert peer.handler.messages == [b"1"]
