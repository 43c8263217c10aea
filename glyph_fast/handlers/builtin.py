"""The messages clients may send to the server itself: join, leave, broadcast, ping.

Each is an ordinary handler that stands before the application's. One that refuses raises `Refused`,
which the dispatcher answers with an error and which stops the handlers behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from ..errors import ConnectionClosed, GlyphFastError, Reject
from ..json import dumps, loads
from ..message import MessageType
from .context import MessageContext
from .registry import Call, Judge, Registry


class Refused(Exception):
    """A client asked for what it may not have, or asked badly; its text is the answer."""


class ClientCommands:
    """The effects of the built-in messages of clients.

    `broadcast_all` is whether clients may broadcast to everybody. `failed` is told of a handler of
    `on_join` that raised.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        broadcast_all: bool,
        failed: Callable[[Any, Call, Exception], Any],
    ) -> None:
        self._registry = registry
        self._broadcast_all = broadcast_all
        self._failed = failed

    def effects(self, words: tuple[str, ...]) -> dict[MessageType, Call]:
        """The effect of each of the enabled words."""
        effects: dict[str, Call] = {
            "join_room": self.join_room,
            "leave_room": self.leave_room,
            "broadcast": self.broadcast,
            "ping": self.ping,
        }
        return {MessageType(word): effects[word] for word in words}

    def join_room(self, ctx: MessageContext) -> Any:
        """Join, if every `on_join` handler that matches allows it and there is space."""
        room = _room(ctx)
        judges = [each for each in self._registry.judges if each.pattern.match(room)]
        if judges and not ctx.conn.is_in_room(room):
            try:
                ctx.hub.get_room_manager().check_name(room)
            except ValueError as exc:
                raise Refused(str(exc)) from None
            return self._join_if_allowed(ctx, room, judges)
        self._join(ctx, room)
        return None

    async def _join_if_allowed(self, ctx: MessageContext, room: str, judges: list[Judge]) -> None:
        for judge in judges:
            try:
                allowed = judge.call(ctx.conn, room)
                if isawaitable(allowed):
                    allowed = await allowed
            except Reject as exc:
                raise Refused(reject_text(exc) or "not allowed to join this room") from None
            except Exception as exc:
                await self._failed(ctx, judge.call, exc)
                allowed = False
            if not allowed:
                raise Refused("not allowed to join this room")
        self._join(ctx, room)

    def _join(self, ctx: MessageContext, room: str) -> None:
        try:
            ctx.conn.join_room(room)
        except ConnectionClosed:
            raise
        except (GlyphFastError, ValueError) as exc:
            raise Refused(str(exc)) from None
        _answer(ctx, room, "join_room_success", "joined")

    def leave_room(self, ctx: MessageContext) -> None:
        """Leave; leaving a room one is not in succeeds too."""
        room = _room(ctx)
        ctx.conn.leave_room(room)
        _answer(ctx, room, "leave_room_success", "left")

    def broadcast(self, ctx: MessageContext) -> None:
        """Send to the other members of one's room, or, where that is allowed, to everybody."""
        message = ctx.message
        if message.room:
            # Of one that has left since, the former rooms count: its last words are heard.
            if message.room not in ctx.conn.get_rooms():
                raise Refused("not a member of this room")
        elif not self._broadcast_all:
            raise Refused("a broadcast needs a room")
        elif _has_member(ctx, "room"):
            raise Refused("room must be text and not empty")
        if message.data is None and not _has_member(ctx, "data"):
            raise Refused("data is missing")
        if message.room:
            ctx.broadcast_to_room(message.room, MessageType.JSON, message.data)
        else:
            ctx.broadcast(MessageType.JSON, message.data)

    def ping(self, ctx: MessageContext) -> None:
        """Answer with a pong that carries the ping's own timestamp."""
        message = ctx.message
        own = message.timestamp if message.has_timestamp else None
        ctx.reply(MessageType.PONG, {"timestamp": own})


def reject_text(exc: Reject) -> str:
    """The body of a `Reject` as text."""
    if isinstance(exc.body, str):
        return exc.body
    if isinstance(exc.body, bytes):
        return exc.body.decode(errors="replace")
    return dumps(exc.body).decode()


def _room(ctx: MessageContext) -> str:
    if not ctx.message.room:
        raise Refused("room is missing")
    return ctx.message.room


def _has_member(ctx: MessageContext, name: str) -> bool:
    """Whether the message as it came has a member, be it of the wrong kind."""
    assert ctx.message.raw is not None
    return name in loads(ctx.message.raw)


def _answer(ctx: MessageContext, room: str, type_: str, status: str) -> None:
    ctx.reply_json({"type": type_, "room": room, "status": status})
