"""An open connection that stays an HTTP answer: the queue of messages, another wire."""

from __future__ import annotations

import pytest

from glyph_fast.errors import ConnectionClosed
from glyph_fast.wire import (
    ANSWER_WINDOW,
    BINARY,
    DISCONNECT,
    DROP_NEWEST,
    DROP_OLDEST,
    DROPPED,
    EVENTS,
    PAUSE_INBOX,
    QUEUED,
    SENT,
    TRANSLATED_EVENTS,
)
from tests.core.peer import STALLED, Peer
from tests.vectors import client

HEAD = b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
COMMENT = b"3\r\n:\n\n\r\n"
SLOW, GOING = b"7\r\n: 4008\n\r\n0\r\n\r\n", b"7\r\n: 1001\n\r\n0\r\n\r\n"


class Codec:
    """Writes messages as events, in chunks."""

    comment = COMMENT

    def end(self, code, reason):
        return b"7\r\n: %d\n\r\n0\r\n\r\n" % code

    def encode(self, frame):
        return event(frame.payload.decode())


def event(text: str) -> bytes:
    data = f"data: {text}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def listening(core, *, behind: bytes = b"", kind: int = EVENTS, **options) -> Peer:
    """A peer that gets events, and has read the head of its answer."""
    peer = Peer(core, is_open=False, **options)

    def answer(conn, head):
        conn._write(ANSWER)
        conn._use_codec(Codec())
        conn._upgrade(kind)

    peer.handler.on_request = answer
    takes, peer.sink.takes = peer.sink.takes, []
    assert peer.feed(HEAD + behind) == ANSWER
    peer.sink.takes = takes
    return peer


def test_who_writes_events_must_be_there_first(core):
    peer = Peer(core, is_open=False)
    with pytest.raises(RuntimeError, match="needs a codec"):
        peer.conn._upgrade(EVENTS)
    assert not peer.conn.is_open


def test_messages_leave_as_events(core):
    peer = listening(core)
    assert (peer.conn.is_open, peer.conn._kind) == (True, EVENTS)
    assert [peer.conn.send(text) for text in ("one", "two")] == [SENT, SENT]
    assert peer.flush() == event("one") + event("two")
    assert peer.conn.messages_sent == peer.turn.counters.messages_sent == 2


def test_members_of_both_kinds_are_in_one_room(core):
    peer = listening(core)
    other, sink = peer.join()
    room = core.Room()
    room.add(peer.conn)
    room.add(other)
    assert room.publish(core.Frame("news")) == (2, 0, 0)
    assert peer.flush() == event("news")
    assert sink.read() == b"\x81\x04news"


@pytest.mark.parametrize(
    ("policy", "left", "result"),
    [(DROP_OLDEST, "cde", QUEUED), (DROP_NEWEST, "abc", DROPPED)],
)
def test_the_queue_policy_is_that_of_messages(core, policy, left, result):
    peer = listening(core, takes=STALLED, queue_messages=3, queue_policy=policy)
    peer.conn._flush()
    results = [peer.conn.send(text) for text in "abcde"]
    assert results[-1] == result
    peer.sink.takes.clear()
    peer.conn._flush()
    assert peer.sink.read() == b"".join(map(event, left))


def test_a_slow_reader_is_given_up(core):
    peer = listening(core, takes=STALLED, queue_messages=3, queue_policy=DISCONNECT)
    for text in "abcd":
        peer.conn.send(text)
    assert (peer.conn.is_open, peer.conn.close_code) == (False, 4008)
    peer.sink.takes.clear()
    peer.conn._flush()
    assert peer.sink.read() == SLOW
    assert peer.sink.events == ["shutdown"]


def test_keep_alive_is_a_comment_that_nobody_answers(core):
    peer = listening(core, ping_interval=5, max_missed_pongs=1)
    assert peer.sweep(31).count(COMMENT) == 6
    assert peer.conn.missed_pongs == 0 and peer.conn.is_open
    assert peer.turn.counters.pongs_missed == 0


def test_a_reader_that_takes_no_comment_is_closed(core):
    peer = listening(core, takes=STALLED, ping_interval=5, write_timeout=10, close_timeout=5)
    peer.sweep(40)
    assert peer.handler.closed == [(4008, "slow consumer")]


def test_the_end_follows_what_is_queued_and_waits_for_no_answer(core):
    peer = listening(core)
    peer.conn.send("last")
    peer.conn.close(1001, "going")
    assert peer.flush() == event("last") + GOING
    assert peer.sink.events == ["shutdown"]
    with pytest.raises(ConnectionClosed):
        peer.conn.send("too late")
    peer.conn._feed_eof()
    peer.flush()
    assert peer.handler.closed == [(1001, "going")]


def test_an_event_that_has_begun_is_never_cut(core):
    peer = listening(core, takes=[5, *STALLED], queue_messages=1, queue_policy=DISCONNECT)
    peer.conn.send("begun")
    peer.conn._flush()
    for _ in range(3):
        if peer.conn.is_open:
            peer.conn.send("more")
    peer.sink.takes.clear()
    peer.conn._flush()
    assert peer.sink.written == ANSWER + event("begun") + SLOW


@pytest.mark.parametrize("data", [HEAD, client(0x81, b"hello"), client(0x88), b"\0" * 1000])
def test_what_comes_means_nothing(core, data):
    peer = listening(core, behind=data)
    for _ in range(3):
        peer.feed(data)
    assert len(peer.handler.heads) == 1
    assert peer.handler.messages == peer.handler.closed == []
    assert peer.conn.send("still here") == SENT


def test_its_peers_end_ends_it(core):
    peer = listening(core)
    peer.conn._feed_eof()
    peer.flush()
    assert peer.handler.closed == [(1006, "")]


def test_a_head_that_has_not_left_goes_before_events(core):
    peer = Peer(core, is_open=False, takes=STALLED, queue_messages=2)
    peer.conn._write(b"x" * ANSWER_WINDOW)
    peer.conn._use_codec(Codec())
    peer.conn._upgrade(EVENTS)
    for text in "abc":
        peer.conn.send(text)
    peer.sink.takes.clear()
    peer.conn._flush()
    assert peer.sink.read() == b"x" * ANSWER_WINDOW + event("b") + event("c")


def test_its_messages_come_by_another_way(core):
    peer = listening(core)
    peer.handler.on_message = lambda conn, opcode, payload: conn.send(payload.upper())
    assert peer.conn._receive("é") is True
    assert peer.handler.messages == ["é"]
    assert peer.flush() == event("É")
    counters = peer.turn.counters
    assert peer.conn.messages_received == counters.messages_received == 1
    assert peer.turn.current is None


def test_bytes_that_come_so_are_a_binary_message(core):
    peer = listening(core)
    opcodes = []
    peer.handler.on_message = lambda conn, opcode, payload: opcodes.append(opcode)
    assert peer.conn._receive(b"\xff") is True
    assert peer.handler.messages == [b"\xff"] and opcodes == [BINARY]
    assert peer.conn.bytes_received == len(HEAD) + 1


def test_a_translated_answer_is_pinged_by_others_and_ends_where_it_is_full(core):
    limits = {"ping_interval": 1, "queue_policy": DROP_OLDEST, "queue_messages": 2}
    peer = listening(core, kind=TRANSLATED_EVENTS, takes=STALLED, **limits)
    for now in range(1, 5):
        peer.now = now
        peer.turn.sweep(now)
    assert peer.turn.counters.pings_sent == 0
    peer.conn._ping()
    assert peer.turn.counters.pings_sent == 1
    assert [peer.conn.send(text) for text in "abc"][2] == DROPPED
    assert peer.conn.close_code == 4008


def test_the_handler_of_such_a_message_may_fail(core):
    peer = listening(core)
    peer.handler.on_message = lambda *args: 1 / 0
    assert peer.conn._receive("x") is True
    assert [type(exc) for exc in peer.handler.failures] == [ZeroDivisionError]
    assert peer.conn.is_open and peer.turn.current is None


def test_no_such_message_comes_while_reading_is_paused(core):
    peer = listening(core)
    peer.conn._pause_reading(PAUSE_INBOX)
    assert peer.conn._receive("early") is False
    peer.conn._resume_reading(PAUSE_INBOX)
    assert peer.conn._receive("late") is True
    assert peer.handler.messages == ["late"]
    assert peer.conn.messages_received == 1


def test_the_rates_are_those_of_messages(core):
    peer = listening(core, message_rate=1, message_burst=2)
    assert [peer.conn._receive(text) for text in "abc"] == [True, True, False]
    assert peer.turn.counters.dropped_rate == 1
    peer.now += 1
    assert peer.conn._receive("d") is True
    assert peer.handler.messages == ["a", "b", "d"]


def test_who_is_beyond_the_rate_may_be_closed(core):
    peer = listening(core, message_rate=1, message_burst=1, rate_disconnects=True)
    assert peer.conn._receive("a") is True
    assert peer.conn._receive("b") is False
    assert (peer.conn.is_open, peer.conn.close_code) == (False, 1008)
    with pytest.raises(ConnectionClosed):
        peer.conn._receive("c")
