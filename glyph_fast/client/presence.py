"""The members of a room: a list, and its changes, which count by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .types import Crowd, Envelope, Member, members_of, number_of, object_of

MOST_MEMBERS = 10_000  # servers list fewer


class Presence:
    """Follows a room. `tell` is called after every change, `ask` where one was missed."""

    def __init__(
        self, tell: Callable[[list[Member], Crowd], object], ask: Callable[[], object]
    ) -> None:
        self.members: list[Member] = []
        self._version = 0
        self._is_asked = False
        self._tell = tell
        self._ask = ask

    def present(self, found: Any) -> None:
        """The server told the whole."""
        self._is_asked = False
        self._version = number_of(found, "version") or 0
        self.members = members_of(object_of(found).get("members"))[:MOST_MEMBERS]
        self._told(number_of(found, "clients"), number_of(found, "users"))

    def unanswered(self) -> None:
        """The whole that was asked for will not come."""
        self._is_asked = False

    def changed(self, change: Envelope) -> None:
        """The server told a change."""
        version = number_of(change, "version")
        if version is None or version <= self._version:
            return
        if "clients" in change:
            self.present(change)
        elif version != self._version + 1:
            if not self._is_asked:
                self._is_asked = True
                self._ask()
        else:
            self._version = version
            joined = members_of(change.get("joined"))
            gone = {each.id for each in joined + members_of(change.get("left"))}
            members = [each for each in self.members if each.id not in gone] + joined
            self.members = members[:MOST_MEMBERS]
            self._told(None, None)

    def _told(self, clients: int | None, users: int | None) -> None:
        if clients is None:
            clients = len(self.members)
        if users is None:
            users = len({each.id if each.user is None else each.user for each in self.members})
        self._tell(self.members, Crowd(clients, users))
