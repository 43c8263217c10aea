"""A room: who is in it, what is said, and what one says oneself."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from math import inf
from typing import Any, Protocol
from weakref import WeakSet

from ..json import dumps
from ..wire import Position
from .handlers import MOST_WAITING, Handlers
from .listening import RoomListening
from .outbox import Outbox
from .presence import Presence
from .questions import Done, Found, into
from .sequence import Sequence
from .stream import Stream
from .tasks import Tasks
from .types import (
    ClientError,
    Crowd,
    Envelope,
    Member,
    RoomMessage,
    message_of,
    messages_of,
    object_of,
    position_of,
)


class Server(Protocol):
    """What a room needs of its client."""

    id: str | None
    _tasks: Tasks

    @property
    def _is_up(self) -> bool:
        """Whether there is a socket."""
        ...

    @property
    def _events_backlog(self) -> int:
        """How many events the slowest handler of the program's events is behind."""
        ...

    def _ask(
        self, id: str, text: str, done: Done, until: float = inf, room: Room | None = None
    ) -> None:
        """Send a text that has the id, until it is answered, or the room was left."""
        ...

    def _next_id(self) -> str:
        """An id that was not used before on this connection."""
        ...

    def _random_id(self) -> str:
        """An id that nobody guesses."""
        ...

    def _forget(self, room: Room) -> bool:
        """Be a member no more; whether one was."""
        ...

    def _admitted(self) -> AbstractContextManager[None]:
        """Count somebody who waits for an answer; ClientError when there are too many."""
        ...

    def _emit(self, message: RoomMessage) -> None:
        """Call the handlers of a message's event."""
        ...

    def _tell(self, handlers: Handlers, name: str, *args: Any) -> None:
        """Call handlers, unless they are too far behind."""
        ...

    def _forget_question(self, id: str) -> None:
        """Wait for an answer no longer."""
        ...


class Room(RoomListening):
    """A room that one is a member of, from `Client.join` on and after every reconnection.

    `async for message in room` gives its messages, from that line on, until one leaves; it raises
    ClientError when joining is refused.
    """

    def __init__(self, server: Server, name: str, *, history: int, presence: bool) -> None:
        self.name = name
        self.is_joined = False  # at this moment
        self._history_wanted = history
        self._server = server
        self._is_followed = presence
        self._handlers = Handlers(server._tasks, self._passed)
        self._streams: WeakSet[Stream] = WeakSet()
        self._waiters: set[asyncio.Future[None]] = set()
        self._sequence = Sequence(self)
        self._presence = Presence(self._tell_presence, self._ask_presence)
        self._outbox = Outbox(self._ask_as, self._placed)
        self._has_been_joined = False
        self._was: str | None = None  # the connection that was a member last
        self._asked = ""  # the id of the latest question about what lies before what comes
        self._why = ""  # there is no membership to wait for

    def __repr__(self) -> str:
        return f"<Room {self.name!r}{' joined' if self.is_joined else ''}>"

    @property
    def position(self) -> Position | None:
        """The place of the latest message; None without history, and before one is a member."""
        return self._sequence.position

    @property
    def members(self) -> list[Member]:
        """The members, as far as the room is followed."""
        return self._presence.members

    # What a program does.

    async def publish(self, data: Any = None) -> Position | None:
        """Send `data` to all other members, once, however often the connection is lost meanwhile.

        Returns its place, None in a room without history. Raises ClientError; one that is cancelled
        may have been sent.
        """
        with self._server._admitted():
            if self._why:
                raise ClientError(self._why)
            id = self._server._random_id()
            text = _text("broadcast", self.name, {"data": data}, id)
            return await self._outbox.publish(id, text, is_joined=self.is_joined)

    async def history(
        self, *, limit: int | None = None, before: int | None = None
    ) -> list[RoomMessage]:
        """Read what the room keeps: the latest `limit` messages, or those before an offset."""
        with self._server._admitted():
            result: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
            asked = {"limit": limit, "before": before}
            given = {name: value for name, value in asked.items() if value is not None}
            id = self._server._next_id()
            self._server._ask(id, _text("history", self.name, given, id), into(result))
            found = await result
        return [message_of(each, self.name) for each in messages_of(found)]

    async def joined(self) -> None:
        """Wait until one is a member. Raises ClientError when that was refused, or is over."""
        if self._why:
            raise ClientError(self._why)
        if not self.is_joined:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def leave(self) -> None:
        """Be a member no longer, and forget the room."""
        if self._server._forget(self):
            id = self._server._next_id()
            text = _text("leave_room", self.name, {}, id)
            self._server._ask(id, text, lambda error, found: None)
            self._close("left the room")
            self._handlers.emit("left")

    def __aiter__(self) -> Stream:
        stream = Stream(self._passed)
        if self._why:
            stream.end()
        else:
            self._streams.add(stream)
        return stream

    # What the server's connection tells.

    def _join(self) -> None:
        """There is a new socket, or a gap that `history` does not fill."""
        held = self._sequence.hold()
        self._why = ""
        asked: dict[str, Any] = {}
        if self.position is not None:
            asked = {"since": self.position._asdict()}
            if self._was is not None:
                asked["was"] = self._was
        elif self._history_wanted:
            asked = {"history": self._history_wanted}
        if self._is_followed:
            asked["presence"] = True

        def done(error: ClientError | None, found: Found) -> None:
            if not self._sequence.is_holding(held):
                return
            if error is not None:
                self._refused(error)
                return
            self.is_joined = True
            self._was = self._server.id
            self._welcome(found, held)
            if not self._why:  # else a handler has left the room
                self._tell_joined()

        self._ask_alone("join_room", asked, done)

    def _down(self) -> None:
        """The socket is lost."""
        self.is_joined = False
        self._sequence.stop()
        self._presence.unanswered()
        self._outbox.down()

    def _close(self, why: str) -> None:
        """Nothing more will come."""
        self._down()
        self._why = why
        self._outbox.give_up(why)
        for stream in list(self._streams):
            stream.end()
        self._streams.clear()
        self._fail_waiters(ClientError(why))

    def _heard(self, envelope: Envelope) -> None:
        """A message of the room, as it came."""
        kind, data = envelope.get("type"), envelope.get("data")
        if kind == "presence":
            if self.is_joined and isinstance(data, dict):
                self._presence.changed(data)
        elif kind == "room_reset":
            if (position := position_of(data)) is not None:
                self._reset(position)
        else:
            self._sequence.heard(envelope)

    def _passed(self) -> None:
        """The program has done something: it may have caught up."""
        if self._sequence.is_behind and self._backlog <= MOST_WAITING // 2:
            self._sequence.read_on()

    # What its parts ask for.

    @property
    def _is_full(self) -> bool:
        """Whether the program has enough to do."""
        return self._backlog >= MOST_WAITING

    def _deliver(self, envelope: Envelope, *, is_old: bool = False) -> None:
        """A message is due."""
        if envelope.get("type") == "skip" or self._why:
            return
        message = message_of(envelope, self.name, history=is_old)
        for stream in list(self._streams):
            stream.put(message)
        self._handlers.emit("message", *message)
        if message.meta.event is not None:
            self._server._emit(message)

    def _ask_history(self, asked: Envelope, done: Done) -> None:
        """Ask for what the room keeps."""
        self._ask_alone("history", asked, done)

    def _was_reset(self) -> None:
        """Messages may be missing."""
        self._tell("reset")

    # Inside.

    def _reset(self, position: Position) -> None:
        if self.is_joined:
            self._sequence.reset(position, [])
        else:  # the answer that we wait for may be of before
            self._sequence.position = None
            self._was_reset()
            self._join()

    def _welcome(self, found: Found, held: list[Envelope]) -> None:
        before, was_joined = self.position, self._has_been_joined
        self._has_been_joined = True
        messages = messages_of(found)
        if (present := object_of(found).get("presence")) and isinstance(present, dict):
            self._presence.present(present)
        if (position := position_of(found)) is None:
            self._sequence.begin(held)
            if was_joined:
                self._was_reset()
        elif before is not None and not object_of(found).get("resumed"):
            # In another epoch the ids of what was sent may be forgotten, too.
            if before.epoch != position.epoch:
                self._outbox.give_up("the room was reset", only_sent=True)
            self._sequence.reset(position, held)
        else:
            self._sequence.welcome(position, messages, held, is_old=before is None)
            if before is not None:
                self._tell("resumed", len(messages))

    def _tell_joined(self) -> None:
        for stream in self._streams:
            stream.begin()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._tell("joined")
        self._outbox.send_all()

    def _refused(self, error: ClientError) -> None:
        self._down()
        self._why = str(error)
        self._outbox.give_up(self._why)
        for stream in list(self._streams):
            stream.end(error)
        self._fail_waiters(error)
        self._tell("error", error)

    def _fail_waiters(self, error: ClientError) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)

    def _placed(self, position: Position) -> None:
        """One of our own has its place, where others see a message."""
        if self.position is not None and position.epoch == self.position.epoch:
            self._sequence.accept({"type": "skip", "offset": position.offset})

    def _ask(self, kind: str, members: Envelope, done: Done) -> str:
        id = self._server._next_id()
        self._ask_as(id, _text(kind, self.name, members, id), done)
        return id

    def _ask_alone(self, kind: str, members: Envelope, done: Done) -> None:
        """Ask for what lies before what comes; an answer to the former question is not waited for.

        A server may give cause to ask as often as it likes, and answer nothing.
        """
        self._server._forget_question(self._asked)
        self._asked = self._ask(kind, members, done)

    def _ask_as(self, id: str, text: str, done: Done, until: float = inf) -> None:
        self._server._ask(id, text, done, until, self)

    def _ask_presence(self) -> None:
        def done(error: ClientError | None, found: Found) -> None:
            if error is None:
                self._presence.present(found)
            else:
                self._presence.unanswered()

        self._ask("presence", {}, done)

    def _tell_presence(self, members: list[Member], crowd: Crowd) -> None:
        self._tell("presence", members, crowd)

    def _tell(self, event: str, *args: Any) -> None:
        """Call the handlers of one of the room's own events."""
        self._server._tell(self._handlers, event, *args)

    @property
    def _backlog(self) -> int:
        streams = max(map(len, self._streams), default=0)
        return max(streams, self._handlers.backlog_of("message"), self._server._events_backlog)


def _text(kind: str, room: str, members: Envelope, id: str) -> str:
    return dumps({"type": kind, "room": room, **members, "id": id}).decode()
