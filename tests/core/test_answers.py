"""HTTP answers through the core: the same queue as messages', with bounds of its own."""

from __future__ import annotations

import pytest

from glyph_fast.wire import ANSWER_WINDOW, DROP_OLDEST, QUEUED
from tests.core.peer import HEAD, STALLED, Peer
from tests.vectors import client

HALF = b"h" * (ANSWER_WINDOW // 2)


def asked(core, **options):
    """A peer whose request is being answered."""
    peer = Peer(core, is_open=False, **options)
    peer.handler.on_request = lambda conn, head: conn._hold()
    peer.feed(HEAD)
    return peer


def test_pieces_of_an_answer_leave_in_order_with_one_write(core):
    peer = asked(core)
    assert all(peer.conn._write(piece) for piece in (b"head", b"one", b"two"))
    assert peer.flush() == b"headonetwo"
    assert peer.sink.writes == 1


@pytest.mark.parametrize("takes", [[1] * 100, [0, 4, 0, 1, 7], [3, 0, 0, 2, 5, 1]])
def test_a_slow_reader_gets_every_byte_once(core, takes):
    peer = asked(core, takes=takes)
    pieces = [bytes([65 + n]) * (n % 5 + 1) for n in range(20)]
    for piece in pieces:
        assert peer.conn._write(piece)
        peer.flush()
    while not peer.conn._flush():
        pass
    assert peer.sink.written == b"".join(pieces)


def test_an_answer_is_no_message(core):
    peer = asked(core, takes=[2])
    peer.conn._write(b"head")
    peer.conn._write(b"body")
    assert peer.conn.queued_bytes == 8
    peer.flush()
    assert peer.conn.queued_bytes == 6
    peer.conn._flush()
    assert (peer.conn.messages_sent, peer.turn.counters.messages_sent) == (0, 0)
    assert peer.conn.bytes_sent == 8


def test_a_writer_is_told_to_wait_and_when_to_go_on(core):
    peer = asked(core, takes=STALLED)
    assert peer.conn._write(HALF)
    assert not peer.conn._write(HALF)
    peer.conn._want_drain()
    peer.flush()
    assert peer.handler.drained == 0
    peer.sink.takes[:] = [1, 0]
    peer.conn._flush()
    peer.flush()
    assert peer.handler.drained == 0
    peer.sink.takes[:] = [len(HALF), 0]
    peer.conn._flush()
    peer.flush()
    assert peer.handler.drained == 1
    assert peer.conn._write(b"more")


def test_who_reads_at_once_lets_nobody_wait(core):
    peer = asked(core)
    for _ in range(10):
        assert peer.conn._write(HALF)  # written in the middle of the turn, if need be
    assert peer.flush() == HALF * 10


def test_who_waits_for_a_peer_that_is_gone_is_told(core):
    peer = asked(core, takes=STALLED)
    while peer.conn._write(HALF):
        pass
    peer.conn._want_drain()
    peer.conn._lost()
    peer.flush()
    assert peer.handler.drained == 1
    assert peer.conn._write(b"to nobody")  # and nobody waits for that again
    assert peer.conn.queued_bytes == 0


def test_an_answer_nobody_reads_ends_by_the_write_timeout(core):
    peer = asked(core, takes=STALLED, write_timeout=10)
    peer.conn._write(HALF)
    peer.sweep(9)
    assert peer.handler.closed == []
    peer.sweep(3)
    assert peer.handler.closed == [(1006, "")]


def test_queue_limits_are_those_of_messages_only(core):
    peer = asked(core, takes=STALLED, queue_messages=2, queue_bytes=10, queue_policy=DROP_OLDEST)
    for _ in range(100):
        assert peer.conn._write(b"0123456789")
    peer.sink.takes.clear()
    assert peer.flush() == b"0123456789" * 100
    assert peer.conn.messages_dropped == 0


def test_after_an_answer_of_many_pieces_the_next_request_is_read(core):
    peer = asked(core)
    peer.feed(HEAD)
    assert len(peer.handler.heads) == 1
    for _ in range(3):
        peer.conn._write(b"piece")
        peer.flush()
    peer.conn._expect_head()
    peer.flush()
    assert len(peer.handler.heads) == 2


@pytest.mark.parametrize("took", [0, 3])
def test_what_the_kernel_has_not_of_the_handshake_goes_before_all_else(core, took):
    peer = asked(core, takes=[took, *STALLED], queue_messages=3, queue_policy=DROP_OLDEST)
    peer.conn._write(b"an answer, ")
    peer.conn._write(b"101")
    peer.conn._flush()
    peer.conn._upgrade()
    assert (peer.conn.queued_messages, peer.conn.queued_bytes) == (0, 0)
    for text in "abcde":
        assert peer.conn.send(text) == QUEUED
    peer.feed(client(0x89, b"?"))
    assert peer.conn.messages_dropped == 2
    peer.sink.takes.clear()
    peer.conn._flush()
    assert peer.sink.written == b"an answer, 101\x8a\x01?\x81\x01c\x81\x01d\x81\x01e"
    assert peer.conn.messages_sent == 3


def test_what_was_written_leaves_before_the_end(core):
    peer = asked(core, takes=[1, 0, 2])
    peer.conn._write(b"an answer")
    peer.conn._finish()
    peer.flush()
    assert peer.sink.events == []
    while peer.sink.events == []:
        peer.conn._flush()
    assert peer.sink.events == ["shutdown"]
    assert peer.conn._write(b"too late")
    peer.flush()
    assert peer.sink.written == b"an answer"
