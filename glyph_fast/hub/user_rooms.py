"""A room for each user: `--user-room user:{user}`.

Every connection of a user is a member from its opening on. What its name stands for is in its
pattern alone, so whether a room is one needs no table.
"""

from __future__ import annotations

from collections.abc import Hashable
from urllib.parse import quote

PLACE = "{user}"


class UserRooms:
    """The names of users' rooms, by a pattern that has one `PLACE`."""

    __slots__ = ("_after", "_before")

    def __init__(self, pattern: str) -> None:
        self._before, _, self._after = pattern.partition(PLACE)

    def of(self, user: Hashable | None) -> str | None:
        """The room of a user, percent-encoded as in a path; None where that is no text."""
        if not isinstance(user, str):
            return None
        return self._before + quote(user, safe="", errors="surrogatepass") + self._after

    def covers(self, name: str) -> bool:
        """Return whether a name is, or could be, that of a user's room."""
        return (
            len(name) > len(self._before) + len(self._after)
            and name.startswith(self._before)
            and name.endswith(self._after)
        )
