"""Messages with an `id` over a wire of the tests, and what they are answered."""

from __future__ import annotations

from typing import Any

from tests.wired import Peer


def asked(peer: Peer, *, id: Any = 7, **members: Any) -> list[Any]:
    """What is answered to one message with an `id`, without what every answer has."""
    peer.send({"type": "json", "event": "ask", "id": id, **members})
    return heard(peer, id)


def heard(peer: Peer, id: Any = 7) -> list[Any]:
    found = peer.answers()
    for each in found:
        assert (each.pop("target"), each.pop("id")) == (peer.id, id)
    return found


def error(text: str) -> list[Any]:
    return [{"type": "error", "data": {"error": text}}]


def answer(value: Any) -> list[Any]:
    return [{"type": "json", "data": value}]
