"""The protocol in HTTP answers: how messages stand in a body, and sessions whose wire goes one way.

In `http_stream` messages are lines, or stand behind their lengths in Protobuf; in `sse` they are
the data of events. The clients of both speak by requests of their own, with the session that the
answer to `connect` has told them. Unidirectional clients say one thing, how they connect, and get
pushes that are in no reply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .. import core
from ..dialects.stream import payload_of
from ..errors import ConnectionClosed, GlyphFastError
from ..handlers.permission import Refused
from ..wire import EVENTS
from .codes import (
    BAD_CONNECTION,
    BAD_REQUEST,
    BUSY,
    CONNECTION_EXPIRED,
    DENIED,
    DISCONNECTS,
    EXPIRED,
    INVALID_TOKEN,
    PERMISSION_DENIED,
    SERVER_ERROR,
    TOKEN_EXPIRED,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    CommandError,
    Disconnect,
    translated,
)
from .identity import Who
from .publishing import Format, PushCodec
from .session import NEW, Session
from .wireformat import BadFrame, Fields, WireFormat

Framing = Callable[[bytes], bytes]  # what a message is in a body

_LAST_CHUNK = b"0\r\n\r\n"  # RFC 9112 §7.1


def line(payload: bytes) -> bytes:
    """A message in a line."""
    return payload + b"\n"


def sized(payload: bytes) -> bytes:
    """A message that stands behind its length already."""
    return payload


def event(payload: bytes) -> bytes:
    """A message as the data of an event."""
    return b"data: %b\n\n" % payload


class UniFormat(Format):
    """The form of publications for unidirectional clients over WebSocket: a push is no reply."""

    def push(self, fields: Fields) -> core.Frame:
        """The frame of a push."""
        frame = core.Frame(self.wire.write("Push", fields))
        frame.is_final = True
        return frame


class BodyFrame(core.Frame):
    """A message of the protocol on its way into bodies."""

    __slots__ = ()


class BodyFormat(Format):
    """The form of publications for clients that read a body."""

    def __init__(
        self, wire: WireFormat, reset: Callable[[Iterable[Any], str], object], *, is_uni: bool
    ) -> None:
        super().__init__(wire, reset)
        self._is_uni = is_uni

    def push(self, fields: Fields) -> core.Frame:
        """Return a frame of which codecs make pieces of bodies."""
        if self._is_uni:
            return BodyFrame(self.wire.write("Push", fields))
        return BodyFrame(self.wire.write("Reply", {"push": fields}))


class BodyCodec(PushCodec):
    """The core's codec of HTTP answers, of one format, framing and way to tell where it ends."""

    def __init__(self, format: BodyFormat, framing: Framing, *, is_chunked: bool) -> None:
        self._framing = framing
        self._is_chunked = is_chunked
        super().__init__(format, self._piece(core.Frame(format.wire.write("Reply", {})).payload))

    def encode(self, frame: core.Frame) -> bytes:
        """The piece of the body that a message is, made once."""
        if frame.variants is None:
            frame.variants = {}
        piece: bytes | None = frame.variants.get(self)
        if piece is None:
            is_ours = self._is_own or isinstance(frame, BodyFrame)
            payload = frame.payload if is_ours else payload_of(super().encode(frame))
            piece = frame.variants[self] = self._piece(payload)
        return piece

    def end(self, code: int, reason: str) -> bytes:
        """A push that says why, and the end of the body."""
        code, reason = translated(code, reason)
        why = self.format.push({"disconnect": {"code": code, "reason": reason}})
        return self._piece(why.payload) + (_LAST_CHUNK if self._is_chunked else b"")

    def _piece(self, payload: bytes) -> bytes:
        return self.whole(self._framing(payload))

    def whole(self, data: bytes) -> bytes:
        """Bytes of the body as they are sent."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data


class StreamSession(Session):
    """A client that reads a stream, and speaks by requests."""

    __slots__ = ()

    def _result_of_connect(self, who: Who, subs: Fields) -> Fields:
        session = self.server.hub._sessions.begin(self.conn)
        told = {"session": session, "node": session.partition(".")[0]}
        return super()._result_of_connect(who, subs) | told


# What ends the connection of a unidirectional client whose `connect` is answered by an error.
_ENDS = {
    TOKEN_EXPIRED: CONNECTION_EXPIRED,
    EXPIRED: CONNECTION_EXPIRED,
    TOO_MANY_REQUESTS: BUSY,
    PERMISSION_DENIED: DENIED,
    UNAUTHORIZED: INVALID_TOKEN,
    BAD_REQUEST: BAD_CONNECTION,
}


class UniSession(Session):
    """A unidirectional client. Its rooms are those of the program, and of its `subs`."""

    __slots__ = ()

    async def take(self, payload: str | bytes) -> None:
        """Connect by the first frame, which is a ConnectRequest; others mean nothing."""
        if self._state != NEW:
            return
        text = payload.encode() if isinstance(payload, str) else payload
        try:
            fields = self.codec.format.wire.read_one("ConnectRequest", text)
        except BadFrame:
            self.disconnect(BAD_CONNECTION)
            return
        await self._do({"id": 1, "connect": fields})

    def reply(self, id: int, kind: str, result: Fields) -> None:
        """Tell what `connect` has led to."""
        self.push({kind: result})

    def reply_error(self, id: int, exc: CommandError) -> None:
        code = _ENDS.get(exc.code, SERVER_ERROR)
        self.disconnect(code, DISCONNECTS[code])

    def push(self, fields: Fields) -> None:
        """Tell the client something."""
        if self.conn.is_open:
            self._say("Push", fields)

    async def _begin(self, who: Who, asked: dict[str, Fields], id: int) -> None:
        for name in asked:
            if name not in self.subs:
                await self._join(name)
        await super()._begin(who, asked, id)

    async def _join(self, name: str) -> None:
        try:
            self.conn._manager._check_name(name)
            await self.server.dispatcher.client_commands.judge(self.conn, name)
            self.conn.join_room(name)
        except ConnectionClosed:
            raise
        except (Refused, GlyphFastError, ValueError) as exc:
            raise Disconnect(DENIED, str(exc)) from None

    def _result_of_connect(self, who: Who, subs: Fields) -> Fields:
        result = super()._result_of_connect(who, subs)
        result.pop("pong", None)
        return result

    def ping(self) -> float | None:
        """Ping the client; one that reads an HTTP answer does not say that it has got it."""
        if not self.conn._kind & EVENTS:
            return super().ping()
        if not self.conn.is_open:
            return None
        self.conn._ping()
        return self.server.ping_interval


__all__ = [
    "BodyCodec", "BodyFormat", "Framing", "StreamSession", "UniFormat", "UniSession", "event",
    "line", "sized",
]  # fmt: skip
