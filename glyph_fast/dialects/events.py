"""Messages as events of a stream, as a browser's `EventSource` reads them (HTML §9.2).

The data of each is an envelope in one line. Its id is where the stream is in its rooms: a text of
ours with a position for each of them that remembers, which comes back as `Last-Event-ID`.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import quote, unquote

from .. import core
from ..json import dumps, loads
from ..wire import BINARY, MessageType, Position
from . import stream
from .envelope import rfc3339_now
from .publication import ROOM, Publication
from .stream import ENVELOPE, JSON, TEXT, enveloped, kind_of, typed, with_room

_OF_ROOMS = ("skip", "room_reset")  # types that are no words of clients
_TYPES = frozenset((*map(str, MessageType), *_OF_ROOMS))
_PART = re.compile(r"([\w-]{8}):([\w.~%-]{1,96}):(0|[1-9][0-9]{0,17})", re.ASCII)
_LINE = "event"  # under this key with the variants of a frame: its data


def streamed(publication: Publication) -> core.Frame:
    """The format of members who get every message as an envelope, in whatever way it was sent."""
    if hasattr(publication, "offset"):
        return publication.frame(enveloped)
    kind, payload = kind_of(publication), publication.payload
    text = payload if kind == ENVELOPE else _envelope(kind, payload)
    if publication.kind == ROOM and not (kind == ENVELOPE and loads(text).get("room")):
        text = with_room(text, publication.name)
    return core.Frame(text.decode())


def _envelope(kind: int, payload: bytes) -> bytes:
    return b'{"type":"%b","data":%b,"timestamp":"%b"}' % (
        *typed(kind, payload), rfc3339_now().encode()
    )  # fmt: skip


def data_of(frame: core.Frame) -> bytes:
    """The data of the event that a message is, made once: its envelope in one line.

    A text that is an envelope stays what it is; what is other JSON, of an object or an array, is
    one of type `json`, and anything else one of type `text`.
    """
    if frame.variants is None:
        frame.variants = {}
    data: bytes | None = frame.variants.get(_LINE)
    if data is None:
        data = frame.variants[_LINE] = _data_of(frame)
    return data


def _data_of(frame: core.Frame) -> bytes:
    payload = frame.payload
    if frame.opcode == BINARY:
        return _envelope(stream.BINARY, payload)
    value = None
    if payload[:1] in (b"{", b"[", b" ", b"\t", b"\n", b"\r"):
        try:
            value = loads(payload)
        except ValueError:
            pass
    if not isinstance(value, dict | list):
        return _envelope(TEXT, payload)
    if b"\n" in payload or b"\r" in payload:
        payload = dumps(value)
    if isinstance(value, dict) and _is_envelope(value):
        return payload
    return _envelope(JSON, payload)


def _is_envelope(value: dict[str, object]) -> bool:
    type_, event = value.get("type"), value.get("event")
    return (isinstance(type_, str) and type_ in _TYPES) or (isinstance(event, str) and event != "")


def block(data: bytes, id: bytes = b"", name: str = "", retry: int | None = None) -> bytes:
    """One event. `data` is one line; `retry` are milliseconds to wait before a reconnect."""
    lines = [b"event: %b\n" % name.encode()] if name else []
    if retry is not None:
        lines.append(b"retry: %d\n" % retry)
    if id:
        lines.append(b"id: %b\n" % id)
    if data:
        lines.append(b"data: %b\n" % data)
    return b"%b\n" % b"".join(lines)


# Where a stream is.


def id_of(positions: Iterable[tuple[str, Position]]) -> bytes:
    """The text that says where a stream is in rooms that remember."""
    return b",".join([
        b"%b:%b:%d" % (_key_of(name), _quoted(position.epoch), position.offset)
        for name, position in positions
    ])  # fmt: skip


def read_id(text: str, rooms: Iterable[str]) -> Mapping[str, Position]:
    """The positions in these rooms that such a text tells; none of a text that is not ours."""
    parts = [_PART.fullmatch(part) for part in text.split(",")]
    if any(part is None for part in parts):
        return {}
    found = {
        part[1].encode(): Position(unquote(part[2]), int(part[3]))
        for part in parts
        if part is not None
    }
    return {name: found[key] for name in rooms if (key := _key_of(name)) in found}


@lru_cache(maxsize=1024)
def _key_of(name: str) -> bytes:
    """A short text for the name of a room; nobody is let in by it."""
    return urlsafe_b64encode(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).digest())


@lru_cache(maxsize=1024)
def _quoted(epoch: str) -> bytes:
    return quote(epoch, safe="").encode()
