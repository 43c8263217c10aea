"""A loop that a handler runs inside the server's (nest_asyncio), and what it brings meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast.wire import PAUSE_INBOX
from tests.core.peer import Peer
from tests.vectors import client

THREE = [client(0x81, text) for text in (b"first", b"second", b"third")]
STREAM = b"".join(THREE)


class Nested:
    """Has the first message's handler bring bytes, as a nested loop's reading would."""

    def __init__(self, peer: Peer, *more: bytes, flushes: bool = False, ends: bool = False) -> None:
        self.peer = peer
        self.more = list(more)
        self.flushes = flushes
        self.ends = ends
        peer.handler.on_message = self.bring

    def bring(self, conn: Any, opcode: int, payload: object) -> None:
        while self.more:
            conn._feed(self.more.pop(0))
            if self.flushes:
                conn._turn.flush()
        if self.ends:
            self.ends = False
            conn._feed_eof()


@pytest.mark.parametrize("flushes", [False, True])
@pytest.mark.parametrize("cut", range(len(THREE[0]), len(STREAM) + 1))
def test_what_comes_meanwhile_follows_what_is_being_read(core, cut, flushes):
    peer = Peer(core)
    rest = STREAM[cut:]
    Nested(peer, rest[:3], rest[3:], flushes=flushes)
    peer.feed(STREAM[:cut])
    assert peer.handler.messages == ["first", "second", "third"]
    assert not peer.handler.failures
    assert peer.conn.is_open


def test_it_follows_what_had_been_held_back(core):
    peer = Peer(core)
    peer.feed(THREE[0][:4])
    Nested(peer, THREE[2])
    peer.feed(THREE[0][4:] + THREE[1])
    assert peer.handler.messages == ["first", "second", "third"]


def test_no_more_is_read_until_it_was_handled(core):
    """Else a handler that runs a loop for long would have its peer fill the memory."""
    peer = Peer(core)
    seen: list[list[str]] = []

    def on_message(conn: Any, opcode: int, payload: object) -> None:
        if payload == "first":
            for part in (THREE[1][:5], THREE[1][5:]):
                conn._feed(part)
                conn._turn.flush()
                seen.append(list(peer.sink.events))

    peer.handler.on_message = on_message
    peer.feed(THREE[0])
    assert seen == [["pause"]] * 2
    assert peer.sink.events == ["pause", "resume"]
    assert peer.handler.messages == ["first", "second"]


def test_a_pause_of_the_handler_holds_it(core):
    peer = Peer(core)

    def on_message(conn: Any, opcode: int, payload: object) -> None:
        if payload == "first":
            conn._pause_reading(PAUSE_INBOX)
            conn._feed(THREE[2])
            conn._turn.flush()

    peer.handler.on_message = on_message
    peer.feed(THREE[0] + THREE[1])
    assert peer.handler.messages == ["first"]
    peer.conn._resume_reading(PAUSE_INBOX)
    peer.flush()
    assert peer.handler.messages == ["first", "second", "third"]
    assert peer.sink.events == ["pause", "resume"]


def test_the_end_heard_meanwhile_comes_last(core):
    peer = Peer(core)
    Nested(peer, THREE[2], ends=True)
    peer.feed(THREE[0] + THREE[1])
    assert peer.handler.messages == ["first", "second", "third"]
    assert peer.handler.closed == [(1006, "")]


def test_a_connection_lost_meanwhile_is_closed_once(core):
    peer = Peer(core)
    other, _ = peer.join()

    def on_message(conn: Any, opcode: int, payload: object) -> None:
        conn._feed(THREE[2])
        conn._lost()
        conn._turn.flush()

    peer.handler.on_message = on_message
    peer.feed(THREE[0] + THREE[1])
    assert peer.handler.messages == ["first"]
    assert peer.handler.closed == [(1006, "")]
    assert list(peer.turn) == [other]


def test_a_request_answered_meanwhile_has_what_follows_in_order(core):
    peer = Peer(core, is_open=False)

    def on_request(conn: Any, head: bytes) -> None:
        conn._upgrade()
        conn._feed(THREE[1])
        conn._turn.flush()

    peer.handler.on_request = on_request
    peer.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + THREE[0])
    assert peer.handler.messages == ["first", "second"]
    assert not peer.handler.failures
