"""Bytes in: heads, frames, messages, in whatever pieces they come."""

from __future__ import annotations

import pytest

from glyph_fast.wire import (
    BINARY,
    CLOSED,
    CONTINUATION,
    MAX_HEAD,
    MAX_REQUEST_LINE,
    PAUSE_INBOX,
    TEXT,
)
from tests.core.peer import CLIENT, Peer, close_code
from tests.vectors import FRAMES, VIOLATIONS, FrameVector, Violation, client

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def in_pieces(peer: Peer, data: bytes, size: int) -> bytes:
    out = b""
    for start in range(0, len(data), size):
        out += peer.feed(data[start : start + size])
    return out


messages = [frame for frame in FRAMES if frame.fin and frame.opcode in (TEXT, BINARY)]


@pytest.mark.parametrize("size", [1, 3, 1000, 1 << 20])
@pytest.mark.parametrize("frame", messages, ids=lambda frame: frame.name)
def test_message_arrives_whole_from_any_pieces(core, frame: FrameVector, size):
    if size == 1 and len(frame.masked) > 1000:
        size = 997
    peer = Peer(core)
    in_pieces(peer, frame.masked + client(0x81, b"next"), size)
    payload = frame.payload.decode() if frame.opcode == TEXT else frame.payload
    assert peer.handler.messages == [payload, "next"]


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_fragments_are_joined_and_control_frames_answered_between_them(core, size):
    peer = Peer(core)
    data = client(0x01, "hé".encode()[:2]) + client(0x89, b"p") + client(0x00, "hé".encode()[2:])
    out = in_pieces(peer, data + client(0x80, b"!"), size)
    assert peer.handler.messages == ["hé!"]
    assert out == b"\x8a\x01p"


@pytest.mark.parametrize("size", [1, 2, 1 << 20])
@pytest.mark.parametrize("case", VIOLATIONS, ids=lambda case: case.name)
def test_violation_earns_its_close_code(core, case: Violation, size):
    peer = Peer(core)
    out = in_pieces(peer, case.data, size)
    assert close_code(out) == case.code
    assert peer.handler.messages == []
    assert "shutdown" in peer.sink.events  # lingers, so that the close frame is not lost
    peer.conn._feed_eof()
    peer.flush()
    assert [code for code, _ in peer.handler.closed] == [case.code]


def test_good_messages_before_a_bad_frame_are_delivered(core):
    peer = Peer(core)
    out = peer.feed(client(0x81, b"good") + b"\xff\xff")
    assert peer.handler.messages == ["good"]
    assert close_code(out) == 1002


def test_bad_text_is_refused_inside_an_unfinished_frame(core):
    peer = Peer(core)
    whole = client(0x81, b"abc\xff" + b"x" * 100)
    assert close_code(peer.feed(whole[:12])) == 1007


def test_message_limit_counts_all_fragments(core):
    peer = Peer(core, max_message_size=10)
    assert peer.feed(client(0x02, b"x" * 6)) == b""
    assert close_code(peer.feed(client(0x80, b"x" * 5)[:6])) == 1009


def test_message_of_exactly_the_limit_is_accepted(core):
    peer = Peer(core, max_message_size=10)
    peer.feed(client(0x02, b"x" * 6) + client(0x80, b"x" * 4) + client(0x82, b"y" * 10))
    assert peer.handler.messages == [b"x" * 10, b"y" * 10]


def test_many_fragments_of_one_message_are_joined(core):
    peer = Peer(core)
    peer.feed(client(0x01) + client(0x00, b"a") * 65536 + client(0x80))
    assert peer.handler.messages == ["a" * 65536]


def test_empty_fragments_without_end_are_refused(core):
    peer = Peer(core)
    assert close_code(peer.feed(client(0x01) + client(0x00) * 65536)) == 1008


def test_every_ping_of_a_few_is_answered(core):
    peer = Peer(core)
    assert peer.feed(client(0x89, b"1") + client(0x89, b"2")) == b"\x8a\x011\x8a\x012"


def test_pongs_for_a_flood_of_pings_stay_bounded(core):
    peer = Peer(core)
    out = peer.feed(client(0x89, b"x" * 125) * 250)  # in one turn
    assert 127 <= len(out) <= 4096 + 2 * 127


def test_only_the_latest_ping_waits_for_a_peer_that_does_not_read(core):
    peer = Peer(core, takes=[1] + [0] * 50)
    peer.conn.send("first")
    peer.flush()
    for number in range(20):
        peer.feed(client(0x89, b"%02d" % number))
    peer.sink.takes.clear()
    peer.conn._flush()
    assert peer.sink.read() == b"\x05first\x8a\x0219"


def test_client_role_refuses_masked_frames_and_masks_its_own(core):
    peer = Peer(core, role=CLIENT)
    peer.feed(b"\x81\x02hi")
    assert peer.handler.messages == ["hi"]
    peer.conn.send("hello")
    out = peer.flush()
    assert out[:2] == b"\x81\x85"
    server = Peer(core)
    server.feed(out)
    assert server.handler.messages == ["hello"]
    out = peer.feed(client(0x81, b"x"))
    assert out[0] == 0x88
    assert peer.conn.close_code == 1002


def test_handler_that_raises_ends_that_message_only(core):
    peer = Peer(core)
    peer.handler.on_message = lambda *_: 1 / 0
    peer.feed(client(0x81, b"a") + client(0x81, b"b"))
    assert peer.handler.messages == ["a", "b"]
    assert [type(exc) for exc in peer.handler.failures] == [ZeroDivisionError] * 2
    assert peer.conn.is_open


def test_messages_after_our_close_are_not_delivered(core):
    peer = Peer(core)
    peer.handler.on_message = lambda conn, *_: conn.close()
    peer.feed(client(0x81, b"a") + client(0x81, b"b"))
    assert peer.handler.messages == ["a"]


def test_paused_input_waits_and_keeps_its_order(core):
    peer = Peer(core)
    peer.handler.on_message = lambda conn, *_: conn._pause_reading(PAUSE_INBOX)
    peer.feed(client(0x81, b"a") + client(0x81, b"b") + client(0x81, b"c")[:4])
    assert peer.handler.messages == ["a"]
    peer.conn._feed(client(0x81, b"c")[4:])  # what the kernel had already handed over
    for expected in (["a", "b"], ["a", "b", "c"]):
        peer.conn._resume_reading(PAUSE_INBOX)
        peer.flush()
        assert peer.handler.messages == expected
    assert peer.sink.events == ["pause"]


def test_nothing_new_is_read_before_what_was_held_is_handled(core):
    """Otherwise a peer could send more between two turns than one of them handles."""
    peer = Peer(core)
    texts = [str(n) for n in range(300)]  # several turns
    peer.feed(b"".join(client(0x81, text.encode()) for text in texts))
    for _ in texts:
        if peer.handler.messages == texts:
            break
        assert peer.sink.events == ["pause"]
        peer.flush()
    assert peer.handler.messages == texts
    assert peer.sink.events == ["pause", "resume"]


def test_a_connection_that_ends_while_it_resumes_reads_on_to_the_end(core):
    peer = Peer(core)
    peer.conn._pause_reading(PAUSE_INBOX)
    peer.conn._resume_reading(PAUSE_INBOX)
    assert peer.sink.events == ["pause"]
    peer.conn._finish()
    peer.flush()
    assert peer.sink.events[:2] == ["pause", "resume"]
    assert peer.sink.events.count("resume") == 1


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_head_arrives_whole_from_any_pieces(core, size):
    peer = Peer(core, is_open=False)
    in_pieces(peer, b"\r\n" + HEAD + HEAD, size)  # a stray empty line, RFC 9112 §2.2
    assert peer.handler.heads == [HEAD, HEAD]


HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(128, 228))


@pytest.mark.parametrize("data", [HELLO, HELLO * 99, b"\0", b" GET / HTTP/1.1\r\n\r\n", b"\xff"])
@pytest.mark.parametrize("ahead", [b"", b"\r\n\r\n"])
def test_what_cannot_begin_a_request_is_a_head_at_once(core, data, ahead):
    """So that it is refused. A hello of TLS has no line that ends, and would wait for its time."""
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._finish()
    peer.feed(ahead)
    peer.feed(data)
    assert peer.handler.heads == [data[:1]]


@pytest.mark.parametrize("data", [b"\r", b"\n", b"G", b"~", b"!"])
def test_what_may_begin_a_request_is_waited_for(core, data):
    peer = Peer(core, is_open=False)
    peer.feed(data)
    assert peer.handler.heads == []


def test_bare_line_feeds_end_a_head_too(core):
    peer = Peer(core, is_open=False)
    peer.feed(b"GET / HTTP/1.1\nHost: x\n\n")
    assert peer.handler.heads == [b"GET / HTTP/1.1\nHost: x\n\n"]
    peer.conn._expect_head()
    peer.feed(b"\n\n")
    assert peer.handler.heads[1:] == [b"\n\n"]


def test_frames_behind_the_head_are_read_after_the_upgrade(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: (conn._write(b"101"), conn._upgrade())
    assert peer.feed(HEAD + client(0x81, b"hi")) == b"101"
    assert peer.handler.messages == ["hi"]
    assert peer.conn._opened


def request_of(size):
    """A request whose line, without its CRLF, is so long."""
    return b"GET /".ljust(size - len(" HTTP/1.1"), b"x") + b" HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"G" * (MAX_REQUEST_LINE + 2), 414),
        (request_of(MAX_REQUEST_LINE + 1), 414),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (MAX_HEAD // 6), 431),
    ],
    ids=["line without end", "whole head with a long line", "long head"],
)
@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_oversized_head_is_refused(core, data, status, size):
    peer = Peer(core, is_open=False)
    in_pieces(peer, data, size)
    assert peer.handler.refused == [status]
    assert peer.handler.heads == []


@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_the_longest_request_line_is_taken(core, size):
    peer = Peer(core, is_open=False)
    longest = request_of(MAX_REQUEST_LINE)
    in_pieces(peer, longest, size)
    assert peer.handler.refused == []
    assert peer.handler.heads == [longest]


def test_held_request_keeps_what_follows(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._hold()
    peer.feed(HEAD + HEAD)
    assert peer.handler.heads == [HEAD]
    peer.conn._write(b"answer")
    peer.conn._expect_head()
    assert peer.flush() == b"answer"
    assert peer.handler.heads == [HEAD, HEAD]


def test_body_is_handed_over_and_the_rest_is_the_next_head(core):
    peer = Peer(core, is_open=False)

    def take_body(conn, chunk):
        conn._expect_head()
        return 4

    peer.handler.on_request = lambda conn, head: (
        conn._expect_body() if len(peer.handler.heads) == 1 else None
    )
    peer.handler.on_data = take_body
    peer.feed(HEAD + b"body" + HEAD)
    assert peer.handler.bodies == [b"body" + HEAD]
    assert peer.handler.heads == [HEAD, HEAD]


def test_pipelined_requests_wait_while_answers_are_not_read(core):
    peer = Peer(core, is_open=False, takes=[0] * 3)
    peer.handler.on_request = lambda conn, head: conn._write(b"answer")
    peer.feed(HEAD)
    peer.feed(HEAD)
    assert len(peer.handler.heads) == 1
    peer.sink.takes.clear()
    peer.conn._flush()
    peer.flush()
    assert len(peer.handler.heads) == 2


def test_peer_that_shuts_its_side_still_gets_the_answer(core):
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._hold()
    peer.feed(HEAD)
    peer.conn._feed_eof()
    peer.conn._write(b"answer")
    peer.conn._expect_head()
    assert peer.flush() == b"answer"
    assert peer.sink.events[-1] == "close"


def test_nothing_is_read_after_the_end(core):
    peer = Peer(core)
    peer.conn.abort()
    peer.conn._feed(client(0x81, b"late"))
    peer.flush()
    assert peer.handler.messages == []
    assert peer.conn._phase == CLOSED


def test_figures_count_messages_and_bytes(core):
    peer = Peer(core)
    data = client(0x81, b"abc") + client(0x82, b"")
    peer.feed(data)
    assert (peer.conn.messages_received, peer.conn.bytes_received) == (2, len(data))
    counters = peer.turn.counters
    assert (counters.messages_received, counters.bytes_received) == (2, len(data))


def test_continuation_may_carry_nothing(core):
    peer = Peer(core)
    peer.feed(client(0x01, b"a") + client(CONTINUATION) + client(0x80) + client(0x81))
    assert peer.handler.messages == ["a", ""]


@pytest.mark.parametrize(
    ("peername", "remote"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("2001:db8::1", 5, 0, 0), "2001:db8::1"),
        (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1"),
        ("", None),
        (None, None),
    ],
)
def test_the_remote_address_is_text(core, peername, remote):
    conn = Peer(core).conn
    conn.peername = peername
    assert conn.remote == remote


def test_a_remote_address_that_is_set_counts(core):
    conn = Peer(core).conn
    conn.peername = ("192.0.2.1", 5)
    conn.remote = "198.51.100.9"
    assert conn.remote == "198.51.100.9"
