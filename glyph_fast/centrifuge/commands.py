"""The commands of clients that have connected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..broker.history import Ask, Page
from ..dialects.message import Message
from ..dialects.publication import ROOM
from ..errors import BrokerUnavailable, GlyphFastError, RoomFull
from ..handlers.permission import Refused
from ..hub.joining import MAX_ANSWER, join
from ..hub.room_presence import LISTED, LISTED_BYTES
from ..hub.shares import TOKEN_FRAMES
from ..wire import MessageType
from .calling import after, rpc, send
from .codes import (
    ALREADY_SUBSCRIBED,
    BAD_CONNECTION,
    BAD_REQUEST,
    INTERNAL,
    LIMIT_EXCEEDED,
    NOT_AVAILABLE,
    PERMISSION_DENIED,
    UNRECOVERABLE,
    CommandError,
    Disconnect,
)
from .identity import subscription_end, ttl
from .publishing import WrittenMessage
from .recovery import REFUSE_UNRECOVERED, ask_of, described, is_cache
from .session import (
    LOOKED_AT,
    PRESENT_FRAMES,
    WRITTEN_FRAMES,
    Command,
    Session,
    Subscription,
)
from .wireformat import Fields


async def subscribe(session: Session, fields: Fields, id: int) -> None:
    """Come into a room, and get what was missed there."""
    name = _channel(fields)
    conn, server = session.conn, session.server
    if fields.get("delta", "") not in ("", "fossil"):
        raise Disconnect(BAD_CONNECTION)
    if fields.get("type", 0):
        raise CommandError(BAD_REQUEST, "subscriptions of this type are not available")
    if name in session.subs or name in session.subscribing:
        raise CommandError(ALREADY_SUBSCRIBED)
    try:
        conn._manager._check_name(name)
    except ValueError as exc:
        raise CommandError(BAD_REQUEST, str(exc)) from None
    session.subscribing.add(name)
    try:
        ends_at = await _judge(session, name, fields.get("token", ""))
        await _join(session, name, fields, ends_at, id)
    finally:
        session.subscribing.discard(name)
    if fields.get("join_leave"):
        await server.watch(session, name)
    message = Message(MessageType.JOIN_ROOM, room=name, connection_id=conn.id)
    await after(session, MessageType.JOIN_ROOM, message)


async def _judge(session: Session, name: str, token: str) -> float | None:
    """See that a client may come in; say when that ends, where a token says so."""
    if token:
        session.charge(TOKEN_FRAMES)
        return await subscription_end(session.server, session.conn, token, name)
    try:
        await session.server.dispatcher.client_commands.judge(session.conn, name)
    except Refused as exc:
        raise CommandError(PERMISSION_DENIED, str(exc)) from None
    return None


async def _join(
    session: Session, name: str, fields: Fields, ends_at: float | None, id: int
) -> None:
    conn, server = session.conn, session.server
    format = session.codec.format

    def answer(page: Page) -> None:
        result: Fields = {}
        if page.position.epoch:
            result = described(format, fields, page, cache=is_cache(conn, name))
            session.charge_page(page, result.get("publications", ()))
        if fields.get("recover") and result:
            is_recovered = result.get("recovered", False)
            server.hub.metrics.resumes["resumed" if is_recovered else "refused"] += 1
            if not is_recovered and fields.get("flag", 0) & REFUSE_UNRECOVERED:
                raise CommandError(UNRECOVERABLE)
        if ends_at is not None:
            result |= {"expires": True, "ttl": ttl(ends_at, server.now())}
            server.expire(session, name, ends_at)
        session.subs[name] = Subscription(is_of_server=False)
        session.reply(id, "subscribe", result)

    was_member = conn.is_in_room(name)
    try:
        if not was_member:
            conn._manager._check_member(conn)
    except GlyphFastError as exc:
        raise CommandError(LIMIT_EXCEEDED, str(exc)) from None
    try:
        await join(conn, name, ask_of(conn, name, fields), format, answer)
    except RoomFull as exc:
        raise CommandError(LIMIT_EXCEEDED, str(exc)) from None
    except BrokerUnavailable:
        raise CommandError(INTERNAL, "try again") from None
    except GlyphFastError as exc:
        if not conn.is_open:
            raise
        raise CommandError(INTERNAL, str(exc)) from None


async def unsubscribe(session: Session, fields: Fields, id: int) -> Fields | None:
    """Leave a room; to leave one that it is not in succeeds too."""
    name = _channel(fields)
    if session.subs.pop(name, None) is not None:
        session.server.expire(session, name, None)
        session.conn.leave_room(name)
        message = Message(MessageType.LEAVE_ROOM, room=name, connection_id=session.conn.id)
        session.reply(id, "unsubscribe", {})
        await after(session, MessageType.LEAVE_ROOM, message)
        return None
    return {}


async def publish(session: Session, fields: Fields, id: int) -> Fields | None:
    """Send to the members of a room, oneself included."""
    name = _member_of(session, fields)
    conn, server = session.conn, session.server
    if "data" not in fields or fields.get("type", 0):
        raise CommandError(BAD_REQUEST)
    permission = server.dispatcher.client_commands._permission
    if (why := permission.why_not(conn, MessageType.BROADCAST, name)) is not None:
        raise CommandError(PERMISSION_DENIED, why)
    data = fields["data"]
    made = server.hub._writer.publication(ROOM, name, _message_of(fields, name, conn.id))
    try:
        await server.hub._publish_once(made)
    except BrokerUnavailable:
        raise CommandError(INTERNAL, "try again") from None
    except ValueError as exc:  # larger than the broker takes
        raise CommandError(LIMIT_EXCEEDED, str(exc)) from None
    session.reply(id, "publish", {})
    message = Message(MessageType.BROADCAST, data, room=name, connection_id=conn.id)
    await after(session, MessageType.BROADCAST, message)
    return None


def _message_of(fields: Fields, name: str, id: str) -> Message:
    """Make the message that is published: JSON in the form in which it came, if that is known."""
    data, written = fields["data"], getattr(fields, "written", None)
    if written is None or b"\n" in written or b"\r" in written:
        kind = MessageType.BINARY if isinstance(data, bytes) else MessageType.JSON
        return Message(kind, data, room=name, connection_id=id)
    message = WrittenMessage(MessageType.JSON, room=name, connection_id=id)
    message.written = written
    return message


async def presence(session: Session, fields: Fields, id: int) -> Fields:
    """Answer who is in a room."""
    name = _shown(session, fields)
    members = await _asked(session.conn._manager._presence._members(name))
    if len(members) > LISTED or sum(len(each.text) for each in members.values()) > LISTED_BYTES:
        raise CommandError(LIMIT_EXCEEDED, "this room has too many members to list")
    session.charge(PRESENT_FRAMES * len(members))
    format = session.codec.format
    return {"presence": {client: format.info(entry) for client, entry in members.items()}}


async def presence_stats(session: Session, fields: Fields, id: int) -> Fields:
    """Answer how many are in a room."""
    stats = await _asked(session.conn._manager._presence.stats(_shown(session, fields)))
    session.charge(stats.clients // LOOKED_AT)
    return {"num_clients": stats.clients, "num_users": stats.users}


def _shown(session: Session, fields: Fields) -> str:
    name = _channel(fields)
    if not session.conn._manager._shows(name):
        raise CommandError(NOT_AVAILABLE)
    return _member_of(session, fields)


async def history(session: Session, fields: Fields, id: int) -> Fields:
    """The messages that a room keeps, or its position alone."""
    name, rooms = _channel(fields), session.conn._manager
    terms = rooms._terms(name)
    if terms is None:
        raise CommandError(NOT_AVAILABLE)
    _member_of(session, fields)
    if not terms.client_history:
        raise CommandError(PERMISSION_DENIED)
    limit = fields.get("limit", 0)
    most = rooms._history_answer if limit < 0 else limit
    page = await _asked(rooms._broker.history(name, _ask_of(fields, most)))
    top = page.position
    result: Fields = {"epoch": top.epoch, "offset": top.offset}
    found = _found(fields, page)[:most]
    session.charge_page(page)
    if found:
        size = 0
        kept: list[Fields] = []
        for offset, each in found:
            size += len(each[0])
            if size > MAX_ANSWER and kept:
                break
            kept.append(session.codec.format.kept(offset, each))
        session.charge(WRITTEN_FRAMES * len(kept))
        result["publications"] = kept
    return result


def _ask_of(fields: Fields, most: int) -> Ask:
    """What a `history` needs of a room: the newest alone, where that is so; else all."""
    if most and not fields.get("reverse"):
        return Ask()  # the first after an offset, which may be kept no more
    return Ask(before=fields.get("since", {}).get("offset") or None, limit=most)


def _found(fields: Fields, page: Page) -> list[tuple[int, Any]]:
    since, reverse = fields.get("since"), fields.get("reverse", False)
    messages = page.messages
    if since is not None:
        epoch, offset = since.get("epoch", ""), since.get("offset", 0)
        if reverse and not offset:
            raise CommandError(BAD_REQUEST)
        if epoch and epoch != page.position.epoch:
            raise CommandError(UNRECOVERABLE)
        messages = [
            each for each in messages if (each[0] < offset if reverse else each[0] > offset)
        ]
    return messages[::-1] if reverse else messages


async def refresh(session: Session, fields: Fields, id: int) -> Fields:
    """Go on with newer credentials."""
    if not fields.get("token"):
        raise Disconnect(BAD_CONNECTION)
    return await session.refresh(fields)


async def sub_refresh(session: Session, fields: Fields, id: int) -> Fields:
    """Go on with a newer token of a subscription."""
    name = _member_of(session, fields)
    if not fields.get("token"):
        raise CommandError(BAD_REQUEST)
    server = session.server
    session.charge(TOKEN_FRAMES)
    ends_at = await subscription_end(server, session.conn, fields["token"], name)
    server.expire(session, name, ends_at)
    return {} if ends_at is None else {"expires": True, "ttl": ttl(ends_at, server.now())}


def _channel(fields: Fields) -> str:
    name: str = fields.get("channel", "")
    if not name:
        raise Disconnect(BAD_CONNECTION)
    return name


def _member_of(session: Session, fields: Fields) -> str:
    """The room that is named, of which the client is a member."""
    name = _channel(fields)
    if name not in session.subs:
        raise CommandError(PERMISSION_DENIED)
    return name


async def _asked(question: Any) -> Any:
    try:
        return await question
    except BrokerUnavailable:
        raise CommandError(INTERNAL, "try again") from None


ALL: Mapping[str, Command] = {
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "publish": publish,
    "presence": presence,
    "presence_stats": presence_stats,
    "history": history,
    "refresh": refresh,
    "sub_refresh": sub_refresh,
    "rpc": rpc,
    "send": send,
}

__all__ = ["ALL"]
