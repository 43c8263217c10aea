"""Answers that must not be lost: `Connection.answer`."""

from __future__ import annotations

import pytest

from glyph_fast.errors import ConnectionClosed
from glyph_fast.wire import BLOCK, DISCONNECT, DROP_NEWEST, DROP_OLDEST, PAUSE_INBOX
from tests.core.peer import STALLED, Peer
from tests.vectors import client

POLICIES = (DROP_OLDEST, DROP_NEWEST, BLOCK)


def frame(text: str) -> bytes:
    size = len(text)
    return bytes((0x81, size) if size < 126 else (0x81, 126, size >> 8, size & 255)) + text.encode()


def test_an_answer_leaves_in_its_place(core):
    peer = Peer(core)
    peer.conn.send("a")
    assert peer.conn._answer("b") is True
    peer.conn.send("c")
    assert peer.conn.queued_messages == 3
    assert peer.flush() == frame("a") + frame("b") + frame("c")
    assert (peer.sink.writes, peer.conn.messages_sent) == (1, 3)


def test_an_answer_among_staged_replies_keeps_its_place(core):
    peer = Peer(core)

    def handle(conn, opcode, payload):
        conn.send("1")
        conn.send("2")
        conn._answer("3")
        conn.send("4")

    peer.handler.on_message = handle
    peer.conn._feed(client(0x81, b"x") * 2)
    assert peer.flush() == b"".join(map(frame, "12341234"))
    assert peer.conn.messages_sent == 8


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("before", [0, 1, 3])
def test_no_policy_drops_it_or_what_waits_before_it(core, policy, before):
    peer = Peer(core, takes=[0] * 12, queue_messages=4, queue_policy=policy)
    for number in range(before):
        peer.conn.send(f"before {number}")
    peer.flush()
    peer.conn._answer("the answer")
    for number in range(20):
        peer.conn.send(f"after {number}")
    peer.sink.takes.clear()
    peer.conn._flush()
    out = peer.flush()
    expected = b"".join(frame(f"before {number}") for number in range(before))
    assert out.startswith(expected + frame("the answer"))
    rest = out[len(expected) + len(frame("the answer")) :]
    assert 0 < rest.count(b"after ") < 20


def test_a_peer_that_does_not_read_is_not_read_while_it_waits(core):
    peer = Peer(core, takes=[3] + [0] * 10)
    peer.conn.send("x")
    peer.flush()
    assert peer.conn._answer("y") is True
    peer.flush()
    assert "pause" not in peer.sink.events
    assert peer.conn._answer("z") is False
    assert peer.sink.events == ["pause"]
    peer.conn._feed(client(0x81, b"later"))
    assert peer.handler.messages == []
    peer.sink.takes.clear()
    peer.conn._flush()
    assert peer.flush().endswith(frame("y") + frame("z"))
    peer.flush()
    assert peer.handler.messages == ["later"]
    assert peer.sink.events == ["pause", "resume"]


def test_a_large_answer_is_offered_to_the_kernel_at_once(core):
    peer = Peer(core)
    assert peer.conn._answer("x" * 65_000) is True
    assert peer.sink.writes == 0
    assert peer.conn._answer("y" * 65_000) is True
    assert peer.sink.writes == 1
    peer = Peer(core, takes=[100] + STALLED, queue_bytes=1000)
    assert peer.conn._answer("x" * 65_000) is True
    assert peer.conn._answer("x" * 65_000) is False
    assert peer.conn.queued_messages == 2
    peer.conn._pause_reading(PAUSE_INBOX)
    peer.conn.send("still room")
    assert peer.conn.messages_dropped == 0


def test_a_part_that_has_left_stays_before_it(core):
    peer = Peer(core, takes=[2, 0, 1, 0])
    peer.conn.send("abc")
    peer.flush()
    peer.conn._answer("def")
    for _ in range(4):
        peer.conn._flush()
    assert peer.sink.written.endswith(frame("abc") + frame("def"))


def test_a_slow_consumer_that_is_closed_still_gets_what_was_begun(core):
    peer = Peer(core, takes=[0] * 8, queue_messages=2, queue_policy=DISCONNECT)
    peer.conn._answer("kept")
    peer.flush()
    for number in range(4):
        if peer.conn.is_open:
            peer.conn.send(str(number))
    assert not peer.conn.is_open
    peer.sink.takes.clear()
    peer.conn._flush()
    assert peer.flush().startswith(frame("kept") + b"\x88")


def test_frames_are_packed_in_order_and_a_codec_that_fails_ends_it(core):
    class Codec:
        fails = False

        def encode(self, frame):
            return frame.data

        def decode(self, payload, limit):
            return payload

        def pack(self, data):
            if self.fails:
                raise ValueError("no")
            return b"<" + data + b">"

    peer, codec = Peer(core, is_open=False), Codec()
    peer.conn._use_codec(codec)
    peer.conn._upgrade()
    peer.conn.send("a")
    peer.conn._answer("b")
    peer.conn._answer("c")
    peer.conn.send("d")
    out = peer.flush()
    assert out == b"".join(b"<" + frame(text) + b">" for text in "abcd")
    codec.fails = True
    assert peer.conn._answer("e") is False
    assert not peer.conn.is_open
    assert [type(exc) for exc in peer.handler.failures] == [ValueError]


def test_nothing_is_answered_on_a_closed_connection(core):
    peer = Peer(core)
    peer.conn.close(1000)
    with pytest.raises(ConnectionClosed):
        peer.conn._answer("x")

    class Closing:
        def to_json(self):
            peer.conn.close(1000)
            return b"1"

    peer = Peer(core)
    with pytest.raises(ConnectionClosed):
        peer.conn._answer(Closing())
