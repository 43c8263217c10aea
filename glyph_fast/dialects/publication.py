"""A publication: one message on its way to many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from .. import core
from ..wire import BINARY, NOWHERE, Position
from .message import Sendable
from .stream import Kept

# To whom a publication goes; `name` says which.
EVERYONE = "everyone"  # no name
ROOM = "room"  # the name of one
ROOMS = "rooms"  # the names of some, whose members get it once each
USER = "user"  # the key of one, as `user_of` has it
CONNECTION = "connection"  # the id of one
PLACED = "placed"  # the name of one room, in whose order it has a place already

Exclude: TypeAlias = core.Connection | str | Iterable[core.Connection | str] | None


def excluded_ids(exclude: Exclude) -> str | frozenset[str] | None:
    """What `exclude` names, as the core takes it: a connection, an id, or an iterable of them."""
    if isinstance(exclude, core.Connection):
        return exclude.id
    if exclude is None or isinstance(exclude, str):
        return exclude
    return frozenset(each if isinstance(each, str) else each.id for each in exclude)


class Publication(core.Frame):
    """One message to many: its bare frame, to whom it goes, and who is left out.

    The bare frame is made at once: it checks the message, and holds it as it is now. Any other is
    made for the first group that wants it, from this one and the message, and then kept. Who sent
    it is the message's `connection_id`, where it is a `Message`.
    """

    __slots__ = (
        "answered", "epoch", "exclude", "frames", "kept", "kind", "message", "name", "offset",
        "parts",
    )  # fmt: skip

    kind: str
    name: Any
    message: Sendable | None  # None: the frame is the bare JSON of a value
    exclude: str | frozenset[str] | None
    answered: str  # the id of a member who is left out and told its place otherwise, or nothing
    frames: dict[Format, core.Frame]  # of other formats; unset until there is one
    # Set where it gets a place, in a room that remembers.
    epoch: str
    offset: int
    kept: Kept
    parts: list[Publication]  # those to single rooms that one to several became; or unset

    @property
    def places(self) -> dict[str, Position]:
        """The places that one to several rooms got, by room."""
        return {each.name: each.position for each in getattr(self, "parts", ())}

    def to_room(self, name: str, *, is_placed: bool = True) -> Publication:
        """The same to one room, as a part of this; one that gets no place is no part."""
        made = Publication(self.payload if self.opcode == BINARY else self.payload.decode())
        made.kind = ROOM
        made.name = name
        made.message = self.message
        made.exclude = self.exclude
        made.answered = ""
        if is_placed:
            if not hasattr(self, "parts"):
                self.parts = []
            self.parts.append(made)
        return made

    def leaves_out(self, id: str) -> bool:
        """Return whether the member of that id is excluded."""
        exclude = self.exclude
        return exclude is not None and (
            id == exclude if isinstance(exclude, str) else id in exclude
        )

    def is_after(self, position: Position) -> bool:
        """Return whether its place is not among the messages up to a position."""
        return self.epoch != position.epoch or self.offset > position.offset

    @property
    def position(self) -> Position:
        """The place it got; nowhere where it got none."""
        return Position(self.epoch, self.offset) if hasattr(self, "offset") else NOWHERE

    def frame(self, format: Format) -> core.Frame:
        """The frame of a format, made once."""
        if format is bare:  # not kept: who holds itself stays until the next collection of garbage
            return self
        if not hasattr(self, "frames"):
            self.frames = {}
        frame = self.frames.get(format)
        if frame is None:
            frame = self.frames[format] = format(self)
        return frame


def publication(kind: str, name: Any, message: Sendable, exclude: Exclude = None) -> Publication:
    """A message on its way. Raises what `core.Frame` raises."""
    made = Publication(message)  # without an `__init__` of its own, which costs more than the rest
    made.kind = kind
    made.name = name
    made.message = message
    made.exclude = None if exclude is None else excluded_ids(exclude)
    made.answered = ""  # asking whether it is set would cost more than the rest
    return made


def json_publication(kind: str, name: Any, text: str, exclude: Exclude = None) -> Publication:
    """The bare JSON of a value on its way."""
    made = Publication(text)
    made.kind = kind
    made.name = name
    made.message = None
    made.exclude = None if exclude is None else excluded_ids(exclude)
    made.answered = ""
    return made


Format: TypeAlias = Callable[[Publication], core.Frame]  # how a publication looks on the wire


def bare(publication: Publication) -> core.Frame:
    """The format of those who get what was sent as it is."""
    return publication
