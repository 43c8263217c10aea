"""Messages out: the ring, its limits and policies, partial writes, fan-out."""

from __future__ import annotations

import socket

import pytest

from glyph_fast.errors import ConnectionClosed, RoomFull
from glyph_fast.wire import (
    BLOCK,
    DISCONNECT,
    DROP_NEWEST,
    DROP_OLDEST,
    DROPPED,
    NOBODY,
    QUEUED,
    SENT,
    TEXT,
    SendResult,
)
from tests.core.peer import STALLED, Peer, Sink, close_code
from tests.vectors import client


def frame(text: str) -> bytes:
    return bytes((0x81, len(text))) + text.encode()


def test_messages_of_a_turn_leave_in_one_write(core):
    peer = Peer(core)
    results = [peer.conn.send(text) for text in ("a", "b", "c")]
    assert results == [SENT] * 3
    assert peer.flush() == frame("a") + frame("b") + frame("c")
    assert peer.sink.writes == 1


def test_replies_keep_their_order_among_all_else_of_a_turn(core):
    peer = Peer(core)
    room = core.Room()
    room.add(peer.conn)

    def answer(conn, opcode, payload):
        conn.send(f"{payload} heard")
        conn.send("long " * 40)
        if payload == "b":
            room.publish(core.Frame("news"))
        conn.send(f"{payload} done")

    peer.handler.on_message = answer
    peer.conn._feed(client(0x81, b"a") + client(0x89, b"?") + client(0x81, b"b"))
    assert (peer.conn.queued_messages, peer.conn.queued_bytes) == (7, 2 * (9 + 204 + 8) + 6)
    long = b"\x81\x7e\x00\xc8" + b"long " * 40
    assert peer.flush() == (
        b"\x8a\x01?"  # a pong may go before messages
        + frame("a heard") + long + frame("a done")
        + frame("b heard") + long + frame("news") + frame("b done")
    )  # fmt: skip
    assert peer.sink.writes == 1
    assert (peer.conn.messages_sent, peer.turn.counters.messages_sent) == (7, 7)


def test_replies_to_several_peers_do_not_mix(core):
    peer = Peer(core)
    other, sink = peer.join()
    peer.handler.on_message = lambda conn, _, payload: [conn.send(payload) for _ in range(2)]
    for conn, text in ((peer.conn, b"a"), (other, b"b"), (peer.conn, b"c"), (other, b"d")):
        conn._feed(client(0x81, text))
    assert peer.flush() == b"".join(map(frame, "aacc"))
    assert sink.read() == b"".join(map(frame, "bbdd"))


@pytest.mark.parametrize("takes", [[4, 0, 3], [0, 0, 7, 0, 1], [13, 0], [5 * 40 + 1]])
def test_replies_that_were_not_taken_outlive_their_turn(core, takes):
    peer = Peer(core, takes=takes)
    other, sink = peer.join()
    peer.handler.on_message = lambda conn, _, payload: conn.send(payload)
    texts = [f"{number:03}" for number in range(50)]
    out = peer.feed(b"".join(client(0x81, text.encode()) for text in texts))
    other._feed(client(0x81, b"overwrites") * 50)
    out += peer.flush()
    for _ in range(8):
        peer.conn._flush()
        out += peer.flush()
    assert out == b"".join(map(frame, texts))
    assert sink.read() == frame("overwrites") * 50


@pytest.mark.parametrize("is_closing", [False, True])
def test_a_lent_descriptor_and_its_sink_send_one_stream(core, is_closing):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    class Waiting(Sink):
        """As a transport: takes all, sends when it can."""

        def writev(self, buffers):
            self.out += b"".join(buffers)
            peer.conn._write_through(-1, None)
            return sum(map(len, buffers))

    with ours, theirs:
        peer = Peer(core)
        peer.conn._sink = sink = Waiting()
        expected = got = b""
        for number in range(300):
            peer.conn._write_through(ours.fileno(), lambda: is_closing)
            for size in (number, 5000, 3 * number):
                text = chr(97 + number % 26) * size
                peer.conn.send(text)
                expected += core.encode_frame(TEXT, text)
            peer.turn.flush()
            assert not peer.conn.queued_bytes
            if sink.out:
                while len(got) + len(sink.out) < len(expected):
                    got += theirs.recv(1 << 20)
                got += sink.read()
        while len(got) < len(expected):
            got += theirs.recv(1 << 20)
        assert got == expected


def test_queue_is_counted_until_it_has_left(core):
    peer = Peer(core)
    peer.conn.send("abc")
    peer.conn.send(b"\0")
    assert (peer.conn.queued_messages, peer.conn.queued_bytes) == (2, 8)
    peer.flush()
    assert (peer.conn.queued_messages, peer.conn.queued_bytes) == (0, 0)
    assert (peer.conn.messages_sent, peer.conn.bytes_sent) == (2, 8)


@pytest.mark.parametrize("takes", [[4, 0, 3], [1] * 30, [0, 0, 7, 0, 1], [13, 0], []])
def test_partial_write_resumes_mid_frame(core, takes):
    peer = Peer(core, takes=takes)
    peer.conn.send("first")
    peer.flush()
    out = b""
    peer.conn.send("second")
    peer.conn._feed(client(0x89, b"p"))
    for _ in range(40):
        peer.conn._flush()
    out = peer.sink.written
    # A pong goes between frames, never into one.
    assert out in (
        frame("first") + b"\x8a\x01p" + frame("second"),
        b"\x8a\x01p" + frame("first") + frame("second"),
    )


def test_everything_leaves_whatever_the_sink_takes(core):
    for takes in ([4, 0, 3], [1] * 200, [0, 7, 0, 1], [9, 9, 0, 9]):
        peer = Peer(core, takes=takes)
        for number in range(30):
            peer.conn.send(f"{number:03}")
        out = b""
        for _ in range(300):
            peer.conn._flush()
            out += peer.flush()
        assert out == b"".join(frame(f"{number:03}") for number in range(30))


def test_large_messages_leave_whole(core):
    peer = Peer(core, takes=[100_000, 0, 65_536])
    big = [bytes([number]) * 90_000 for number in range(4)]
    for message in big:
        peer.conn.send(message)
    out = b""
    for _ in range(10):
        peer.conn._flush()
        out += peer.flush()
    assert out == b"".join(core.encode_frame(2, message) for message in big)


def test_message_behind_refused_bytes_is_queued(core):
    peer = Peer(core, takes=[2, *STALLED])
    assert peer.conn.send("abc") is SENT
    peer.flush()
    assert peer.conn.send("d") is QUEUED


POLICIES = [DROP_OLDEST, DROP_NEWEST, BLOCK, DISCONNECT]


@pytest.mark.parametrize("policy", POLICIES)
def test_one_message_above_the_byte_limit_is_taken_when_none_waits(core, policy):
    peer = Peer(core, queue_bytes=10, queue_policy=policy, takes=STALLED)
    assert peer.conn.send("x" * 100) is SENT
    peer.flush()
    assert peer.conn.send("y") is QUEUED  # and the first stays
    assert drain(peer) == frame("x" * 100) + frame("y")
    assert peer.conn.messages_dropped == 0


@pytest.mark.parametrize("begun", [0, 1, 50])
@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_left_of_a_large_message_costs_those_behind_it_no_room(core, policy, begun):
    peer = Peer(core, queue_bytes=1000, queue_policy=policy, takes=[begun, *STALLED])
    large = core.encode_frame(TEXT, "l" * 5000)
    assert peer.conn.send("l" * 5000) is SENT
    peer.conn._flush()
    texts = [f"{number:08}" for number in range(20)]
    assert [peer.conn.send(text) for text in texts] == [QUEUED] * 20
    assert drain(peer) == large + b"".join(map(frame, texts))
    assert peer.conn.messages_dropped == 0


def test_a_large_message_waits_among_small_ones_and_none_is_lost(core):
    peer = Peer(core, queue_bytes=1000, takes=[3, *STALLED])
    peer.conn.send("begun")
    peer.conn._flush()
    for text in ("before", "l" * 5000, *["behind"] * 20):
        assert peer.conn.send(text) is QUEUED
    large = core.encode_frame(TEXT, "l" * 5000)
    assert drain(peer) == frame("begun") + frame("before") + large + frame("behind") * 20


def test_large_messages_displace_each_other_and_not_the_latest(core):
    peer = Peer(core, queue_bytes=1000, takes=[3, *STALLED])
    peer.conn.send("begun")
    peer.conn._flush()
    for letter in "abc":
        peer.conn.send(letter * 5000)
    for number in range(200):
        peer.conn.send(f"{number:08}")
    out = drain(peer)
    latest = core.encode_frame(TEXT, "c" * 5000)
    assert out.startswith(frame("begun") + latest)  # it never was the oldest that counts
    assert out[7 + len(latest) :] == b"".join(frame(f"{n:08}") for n in range(100, 200))
    assert peer.conn.messages_dropped == 2 + 100


def test_a_message_that_finds_room_is_taken_whatever_its_size(core):
    peer = Peer(core, queue_bytes=1000, queue_policy=DROP_NEWEST, takes=STALLED)
    sizes = [400, 400, 700, 10]
    assert [peer.conn.send("x" * size).dropped for size in sizes] == [0, 0, 0, 1]


class Packing:
    """A codec that compresses as frames leave, and to nothing in particular."""

    def encode(self, frame):
        return frame.data

    def pack(self, data):
        return data


def test_frames_packed_together_count_as_the_one_that_is_being_sent(core):
    peer = Peer(core, queue_messages=8, is_open=False, takes=[3, *STALLED])
    peer.conn._use_codec(Packing())
    peer.conn._upgrade()
    old = [peer.conn.send(f"old{number}") for number in range(8)]
    peer.conn._flush()
    new = [peer.conn.send(f"new{number}") for number in range(7)]
    assert (old, new) == ([SENT] * 8, [QUEUED] * 7)
    assert peer.conn.queued_messages == 15
    texts = [f"{age}{n}" for age, count in (("old", 8), ("new", 7)) for n in range(count)]
    assert drain(peer) == b"".join(map(frame, texts))


def test_full_queue_is_written_in_the_middle_of_a_turn(core):
    peer = Peer(core, queue_messages=4)
    for number in range(500):
        assert peer.conn.send(str(number)) is SENT
    assert peer.flush().endswith(frame("499"))
    assert peer.conn.messages_dropped == 0
    assert peer.conn.messages_sent == 500


def fill(peer: Peer, count: int) -> list[SendResult]:
    """Stall the peer with its queue of four just full, then send `count` more."""
    for number in range(4):
        peer.conn.send(f"old{number}")
    peer.conn._flush()
    return [peer.conn.send(f"new{number}") for number in range(count)]


def drain(peer: Peer) -> bytes:
    peer.sink.takes.clear()
    peer.conn._flush()
    return peer.flush()


def test_drop_oldest_displaces_the_oldest(core):
    peer = Peer(core, queue_messages=4, queue_policy=DROP_OLDEST, takes=STALLED)
    assert fill(peer, 2) == [QUEUED, QUEUED]
    assert drain(peer) == frame("old2") + frame("old3") + frame("new0") + frame("new1")
    assert peer.turn.counters.dropped_oldest == peer.conn.messages_dropped == 2


def test_drop_oldest_never_displaces_a_frame_begun(core):
    peer = Peer(core, queue_messages=4, queue_policy=DROP_OLDEST, takes=[3, *STALLED])
    fill(peer, 10)
    assert drain(peer) == b"".join(map(frame, ("old0", "new7", "new8", "new9")))


def test_drop_newest_refuses_the_new(core):
    peer = Peer(core, queue_messages=4, queue_policy=DROP_NEWEST, takes=STALLED)
    assert fill(peer, 2) == [DROPPED, DROPPED]
    assert drain(peer) == b"".join(frame(f"old{number}") for number in range(4))
    assert peer.turn.counters.dropped_newest == peer.conn.messages_dropped == 2


def test_a_result_says_how_many_older_messages_it_displaced(core):
    peer = Peer(core, queue_messages=4, queue_bytes=100, takes=STALLED)
    room = core.Room()
    room.add(peer.conn)
    for number in range(2):
        room.add(other := peer.join(name=f"c{number}", takes=STALLED)[0])
        other.send("first")
        other._flush()
    assert [result.displaced for result in fill(peer, 2)] == [1, 1]
    result = room.publish(core.Frame("to all"))
    assert (result, result.displaced, result.pending) == ((0, 3, 0), 1, False)
    assert peer.conn.send("x" * 90).displaced == 1
    assert peer.conn.send("y").displaced == 3  # until the bytes are below their limit
    assert room.publish(core.Frame("not one"), {"one"}).displaced == 0
    assert [room.publish(core.Frame("all")).displaced for _ in range(2)] == [0, 3]
    assert peer.turn.counters.dropped_oldest == sum(conn.messages_dropped for conn in room)


def test_a_result_says_what_was_lost_by_closing_a_slow_consumer(core):
    peer = Peer(core, queue_messages=4, queue_policy=DISCONNECT, takes=[3, *STALLED])
    (result,) = fill(peer, 1)
    assert (result, result.displaced) == (DROPPED, 3)  # and the frame begun still leaves
    assert peer.conn.messages_dropped == 4


def test_block_takes_twice_the_limit_and_reports_it(core):
    peer = Peer(core, queue_messages=4, queue_policy=BLOCK, takes=STALLED)
    assert fill(peer, 6) == [QUEUED] * 4 + [DROPPED] * 2
    assert peer.handler.full_calls == 4
    assert peer.turn.counters.dropped_block == 2
    assert peer.handler.drained == 0
    drain(peer)
    assert peer.handler.drained == 1


def test_disconnect_closes_the_slow_consumer(core):
    peer = Peer(core, queue_messages=4, queue_policy=DISCONNECT, takes=[3, *STALLED])
    assert fill(peer, 1) == [DROPPED]
    assert not peer.conn.is_open
    assert peer.turn.counters.dropped_disconnect == 4  # three waiting and the new one
    out = drain(peer)
    assert out.startswith(frame("old0"))
    assert close_code(out) == 4008
    assert peer.handler.closed == []
    peer.sweep(7)
    assert peer.handler.closed == [(4008, "slow consumer")]
    assert peer.sink.events[-2:] == ["abort", "close"]


def test_byte_limit_counts_like_the_message_limit(core):
    peer = Peer(core, queue_bytes=20, queue_policy=DROP_OLDEST, takes=STALLED)
    for number in range(10):
        peer.conn.send(f"{number:08}")  # ten bytes each
    assert drain(peer) == frame("00000008") + frame("00000009")


def test_drain_is_reported_once_there_is_room(core):
    peer = Peer(core, queue_messages=4, takes=STALLED)
    fill(peer, 0)
    peer.conn._want_drain()
    peer.flush()
    assert (peer.conn._is_full, peer.handler.drained) == (True, 0)
    drain(peer)
    assert (peer.conn._is_full, peer.handler.drained) == (False, 1)


def test_waiting_for_room_ends_with_the_connection(core):
    peer = Peer(core, takes=STALLED)
    peer.conn.send("x")
    peer.conn._want_drain()
    peer.conn.abort()
    peer.flush()
    assert peer.handler.drained == 1
    assert len(peer.handler.closed) == 1


def test_sending_on_a_closed_connection_raises(core):
    peer = Peer(core)
    peer.conn.close(1001, "bye")
    with pytest.raises(ConnectionClosed, match="connection closed with code 1001: bye"):
        peer.conn.send("x")


def test_peer_that_is_gone_closes_its_connection_only(core):
    peer = Peer(core)
    other, sink = peer.join()
    peer.sink.is_gone = True
    peer.conn.send("x")
    other.send("y")
    peer.flush()
    assert peer.handler.closed == [(1006, "")]
    assert sink.read() == frame("y")


def test_room_gives_every_member_the_frame_but_the_excluded(core):
    peer = Peer(core)
    others = [peer.join(name=f"c{number}") for number in range(5)]
    room = core.Room()
    for conn in (peer.conn, *(conn for conn, _ in others)):
        room.add(conn)
    assert room.publish(core.Frame("all")) == (6, 0, 0)
    assert room.publish(core.Frame("not one"), "c0") == (5, 0, 0)
    assert room.publish(core.Frame("not two"), {"c1", "one"}) == (4, 0, 0)
    assert peer.flush() == frame("all") + frame("not one")
    assert others[0][1].read() == frame("all") + frame("not two")
    assert others[1][1].read() == frame("all") + frame("not one")
    assert others[2][1].read() == frame("all") + frame("not one") + frame("not two")
    assert [sink.writes for _, sink in others] == [1] * 5


def test_room_counts_each_receiver_by_its_fate(core):
    peer = Peer(core, queue_messages=1, queue_policy=DROP_NEWEST)
    slow, _ = peer.join(name="slow", takes=STALLED)
    full, _ = peer.join(name="full", takes=[1, *STALLED])
    closing, _ = peer.join(name="closing")
    closing.close()
    full.send("x")
    full._flush()
    slow.send("x")
    slow._flush()
    room = core.Room()
    for conn in (peer.conn, slow, full, closing):
        room.add(conn)
    assert room.publish(core.Frame("m")) == (1, 0, 2)


def test_room_without_receivers_reports_nobody(core):
    peer = Peer(core)
    room = core.Room()
    assert room.publish(core.Frame("m")) is NOBODY
    room.add(peer.conn)
    assert room.publish(core.Frame("m"), "one") is NOBODY


def test_room_is_a_set_with_a_limit(core):
    peer = Peer(core)
    other, _ = peer.join()
    room = core.Room(1)
    room.add(peer.conn)
    room.add(peer.conn)
    with pytest.raises(RoomFull, match="room is full"):
        room.add(other)
    assert (len(room), list(room), peer.conn in room, other in room) == (
        1,
        [peer.conn],
        True,
        False,
    )
    room.discard(other)
    room.discard(peer.conn)
    assert (len(room), peer.conn in room, "one" in room) == (0, False, False)


def test_direct_send_never_overtakes_a_broadcast(core):
    peer = Peer(core)
    room = core.Room()
    room.add(peer.conn)
    room.publish(core.Frame("1"))
    peer.conn.send("2")
    room.publish(core.Frame("3"))
    assert peer.flush() == frame("1") + frame("2") + frame("3")


def test_work_of_other_threads_is_done_in_the_owners(core):
    import threading

    peer = Peer(core)
    results: list[SendResult] = []

    def work() -> None:
        results.append(peer.conn.send("from a thread"))
        peer.conn.close(1000, "done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert [(result, result.pending) for result in results] == [(NOBODY, True)]
    assert peer.sink.out == b""
    out = peer.flush()
    assert out.startswith(frame("from a thread"))
    assert close_code(out) == 1000


def test_codec_encodes_what_leaves_and_decodes_what_comes(core):
    class Codec:
        def encode(self, frame):
            return b"<" + frame.payload + b">"

        def decode(self, payload, limit):
            return payload[::-1]

    peer = Peer(core)
    peer.conn._use_codec(Codec())
    peer.conn.send("abc")
    room = core.Room()
    room.add(peer.conn)
    room.publish(core.Frame("def"))
    assert peer.feed(client(0xC1, b"olleh")) == b"<abc><def>"
    assert peer.handler.messages == ["hello"]


def test_codec_with_a_context_sees_only_what_leaves(core):
    class Codec:
        packed: list[bytes] = []

        def encode(self, frame):
            return frame.data

        def decode(self, payload, limit):
            return payload

        def pack(self, data):
            self.packed.append(data)
            return b"<" + data[2:] + b">"

    peer = Peer(core, queue_messages=4, takes=[3, *STALLED])
    codec = Codec()
    peer.conn._use_codec(codec)
    for number in range(9):
        peer.conn.send(f"m{number}")
    assert codec.packed == [frame(f"m{number}") for number in range(4)]
    assert peer.conn.queued_messages == 4 + 3  # four begun, which count as one, and the latest
    peer.conn.close()
    out = drain(peer)
    assert out == b"<m0><m1><m2><m3><m6><m7><m8>\x88\x02\x03\xe8"
