"""Sessions: what clients say whose wire goes one way, in requests of their own.

A session is a secret that is told to the client of a stream, as the stream begins. It says which
worker has the stream, so that another knows whom to ask.
"""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64encode

from .connection import Connection

SECRET_BYTES = 24  # of which base64 makes 32 characters and no padding
_SESSION = re.compile(r"([0-9]{1,5})\.[\w-]{32}", re.ASCII)


# What has become of a message of a session.
TAKEN = "taken"
GONE = "gone"  # there is no such session
LATER = "later"  # its inbox is full, or its rate used up


class Sessions:
    """The sessions of the streams of this process. For the loop's thread alone."""

    __slots__ = ("_connections", "_texts")

    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}
        self._texts: dict[Connection, str] = {}

    def __len__(self) -> int:
        """Return the number of sessions."""
        return len(self._connections)

    def begin(self, conn: Connection) -> str:
        """A session for the stream of that connection, until `forget`."""
        secret = urlsafe_b64encode(os.urandom(SECRET_BYTES)).decode()
        text = f"{conn._manager._worker}.{secret}"
        self._connections[text] = conn
        self._texts[conn] = text
        return text

    def of(self, conn: Connection) -> str | None:
        """The session of that connection, if it has one."""
        return self._texts.get(conn)

    def forget(self, conn: Connection) -> None:
        """The connection is gone. One without a session is no error."""
        text = self._texts.pop(conn, None)
        if text is not None:
            del self._connections[text]

    def has(self, session: str) -> bool:
        """Return whether there is such a session here."""
        return session in self._connections

    def take(self, session: str, message: str | bytes) -> str:
        """Take a message as one that has come from the client of a session."""
        conn = self._connections.get(session)
        if conn is None or not conn.is_open:
            return GONE
        return TAKEN if conn._receive(message) else LATER


def worker_of(session: str) -> int | None:
    """The number of the worker that has a session; None of a text that cannot be one."""
    found = _SESSION.fullmatch(session)
    return None if found is None else int(found[1])
