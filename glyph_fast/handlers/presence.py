"""Requests of clients for presence: `join_room` with `presence`, and the word itself."""

from __future__ import annotations

from ..dialects.envelope import object_of, reply_parts
from ..errors import GlyphFastError
from ..json import dumps, loads
from .context import MessageContext
from .permission import Refused


def wants_presence(ctx: MessageContext, room: str) -> bool:
    """Return whether a `join_room` asks for presence that the room has. Raises Refused.

    Raises Refused.
    """
    if not ctx.hub.get_room_manager()._shows(room):
        return False
    wants = loads(ctx.message.raw).get("presence")
    if wants is None or isinstance(wants, bool):
        return wants is True
    raise Refused("presence must be true or false")


async def follow(ctx: MessageContext, room: str) -> bytes:
    """Tell a member of all changes from now on; return who is there, a JSON object.

    Whoever calls this answers with it before anything else is sent. Raises Refused.
    """
    presence = ctx.hub.get_room_manager()._presence
    try:
        begin = await presence.follow(ctx.conn, room)
    except GlyphFastError as exc:
        raise Refused(str(exc)) from None
    if not ctx.conn.is_in_room(room):
        raise Refused("removed from this room while joining")
    return object_of(begin())


async def answer_joined(ctx: MessageContext, room: str) -> None:
    """Answer one who has joined, and follows, a room."""
    conn = ctx.conn
    shown = await follow(ctx, room)
    parts = {"type": b'"join_room_success"', "room": dumps(room), "status": b'"joined"'}
    if not ctx._keep_answer(reply_parts({**parts, "presence": shown}, conn.id, ctx.message.id)):
        await conn.drain()


async def answer_presence(ctx: MessageContext, room: str) -> None:
    """Answer a `presence`: who is in the room, for members. Raises Refused."""
    rooms, conn = ctx.hub.get_room_manager(), ctx.conn
    if not rooms._shows(room):
        raise Refused("this room has no presence")
    _check_member(ctx, room)
    try:
        state = await rooms._presence.state(room)
    except GlyphFastError as exc:
        raise Refused(str(exc)) from None
    _check_member(ctx, room)  # it may have been removed meanwhile
    parts = {"type": b'"presence"', "room": dumps(room), **state}
    if not ctx._keep_answer(reply_parts(parts, conn.id, ctx.message.id)):
        await conn.drain()


def _check_member(ctx: MessageContext, room: str) -> None:
    if not ctx.conn.is_in_room(room):
        raise Refused("not a member of this room")
