"""Steps of one queue's life, run on either core."""

from __future__ import annotations

from types import ModuleType

from tests.core.peer import Peer
from tests.vectors import client


def schedule(core: ModuleType, steps: list[tuple[str, int]], policy: int) -> object:
    """What a receiver's queue did, and what came of it, step by step."""
    peer = Peer(core, queue_messages=5, queue_bytes=120, queue_policy=policy, takes=[0] * 999)
    room = core.Room()
    room.add(peer.conn)
    seen: list[object] = []
    for step, number in steps:
        if step == "send" and peer.conn.is_open:
            seen.append(peer.conn.send("s" * number))
        elif step == "reply":
            peer.handler.on_message = lambda conn, _, payload: seen.extend(
                map(conn.send, (payload, payload.encode() * 3)[: 1 + len(payload) % 2])
            )
            peer.conn._feed(client(0x81, b"r" * number))
        elif step == "publish":
            seen.append(room.publish(core.Frame(b"p" * number)))
        elif step == "flush":
            peer.flush()
        elif step == "ping":
            peer.feed(client(0x89, str(number).encode()))
        elif step == "take":
            peer.sink.takes[0:0] = [number]
            peer.conn._flush()
        seen.append((peer.conn.queued_messages, peer.conn.queued_bytes, peer.conn._is_full))
    peer.flush()
    handler = peer.handler
    return seen, peer.sink.written, handler.full_calls, handler.drained, handler.closed
