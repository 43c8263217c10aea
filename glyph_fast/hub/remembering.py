"""The members of a room that remembers: each message gets a place before anybody gets it.

Some get messages as they were sent, others enveloped with their places. Who of these is left out of
a message is told of its place, so that a gap always means loss. A member whose history is being
read is held: what comes meanwhile is kept, and given to it behind what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .. import core
from ..dialects.events import streamed
from ..dialects.publication import Format, Publication, bare
from ..dialects.stream import enveloped, room_reset, skip
from ..errors import GlyphFastError
from ..interfaces import Broker
from ..wire import NOBODY, NOWHERE, WEBSOCKET, Position, SendResult
from .members import Members, format_of

MAX_HELD = 1000  # messages for one member whose history is being read

UserOf = Callable[[Publication], "str | None"]  # whose message it is, as others may know


def nobody(publication: Publication) -> None:
    """Return no user, in a room that does not show whose a message is."""


def held(publication: Publication) -> core.Frame:
    """The format of members who get nothing yet."""
    raise AssertionError("a held member gets no frame")


class Remembering(Members):
    """The members of the room `name`, whose messages get their places from `broker`."""

    __slots__ = ("_broker", "_epoch", "_held", "_offset", "_user_of", "name")

    def __init__(self, name: str, broker: Broker, user_of: UserOf) -> None:
        super().__init__()
        self.name = name
        self._broker = broker
        self._user_of = user_of
        self._epoch, self._offset = NOWHERE  # of the newest message that members have got
        self._held: dict[core.Connection, list[Publication]] = {}

    def publish(self, publication: Publication) -> SendResult:
        """Give it its place, and every open member but the excluded ones its frame."""
        user_of = self._user_of
        self._broker.take_place(publication, None if user_of is nobody else user_of(publication))
        groups = self.groups
        if len(groups) == 1 and groups[0].format is bare and publication.epoch == self._epoch:
            return groups[0].publish(publication, publication.exclude)  # the usual case of programs
        return self.deliver(publication)

    def deliver(self, publication: Publication) -> SendResult:
        """Give every open member but the excluded ones the frame of one that has its place."""
        if publication.epoch != self._epoch:
            self.go_on_from(Position(publication.epoch, publication.offset - 1))
        self._offset = publication.offset
        groups, exclude = self.groups, publication.exclude
        sent = queued = dropped = displaced = 0
        for group in groups:
            if group.format is held:
                self._hold(publication)
                continue
            result = group.publish(publication.frame(group.format), exclude)
            sent, queued = sent + result.sent, queued + result.queued
            dropped, displaced = dropped + result.dropped, displaced + result.displaced
            if exclude is not None and group.format is enveloped:
                self._tell_skipped(publication, group)
        return SendResult(sent, queued, dropped, displaced=displaced) if groups else NOBODY

    def go_on_from(self, position: Position) -> None:
        """The next message is the one after `position`: members who know another epoch hear it."""
        if position.epoch == self._epoch:
            self._offset = max(self._offset, position.offset)
        else:
            self.reset(position)

    def reset(self, position: Position) -> None:
        """Messages up to `position` are lost: members who follow positions hear it."""
        former, self._epoch, self._offset = self._epoch, *position
        for group in self.groups if former else ():
            if group.format is enveloped:
                group.publish(room_reset(self.name, position))
            elif (reset := getattr(group.format, "reset", None)) is not None:
                reset(group, self.name)

    @property
    def position(self) -> Position:
        """Return the position of the newest message that members got, but for held ones."""
        return Position(self._epoch, self._offset)

    def add(self, conn: core.Connection, format: Format | None = None) -> None:
        """Add one that is no member yet; a stream of events gets messages with their places."""
        if format is None and conn._kind != WEBSOCKET:
            format = format_of(conn)
            format = enveloped if format is streamed else format
        super().add(conn, format)

    def take_over(self, others: Members) -> None:
        """Add the members of others, with their formats."""
        if isinstance(others, Remembering):
            self._epoch, self._offset = others.position
            self._held = others._held
        for group in others.groups:
            for conn in group:
                self.add(conn, None if group.format is streamed else group.format)

    def _tell_skipped(self, publication: Publication, group: core.Room) -> None:
        exclude = publication.exclude
        assert exclude is not None
        answered = publication.answered
        left_out = [
            conn
            for id in ((exclude,) if isinstance(exclude, str) else exclude)
            if (conn := group.members.get(id)) is not None and id != answered
        ]
        if left_out:
            _give(left_out, skip(publication))

    # One whose history is being read.

    def format_of(self, conn: core.Connection) -> Format | None:
        """The format of a member; None for who is none."""
        for group in self.groups:
            if conn in group:
                return group.format
        return None

    def hold(self, conn: core.Connection) -> None:
        """From now on keep what a member would get. Raises GlyphFastError if that is done."""
        if conn in self._held:
            raise GlyphFastError("this room is being joined")
        self.discard(conn)
        self.add(conn, held)
        self._held[conn] = []

    def is_held(self, conn: core.Connection) -> bool:
        """Return whether a member is held, and all that came since is there."""
        return conn in self._held

    def release(
        self,
        conn: core.Connection,
        format: Format,
        position: Position | None,
        note: Callable[[Position], object] = bool,
    ) -> None:
        """Give a held member what came after a position, or all, and from now on everything.

        `note` is told of each position that the member gets to, before that.
        """
        waiting = self._held.pop(conn)
        self.discard(conn)
        self.add(conn, format)
        if position is not None:
            waiting = [each for each in waiting if each.is_after(position)]
        elif waiting:
            position = Position(waiting[0].epoch, 0)
        for publication in waiting:
            assert position is not None
            if publication.epoch != position.epoch and hasattr(format, "reset"):
                position = publication.position
                format.reset([conn], self.name)
            if publication.epoch != position.epoch and format is enveloped:
                position = Position(publication.epoch, publication.offset - 1)
                note(position)
                _give([conn], room_reset(self.name, position))
            note(publication.position)
            if not publication.leaves_out(conn.id):
                _give([conn], publication.frame(format))
            elif format is enveloped:
                _give([conn], skip(publication))

    def _hold(self, publication: Publication) -> None:
        for conn, waiting in list(self._held.items()):
            if len(waiting) < MAX_HELD:
                waiting.append(publication)
            else:  # it stays a member that gets nothing, which whoever holds it finds out
                del self._held[conn]

    def discard(self, conn: core.Connection) -> None:
        """Remove a member, if it is one."""
        super().discard(conn)
        self._held.pop(conn, None)


def _give(members: Iterable[core.Connection], frame: core.Frame) -> None:
    """Send one frame to some members that are open."""
    some = core.Room()
    for conn in members:
        some.add(conn)
    some.publish(frame)
