"""Connections and users by a part of their name, and what rooms remember, largest first.

A question walks over all connections once, and an answer names a few.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..hub.hub import Hub
from ..hub.users import user_of

MOST = 100  # connections or rooms of an answer
MAX_TEXT = 200  # characters of a search, and of each name in an answer


class Found(NamedTuple):
    """Connections that match, and whether there are more."""

    connections: list[dict[str, Any]]
    has_more: bool


def find(hub: Hub, text: str, limit: int) -> Found:
    """The connections whose id, user, address or route has `text` in it, in any case of letters."""
    wanted = text.lower()
    found: list[dict[str, Any]] = []
    for conn in hub.get_connections():
        identity, remote, route = conn.identity, conn.remote, conn.route_pattern
        user = None if identity is None else user_of(identity)
        name = None if user is None else str(user)[:MAX_TEXT]
        # One text, for there may be a hundred thousand, and everybody waits meanwhile.
        if wanted not in f"{conn.id}\n{name or ''}\n{remote or ''}\n{route}".lower():
            continue
        if len(found) == limit:
            return Found(found, True)
        stats = conn.stats
        found.append(
            {
                "connection": conn.id,
                "user": name,
                "remote": remote,
                "route": route,
                "rooms": len(conn.get_rooms()),
                "seconds": round(stats["seconds"], 1),
                "messages_received": conn.messages_received,
                "messages_sent": conn.messages_sent,
                "queued_bytes": conn.queued_bytes,
                "messages_dropped": conn.messages_dropped,
                "worker": conn.worker,
            }
        )
    return Found(found, False)


def all_found(answers: Iterable[Found], limit: int) -> Found:
    """The answers of several processes as one."""
    every = list(answers)
    found = [each for answer in every for each in answer.connections]
    return Found(found[:limit], len(found) > limit or any(each.has_more for each in every))


def largest_streams(broker: Any, limit: int) -> list[dict[str, Any]]:
    """The rooms that remember most, by bytes, with the offset of their latest message."""
    histories = getattr(broker, "histories", None)
    if histories is None:  # another process keeps them now
        return []
    largest = heapq.nlargest(limit, histories, key=lambda each: each.nbytes)
    return [
        {
            "room": each.name[:MAX_TEXT],
            "messages": len(each.kept),
            "bytes": each.nbytes,
            "offset": each.offset,
        }
        for each in largest
    ]


__all__ = ["MAX_TEXT", "MOST", "Found", "all_found", "find", "largest_streams"]
