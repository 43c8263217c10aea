"""The members of a room: a list, and its changes, which count by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .types import Crowd, Envelope, Member, members_of


class Presence:
    """Follows a room. `tell` is called after every change, `ask` where one was missed."""

    def __init__(
        self, tell: Callable[[list[Member], Crowd], object], ask: Callable[[], object]
    ) -> None:
        self.members: list[Member] = []
        self._version = 0
        self._tell = tell
        self._ask = ask

    def present(self, found: Envelope) -> None:
        """The server told the whole."""
        self._version = found.get("version", 0)
        self.members = members_of(found.get("members"))
        self._told(found.get("clients"), found.get("users"))

    def changed(self, change: Envelope) -> None:
        """The server told a change."""
        version = change.get("version")
        if not isinstance(version, int) or version <= self._version:
            return
        if "clients" in change:
            self.present(change)
        elif version != self._version + 1:
            self._ask()
        else:
            self._version = version
            joined = members_of(change.get("joined"))
            gone = {each.id for each in joined + members_of(change.get("left"))}
            self.members = [each for each in self.members if each.id not in gone] + joined
            self._told(None, None)

    def _told(self, clients: Any, users: Any) -> None:
        if clients is None:
            clients = len(self.members)
        if users is None:
            users = len({each.id if each.user is None else each.user for each in self.members})
        self._tell(self.members, Crowd(clients, users))
