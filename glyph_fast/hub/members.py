"""Members: connections that get the same publications, whatever format each of them speaks.

There is one core room for each wire format that has members, so a publication is encoded once for
each of these and handed over to each in one call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import core
from ..dialects.events import streamed
from ..dialects.publication import Format, Publication, bare
from ..wire import NOBODY, WEBSOCKET, SendResult


class _Group(core.Room):
    """The members that get one format."""

    __slots__ = ("format",)

    format: Format


def format_of(conn: core.Connection) -> Format:
    """The format of a connection whose messages are written by a codec."""
    format: Format = getattr(conn._codec, "format", streamed)
    return format


class Members:
    """Connections by id, in the order of joining within a format.

    `groups` is empty while nobody is a member. Changed in the loop's thread alone; reading is a
    snapshot.
    """

    __slots__ = ("groups",)

    def __init__(self) -> None:
        self.groups: tuple[_Group, ...] = ()

    def add(self, conn: core.Connection, format: Format | None = None) -> None:
        """Add one that is no member yet, as one that gets publications in a format.

        Without one it is that of its wire: what was sent as it is, that of its codec, or events.
        """
        if format is None:
            format = bare if conn._kind == WEBSOCKET else format_of(conn)
        for group in self.groups:
            if group.format is format:
                group.add(conn)
                return
        group = _Group()  # without an `__init__` of its own, which costs as much as all the rest
        group.format = format
        group.add(conn)
        self.groups += (group,)

    def take_over(self, others: Members) -> None:
        """Add the members of others; here all get what goes with their kind of wire."""
        for conn in others:
            self.add(conn)

    def discard(self, conn: core.Connection) -> None:
        """Remove a member, if it is one."""
        for group in self.groups:
            if conn in group:
                group.discard(conn)
                if not group.members:
                    self.groups = tuple([each for each in self.groups if each is not group])
                return

    def publish(self, publication: Publication) -> SendResult:
        """Give every open member but the excluded ones a reference to its frame."""
        groups = self.groups
        if not groups:
            return NOBODY
        group = groups[0]
        if len(groups) == 1 and group.format is bare:  # as `bare` does; the usual case
            return group.publish(publication, publication.exclude)
        sent = queued = dropped = displaced = 0
        for group in groups:
            result = group.publish(publication.frame(group.format), publication.exclude)
            sent, queued = sent + result.sent, queued + result.queued
            dropped, displaced = dropped + result.dropped, displaced + result.displaced
        return SendResult(sent, queued, dropped, displaced=displaced)

    def get(self, id: str) -> Any:
        """The member of that id, or None."""
        for group in self.groups:
            conn = group.members.get(id)
            if conn is not None:
                return conn
        return None

    def has(self, conn: core.Connection) -> bool:
        """Return whether the connection is a member."""
        for group in self.groups:
            if conn in group:
                return True
        return False

    def __len__(self) -> int:
        groups = self.groups
        if len(groups) == 1:
            return len(groups[0])
        return sum(map(len, groups))

    def __iter__(self) -> Iterator[Any]:
        """The members as they are now; they may change meanwhile."""
        return iter([conn for group in self.groups for conn in group])
