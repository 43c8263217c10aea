"""Messages between Centrifugo's HTTP API and rooms: what is published, and what a room keeps."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

from ... import json
from ...broker.history import Page
from ...dialects.message import Message
from ...dialects.publication import ROOM, Publication, json_publication, publication
from ...dialects.stream import StreamMessage, read
from ...wire import MessageType, Position
from .errors import BAD_REQUEST, UNRECOVERABLE, ApiError
from .fields import Params

EVENT = "event"  # the tag that is the name of an event; others are metadata


class Outgoing(NamedTuple):
    """A message to be published, in plain values, so that it can go to another process."""

    payload: bytes
    is_json: bool
    tags: Mapping[str, str]

    def publication(self, room: str) -> Publication:
        """The same on its way to a room: bare, and an envelope where there are tags."""
        if not self.tags:
            if self.is_json:
                return json_publication(ROOM, room, self.payload.decode())
            return publication(ROOM, room, self.payload)
        others = {name: value for name, value in self.tags.items() if name != EVENT}
        message = Message(
            MessageType.JSON if self.is_json else MessageType.BINARY,
            json.loads(self.payload) if self.is_json else self.payload,
            event=self.tags.get(EVENT, ""),
            room=room,
            metadata=others,
        )
        return publication(ROOM, room, message)


def outgoing(params: Params) -> Outgoing:
    """Read what a command publishes. Raises ApiError where it has no data."""
    tags = params.get("tags", {})
    if text := params.get("b64data"):
        return _of_bytes(b64decode(text), tags)
    if "data" not in params:
        raise ApiError(BAD_REQUEST, "data is missing")
    return Outgoing(json.dumps(params["data"]), True, tags)


def _of_bytes(data: bytes, tags: Mapping[str, str]) -> Outgoing:
    """Bytes that are JSON are JSON, as those of a client that speaks Protobuf; in one line."""
    try:
        value = json.loads(data)
    except ValueError:
        return Outgoing(data, False, tags)
    is_one_line = not (b"\n" in data or b"\r" in data)
    return Outgoing(data if is_one_line else json.dumps(value), True, tags)


def asked(page: Page, params: Params, most: int) -> list[dict[str, Any]]:
    """Return what a `history` asks for, at most `most` messages. Raises ApiError.

    The first `limit` of those after `since`, or with `reverse` the latest of those before it.
    """
    limit, is_reverse = params.get("limit", 0), params.get("reverse", False)
    since = params.get("since")
    found = page.messages
    if since is not None:
        start = Position(since.get("epoch", ""), since.get("offset", 0))
        if start.epoch and start.epoch != page.position.epoch:
            raise ApiError(UNRECOVERABLE, "unrecoverable position")
        if is_reverse:
            if not start.offset:
                raise ApiError(BAD_REQUEST, "since: nothing is before the offset 0")
            found = [each for each in found if each[0] < start.offset]
        else:
            found = [each for each in found if each[0] > start.offset]
    if is_reverse:
        found = found[::-1]
    found = found[: min(limit, most) if limit >= 0 else most]
    return [_written(read(offset, kept)) for offset, kept in found]


def _written(message: StreamMessage) -> dict[str, Any]:
    data = message.data
    written = {
        "data": b64encode(data).decode() if isinstance(data, bytes) else data,
        "offset": message.offset,
    }
    tags = {name: value for name, value in message.metadata.items() if isinstance(value, str)}
    if message.event:
        tags[EVENT] = message.event
    if tags:
        written["tags"] = tags
    if message.connection_id:
        written["info"] = {"client": message.connection_id, "user": message.user or ""}
    return written
