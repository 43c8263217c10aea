"""Every exception of glyph-fast.

The public ones derive from `GlyphFastError`. `ProtocolError` and `HandshakeError` never reach an
application: they carry what the server answers a peer that broke a rule. Both cores raise these
classes, so an error reads the same whichever core runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def needs(who: str, package: str, extra: str) -> str:
    """The text of an error where a package of an extra is not installed."""
    return f"{who} needs {package}: pip install 'glyph-fast[{extra}]'"


class GlyphFastError(Exception):
    """Base class of all errors an application can meet. They can be copied and pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        # As it is: `__init__` takes what the text was made of, and not the text.
        return _as_it_was, (type(self), *self.args), self.__dict__


def _as_it_was(cls: type[GlyphFastError], *args: object) -> GlyphFastError:
    return cls.__new__(cls, *args)


class ConnectionClosed(GlyphFastError):
    """A message was sent on, or awaited from, a connection that is closed or closing.

    `code` and `reason` are those of the close (RFC 6455 §7.1.5, §7.1.6); 1006 when there was none.
    """

    def __init__(self, code: int = 1006, reason: str = "") -> None:
        super().__init__(f"connection closed with code {code}" + (f": {reason}" if reason else ""))
        self.code = code
        self.reason = reason


class InvalidMessage(GlyphFastError):
    """Bytes that were to be read as a message are not one."""


class RoomNotFound(GlyphFastError):
    """No room of that name exists."""

    def __init__(self, name: str) -> None:
        super().__init__(f"room not found: {name!r}")
        self.name = name


class ConnectionNotFound(GlyphFastError):
    """No open connection has that id."""

    def __init__(self, connection_id: str) -> None:
        super().__init__(f"connection not found: {connection_id!r}")
        self.connection_id = connection_id


class RoomFull(GlyphFastError):
    """The room already has as many members as it may have."""

    def __init__(self, name: str, limit: int) -> None:
        super().__init__("room is full")
        self.name = name
        self.limit = limit


class CallFailed(GlyphFastError):
    """A client was asked something and answered with an error, or could not be asked or heard."""


class CallTimeout(GlyphFastError):
    """A client was asked something and did not answer in time; `timeout` is in seconds."""

    def __init__(self, event: str, timeout: float) -> None:
        super().__init__(f"the call {event!r} was not answered within {timeout:g} s")
        self.event = event
        self.timeout = timeout


class HistoryLost(GlyphFastError):
    """Messages since the position that was asked for are no longer kept, or it is not the room's.

    `position` is the room's newest, epoch and offset.
    """

    def __init__(self, name: str, position: tuple[str, int]) -> None:
        super().__init__(f"the history of room {name!r} does not reach back so far")
        self.name = name
        self.position = position


class BrokerUnavailable(GlyphFastError):
    """The broker could not be reached. A message may have been sent: repeat it by key."""


class ConfigError(GlyphFastError):
    """An option has an unknown name, a bad value, or does not go with another."""


class Reject(GlyphFastError):
    """Raised by an application to refuse a request or a connection.

    From `authenticate` it becomes the HTTP answer; from `on_connect` the connection closes with
    1008 and `body` as the reason.
    """

    def __init__(
        self,
        status: int = 403,
        body: str | bytes | dict[str, object] | list[object] = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(status, int):
            raise TypeError(f"a Reject begins with a status, as in Reject(403, {status!r})")
        super().__init__(f"rejected with status {status}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


class GlyphSyntaxError(GlyphFastError):
    """A Glyph program that does not load; `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class ListenError(OSError):
    """The server could not have the address it was to listen on; errno and text are the system's.

    A class of its own, for a hook of the application may raise OSError as well.
    """


class BrokerRefused(OSError):
    """The broker was reached and does not want us: a wrong password, a version that is too old."""


class ProtocolError(Exception):
    """The peer broke RFC 6455; the connection is failed with `code` (RFC 6455 §7.1.7)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class HandshakeError(Exception):
    """A request that is answered with `status` and closed, or an upgrade that is refused."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})
