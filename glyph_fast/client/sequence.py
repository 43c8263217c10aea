"""The messages of a room in order and once, whoever cuts the connection in between.

In a room with history every message has an offset. What is next is delivered; what is older came
already; what is further is held until `history` has brought what lies between. While the program is
too far behind with what was delivered, nothing is: it is asked for once the program has caught up.
"""

from __future__ import annotations

from typing import Any, Protocol

from ..wire import Position
from .questions import Done
from .types import Envelope, messages_of, number_of, object_of, position_of

MOST_HELD = 1_000  # messages behind a gap; any more are asked for again
PIECE = 1_000  # messages of a history asked for at once


class Room(Protocol):
    """The part of its room that a sequence needs."""

    _history_wanted: int

    @property
    def _is_full(self) -> bool:
        """Return whether the program has enough to do."""
        ...

    def _deliver(self, envelope: Envelope, *, is_old: bool = False) -> None:
        """A message is due."""
        ...

    def _ask_history(self, asked: Envelope, done: Done) -> None:
        """Ask for what the room keeps."""
        ...

    def _join(self) -> None:
        """Resume by joining: clients may not ask for `history` here."""
        ...

    def _was_reset(self) -> None:
        """Messages may be missing."""
        ...


class Sequence:
    """The place one is at in a room, and what waits for what lies before it."""

    def __init__(self, room: Room) -> None:
        self.position: Position | None = None
        self._room = room
        self._held: list[Envelope] | None = None  # until the end of joining or of a gap
        self.is_behind = False  # the program; in a room without history it has missed something

    def hold(self) -> list[Envelope]:
        """The room is being joined: keep what comes until `welcome` says what lies before it."""
        self.is_behind = False
        held: list[Envelope] = []
        self._held = held
        return held

    def stop(self) -> None:
        """The socket is lost."""
        self.is_behind = False
        self._held = None

    def is_holding(self, held: list[Envelope]) -> bool:
        """Return whether this is still what is being waited for."""
        return held is self._held

    def heard(self, envelope: Envelope) -> None:
        """A message came."""
        offset = number_of(envelope, "offset") or 0
        if offset > 0 and (self.position or self._held is not None):
            self.accept(envelope)
        elif self._room._is_full and envelope.get("type") != "skip":
            self.is_behind = True
        else:
            self._room._deliver(envelope)

    def read_on(self) -> None:
        """The program has caught up."""
        if self.is_behind:
            self.is_behind = False
            if self.position is None:
                self._room._was_reset()
            elif self._held is None:
                self._refill([])

    def begin(self, held: list[Envelope]) -> None:
        """The room was joined, and it has no history."""
        self.position = self._held = None
        for each in held:
            self._room._deliver(each)

    def welcome(
        self, position: Position, messages: list[Envelope], held: list[Envelope], *, is_old: bool
    ) -> None:
        """The room was joined: `messages` are what lies before it."""
        self._held = None
        if self.position is not None and self._room._is_full:
            self.is_behind = True
            return
        self.position = position
        for each in messages:
            self._room._deliver(each, is_old=is_old)
        self._release(held)

    def reset(self, position: Position, held: list[Envelope]) -> None:
        """Begin anew: what came so far does not reach to what comes now."""
        is_same = self.position is not None and self.position.epoch == position.epoch
        self.position = position
        self._held = None
        self.is_behind = False
        self._room._was_reset()
        if self._room._history_wanted:
            self._fill({"limit": self._room._history_wanted}, held if is_same else [])
        elif not held:
            return
        elif is_same:
            self.position = position._replace(offset=held[0]["offset"] - 1)
            self._release(held)
        else:
            self._refill([])

    def accept(self, envelope: Envelope) -> None:
        """A message that has its place came, or one of our own got it."""
        if self._held is not None:
            if len(self._held) < MOST_HELD:
                self._held.append(envelope)
            return
        if self.is_behind or self.position is None:
            return
        ahead = envelope["offset"] - self.position.offset
        if ahead > 1:
            self._fill(self._since(), [envelope])
        elif ahead == 1 and self._room._is_full:
            self.is_behind = True
        elif ahead == 1:
            self.position = self.position._replace(offset=envelope["offset"])
            self._room._deliver(envelope)

    def _release(self, held: list[Envelope]) -> None:
        for each in held:
            self.accept(each)
        if len(held) == MOST_HELD and self._held is None:
            self._refill([])

    def _refill(self, held: list[Envelope]) -> None:
        if self._room._is_full:
            self.is_behind = True
        else:
            self._fill(self._since(), held)

    def _since(self) -> dict[str, Any]:
        assert self.position is not None
        return {"since": self.position._asdict(), "limit": PIECE}

    def _fill(self, asked: dict[str, Any], held: list[Envelope]) -> None:
        """Ask for what is missing; what comes meanwhile is held."""
        self._held = held

        def done(error: Exception | None, found: Any) -> None:
            if not self.is_holding(held):
                return  # the room was reset, or is being joined anew
            position = position_of(found) if error is None else None
            if position is None:
                self._room._join()
            else:
                self._filled(position, found, held, is_rest="since" in asked)

        self._room._ask_history(asked, done)

    def _filled(
        self, position: Position, found: Any, held: list[Envelope], *, is_rest: bool
    ) -> None:
        assert self.position is not None
        messages = messages_of(found)
        self._held = None
        if object_of(found).get("lost") or position.epoch != self.position.epoch:
            self.reset(position, held)
            return
        is_more = is_rest and messages and object_of(found).get("more")
        place = number_of(messages[-1], "offset") or 0 if is_more else 0
        is_part = place > self.position.offset  # else it would be asked for for ever
        self.position = position._replace(offset=place) if is_part else position
        for each in messages:
            self._room._deliver(each, is_old=not is_rest)
        if is_part:
            self._refill(held)
        else:
            self._release(held)
