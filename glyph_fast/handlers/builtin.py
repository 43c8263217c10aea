"""The messages clients may send to the server itself: join, leave, broadcast, ping, reply.

Each is an ordinary handler that stands before the application's. One that refuses raises `Refused`,
which the dispatcher answers with an error and which stops the handlers behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from inspect import isawaitable
from typing import Any

from ..dialects.message import Message
from ..errors import BrokerUnavailable, ConnectionClosed, GlyphFastError, Reject
from ..hub.connection import Connection
from ..hub.seating import enter, is_counted
from ..json import loads
from ..logs import SERVER, log
from ..options.config import Config
from ..options.readers import AUTO
from ..wire import MessageType
from .context import MessageContext
from .history import HistoryCommands
from .outcome import is_cancelled, is_failure, running_task
from .permission import Permission, Refused
from .presence import answer_joined, answer_presence, wants_presence
from .registry import Judge, Registry
from .signature import Call

ROOM_EXPECTED = "room must be text and not empty"
NOT_ALLOWED = "not allowed to join this room"


class ClientCommands(HistoryCommands):
    """The effects of the built-in messages of clients.

    `config` says where they may be used; `failed` is told of a handler of `on_join` that raised.
    """

    def __init__(
        self,
        registry: Registry,
        config: Config,
        *,
        failed: Callable[[Any, Call, BaseException], Any],
    ) -> None:
        super().__init__(config)
        self._registry = registry
        self._is_auto = config.client_commands == AUTO
        self._permission = Permission(registry, is_auto=self._is_auto)
        is_listed = not self._is_auto and MessageType.JOIN_ROOM in config.command_words
        self._of_streams = Permission(registry, is_auto=not is_listed)
        self._broadcast_all = config.client_broadcast_all
        self._failed = failed

    def effects(self, words: tuple[str, ...]) -> dict[MessageType, Call]:
        """The effect of each of the enabled words."""
        return {MessageType(word): getattr(self, word) for word in words}

    def join_room(self, ctx: MessageContext) -> Any:
        """Join, if every `on_join` handler that matches allows it and there is space."""
        room = self._room(ctx, MessageType.JOIN_ROOM)
        judges = self._registry.judges_of(room)
        is_own = room == ctx.conn._manager._own_room(ctx.conn)  # it may, whoever judges
        if judges and not is_own and not ctx.conn.is_in_room(room):
            return self._join_if_allowed(ctx, room, judges)
        return self._join(ctx, room)

    async def _join_if_allowed(self, ctx: MessageContext, room: str, judges: list[Judge]) -> None:
        await self._ask(judges, ctx, ctx.conn, room)
        joining = self._join(ctx, room)
        if joining is not None:
            await joining

    async def _ask(self, judges: list[Judge], subject: Any, conn: Connection, room: str) -> None:
        """Raise Refused unless all judges let a client in. `subject` is what one fails for."""
        task = running_task()
        for judge in judges:
            try:
                allowed = judge.call(conn, room)
                if isawaitable(allowed):
                    allowed = await allowed
            except Reject as exc:
                text = reject_text(exc, conn._manager._writer.dumps)
                raise Refused(text or NOT_ALLOWED) from None
            except BaseException as exc:
                if is_cancelled(exc) or not is_failure(exc, task):
                    raise
                await self._failed(subject, judge.call, exc)
                allowed = False
            if not allowed:
                raise Refused(NOT_ALLOWED)

    async def judge(self, conn: Connection, room: str) -> None:
        """Raise Refused unless a client may be in a room that it names as its stream begins."""
        if (why := self._of_streams.why_not(conn, MessageType.JOIN_ROOM, room)) is not None:
            raise Refused(why)
        if room != conn._manager._own_room(conn):
            await self._ask(self._registry.judges_of(room), conn, conn, room)

    def _join(self, ctx: MessageContext, room: str) -> Coroutine[Any, Any, None] | None:
        terms = ctx.hub.get_room_manager()._terms(room)
        if terms is not None:
            return self.join_and_resume(ctx, room, terms)
        if is_counted(ctx.conn._manager, room):
            return self._join_counted(ctx, room)
        follows = wants_presence(ctx, room)
        try:
            ctx.conn.join_room(room)
        except ConnectionClosed:
            raise
        except (GlyphFastError, ValueError) as exc:
            raise Refused(str(exc)) from None
        if follows:
            return answer_joined(ctx, room)
        _answer(ctx, room, "join_room_success", "joined")
        return None

    async def _join_counted(self, ctx: MessageContext, room: str) -> None:
        """Join a room whose members other processes count as well."""
        follows = wants_presence(ctx, room)
        try:
            await enter(ctx.conn, room)
        except ConnectionClosed:
            raise
        except BrokerUnavailable:
            raise Refused("try again") from None
        except (GlyphFastError, ValueError) as exc:
            raise Refused(str(exc)) from None
        if follows:
            await answer_joined(ctx, room)
        else:
            _answer(ctx, room, "join_room_success", "joined")

    def leave_room(self, ctx: MessageContext) -> None:
        """Leave; leaving a room one is not in succeeds too."""
        room = self._room(ctx, MessageType.LEAVE_ROOM)
        ctx.conn.leave_room(room)
        _answer(ctx, room, "leave_room_success", "left")

    def broadcast(self, ctx: MessageContext) -> Coroutine[Any, Any, None] | None:
        """Send to the other members of one's room, or, where that is allowed, to everybody."""
        message = ctx.message
        if message.room:
            self._room(ctx, MessageType.BROADCAST)
            # Of one that has left since, the former rooms count: its last words are heard.
            if message.room not in ctx.conn.get_rooms():
                raise Refused("not a member of this room")
        elif not _lacks_room(ctx):
            raise Refused(ROOM_EXPECTED)
        elif not self._broadcast_all:
            raise Refused("a broadcast needs a room")
        if message.data is None and not _has_member(ctx, "data"):
            raise Refused("data is missing")
        if message.room and message.id is not None:
            return self.broadcast_once(ctx)
        try:
            if message.room:
                ctx.broadcast_to_room(message.room, MessageType.JSON, message.data)
            else:
                ctx.broadcast(MessageType.JSON, message.data)
        except ValueError as exc:  # larger than the broker takes
            raise Refused(str(exc)) from None
        return None

    def _room(self, ctx: MessageContext, word: MessageType) -> str:
        """The room that is named, where the sender may use the word on it."""
        room: str = ctx.message.room
        if not room:
            raise Refused("room is missing" if _lacks_room(ctx) else ROOM_EXPECTED)
        try:
            ctx.hub.get_room_manager()._check_name(room)  # before it is compared with patterns
        except ValueError as exc:
            raise Refused(str(exc)) from None
        if (why := self._permission.why_not(ctx.conn, word, room)) is not None:
            raise Refused(why)
        return room

    def is_meant(self, conn: Connection, message: Message) -> bool:
        """Return whether one of `ELSE_ORDINARY` is a message to the server."""
        if not self._is_auto:
            return True
        if message.type is MessageType.REPLY:
            calls = conn._calls
            return calls is not None and calls.is_id(message.id)
        if message.type is MessageType.PRESENCE:
            return conn._manager._shows(message.room)
        return conn._manager._terms(message.room) is not None

    def presence(self, ctx: MessageContext) -> Coroutine[Any, Any, None]:
        """Say who is in a room, to its members."""
        return answer_presence(ctx, self._room(ctx, MessageType.PRESENCE))

    def reply(self, ctx: MessageContext) -> None:
        """Give the answer of a client to whoever has asked it."""
        calls, raw = ctx.conn._calls, ctx.message.raw
        if calls is None or not isinstance(raw, str) or not calls.take(raw):
            raise Refused("no such call")

    def ping(self, ctx: MessageContext) -> None:
        """Answer with a pong that carries the ping's own timestamp."""
        message = ctx.message
        own = message.timestamp if message._has_timestamp else None
        ctx.reply(MessageType.PONG, {"timestamp": own})


def refuse_text(ctx: MessageContext) -> None:
    """In the place of handlers that count on text: no client may make them fail."""
    raise Refused("data of an envelope of type text must be text")


def reject_text(exc: Reject, dumps: Callable[[object], bytes]) -> str:
    """The body of a `Reject` as text; a value is written by `dumps`, and "" where it cannot be."""
    if isinstance(exc.body, str):
        return exc.body
    if isinstance(exc.body, bytes):
        return exc.body.decode(errors="replace")
    try:
        return dumps(exc.body).decode()
    except Exception as bad:  # what the application put into it; the client is refused all the same
        log(SERVER, logging.ERROR, "a Reject cannot be sent", exc_info=bad)
        return ""


def _has_member(ctx: MessageContext, name: str) -> bool:
    """Return whether the message as it came has a member, be it of the wrong kind."""
    assert ctx.message.raw is not None
    return name in loads(ctx.message.raw)


def _lacks_room(ctx: MessageContext) -> bool:
    """Return whether a message has no member for a room; one of the wrong kind is a member."""
    return not _has_member(ctx, "room")


def _answer(ctx: MessageContext, room: str, type_: str, status: str) -> None:
    ctx.reply_json({"type": type_, "room": room, "status": status})
