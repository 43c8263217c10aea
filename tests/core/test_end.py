"""The end of a connection, and time: the closing handshake, timeouts, keep-alive."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

import pytest

from glyph_fast.errors import ConnectionClosed
from glyph_fast.wire import (
    BLOCK,
    DISCONNECT,
    DROP_NEWEST,
    DROP_OLDEST,
    MIN_BODY_RATE,
    MIN_READ_RATE,
    PAUSE_BODY,
    TIMES_STORED,
)
from tests.core.peer import HEAD, STALLED, Peer, close_code
from tests.vectors import GOOD_CLOSE_CODES, client


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        return ours, listener.accept()[0]


@pytest.mark.parametrize("code", GOOD_CLOSE_CODES)
def test_close_of_the_peer_is_echoed(core, code):
    peer = Peer(core)
    out = peer.feed(client(0x88, code.to_bytes(2, "big") + b"why"))
    assert out == b"\x88\x05" + code.to_bytes(2, "big") + b"why"  # as it came, reason and all
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


def holding(core, **options):
    """A peer whose close the handler answers."""
    peer = Peer(core, **options)
    peer.conn._holds_close = True
    return peer


CLOSES = [(b"\x0f\xa0why", (4000, "why")), (b"\x03\xe8", (1000, "")), (b"", (1005, ""))]


@pytest.mark.parametrize(("payload", "said"), CLOSES)
def test_a_held_close_is_answered_when_the_handler_says(core, payload, said):
    peer = holding(core)
    assert peer.feed(client(0x88, payload)) == b""
    assert (peer.handler.asked, peer.handler.closed) == ([said], [])
    assert not peer.conn.is_open
    with pytest.raises(ConnectionClosed) as caught:
        peer.conn.send("late")
    assert (caught.value.code, caught.value.reason) == said
    # What follows a close frame is nothing, RFC 6455 §5.5.1: no message, no ping, no second close.
    rest = client(0x81, b"x") + client(0x89, b"ping") + client(0x88, b"\x03\xe9") + b"\xff\xff"
    assert peer.feed(rest) == b""
    peer.conn._answer_close()
    assert peer.flush() == bytes((0x88, len(payload))) + payload
    peer.conn._answer_close()
    assert peer.flush() == b""
    assert peer.handler.closed == [said]  # RFC 6455 §7.1.5: the code is the peer's
    assert (peer.handler.messages, peer.handler.asked) == ([], [said])
    assert peer.sink.events == ["close"]


def test_the_answer_to_a_held_close_may_be_chosen(core):
    peer = holding(core)
    peer.feed(client(0x88, b"\x03\xe8bye"))
    peer.conn.close(4001, "not yet")
    peer.conn.close(4002, "nor now")
    assert peer.flush() == b"\x88\x09\x0f\xa1not yet"
    assert peer.handler.closed == [(1000, "bye")]


def test_a_held_close_may_be_answered_at_once(core):
    peer = holding(core)
    peer.handler.on_closing = lambda conn: conn.close(4001)
    assert peer.feed(client(0x88, b"\x03\xe8") + client(0x81, b"x")) == b"\x88\x02\x0f\xa1"
    assert peer.handler.messages == []


def test_what_is_queued_leaves_before_a_held_close_is_answered(core):
    peer = holding(core, takes=[2, 0])
    peer.conn.send("last")
    assert peer.feed(client(0x88)) == b"\x81\x04"
    peer.conn._answer_close()
    assert peer.flush() == b""  # nothing leaves while the sink is full
    peer.conn._flush()
    peer.conn._flush()
    assert peer.flush() == b"last\x88\x00"


def test_a_held_close_is_echoed_when_its_time_is_over(core):
    peer = holding(core, close_timeout=5)
    peer.feed(client(0x88, b"\x0f\xa0why"))
    peer.sweep(0)
    assert peer.sweep(4.9) == b""
    assert peer.sweep(5) == b"\x88\x05\x0f\xa0why"
    assert peer.handler.closed == [(4000, "why")]


def test_a_held_close_ends_when_the_peer_is_gone(core):
    peer = holding(core)
    peer.feed(client(0x88, b"\x0f\xa0why"))
    peer.conn._feed_eof()
    peer.flush()
    assert peer.handler.closed == [(4000, "why")]
    peer.conn._answer_close()
    peer.conn.close(1000)
    assert peer.flush() == b""


def test_a_handler_that_fails_to_answer_leaves_it_to_time(core):
    def fail(conn):
        raise LookupError

    peer = holding(core, close_timeout=5)
    peer.handler.on_closing = fail
    assert peer.feed(client(0x88)) == b""
    assert [type(exc) for exc in peer.handler.failures] == [LookupError]
    assert peer.sweep(7) == b"\x88\x00"


def test_a_bad_close_is_not_held(core):
    peer = holding(core)
    assert close_code(peer.feed(client(0x88, b"\x03"))) == 1002
    assert peer.handler.asked == []


def test_our_own_close_holds_nothing(core):
    peer = holding(core)
    peer.conn.close(1001)
    peer.feed(client(0x88, b"\x03\xe8"))
    assert (peer.handler.asked, peer.handler.closed) == ([], [(1001, "")])


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
        peer.conn._flush()
        out += peer.flush()
    assert out == b"\x81\x06abcdef\x88\x02\x03\xe8"


def test_end_of_input_without_a_close_is_1006(core):
    peer = Peer(core)
    peer.conn._feed_eof()
    peer.flush()
    assert peer.handler.closed == [(1006, "")]


def test_close_is_reported_exactly_once(core):
    peer = Peer(core)
    peer.conn.close(1000)
    peer.conn.abort()
    peer.conn._lost()
    peer.conn._feed_eof()
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
        peer.conn._flush()
    assert peer.conn.is_open


def test_progress_inside_the_sink_counts(core):
    peer = Peer(core, write_timeout=10, ping_interval=0, takes=STALLED)
    peer.conn.send("x")
    peer.flush()
    for left in range(10, 0, -1):
        peer.sink.unsent = lambda left=left: left  # type: ignore[method-assign]
        peer.sweep(8)
    assert peer.conn.is_open


@pytest.mark.parametrize("make_pair", [socket.socketpair, tcp_pair])
def test_the_kernel_says_what_the_peer_has_not_acknowledged(core, make_pair):
    ours, theirs = make_pair()
    with ours, theirs:
        assert core.unacknowledged(ours.fileno()) == 0
        ours.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                ours.send(bytes(100_000))
        full = core.unacknowledged(ours.fileno())
        assert full > 0
        theirs.settimeout(10)
        while core.unacknowledged(ours.fileno()) == full:
            theirs.recv(1 << 20)
        assert core.unacknowledged(ours.fileno()) < full
    assert core.unacknowledged(ours.fileno()) == 0  # it is closed
    with Path(__file__).open() as file:
        assert core.unacknowledged(file.fileno()) == 0  # it is none


@pytest.mark.parametrize("step", ["close", "finish"])
def test_a_peer_that_still_takes_what_comes_before_the_end_is_not_cut_off(core, step):
    """The kernel has it all, and a peer of 100 bytes in 4 s takes its time."""
    peer = Peer(core, close_timeout=5, is_open=step == "close")
    left = 10_000
    peer.sink.unsent = lambda: left  # type: ignore[method-assign]
    if step == "close":
        peer.conn.send("x" * left)
        peer.conn.close(1000)
    else:
        peer.conn._write(b"x" * left)
        peer.conn._hold()
        peer.conn._finish()
    peer.flush()
    peer.sweep(1)
    while left:
        left -= 100
        peer.sweep(4)
        assert peer.handler.closed == []
    peer.sweep(7)
    assert len(peer.handler.closed) == 1
    assert peer.sink.events[-2:] == ["abort", "close"]


def test_an_end_that_the_peer_stops_taking_is_aborted(core):
    peer = Peer(core, close_timeout=5)
    peer.sink.unsent = lambda: 50  # type: ignore[method-assign]
    peer.conn.send("x" * 100)
    peer.conn.close(1000)
    peer.flush()
    peer.sweep(8)
    assert peer.handler.closed == [(1000, "")]


STEP = 1_400_000  # bytes: a proxy's send buffer of 4 MiB takes more once a third of it is free
STORED = 10.0 * TIMES_STORED  # seconds, for a write timeout of 10


class Stepping:
    """A peer behind a proxy, whose kernel acknowledges nothing for long and then very much."""

    def __init__(self, core, *, is_open=True, **limits) -> None:
        self.peer = Peer(core, is_open=is_open, write_timeout=10, ping_interval=0, **limits)
        self.left = 40 * STEP  # not acknowledged
        self.peer.sink.takes = [self.left, *STALLED]
        self.peer.sink.unsent = lambda: self.left  # type: ignore[method-assign]
        write = self.peer.conn.send if is_open else self.peer.conn._write
        write(b"x" * (self.left + 1000))
        self.peer.flush()
        self.peer.sweep(1)

    def step(self, seconds: float, size: int = STEP) -> None:
        self.left -= size
        self.peer.sweep(seconds)

    def stops(self) -> float:
        """The seconds in which it takes nothing and is still there."""
        began = self.peer.now
        while not self.peer.handler.closed and self.peer.now < began + 1000:
            self.peer.sweep(1)
        return self.peer.now - began


@pytest.mark.parametrize("policy", [DROP_OLDEST, DROP_NEWEST, DISCONNECT])
@pytest.mark.parametrize("kind", ["message", "answer"])
def test_what_a_peer_takes_at_once_buys_it_time(core, policy, kind):
    slow = Stepping(core, is_open=kind == "message", queue_policy=policy)
    for _ in range(20):
        slow.step(STEP / 32_000)  # seconds: more than four times the write timeout
        assert slow.peer.handler.closed == []
    ends = 5.0 if kind == "message" else 0.0  # the close timeout
    assert slow.stops() <= STORED + 10 + ends + 2


def test_little_buys_little(core):
    slow = Stepping(core, is_open=False)
    slow.step(1, 3 * MIN_READ_RATE)
    assert slow.stops() == pytest.approx(10 + 3, abs=2)


def test_no_more_than_so_much_time_is_stored(core):
    slow = Stepping(core, is_open=False)
    for _ in range(30):
        slow.step(1)
    assert slow.stops() == pytest.approx(10 + STORED, abs=2)


def test_who_holds_up_others_stores_no_time(core):
    """Under `block` publishers wait for the slowest."""
    slow = Stepping(core, queue_policy=BLOCK, close_timeout=5)
    for _ in range(30):
        slow.step(1)
    assert slow.stops() == pytest.approx(10 + 5, abs=3)


@pytest.mark.parametrize("step", ["close", "finish"])
def test_time_is_bought_for_the_end_too(core, step):
    """As long as something is on its way; an end that was taken has the close timeout alone."""
    slow = Stepping(core, is_open=step == "close", close_timeout=5)
    if step == "close":
        slow.peer.conn.close(1000)
    else:
        slow.peer.conn._hold()
        slow.peer.conn._finish()
    slow.peer.sink.takes = []
    slow.peer.conn._flush()
    for _ in range(20):
        slow.step(STEP / 32_000)
        assert slow.peer.handler.closed == []
    slow.step(1, slow.left)
    assert slow.stops() == pytest.approx(5, abs=2)


def test_a_clock_that_goes_back_gives_no_more_time_than_may_be_stored(core):
    slow = Stepping(core, is_open=False)
    slow.step(1)
    slow.peer.now -= 90.0
    assert slow.stops() <= STORED + 12


@pytest.mark.parametrize("where", ["queue", "kernel"])
def test_pings_behind_what_a_peer_still_takes_are_not_missed(core, where):
    """It cannot have answered what it has not come to."""
    peer = Peer(core, write_timeout=10, ping_interval=10, max_missed_pongs=2)
    left = 100_000
    peer.sink.unsent = lambda: left  # type: ignore[method-assign]
    if where == "queue":
        peer.sink.takes = [100_000, *STALLED]
    peer.conn.send("x" * 200_000)
    peer.flush()
    for _ in range(200):
        left -= 400
        peer.sweep(1)
    assert peer.conn.is_open
    standing = peer.conn.bytes_sent
    peer.sink.unsent = lambda: left + peer.conn.bytes_sent - standing  # type: ignore[method-assign]
    peer.sweep(50)  # now it takes no more
    assert not peer.conn.is_open


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
    ping = peer.conn._ping_sent
    assert peer.conn.missed_pongs == 3
    peer.now += 0.25
    peer.feed(client(0x8A, (3).to_bytes(4, "big")))
    assert (peer.conn.missed_pongs, peer.conn._last_pong) == (0, peer.now)
    assert peer.conn._ping_rtt == peer.now - ping
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


def served(core, **limits):
    """A peer whose first request was answered, and which may ask again."""
    peer = Peer(core, is_open=False, **limits)
    peer.handler.on_request = lambda conn, head: conn._write(b"answer")
    assert peer.feed(HEAD) == b"answer"
    return peer


def test_a_served_connection_may_rest_for_the_keep_alive_timeout(core):
    peer = served(core, head_timeout=10, keep_alive_timeout=75)
    peer.sweep(1)
    for _ in range(74):
        peer.sweep(1)
    assert peer.sink.events == []
    peer.sweep(1)
    assert peer.sink.events == ["close"]
    assert peer.handler.refused == []


def test_each_request_gives_a_connection_the_keep_alive_timeout_again(core):
    peer = served(core, head_timeout=10, keep_alive_timeout=75)
    for _ in range(3):
        peer.sweep(1)
        peer.sweep(70)
        assert peer.feed(HEAD) == b"answer"
    peer.sweep(1)
    peer.sweep(76)
    assert peer.sink.events == ["close"]


def test_a_head_that_begins_after_a_rest_has_the_head_timeout_from_then_on(core):
    peer = served(core, head_timeout=10, keep_alive_timeout=75)
    peer.sweep(1)
    peer.sweep(60)
    peer.feed(HEAD[:-5])
    for _ in range(10):
        peer.sweep(1)
    assert peer.handler.refused == []
    peer.sweep(1)
    assert peer.handler.refused == [408]


def test_a_head_that_is_finished_in_time_after_a_rest_is_served(core):
    peer = served(core, head_timeout=10, keep_alive_timeout=75)
    peer.sweep(1)
    peer.sweep(60)
    peer.feed(HEAD[:-5])
    peer.sweep(1)
    peer.sweep(9)
    assert peer.feed(HEAD[-5:]) == b"answer"


def test_a_head_that_follows_a_request_at_once_and_stops_is_refused(core):
    peer = served(core, head_timeout=10, keep_alive_timeout=75)
    peer.feed(HEAD[:-5])
    peer.sweep(1)
    peer.sweep(11)
    assert peer.handler.refused == [408]


def test_a_keep_alive_timeout_below_the_head_timeout_counts_for_rests_alone(core):
    peer = served(core, head_timeout=10, keep_alive_timeout=2)
    peer.sweep(1)
    peer.sweep(1)
    peer.feed(HEAD[:-5])
    peer.sweep(1)
    peer.sweep(8)
    assert (peer.sink.events, peer.handler.refused) == ([], [])
    peer.feed(HEAD[-5:])
    peer.sweep(1)
    peer.sweep(3)
    assert peer.sink.events[-1] == "close"


def test_body_that_stops_coming_is_refused(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    peer.handler.on_request = lambda conn, head: conn._expect_body()
    peer.feed(HEAD + b"bo")
    for _ in range(3):
        peer.sweep(8)
        peer.feed(bytes(8 * MIN_BODY_RATE))
    assert peer.handler.refused == []
    peer.sweep(12)
    assert peer.handler.refused == [408]


def test_body_that_trickles_in_is_refused(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    peer.handler.on_request = lambda conn, head: conn._expect_body()
    peer.feed(HEAD)
    for _ in range(12):
        peer.sweep(1)
        peer.feed(b"b")
    assert peer.handler.refused == [408]


def test_body_at_the_least_rate_may_take_as_long_as_it_is_large(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    peer.handler.on_request = lambda conn, head: conn._expect_body()
    peer.feed(HEAD)
    for _ in range(1000):
        peer.sweep(1)
        peer.feed(bytes(MIN_BODY_RATE))
    assert peer.handler.refused == []


def test_body_sent_fast_has_no_time_in_store(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    peer.handler.on_request = lambda conn, head: conn._expect_body()
    peer.feed(HEAD)
    peer.sweep(1)
    peer.feed(bytes(1000 * MIN_BODY_RATE))
    for _ in range(12):
        peer.sweep(1)
    assert peer.handler.refused == [408]


def test_bytes_the_handler_cannot_use_yet_come_again_and_do_not_stop_the_clock(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    peer.handler.on_data = lambda conn, chunk: 0 if len(chunk) < 4 else 2
    peer.conn._expect_body()
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
    peer.handler.on_request = lambda conn, head: conn._hold()
    peer.feed(HEAD)
    peer.sweep(100)
    assert peer.handler.refused == []
    assert peer.sink.events == []


def test_the_end_of_a_peer_whose_answer_is_being_made_waits(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._hold()
    peer.feed(HEAD)
    peer.conn._feed_eof()
    peer.turn.flush()
    assert peer.handler.closed == []
    assert peer.sink.events == ["pause"]  # there is nothing more to read
    peer.conn._write(b"answer")
    peer.conn._expect_head()
    peer.turn.flush()
    assert peer.sink.written == b"answer"
    assert peer.sink.events == ["pause", "close"]


def test_whoever_answers_is_told_of_a_peers_end_once(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._hold()
    peer.feed(HEAD)
    assert peer.handler.ends == 0
    for _ in range(3):
        peer.conn._feed_eof()
        peer.turn.flush()
    assert peer.handler.ends == 1


def test_who_was_told_of_a_peers_end_may_give_it_up(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._hold()
    peer.handler.on_ended = lambda conn: conn._lost()
    peer.feed(HEAD)
    peer.conn._feed_eof()
    peer.turn.flush()
    assert peer.handler.closed == [(1006, "")]
    assert peer.sink.events == ["pause", "close"]


def test_an_error_of_who_was_told_of_a_peers_end_ends_nothing(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._hold()
    peer.handler.on_ended = lambda conn: 1 / 0
    peer.feed(HEAD)
    peer.conn._feed_eof()
    assert [type(each) for each in peer.handler.failures] == [ZeroDivisionError]
    peer.conn._write(b"answer")
    assert peer.flush() == b"answer"


@pytest.mark.parametrize("behind", [True, False])
def test_what_follows_is_kept_and_read_no_further_while_held(core, behind):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._hold()
    frame = client(0x81, b"hello")
    if behind:
        peer.feed(HEAD + frame)
    else:
        peer.feed(HEAD)
        peer.feed(frame)
    assert peer.sink.events == ["pause"]
    peer.feed(frame)  # what a transport had read before it was paused
    assert peer.handler.messages == []
    peer.conn._upgrade()
    peer.turn.flush()
    assert peer.handler.messages == ["hello", "hello"]
    assert peer.sink.events == ["pause", "resume"]


def test_upgraded_after_a_wait_it_reads_on(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._hold()
    peer.feed(HEAD)
    peer.conn._upgrade()
    peer.turn.flush()
    peer.feed(client(0x81, b"hello"))
    assert peer.handler.messages == ["hello"]
    assert peer.sink.events == []


def test_while_nobody_takes_a_body_its_sender_is_not_late(core):
    peer = Peer(core, is_open=False, head_timeout=10)
    peer.handler.on_request = lambda conn, head: conn._expect_body()
    peer.feed(HEAD)
    peer.sweep(1)
    peer.conn._pause_reading(PAUSE_BODY)
    peer.sweep(100)
    peer.sweep(100)
    peer.conn._resume_reading(PAUSE_BODY)
    peer.turn.flush()
    peer.sweep(10)
    assert peer.handler.refused == []
    peer.sweep(2)
    assert peer.handler.refused == [408]


def test_an_end_that_waited_comes_after_what_was_sent_before_it(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._hold()
    peer.feed(HEAD + client(0x81, b"hello"))
    peer.conn._feed_eof()
    peer.conn._upgrade()
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
