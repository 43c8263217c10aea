# cython: annotation_typing=False
"""The answer to one request: how far it is, its head, and the one write that nearly all leave by.

What may wait, and what is rare, is in `http`, which adds to this. The way of every request is
compiled where the core is, with its types in `answer.pxd`.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from ..wire import ENDING
from .errors import ClientDisconnected
from .head import Head

if TYPE_CHECKING:
    from ..http.request import Request
    from ..http.response import Response
    from ..opening.pending import Exchange
    from .endless import Vain
    from .mounts import Mount
    from .wakeup import Wakeup

Message = MutableMapping[str, Any]

# How far the answer is.
WAITED_FOR = 0  # the application has not begun it
BEGUN = 1  # its head is there, and not written
LEAVING = 2  # its head is written
TRAILERS = 3  # its body is written, and fields are to follow
WHOLE = 4  # or it will never be

JOINED = 64 * 1024  # bytes of a body up to which it is copied behind its head

# Numbers of C where this is compiled.
_WAITED_FOR, _BEGUN, _LEAVING, _WHOLE, _ENDING = WAITED_FOR, BEGUN, LEAVING, WHOLE, ENDING


class Answer:
    """The answer that an application writes to one request."""

    __slots__ = (
        "_at_once", "_conn", "_exchange", "_has_left", "_head", "_holds_head", "_instead",
        "_is_read", "_keeps_alive", "_mount", "_pieces_at_once", "_request", "_sends_body", "_sent",
        "_state", "_trailers", "_vain", "_waiters", "scope",
    )  # fmt: skip

    def __init__(self, mount: Mount, conn: Any, exchange: Exchange) -> None:
        self._mount = mount
        self._conn = conn
        self._exchange = exchange
        self._request: Request = exchange.request
        self._state = _WAITED_FOR
        self._is_read = False  # the application has got all of the body
        self._has_left = False
        self._head: Head | None = None
        self._sends_body = True
        self._keeps_alive = False
        self._trailers: list[tuple[bytes, bytes]] | None = None  # where some are announced
        self._instead: Response | None = None  # what is answered in place of a 404
        self._holds_head = False  # what comes first says more about the body
        self._sent = 0  # bytes of the body
        self._at_once = self._pieces_at_once = 0  # since it last waited
        self._vain: Vain | None = None  # calls for which there was nothing to wait
        self._waiters: list[Wakeup] | None = None  # for the end
        self.scope: dict[str, Any] = mount.scopes.http(conn, exchange.request)

    def waits(self) -> None:
        """The application waits: what it has begun leaves."""
        if self._state == _BEGUN and not self._holds_head and self._instead is None:
            self._write_head(b"")

    def takes(self, message: Message) -> bool:
        """Take a message that nearly all answers consist of; False for another, which is left.

        Raises as `send`.
        """
        kind, state = message["type"], self._state
        if state != _WHOLE and (self._has_left or self._conn._phase >= _ENDING):
            raise ClientDisconnected("the client is gone")
        if state == _WAITED_FOR:
            if kind == "http.response.start":
                self._begin(message)
                return True
        elif state == _BEGUN and kind == "http.response.body":
            if self._trailers is None and self._instead is None:
                if not message.get("more_body", False):
                    body = message.get("body", b"")
                    self._send_whole(body if body.__class__ is bytes else as_bytes(body))
                    return True
        return False

    def _begin(self, message: Message) -> None:
        mount, request = self._mount, self._request
        answers = mount.answers
        head = self._head = Head(message["status"], message.get("headers", ()))
        if message.get("trailers", False):
            self._trailers = []
        if head.status == 404 or head.status == 405:
            self._instead = mount.instead(request, head.status)
        if answers.cors is not None:
            head.add(answers.cors.added(request, head.fields))
        self._sends_body = head.has_body and request.method != "HEAD"
        self._keeps_alive = answers.keeps_alive and not head.wants_close and request._keep_alive
        self._state = _BEGUN
        if self._exchange.task is not None:
            self._conn._turn.post(self.waits)

    def _write_head(self, body: bytes) -> None:
        """Write the head, and `body`, which is whole unless it is empty."""
        request, head = self._request, self._head
        assert head is not None
        version = request.http_version
        if self._sends_body and head.length < 0 and version != "1.1":
            self._keeps_alive = False  # only the end of the connection ends the body
        self._state = _LEAVING
        self._exchange.is_answering = True
        is_head = request.method == "HEAD"
        self._conn._write(head.encode(version, is_head, self._keeps_alive, body))

    def _send_whole(self, body: bytes) -> None:
        """The answer of nearly all: one piece, known with its head."""
        head, size = self._head, len(body)
        assert head is not None
        if not self._sends_body:
            if head.length < 0 and size:
                head.length = size
            body = b""
        elif head.length < 0:
            head.length = size
        elif head.length != size:
            raise RuntimeError(f"the body has {size} bytes, its content-length is {head.length}")
        if not self._exchange.is_read:
            self._keeps_alive = False
        if size > JOINED:
            self._write_head(b"")
            if body:
                self._conn._write(body)
        else:
            self._write_head(body)
        self._sent = len(body)
        self._finish()

    def _finish(self) -> None:
        """All of the answer is written: the connection goes on, or ends."""
        exchange, mount = self._exchange, self._mount
        answers = mount.answers
        self._state = _WHOLE
        if self._waiters is not None:
            self._wake()
        keeps_alive = self._keeps_alive and exchange.is_read and answers.keeps_alive
        mount.answered(self._conn, exchange, keeps_alive)
        if answers.access.is_on:
            self._log()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            waiter.wake()

    def _log(self) -> None:
        status = self._head.status if self._head is not None else 500
        route = route_of(self.scope) or self._mount.prefix
        self._mount.answers.log(self._conn, self._exchange, status, self._sent, route=route)


def route_of(scope: MutableMapping[str, Any]) -> str:
    """The route that answered, where the framework tells: Starlette's, FastAPI's, Litestar's."""
    route = scope.get("route")
    path = getattr(route, "path", None) or getattr(route, "path_format", None)
    if not isinstance(path, str):
        path = scope.get("path_template")
    return path if isinstance(path, str) else ""


def as_bytes(body: object) -> bytes:
    """A body that an application sends as something else."""
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    raise TypeError(f"a body is bytes, not {type(body).__name__}")


__all__ = [
    "BEGUN", "LEAVING", "TRAILERS", "WAITED_FOR", "WHOLE", "Answer", "Message", "as_bytes",
    "route_of",
]  # fmt: skip
