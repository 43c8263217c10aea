"""Requests of clients to rooms that remember: to resume, to read, to be told they were heard.

join_room   with `since`, `history`, `was`: what was missed comes with the answer
history     messages that are kept, in pages
broadcast   with `id`: answered once the message has its place, and done once for an id
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..broker.history import Ask, Page
from ..dialects.envelope import object_of, reply_parts
from ..dialects.message import Message
from ..dialects.publication import ROOM
from ..dialects.stream import enveloped, write_all
from ..errors import BrokerUnavailable, ConnectionClosed, GlyphFastError
from ..hub.joining import MAX_ANSWER, join, resuming
from ..hub.users import user_of
from ..json import dumps, loads
from ..options.config import Config
from ..options.rooms import RoomDeclaration
from ..wire import MessageType, Position
from .context import MessageContext
from .permission import Refused
from .presence import wants_presence

PAGE = 100  # messages of a `history` that does not say how many
WRITTEN_A_FRAME = 8  # messages of an answer that count like one frame in their asker's share
ID_SIZES = range(16, 65)  # characters of an id that counts

Members = dict[str, Any]


class HistoryCommands:
    """The part of `ClientCommands` that has to do with rooms that remember."""

    _room: Callable[[MessageContext, MessageType], str]

    def __init__(self, config: Config) -> None:
        self._most = config.history_answer

    async def join_and_resume(self, ctx: MessageContext, room: str, terms: RoomDeclaration) -> None:
        """Join a room that remembers, as an enveloped member."""
        conn, message = ctx.conn, ctx.message
        members: Members = loads(message.raw)
        ask = ask_of_joining(members, terms, self._most, conn.id)

        shown: list[Callable[[], Mapping[str, bytes]]] = []

        async def prepare() -> None:
            shown.append(await ctx.hub.get_room_manager()._presence.follow(conn, room))

        def answer(page: Page) -> None:
            parts = joined_parts(room, members, page)
            conn._turn.charge(len(page.messages) // WRITTEN_A_FRAME)
            if (resumed := parts.get("resumed")) is not None:
                ctx.hub.metrics.resumes["resumed" if resumed == b"true" else "refused"] += 1
            if shown:
                parts["presence"] = object_of(shown[0]())
            answers.append(ctx._keep_answer(reply_parts(parts, conn.id, message.id)))

        answers: list[bool] = []
        try:
            follows = wants_presence(ctx, room)
            await join(conn, room, ask, enveloped, answer, prepare if follows else None)
        except ConnectionClosed:
            raise
        except BrokerUnavailable:
            raise Refused("try again") from None
        except (GlyphFastError, ValueError) as exc:
            raise Refused(str(exc)) from None
        if not answers[0]:
            await conn.drain()

    async def history(self, ctx: MessageContext) -> None:
        """Answer with messages that a room keeps; for members."""
        room = self._room(ctx, MessageType.HISTORY)
        rooms, conn = ctx.hub.get_room_manager(), ctx.conn
        terms = rooms._terms(room)
        if terms is None:
            raise Refused("this room has no history")
        if not terms.client_history:
            raise Refused(NO_CLIENT_HISTORY)
        if not conn.is_in_room(room):
            raise Refused("not a member of this room")
        members: Members = loads(ctx.message.raw)
        try:
            page = await rooms._broker.history(room, ask_of(members, self._most, conn.id))
        except BrokerUnavailable:
            raise Refused("try again") from None
        conn._turn.charge(len(page.messages) // WRITTEN_A_FRAME)
        if not ctx._keep_answer(history_answer(room, members, page, conn.id)):
            await conn.drain()

    async def broadcast_once(self, ctx: MessageContext) -> None:
        """Send to the other members of a room, unless that was done; say where its place is."""
        conn, message = ctx.conn, ctx.message
        room, id = message.room, message.id
        sent = Message(MessageType.JSON, message.data, room=room, connection_id=conn.id)
        made = ctx.hub._writer.publication(ROOM, room, sent, conn.id)
        made.answered = conn.id
        counts = isinstance(id, str) and len(id) in ID_SIZES
        user = user_of(conn.identity) if counts else None
        try:
            published = await ctx.hub._publish_once(
                made, f"client:{id}" if counts else "", user if isinstance(user, str) else ""
            )
        except BrokerUnavailable:
            raise Refused("try again") from None
        except ValueError as exc:  # larger than the broker takes
            raise Refused(str(exc)) from None
        parts = {"type": b'"broadcast_success"', "room": dumps(room)}
        if published.position.epoch:
            parts |= _position(published.position)
        if conn.is_open:
            ctx._send_answer(reply_parts(parts, conn.id, id))


NO_CLIENT_HISTORY = "clients may not ask for the history of this room"


# Reading what is asked. Each raises Refused.


def ask_of_joining(members: Members, terms: RoomDeclaration, most: int, id: str) -> Ask:
    """Read what a `join_room` asks for: what was missed, the latest messages, or nothing."""
    since, was = _since(members), members.get("was", "")
    if not isinstance(was, str):
        raise Refused("was must be text")
    history = _count(members, "history", 0)
    if since is not None:
        return resuming(since, most, id, was)
    if history and not terms.client_history:
        raise Refused(NO_CLIENT_HISTORY)
    return Ask(limit=history or 0, most=most, most_bytes=MAX_ANSWER, without=frozenset((id, was)))


def ask_of(members: Members, most: int, id: str) -> Ask:
    """Read what a `history` asks for."""
    since, before = _since(members), _count(members, "before", 1)
    if since is not None and before is not None:
        raise Refused("since and before do not go together")
    limit = _count(members, "limit", 1)
    if limit is None and since is None:
        limit = PAGE
    return Ask(since, before, limit, most, MAX_ANSWER, frozenset((id,)))


def _since(members: Members) -> Position | None:
    since = members.get("since")
    if since is None:
        return None
    if isinstance(since, dict):
        epoch, offset = since.get("epoch"), since.get("offset")
        if isinstance(epoch, str) and type(offset) is int and offset >= 0:
            return Position(epoch, offset)
    raise Refused('since must be a position, {"epoch": text, "offset": number}')


def _count(members: Members, name: str, least: int) -> int | None:
    count = members.get(name)
    if count is None or type(count) is int and count >= least:
        return count
    raise Refused(f"{name} must be a whole number of at least {least}")


# Writing answers.


def joined_parts(room: str, members: Members, page: Page) -> dict[str, bytes]:
    """The data of the answer to a `join_room` of a room that remembers."""
    parts = {"type": b'"join_room_success"', "room": dumps(room), "status": b'"joined"'}
    parts |= _position(page.position)
    if members.get("since") is not None:
        messages = write_all(page.messages, room)
        is_resumed = not page.is_lost and _fit(messages) == len(messages)
        parts["resumed"] = b"true" if is_resumed else b"false"
        parts["messages"] = _array(messages if is_resumed else [])
    elif members.get("history") is not None:
        messages = write_all(page.messages, room)
        parts["messages"] = _array(messages[len(messages) - _fit(messages[::-1]) :])
    return parts


def history_answer(room: str, members: Members, page: Page, id: str) -> str:
    """The answer to a `history`."""
    messages = write_all(page.messages, room)
    count = _fit(messages if members.get("since") is not None else messages[::-1])
    fitting = messages[:count] if members.get("since") is not None else messages[-count:]
    parts = {"type": b'"history"', "room": dumps(room)}
    if page.is_lost:
        parts["lost"] = b"true"
    parts["messages"] = _array(fitting if count else [])
    if page.has_more or count < len(messages):
        parts["more"] = b"true"
    parts |= _position(page.position)
    return reply_parts(parts, id, members.get("id"))


def _fit(messages: list[bytes]) -> int:
    """Count the messages, from the first on, that one answer may hold: JSON can outgrow frames."""
    size = 0
    for count, text in enumerate(messages):
        size += len(text) + 1
        if size > MAX_ANSWER:
            return count
    return len(messages)


def _array(messages: list[bytes]) -> bytes:
    return b"[%b]" % b",".join(messages)


def _position(position: Position) -> dict[str, bytes]:
    return {"epoch": dumps(position.epoch), "offset": b"%d" % position.offset}
