"""Rooms, calls both ways and events, over a link that comes back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from types import TracebackType
from typing import Any, Self

from ..json import dumps, loads
from ..logs import visible
from .early import MOST_UNSENT, Early
from .handlers import MOST_WAITING, Handlers
from .link import Dial, Link
from .listening import OWN, ClientListening
from .questions import Done, Found, Questions, into
from .room import Room
from .tasks import LOGGER, Tasks
from .tokens import Renewal
from .types import ClientError, Envelope, Meta, RoomMessage, State, Token, Why, meta_of

CALL_WITHIN = 10.0  # seconds
CLOSE_WITHIN = 5.0
MOST_ASKED = 10_000  # publishes and calls without an answer
MOST_CALLS = 1_000  # of the server's at once
OF_ROOMS = frozenset(("json", "text", "binary", "skip", "presence", "room_reset"))  # types


class Client(ClientListening):
    """A server as its client sees it; made by `connect`, and used in that event loop alone.

    `async with` closes it at the end.
    """

    def __init__(self, dial: Dial, token: Token, *, ping: bool, where: str) -> None:
        self.id: str | None = None  # of the connection, once the server has answered something
        self._is_up = False
        self._tasks = Tasks()
        self._where = where
        self._asks_pings = ping
        self._rooms: dict[str, Room] = {}
        self._events = Handlers(self._tasks, self._passed)
        self._own = Handlers(self._tasks)
        self._waiters: set[asyncio.Future[None]] = set()
        self._prefix = os.urandom(3).hex()  # what others send must not look like an answer
        self._count = 0
        self._asked = 0
        self._calls = 0  # of the server's, being answered
        self._early: Early | None = Early()  # until the first connection is open
        self._late: set[str] = set()  # events of which a handler misses some
        self._link = Link(dial, token, self, self._tasks)
        self._questions = Questions(self._link.send)
        self._renewal = Renewal(lambda: self._tasks.start(self._renew()))
        self._link.connect()

    def __repr__(self) -> str:
        return f"<Client {self._where} {self.state}>"

    @property
    def state(self) -> State:
        """`connecting`, `open`, `waiting` for the next attempt, or `closed`."""
        return self._link.state

    @property
    def why(self) -> Why:
        """Why the latest connection ended, and when the next attempt is due."""
        return self._link.why

    # What a program does.

    def join(self, name: str, *, history: int = 0, presence: bool = False) -> Room:
        """A member of a room, from now on and with every new connection; one object for one name.

        With `history`, so many of the latest messages are delivered first, and again after a
        `reset`. With `presence` it is followed who is there.
        """
        room = self._rooms.get(name)
        if room is None:
            room = Room(self, name, history=history, presence=presence)
            if self.state == "closed":
                room._close(self.why.reason or "closed")
            else:
                self._rooms[name] = room
                if self._is_up:
                    room._join()
        return room

    async def call(
        self, event: str, data: Any = None, *, timeout: float | None = CALL_WITHIN
    ) -> Any:
        """Ask the server, whose handler of `event` answers. Never asked twice.

        Raises ClientError: what the server says, no answer in time (seconds), a lost connection.
        """
        with self._admitted():
            loop = asyncio.get_running_loop()
            result: asyncio.Future[Found] = loop.create_future()
            id = self._next_id()
            text = dumps({"type": "json", "event": event, "data": data, "id": id}).decode()
            done = into(result)
            question = self._questions.call(id, text, done, is_open=self.state == "open")

            def late() -> None:
                done(ClientError("no answer in time", maybe_sent=question.asked_at > 0), None)

            timer = None if timeout is None else loop.call_later(timeout, late)
            try:
                return await result
            finally:
                self._questions.forget(id)
                if timer is not None:
                    timer.cancel()

    def send(self, data: Any) -> bool:
        """Send text, bytes, or the JSON of anything else as it is.

        Before the first connection is open it waits for that. False when the connection is lost or
        closed, or when 16 MiB wait for the network, or 10,000 messages for the first connection.
        """
        message = data if isinstance(data, (str, bytes)) else dumps(data).decode()
        if self._early is not None:
            return self._early.put(message)
        if self.state != "open" or self._link.unsent >= MOST_UNSENT:
            return False
        return self._link.send(message)

    async def opened(self) -> None:
        """Wait until the connection is open. Raises ClientError when it is closed for good."""
        if self.state == "closed":
            raise ClientError(self.why.reason or "closed")
        if self.state != "open":
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def retry(self) -> None:
        """Connect now instead of after the pause."""
        self._link.retry()

    async def close(self, timeout: float = CLOSE_WITHIN) -> None:
        """End it: what waits for an answer raises, and no task and no timer is left.

        A server that does not answer the close within `timeout` seconds is cut. Handlers that still
        run are cancelled, but for the one that calls this.
        """
        self._link.finish(1000, "closed")
        await self._link.leave(timeout)
        await self._tasks.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # What rooms need.

    @property
    def _events_backlog(self) -> int:
        """How many events the slowest handler of the program's events is behind."""
        return self._events.backlog

    def _ask(
        self, id: str, text: str, done: Done, until: float = inf, room: Room | None = None
    ) -> None:
        """Send a text that has the id, until it is answered.

        What answers a former socket, or a room that was left, is nobody's business.
        """
        if self._is_up:
            self._questions.ask(
                id, text, done, until, lambda: room is not None and self._is_over(room)
            )
        elif room is None:
            done(ClientError("not connected"), None)

    def _is_over(self, room: Room) -> bool:
        return not (self._is_up and self._has(room))

    def _forget_question(self, id: str) -> None:
        """Wait for an answer no longer."""
        self._questions.forget(id)

    def _next_id(self) -> str:
        """An id that was not used before."""
        self._count += 1
        return f"{self._prefix}{self._count}"

    def _random_id(self) -> str:
        """An id that nobody guesses and that nobody else draws."""
        return os.urandom(16).hex()

    def _has(self, room: Room) -> bool:
        """Whether one is still to be a member."""
        return self._rooms.get(room.name) is room

    def _forget(self, room: Room) -> bool:
        """Be a member no more; whether one was."""
        return self._has(room) and self._rooms.pop(room.name) is room

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Count somebody who waits for an answer; ClientError when there are too many."""
        if self.state == "closed":
            raise ClientError(self.why.reason or "closed")
        if self._asked >= MOST_ASKED:
            raise ClientError("too much waits")
        self._asked += 1
        try:
            yield
        finally:
            self._asked -= 1

    def _emit(self, message: RoomMessage) -> None:
        """Call the handlers of a message's event."""
        self._events.emit(str(message.meta.event), *message)

    # What the link tells.

    def _up(self) -> None:
        """There is a socket."""
        self._is_up = True
        for room in list(self._rooms.values()):
            room._join()
        if self._link.can_renew:
            self._renewal.plan(self._link.token)

    def _down(self) -> None:
        """There is none any more."""
        self._is_up = False
        self.id = None
        self._renewal.stop()
        self._questions.down()
        for room in self._rooms.values():
            room._down()

    def _changed(self) -> None:
        """The state is another."""
        state, why = self.state, self.why
        if state in ("open", "closed"):
            early, self._early = self._early, None
            for message in early or ():
                self._link.send(message)
        if state == "open":
            self._questions.opened()
        self._own.emit("state", state, why)
        error = ClientError(why.reason or "closed") if state == "closed" else None
        for waiter in self._waiters:
            if not waiter.done() and error is not None:
                waiter.set_exception(error)
            elif not waiter.done() and state == "open":
                waiter.set_result(None)
        if error is not None:
            self._questions.close(str(error))
            for room in self._rooms.values():
                room._close(str(error))
            self._rooms.clear()

    def _failed(self, error: Exception) -> None:
        """Something of the program's failed: its token, or a handler that is too slow."""
        LOGGER.warning("%s", visible(str(error)))
        self._own.emit("error", error)

    def _ping(self) -> None:
        """Have the server say something: it lets us in, and calls us by an id."""
        if self._asks_pings:
            id = self._next_id()
            self._ask(id, f'{{"type":"ping","id":"{id}"}}', lambda error, found: None, 0.0)

    def _heard(self, payload: str | bytes) -> None:
        """A message came."""
        message: Any = payload
        if isinstance(payload, str):
            try:
                message = loads(payload)
            except ValueError:
                pass
        if isinstance(message, dict):
            self._take(message)
        else:
            self._tell(self._own, "message", message, Meta())

    def _take(self, envelope: Envelope) -> None:
        target, id, event = envelope.get("target"), envelope.get("id"), envelope.get("event")
        if isinstance(target, str) and target and isinstance(id, str):
            if self._questions.has(id):
                self.id = target
                self._questions.answered(id, envelope)
                return
            if id.startswith(self._prefix):
                return  # nobody waits for it any more
        name = envelope.get("room")
        room = self._rooms.get(name) if isinstance(name, str) and not target else None
        kind = envelope.get("type")
        if room is not None and isinstance(kind, str) and kind in OF_ROOMS:
            room._heard(envelope)
        elif not isinstance(event, str) or event in OWN:
            self._tell(self._own, "message", envelope, meta_of(envelope))
        elif isinstance(id, str):
            self._called(event, id, envelope)
        else:
            self._tell(self._events, event, envelope.get("data"), meta_of(envelope))

    def _tell(self, handlers: Handlers, name: str, *args: Any) -> None:
        """Call handlers, unless they are too far behind: all but messages of rooms come once."""
        if handlers.backlog_of(name) < MOST_WAITING:
            self._late.discard(name)
            handlers.emit(name, *args)
        elif name not in self._late:  # told once, until it has caught up
            self._late.add(name)
            self._failed(ClientError(f"a handler of {name!r} is too slow: it misses what comes"))

    # Calls of the server.

    def _called(self, event: str, id: str, envelope: Envelope) -> None:
        if self._calls < MOST_CALLS:
            self._calls += 1
            self._tasks.start(self._answer(event, id, envelope, self._link.attempt))
        else:
            self._reply(id, self._link.attempt, error="too many calls at once")

    async def _answer(self, event: str, id: str, envelope: Envelope, attempt: int) -> None:
        try:
            data = await self._events.first(event, envelope.get("data"), meta_of(envelope))
            self._reply(id, attempt, data=data)
        except Exception as exc:
            if not isinstance(exc, LookupError) or str(exc) != "no handler":
                LOGGER.error("a handler of %r failed", event, exc_info=exc)
            self._reply(id, attempt, error=str(exc) or type(exc).__name__)
        finally:
            self._calls -= 1

    def _reply(self, id: str, attempt: int, **members: Any) -> None:
        if attempt == self._link.attempt:
            self._link.send(dumps({"type": "reply", "id": id, **members}).decode())

    # Tokens.

    async def _renew(self) -> None:
        link = self._link
        attempt = link.attempt
        try:
            token = await link.renew()
        except Exception as exc:
            self._failed(exc)  # the server closes with 4401 when the old one ends
            return
        if not token or attempt != link.attempt:
            return

        def done(error: ClientError | None, found: Found) -> None:
            if error is None:
                self._renewal.plan(token)
            elif self._is_up:
                self._failed(error)

        id = self._next_id()
        message = {"type": "json", "event": "auth_refresh", "data": {"token": token}, "id": id}
        self._ask(id, dumps(message).decode(), done)

    def _passed(self) -> None:
        """A slow handler of an event has done something: rooms may have waited for it."""
        for room in list(self._rooms.values()):
            room._passed()
