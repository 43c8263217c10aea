"""Publications for members, in both wire formats: each is encoded once for all of them.

The frames of rooms are made by a `Format` and pass the codec of a connection as they are. What else
is sent to a connection, as by `conn.send`, is no frame of the protocol, and the codec makes it one:
a `Message` push.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable
from typing import Any

from .. import core
from ..broker.presence import Entry
from ..dialects.message import Message
from ..dialects.publication import PLACED, ROOM, Publication
from ..dialects.stream import (
    BINARY,
    ENVELOPE,
    JSON,
    ROOM_ENVELOPE,
    TEXT,
    Kept,
    kind_of,
    payload_of,
)
from ..errors import ProtocolError
from ..json import dumps, loads
from ..wire import BINARY as BINARY_FRAME
from ..wire import CLOSE, MAX_CLOSE_REASON, PROTOCOL_ERROR
from .codes import translated
from .wireformat import Fields, WireFormat


class Format:
    """The form of publications for members that speak the protocol in one wire format."""

    def __init__(self, wire: WireFormat, reset: Callable[[Iterable[Any], str], object]) -> None:
        self.wire = wire
        self.reset = reset  # told of members whose positions in a room are none any more

    def __call__(self, publication: Publication) -> core.Frame:
        """The push that a publication is, whomever it is for."""
        if publication.kind not in (ROOM, PLACED):
            return self.push({"message": {"data": self._message(publication)}})
        if hasattr(publication, "offset"):
            pub = self.kept(publication.offset, publication.kept)
        else:
            pub = self._publication(kind_of(publication), publication.payload, None)
        return self.push({"channel": publication.name, "pub": pub})

    def push(self, fields: Fields) -> core.Frame:
        """The frame of a push."""
        frame = core.Frame(self.wire.write("Reply", {"push": fields}))
        frame.is_final = True
        return frame

    def kept(self, offset: int, kept: Kept) -> Fields:
        """A `Publication` of what a room keeps."""
        frame, _, kind, _, user = kept
        pub = self._publication(kind, payload_of(frame), user)
        pub["offset"] = offset
        return pub

    def presence(self, word: str, room: str, entry: Entry) -> core.Frame:
        """The push that says of a member that it has come (`join`) or left (`leave`)."""
        return self.push({"channel": room, word: {"info": self.info(entry)}})

    def info(self, entry: Entry) -> Fields:
        """The `ClientInfo` of a member."""
        shown = loads(entry.text)
        info = {"user": entry.user or "", "client": shown["id"]}
        if shown["info"] is not None:
            info["conn_info"] = self.wire.json(dumps(shown["info"]))
        return info

    def data(self, value: Any) -> bytes:
        """A value of JSON, or bytes, as data."""
        return self.wire.binary(value) if isinstance(value, bytes) else self.wire.json(dumps(value))

    def _publication(self, kind: int, payload: bytes, user: str | None) -> Fields:
        if kind not in (ENVELOPE, ROOM_ENVELOPE):
            return {"data": self._plain(kind, payload)}
        envelope = loads(payload)
        pub: Fields = {"data": self._data_of(envelope, payload)}
        if client := envelope.get("connection_id"):
            pub["info"] = {"user": user or "", "client": client}
        noted = envelope.get("metadata", {})
        tags = {name: text for name, text in noted.items() if isinstance(text, str)}
        if event := envelope.get("event"):
            tags["event"] = event
        if tags:
            pub["tags"] = tags
        return pub

    def _plain(self, kind: int, payload: bytes) -> bytes:
        if kind == BINARY:
            return self.wire.binary(payload)
        return self.wire.json(payload if kind == JSON else dumps(payload.decode()))

    def _data_of(self, envelope: Fields, payload: bytes) -> bytes:
        data = envelope.get("data")
        if envelope["type"] == "binary" and isinstance(data, str):
            return self.wire.binary(b64decode(data))
        written = _written_in(envelope, payload)
        return self.wire.json(dumps(data) if written is None else written)

    def _message(self, publication: Publication) -> bytes:
        kind, payload = kind_of(publication), publication.payload
        return self.message(payload, is_binary=True) if kind == BINARY else self.message(payload)

    def message(self, payload: bytes, *, is_binary: bool = False) -> bytes:
        """Return what was sent to one connection as data: JSON as it is, other text as a string."""
        if is_binary:
            return self.wire.binary(payload)
        try:
            loads(payload)
        except ValueError:
            return self._plain(TEXT, payload)
        return self.wire.json(payload)


class WrittenMessage(Message):
    """A message of JSON whose data is `written` already, and stays as it is."""

    __slots__ = ("written",)

    written: bytes

    def to_json(self) -> bytes:
        """The envelope as UTF-8."""
        rest = super().to_json().removeprefix(_JSON)
        return b"%b%b%b" % (_DATA, self.written, rest)


_JSON = b'{"type":"json"'
_DATA = b'{"type":"json","data":'


def _written_in(envelope: Fields, payload: bytes) -> bytes | None:
    """The data of an envelope as it stands there; None where that is not plain to see."""
    rest = {name: value for name, value in envelope.items() if name not in ("type", "data")}
    end = b"," + dumps(rest)[1:]
    if payload.startswith(_DATA) and payload.endswith(end):
        return payload[len(_DATA) : -len(end)]
    return None


class PushCodec:
    """The core's codec of connections that speak the protocol, of one server and wire format."""

    def __init__(self, format: Format, comment: bytes) -> None:
        self.format = format
        self.comment = comment  # the frame of a ping
        self._is_own = False

    def encode(self, frame: core.Frame) -> bytes:
        """The frame that a message leaves as."""
        if self._is_own:
            return frame.data
        if frame.variants is None:
            frame.variants = {}
        data: bytes | None = frame.variants.get(self.format)
        if data is None:
            is_binary = frame.opcode == BINARY_FRAME
            message = self.format.message(frame.payload, is_binary=is_binary)
            data = self.format.push({"message": {"data": message}}).data
            frame.variants[self.format] = data
        return data

    def decode(self, payload: bytes, limit: int) -> bytes:
        """Never asked for: no compression was agreed on."""
        raise ProtocolError(PROTOCOL_ERROR, "reserved bits must be 0")

    def end(self, code: int, reason: str) -> bytes:
        """The close frame, with a code of the protocol."""
        code, reason = translated(code, reason)
        text = reason.encode()[:MAX_CLOSE_REASON].decode(errors="ignore").encode()
        return core.encode_frame(CLOSE, code.to_bytes(2, "big") + text)

    def answer(self, conn: Any, payload: str | bytes) -> bool:
        """Send a message of the protocol that must not be lost; False: `drain` before more."""
        self._is_own = True
        try:
            may_go_on: bool = conn._answer(payload)
        finally:
            self._is_own = False
        return may_go_on


__all__ = ["Format", "PushCodec", "WrittenMessage"]
