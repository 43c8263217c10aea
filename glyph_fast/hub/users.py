"""The connections by user. One user may have many: tabs, devices, workers.

What `authenticate` returned is the identity of a connection; `user_of` says which user that is.
Connections without an identity are not noted here and cost nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any
from uuid import UUID

from .. import core
from ..dialects.publication import Publication
from ..wire import NOBODY, SendResult
from .members import Members


def user_of(identity: Any) -> Hashable | None:
    """The key of the user an identity stands for; None when it stands for nobody.

    A text is the key itself, of a number or a UUID it is the text of it. Of a mapping, such as the
    claims of a token, it is `sub`, else `id`, and of an object the attribute `id`, where these are
    text, number or UUID. Any other object is its own key if it is hashable. True and False, empty
    text, mappings without `sub` and `id`, and what is not hashable stand for nobody.
    """
    if isinstance(identity, str | int | UUID) or identity is None:
        return _text(identity)
    if isinstance(identity, Mapping):
        return _text(identity.get("sub", identity.get("id")))
    key = _text(getattr(identity, "id", None))
    if key is not None:
        return key
    try:
        hash(identity)
    except TypeError:
        return None
    own: Hashable = identity
    return own


def _text(value: Any) -> str | None:
    if isinstance(value, str | int | UUID) and not isinstance(value, bool):
        return str(value) or None
    return None


class Users:
    """The connections of each user, by key. Changed by the loop's thread; reading is a snapshot."""

    __slots__ = ("_connections", "_keys")

    def __init__(self) -> None:
        self._keys: dict[core.Connection, Hashable] = {}
        # Most users have one connection, and that needs no room.
        self._connections: dict[Hashable, core.Connection | Members] = {}

    def add(self, conn: core.Connection, key: Hashable | None) -> None:
        """Note an open connection of a user, if it is anybody's."""
        if key is None:
            return
        found = self._connections.setdefault(key, conn)
        if found is not conn:
            if not isinstance(found, Members):
                first, found = found, Members()
                found.add(first)
                self._connections[key] = found
            found.add(conn)
        self._keys[conn] = key

    def discard(self, conn: core.Connection) -> None:
        """Forget a connection; one that was not noted changes nothing."""
        key = self._keys.pop(conn, None)
        if key is None:
            return
        found = self._connections.get(key)
        if isinstance(found, Members):
            found.discard(conn)
            if found.groups:
                return
        self._connections.pop(key, None)

    def of(self, key: Hashable | None) -> list[core.Connection]:
        """The connections of a user, the oldest first."""
        found = self._connections.get(key)
        if isinstance(found, Members):
            return list(found)
        return [] if found is None else [found]

    def count(self, key: Hashable | None) -> int:
        """Count the connections of a user."""
        found = self._connections.get(key)
        return len(found) if isinstance(found, Members) else int(found is not None)

    def publish(self, publication: Publication) -> SendResult:
        """Give every open connection of the user it is for its frame."""
        found = self._connections.get(publication.name)
        if found is None:
            return NOBODY
        if not isinstance(found, Members):
            alone = Members()
            alone.add(found)
            found = alone
        return found.publish(publication)
