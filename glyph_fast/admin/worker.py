"""Answers of a worker to the operators' port, which is main's: about itself alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..dialects.publication import json_publication
from ..hub.hub import Hub
from ..logs import ErrorLog
from .calls import CallError, close_room_here, disconnect, send
from .centrifugo.connections import Here
from .finding import Found, find
from .observation import Observation, observe
from .operated import RoomSeen, seen

Sent = tuple[int, ...]  # the counts of a SendResult


class WorkerSide:
    """The answers, by the name of a method. For the hub's loop; none waits.

    `dropped` counts the messages for others that main did not read.
    """

    def __init__(self, hub: Hub, errors: ErrorLog, dropped: Callable[[], int] = int) -> None:
        self._hub = hub
        self._rooms = hub.get_room_manager()
        self._errors = errors
        self._here = Here(hub)
        self._dropped = dropped

    def answer(self, call: str, *args: Any) -> Any:
        """Return what the method of that name returns."""
        return getattr(self, call)(*args)

    def observe(self) -> Observation:
        """The figures."""
        found = observe(self._hub, self._errors)
        dropped = {**found.counts["messages_dropped"], "worker": self._dropped()}
        return found._replace(counts={**found.counts, "messages_dropped": dropped})

    def find(self, text: str, limit: int) -> Found:
        """The connections here that match."""
        return find(self._hub, text, limit)

    def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """Count the members here of each of these rooms."""
        return {name: self._rooms.get_room_size(name) for name in names}

    def rooms(self) -> dict[str, int]:
        """Count the members here of each room."""
        return {room.name: len(room) for room in self._rooms}

    def room(self, name: str) -> RoomSeen | None:
        """One room, if it is here."""
        return seen(self._hub, name)

    def deliver(self, kind: str, name: Any, text: str, exclude: list[str] | None) -> Sent:
        """Give what is JSON already to the members here."""
        return tuple(self._hub._deliver(json_publication(kind, name, text, exclude)))

    def send(self, params: dict[str, Any]) -> Sent | None:
        """Send to one connection, or to all of one user; None when there is none here."""
        try:
            answer = send(self._hub, params)
        except CallError:
            return None
        return (answer["sent"], answer["queued"], answer["dropped"])

    def disconnect(self, params: dict[str, Any]) -> int:
        """Close one connection, or those of a user; how many there were here."""
        closed: int = disconnect(self._hub, params)["closed"]
        return closed

    def close_room(self, params: dict[str, Any]) -> int:
        """Close the connections of a room's members here."""
        closed: int = close_room_here(self._hub, params)["closed"]
        return closed

    def centrifugo(self, call: str, *args: Any) -> Any:
        """Call a method of `Here` here."""
        return self._here.do(call, *args)
