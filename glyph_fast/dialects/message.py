"""Messages as values: what a received one is to a handler, and one to be sent with its members."""

from __future__ import annotations

from typing import Any, TypeAlias

from .. import core
from ..wire import MessageType, Words
from . import envelope
from .bare import JsonText
from .envelope import rfc3339_now

core.read_plainly(Words)  # whose classes the hot path asks for attributes


class Message(core.Message):
    """One message with the members of its envelope.

    A member that is absent is "" (`data`: None, `metadata`: an empty dict). `timestamp` is RFC 3339
    text; of a message that came without one, it is the time at which it is first asked for. `raw`
    is the payload of a received message, str or bytes. `id` is what a client put there to recognise
    the answer; `is_envelope` whether the message was received as one. Raises ValueError for an
    unknown type.
    """

    __slots__ = ()

    # They lie in the core's.
    type: MessageType
    """The type, equal to its word on the wire."""
    data: Any
    """What it carries: text, bytes, or a value of JSON."""
    event: str
    """The name of an event; empty without one."""
    room: str
    """The room it is about; empty without one."""
    target: str
    """The connection it is for; empty without one."""
    connection_id: str
    """The connection it is from."""
    id: Any
    """What the client put there to know the answer by; None without one."""
    raw: str | bytes
    """The payload as it was received."""
    is_envelope: bool
    """Whether it was received as an envelope."""

    def __init__(
        self,
        type: MessageType | str,
        data: Any = None,
        *,
        event: str = "",
        room: str = "",
        target: str = "",
        connection_id: str = "",
        timestamp: str = "",
        metadata: dict[str, Any] | None = None,
        id: Any = None,
        raw: str | bytes | None = None,
    ) -> None:
        self.type: MessageType = type if type.__class__ is MessageType else MessageType(type)
        self.data = data
        # The core has made the others empty.
        if event:
            self.event = event
        if room:
            self.room = room
        if target:
            self.target = target
        if connection_id:
            self.connection_id = connection_id
        if timestamp:
            self._timestamp = timestamp
        if metadata:
            self._metadata = metadata
        self.id = id
        self.raw = raw  # type: ignore[assignment]  # a handler's message always has one

    @classmethod
    def _received(
        cls, type: MessageType, data: Any, raw: str | bytes, connection_id: str
    ) -> Message:
        """A message from outside, whose other members are still empty."""
        message = cls.__new__(cls)
        message.type = type
        message.data = data
        message.raw = raw
        message.connection_id = connection_id
        return message

    @property
    def timestamp(self) -> str:
        """Return when the message was made, RFC 3339 in UTC, or the sender's own text."""
        if not self._timestamp:
            self._timestamp = rfc3339_now()
        return self._timestamp

    @timestamp.setter
    def timestamp(self, text: str) -> None:
        self._timestamp = text

    @property
    def _has_timestamp(self) -> bool:
        """Return whether the sender, or anyone since, has given it a timestamp."""
        return bool(self._timestamp)

    @property
    def metadata(self) -> dict[str, Any]:
        """Members of the application's own."""
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

    @metadata.setter
    def metadata(self, value: dict[str, Any]) -> None:
        self._metadata = value

    def to_json(self) -> bytes:
        """The envelope as UTF-8. Binary data becomes base64; empty members are left out.

        Raises TypeError or ValueError for data that JSON cannot hold.
        """
        return envelope.write(self)

    @classmethod
    def from_json(cls, data: bytes | str) -> Message:
        """Read an envelope: an object with a known `type`, or with an `event` (its type is `json`).

        A member of the wrong kind is ignored. Data of type `binary` is decoded from base64. Raises
        InvalidMessage.
        """
        message = cls.__new__(cls)
        envelope.read_all(message, data)
        return message

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self._key() == other._key()

    __hash__ = None  # type: ignore[assignment]

    def _key(self) -> tuple[Any, ...]:
        return (
            self.type,
            self.event,
            self.data,
            self.room,
            self.target,
            self.connection_id,
            self._timestamp,
            self.metadata,
            self.id,
        )

    def __repr__(self) -> str:
        members = [self.type.value]
        members += [
            f"{name}={value!r}"
            for name in ("event", "data", "room", "target", "connection_id", "id")
            if (value := getattr(self, name)) not in ("", None)
        ]
        return f"<Message {' '.join(members)}>"


Sendable: TypeAlias = str | bytes | Message | JsonText  # text frame, binary frame, their JSON
