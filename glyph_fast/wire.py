"""The numbers of the wire: opcodes, close codes, sizes, and the reasons a connection is closed for.

Everything here is fixed by RFC 6455 or by our own documents; no code but the small look-ups below.
"""

from __future__ import annotations

import re
from typing import NamedTuple

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

CLOSE_REASONS = {
    GOING_AWAY: "server is shutting down",
    SERVICE_RESTART: "server is restarting",
    SLOW_CONSUMER: "slow consumer",
    CREDENTIALS_EXPIRED: "credentials expired",
}


def is_sendable_code(code: int) -> bool:
    """Whether a close frame may carry `code`: 1000–1003, 1007–1014 (IANA), 3000–4999."""
    return 3000 <= code <= 4999 or 1000 <= code <= 1014 and code not in (1004, NO_STATUS, ABNORMAL)


class SendResult(NamedTuple):
    """What became of one message, each receiver counted once.

    `sent`: accepted, and nothing the kernel has refused lies before it; `queued`: accepted behind
    bytes the kernel refused; `dropped`: not accepted.
    """

    sent: int
    queued: int
    dropped: int


SENT = SendResult(1, 0, 0)
QUEUED = SendResult(0, 1, 0)
DROPPED = SendResult(0, 0, 1)
NOBODY = SendResult(0, 0, 0)

# Phases of a connection. The first three belong to HTTP, OPEN to WebSocket frames, and the table in
# `_fallback.py` tells how a connection passes through the last three.
OPENING = 0  # collecting a request head
BODY = 1  # bytes go to the handler, which reads a request body
HELD = 2  # bytes wait: the request is being answered by something that takes time
OPEN = 3
CLOSING = 4  # our close frame is queued or sent; the peer's has not come
ENDING = 5  # nothing more to read; what is queued still leaves
CLOSED = 6

# Reasons to pause the reading of a connection; it reads while none is set.
PAUSE_HELD = 1  # an HTTP request is being answered
PAUSE_INBOX = 2  # the inbox of a slow handler is full
PAUSE_BLOCK = 4  # policy `block`: a receiver its handler feeds is full
PAUSE_WRITE = 8  # HTTP answers pile up: the peer does not read them
PAUSE_TURN = 16  # it has had its share of this turn
