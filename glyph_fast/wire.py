"""The numbers and words of the wire: opcodes, close codes, sizes, types of messages.

Everything here is fixed by RFC 6455 or by our own documents; no code but the small look-ups below.
"""

from __future__ import annotations

import re
from enum import EnumType, StrEnum
from typing import NamedTuple, NoReturn, Self

# RFC 6455 §5.2
CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

MAX_CONTROL_PAYLOAD = 125  # bytes, RFC 6455 §5.5
MAX_CLOSE_REASON = MAX_CONTROL_PAYLOAD - 2  # bytes of UTF-8 after the code, RFC 6455 §5.5.1
ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
VERSION = 13  # RFC 6455 §4.1
KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")  # of the handshake: 16 bytes in base64, RFC 6455 §4.1

MAX_REQUEST_LINE = 8 * 1024  # bytes; beyond it: 414
MAX_HEAD = 64 * 1024  # bytes; beyond it: 431
MAX_FIELDS = 256  # in one head; beyond it: 431
MAX_BODY = 10 * 1024 * 1024  # bytes; beyond it: 413

# Bytes a second of a request body; below it: 408. A time-out of each wait for bytes, as nginx has
# it (client_body_timeout), lets one byte now and then hold a connection for weeks; uvicorn has
# none, hypercorn none by default. So it is as in Apache's mod_reqtimeout (body=20,MinRate=500):
# there is a time to begin with, and what comes buys more. But nobody stores up more than that time:
# who has sent much cannot rest on it.
MIN_BODY_RATE = 1024

# What a client has taken of our bytes buys it time as well: one second for so many bytes, stored up
# to so many times the write timeout. For progress is seen in steps. A proxy that reads at its
# client's pace has a send buffer of 4 MiB, which takes more once a third of it is free; curl
# (--limit-rate) reads for a second and then rests for a hundred.
MIN_READ_RATE = 16 * 1024
TIMES_STORED = 12

# Bytes of an HTTP answer that may wait before its writer should; it goes on at half of them.
ANSWER_WINDOW = 256 * 1024

# Roles: who masks (RFC 6455 §5.1).
SERVER = 0
CLIENT = 1

# What a full send queue does with one more message.
DROP_OLDEST = 0
DROP_NEWEST = 1
BLOCK = 2
DISCONNECT = 3
POLICIES = ("drop_oldest", "drop_newest", "block", "disconnect")  # indexed by the four above

# RFC 6455 §7.4.1 and the IANA registry
NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
UNSUPPORTED_DATA = 1003
NO_STATUS = 1005  # never sent: the peer's close frame had no code
ABNORMAL = 1006  # never sent: there was no close frame
INVALID_DATA = 1007
POLICY_VIOLATION = 1008
TOO_BIG = 1009
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
# RFC 6455 §7.4.2: 4000–4999 is for private use
SLOW_CONSUMER = 4008
CREDENTIALS_EXPIRED = 4401

# Which subprotocol our client libraries offer, and how an upgrade of theirs that is refused ends:
# the close code for a status of HTTP, which a browser does not show.
CLIENT_SUBPROTOCOL = "glyph-fast"
REFUSAL_CODES = {401: CREDENTIALS_EXPIRED, 403: 4403, 429: 4429, 503: 4503}

CLOSE_REASONS = {
    GOING_AWAY: "server is shutting down",
    SERVICE_RESTART: "server is restarting",
    SLOW_CONSUMER: "slow consumer",
    CREDENTIALS_EXPIRED: "credentials expired",
}


def is_sendable_code(code: int) -> bool:
    """Return whether a close frame may carry `code`: 1000–1003, 1007–1014 (IANA), 3000–4999."""
    return 3000 <= code <= 4999 or 1000 <= code <= 1014 and code not in (1004, NO_STATUS, ABNORMAL)


class _Fates(NamedTuple):
    sent: int
    queued: int
    dropped: int


class SendResult(_Fates):
    """The fate of one message, each receiver counted once: a tuple of three numbers.

    `sent`: accepted, and nothing the kernel has refused lies before it; `queued`: accepted behind
    bytes the kernel refused; `dropped`: not accepted. Beside them stand two attributes.
    """

    def __new__(
        cls, sent: int, queued: int, dropped: int, *, displaced: int = 0, pending: bool = False
    ) -> Self:
        result = super().__new__(cls, sent, queued, dropped)
        if displaced:
            result.__dict__["displaced"] = displaced
        if pending:
            result.__dict__["pending"] = True
        return result

    @property
    def displaced(self) -> int:
        """Return how many older messages this call displaced, of all its receivers."""
        displaced: int = self.__dict__.get("displaced", 0)
        return displaced

    @property
    def pending(self) -> bool:
        """Return whether receivers are still to come: the call was handed to the loop's thread."""
        return "pending" in self.__dict__

    def __repr__(self) -> str:
        more = "".join(f", {name}={value}" for name, value in self.__dict__.items())
        return f"SendResult(sent={self.sent}, queued={self.queued}, dropped={self.dropped}{more})"


SENT = SendResult(1, 0, 0)
QUEUED = SendResult(0, 1, 0)
DROPPED = SendResult(0, 0, 1)
NOBODY = SendResult(0, 0, 0)
PENDING = SendResult(0, 0, 0, pending=True)


class Position(NamedTuple):
    """A place in the messages of a room: how many came before it, and since which beginning.

    `epoch` is drawn when a room begins to count; an empty one is of a room that does not count.
    """

    epoch: str
    offset: int


NOWHERE = Position("", 0)  # of a room without positions

# Phases of a connection. The first three belong to HTTP, OPEN to WebSocket frames, and the table in
# `_pure/connection.py` tells how a connection passes through the last four.
OPENING = 0  # collecting a request head
BODY = 1  # bytes go to the handler, which reads a request body
HELD = 2  # bytes wait: the request is being answered by something that takes time
OPEN = 3
CLOSING = 4  # our close frame is queued or sent; the peer's has not come
ANSWERING = 5  # the peer's close frame has come; the handler decides on ours
ENDING = 6  # nothing more to read; what is queued still leaves
CLOSED = 7

# Kinds of wire: what an open connection speaks. Queue, policies, deadlines, figures are the same.
WEBSOCKET = 0  # frames both ways
EVENTS = 1  # an HTTP answer that goes on: messages out as its codec writes them, nothing in
TRANSLATED = 2  # frames both ways; its codec writes messages, pings and the end
TRANSLATED_EVENTS = EVENTS | TRANSLATED  # an HTTP answer that goes on, and these two rules

# Reasons to pause the reading of a connection; it reads while none is set.
PAUSE_HELD = 1  # an HTTP request is being answered
PAUSE_INBOX = 2  # the inbox of a slow handler is full
PAUSE_BLOCK = 4  # policy `block`: a receiver its handler feeds is full
PAUSE_WRITE = 8  # HTTP answers pile up: the peer does not read them
PAUSE_TURN = 16  # it has had its share of this turn
PAUSE_BODY = 32  # nobody takes what has come of a request body

# What a type of messages is for.
KIND = "kind"  # of data
COMMAND = "command"  # of a client to the server itself
NOTICE = "notice"  # of the server


class Words(EnumType):
    """The metaclass of `MessageType`: its members are found as attributes of any class are."""


class MessageType(StrEnum, metaclass=Words):
    """The types of messages; a member is equal to its word on the wire.

    This is the only list of them. The option `client_commands`, what is read as an envelope, the
    types a handler can be registered for, and where Glyph programs look for commands follow from
    it. The effect of a command is the method of `ClientCommands` that is called as its word.
    """

    TEXT = "text", KIND
    BINARY = "binary", KIND
    JSON = "json", KIND
    CONNECT = "connect", NOTICE
    DISCONNECT = "disconnect", NOTICE
    ERROR = "error", NOTICE
    JOIN_ROOM = "join_room", COMMAND
    LEAVE_ROOM = "leave_room", COMMAND
    BROADCAST = "broadcast", COMMAND
    PING = "ping", COMMAND
    PONG = "pong", NOTICE
    HISTORY = "history", COMMAND
    PRESENCE = "presence", COMMAND
    REPLY = "reply", COMMAND

    role: str

    def __new__(cls, word: str, role: str = NOTICE) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.role = role
        return member

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        words = ", ".join(member.value for member in cls)
        raise ValueError(f"{value!r} is no type of message; the types are {words}")


# Until Python 3.12 `MessageType.TEXT` went through a descriptor and a metaclass written in Python,
# a quarter of what an echo costs; afterwards members are plain attributes, as they are made here.
for _member in MessageType:
    type.__setattr__(MessageType, _member.name, _member)

# Those that are ordinary JSON where they are not meant for the server.
ELSE_ORDINARY = frozenset((MessageType.HISTORY, MessageType.PRESENCE, MessageType.REPLY))

COMMANDS = tuple(member for member in MessageType if member.role == COMMAND)
