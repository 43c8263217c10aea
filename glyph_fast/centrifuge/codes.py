"""Codes of the protocol: errors, ends of subscriptions, and ends of connections."""

from __future__ import annotations

from .. import wire

INTERNAL, UNAUTHORIZED, UNKNOWN_CHANNEL, PERMISSION_DENIED = 100, 101, 102, 103
METHOD_NOT_FOUND, ALREADY_SUBSCRIBED, LIMIT_EXCEEDED, BAD_REQUEST = 104, 105, 106, 107
NOT_AVAILABLE, TOKEN_EXPIRED, EXPIRED, TOO_MANY_REQUESTS = 108, 109, 110, 111
UNRECOVERABLE = 112

ERRORS = {
    INTERNAL: "internal server error",
    UNAUTHORIZED: "unauthorized",
    UNKNOWN_CHANNEL: "unknown channel",
    PERMISSION_DENIED: "permission denied",
    METHOD_NOT_FOUND: "method not found",
    ALREADY_SUBSCRIBED: "already subscribed",
    LIMIT_EXCEEDED: "limit exceeded",
    BAD_REQUEST: "bad request",
    NOT_AVAILABLE: "not available",
    TOKEN_EXPIRED: "token expired",
    EXPIRED: "expired",
    TOO_MANY_REQUESTS: "too many requests",
    UNRECOVERABLE: "unrecoverable position",
}
TEMPORARY = frozenset((INTERNAL, TOO_MANY_REQUESTS))  # the libraries try again

# Ends of subscriptions. From 2500 on the libraries subscribe again.
UNSUBSCRIBED, INSUFFICIENT_STATE, SUBSCRIPTION_EXPIRED = 2000, 2500, 2501
UNSUBSCRIBES = {
    UNSUBSCRIBED: "server unsubscribe",
    INSUFFICIENT_STATE: "insufficient state",
    SUBSCRIPTION_EXPIRED: "subscription expired",
}

# Ends of connections. After those below 3500 the libraries connect again.
SHUTDOWN, SERVER_ERROR, CONNECTION_EXPIRED, SLOW = 3001, 3004, 3005, 3008
STATE_LOST, NO_PONG, BUSY = 3010, 3012, 3013
INVALID_TOKEN, BAD_CONNECTION, STALE, NO_RECONNECT = 3500, 3501, 3502, 3503
TOO_MANY_CONNECTIONS, DENIED, UNAVAILABLE = 3504, 3507, 3508
DISCONNECTS = {
    SHUTDOWN: "shutdown",
    SERVER_ERROR: "internal server error",
    CONNECTION_EXPIRED: "connection expired",
    SLOW: "slow",
    STATE_LOST: "insufficient state",
    NO_PONG: "no pong",
    BUSY: "too many requests",
    INVALID_TOKEN: "invalid token",
    BAD_CONNECTION: "bad request",
    STALE: "stale",
    NO_RECONNECT: "force disconnect",
    TOO_MANY_CONNECTIONS: "connection limit",
    DENIED: "permission denied",
    UNAVAILABLE: "not available",
}

# What goes on the wire for a close code of the server's own.
_TRANSLATED = {
    wire.NORMAL: NO_RECONNECT,
    wire.GOING_AWAY: SHUTDOWN,
    wire.SERVICE_RESTART: SHUTDOWN,
    wire.PROTOCOL_ERROR: BAD_CONNECTION,
    wire.UNSUPPORTED_DATA: BAD_CONNECTION,
    wire.INVALID_DATA: BAD_CONNECTION,
    wire.POLICY_VIOLATION: DENIED,
    wire.INTERNAL_ERROR: SERVER_ERROR,
    wire.SLOW_CONSUMER: SLOW,
    wire.CREDENTIALS_EXPIRED: CONNECTION_EXPIRED,
}


def translated(code: int, reason: str) -> tuple[int, str]:
    """Code and reason with which the server says a close of its own to such a client."""
    code = _TRANSLATED.get(code, code)
    return code, DISCONNECTS.get(code, reason) if not reason or code < 3500 else reason


class CommandError(Exception):
    """A command is answered by an error of the protocol."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message or ERRORS.get(code, ""))
        self.code = code


class Disconnect(Exception):
    """A command ends the connection."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason or DISCONNECTS[code])
        self.code = code
