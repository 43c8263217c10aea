"""The end of a connection, and time: the closing handshake, timeouts, keep-alive."""

from __future__ import annotations

import pytest

from glyph_fast.wire import MIN_BODY_RATE
from tests.core.peer import STALLED, Peer, close_code
from tests.vectors import GOOD_CLOSE_CODES, client

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("code", GOOD_CLOSE_CODES)
def test_close_of_the_peer_is_echoed(core, code):
    peer = Peer(core)
    out = peer.feed(client(0x88, code.to_bytes(2, "big") + b"why"))
    assert out == b"\x88\x02" + code.to_bytes(2, "big")
    assert peer.handler.closed == [(code, "why")]
    assert peer.sink.events == ["close"]  # the server closes TCP first


def test_empty_close_is_answered_by_an_empty_close(core):
    peer = Peer(core)
    assert peer.feed(client(0x88)) == b"\x88\x00"
    assert peer.handler.closed == [(1005, "")]


def test_our_close_waits_for_the_peers(core):
    peer = Peer(core)
    peer.conn.send("last")
    peer.conn.close(4000, "bye")
    assert peer.flush() == b"\x81\x04last\x88\x05\x0f\xa0bye"
    assert peer.handler.closed == []
    peer.feed(client(0x88, b"\x0f\xa0"))
    assert peer.handler.closed == [(4000, "bye")]


def test_simultaneous_closes_cross(core):
    peer = Peer(core)
    peer.conn.close(1001)
    assert close_code(peer.feed(client(0x88, b"\x03\xe8"))) == 1001
    assert peer.handler.closed == [(1001, "")]


def test_close_inside_a_handler_is_safe(core):
    peer = Peer(core)
    peer.handler.on_message = lambda conn, *_: conn.close(1000)
    assert close_code(peer.feed(client(0x81, b"x"))) == 1000


def test_second_close_does_nothing(core):
    peer = Peer(core)
    peer.conn.close(1000)
    peer.conn.close(1011)
    assert peer.flush() == b"\x88\x02\x03\xe8"


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
def test_code_that_may_not_be_sent_raises(core, code):
    with pytest.raises(ValueError, match=f"close code {code} may not be sent"):
        Peer(core).conn.close(code)


def test_long_reason_is_cut_at_a_character(core):
    peer = Peer(core)
    peer.conn.close(1000, "é" * 100)
    out = peer.flush()
    assert out[1] == 2 + 122
    assert out[4:].decode() == "é" * 61


def test_close_goes_last_however_slow_the_peer(core):
    peer = Peer(core, takes=[3, 0, 4])
    peer.conn.send("abcdef")
    peer.conn.close(1000)
    out = b""
    for _ in range(5):
        peer.conn.flush()
        out += peer.flush()
    assert out == b"\x81\x06abcdef\x88\x02\x03\xe8"


def test_end_of_input_without_a_close_is_1006(core):
    peer = Peer(core)
    peer.conn.feed_eof()
    peer.flush()
    assert peer.handler.closed == [(1006, "")]


def test_close_is_reported_exactly_once(core):
    peer = Peer(core)
    peer.conn.close(1000)
    peer.conn.abort()
    peer.conn.lost()
    peer.conn.feed_eof()
    peer.flush()
    peer.flush()
    assert peer.handler.closed == [(1000, "")]
    assert len(peer.turn) == 0


def test_peer_that_sends_on_after_a_violation_is_ignored(core):
    peer = Peer(core)
    peer.feed(b"\xff\xff")
    assert peer.feed(client(0x81, b"x") * 100) == b""
    assert peer.handler.messages == []


def test_unanswered_close_is_aborted(core):
    peer = Peer(core, close_timeout=5)
    peer.conn.close(1000)
    peer.flush()
    peer.sweep(5)
    assert peer.handler.closed == []
    peer.sweep(2)
    assert peer.handler.closed == [(1000, "")]
    assert peer.sink.events == ["abort", "close"]


def test_peer_that_takes_no_byte_is_closed_as_slow(core):
    peer = Peer(core, write_timeout=10, close_timeout=5, ping_interval=0, takes=STALLED)
    peer.conn.send("x")
    peer.flush()
    peer.sweep(9)
    assert peer.conn.is_open
    peer.sweep(3)
    assert not peer.conn.is_open
    peer.sweep(7)
    assert peer.handler.closed == [(4008, "slow consumer")]


def test_peer_that_takes_a_byte_now_and_then_stays(core):
    peer = Peer(core, write_timeout=10, ping_interval=0, takes=STALLED)
    peer.conn.send("x" * 100)
    peer.flush()
    for _ in range(10):
        peer.sweep(8)
        peer.sink.takes[0:0] = [1, 0]
        peer.conn.flush()
    assert peer.conn.is_open


def test_progress_inside_the_sink_counts(core):
    peer = Peer(core, write_timeout=10, ping_interval=0, takes=STALLED)
    peer.conn.send("x")
    peer.flush()
    for left in range(10, 0, -1):
        peer.sink.unsent = lambda left=left: left  # type: ignore[method-assign]
        peer.sweep(8)
    assert peer.conn.is_open


def test_keep_alive_pings_and_closes_after_the_missed_pongs(core):
    peer = Peer(core, ping_interval=10, max_missed_pongs=3)
    out = peer.sweep(40)
    assert out == b"".join(b"\x89\x04" + n.to_bytes(4, "big") for n in (1, 2, 3))
    assert (peer.conn.missed_pongs, peer.conn.is_open) == (3, True)
    assert close_code(peer.sweep(2)) == 1011
    assert peer.turn.counters.pongs_missed == 3


def test_pong_clears_the_missed_and_tells_the_round_trip(core):
    peer = Peer(core, ping_interval=10, max_missed_pongs=3)
    peer.sweep(31)
    ping = peer.conn.ping_sent
    assert peer.conn.missed_pongs == 3
    peer.now += 0.25
    peer.feed(client(0x8A, (3).to_bytes(4, "big")))
    assert (peer.conn.missed_pongs, peer.conn.last_pong) == (0, peer.now)
    assert peer.conn.ping_rtt == peer.now - ping
    assert peer.turn.counters.pongs_received == 1


@pytest.mark.parametrize("payload", [b"", b"abcd", b"\0\0\0\7", b"\0\0\0\1x"])
def test_pong_nobody_asked_for_is_ignored(core, payload):
    peer = Peer(core, ping_interval=10)
    peer.sweep(12)
    peer.feed(client(0x8A, payload))
    assert peer.conn.missed_pongs == 1
    assert peer.conn.is_open


def test_keep_alive_can_be_off(core):
    assert Peer(core, ping_interval=0).sweep(100) == b""


def test_head_that_trickles_in_is_refused(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    for _ in range(12):
        peer.feed(b"x")
        peer.sweep(1)
    assert peer.handler.refused == [408]


def test_connection_that_asks_nothing_is_closed_without_an_answer(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    peer.sweep(12)
    assert peer.handler.refused == []
    assert peer.sink.events == ["close"]
    assert peer.handler.closed == [(1006, "")]


def test_body_that_stops_coming_is_refused(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    peer.handler.on_request = lambda conn, head: conn.expect_body()
    peer.feed(HEAD + b"bo")
    for _ in range(3):
        peer.sweep(8)
        peer.feed(bytes(8 * MIN_BODY_RATE))
    assert peer.handler.refused == []
    peer.sweep(12)
    assert peer.handler.refused == [408]


def test_body_that_trickles_in_is_refused(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    peer.handler.on_request = lambda conn, head: conn.expect_body()
    peer.feed(HEAD)
    for _ in range(12):
        peer.sweep(1)
        peer.feed(b"b")
    assert peer.handler.refused == [408]


def test_body_at_the_least_rate_may_take_as_long_as_it_is_large(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    peer.handler.on_request = lambda conn, head: conn.expect_body()
    peer.feed(HEAD)
    for _ in range(1000):
        peer.sweep(1)
        peer.feed(bytes(MIN_BODY_RATE))
    assert peer.handler.refused == []


def test_body_sent_fast_has_no_time_in_store(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    peer.handler.on_request = lambda conn, head: conn.expect_body()
    peer.feed(HEAD)
    peer.sweep(1)
    peer.feed(bytes(1000 * MIN_BODY_RATE))
    for _ in range(12):
        peer.sweep(1)
    assert peer.handler.refused == [408]


def test_bytes_the_handler_cannot_use_yet_come_again_and_do_not_stop_the_clock(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    peer.handler.on_data = lambda conn, chunk: 0 if len(chunk) < 4 else 2
    peer.conn.expect_body()
    for byte in b"abcde":
        peer.feed(bytes([byte]))
    assert peer.handler.bodies == [b"a", b"ab", b"abc", b"abcd", b"cd", b"cde"]
    for _ in range(3):
        peer.sweep(3)
        peer.feed(b"")
    assert peer.handler.refused == []
    peer.sweep(4)
    assert peer.handler.refused == [408]


def test_answer_being_made_has_no_deadline(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    peer.handler.on_request = lambda conn, head: conn.hold()
    peer.feed(HEAD)
    peer.sweep(100)
    assert peer.handler.refused == []
    assert peer.sink.events == ["pause"]


def test_the_end_of_a_peer_whose_answer_is_being_made_waits(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn.hold()
    peer.feed(HEAD)
    peer.conn.feed_eof()
    peer.turn.flush()
    assert peer.handler.closed == []
    peer.conn.write(b"answer")
    peer.conn.expect_head()
    peer.turn.flush()
    assert peer.sink.written == b"answer"
    assert peer.sink.events[-1] == "shutdown"


def test_held_until_its_end_a_peer_is_closed_by_it(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn.hold(until_end=True)
    peer.feed(HEAD)
    assert peer.sink.events == []
    peer.conn.feed_eof()
    peer.turn.flush()
    assert peer.handler.closed == [(1006, "")]
    assert peer.sink.events == ["close"]


@pytest.mark.parametrize("behind", [True, False])
def test_what_follows_is_kept_and_read_no_further_while_held_until_the_end(core, behind):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn.hold(until_end=True)
    frame = client(0x81, b"hello")
    if behind:
        peer.feed(HEAD + frame)
    else:
        peer.feed(HEAD)
        peer.feed(frame)
    assert peer.sink.events == ["pause"]
    peer.feed(frame)  # what a transport had read before it was paused
    assert peer.handler.messages == []
    peer.conn.upgrade()
    peer.turn.flush()
    assert peer.handler.messages == ["hello", "hello"]
    assert peer.sink.events == ["pause", "resume"]


def test_upgraded_after_a_wait_until_the_end_it_reads_on(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn.hold(until_end=True)
    peer.feed(HEAD)
    peer.conn.upgrade()
    peer.turn.flush()
    peer.feed(client(0x81, b"hello"))
    assert peer.handler.messages == ["hello"]
    assert peer.sink.events == []


def test_an_end_that_waited_comes_after_what_was_sent_before_it(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn.hold()
    peer.feed(HEAD + client(0x81, b"hello"))
    peer.conn.feed_eof()
    peer.conn.upgrade()
    peer.turn.flush()
    assert peer.handler.messages == ["hello"]
    assert peer.handler.closed == [(1006, "")]


def test_turn_tells_its_connections(core):
    peer = Peer(core)
    other, _ = peer.join()
    assert len(peer.turn) == 2
    assert set(peer.turn) == {peer.conn, other}
    other.abort()
    assert list(peer.turn) == [peer.conn]


def test_connections_that_leave_during_a_sweep_do_not_disturb_it(core):
    peer = Peer(core, is_open=False, head_timeout=5)
    others = [peer.join(name=str(number))[0] for number in range(5)]
    peer.handler.refuse = lambda *_: [conn.abort() for conn in others]  # type: ignore[assignment]
    peer.feed(b"GET")
    peer.sweep(7)
    assert list(peer.turn) == [peer.conn]
