"""One WebSocket of an ASGI application.

What came and was not taken yet lies here, in the place of the inbox of the server's own handlers:
so what waits is counted, and reading pauses, by the same options. A message is never dropped on the
way out: `send` waits for room before it adds to the queue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import MutableMapping, Sequence
from sys import getsizeof
from typing import TYPE_CHECKING, Any

from ..errors import ConnectionClosed, HandshakeError
from ..handlers.outcome import is_cancelled, is_failure, running_task
from ..http.request import Request
from ..hub.shares import TURN_FRAMES, frames_of
from ..websocket.handshake import Upgrade
from ..wire import ABNORMAL, CLOSE_REASONS, ENDING, GOING_AWAY, INTERNAL_ERROR, NORMAL, OPEN
from .answer import route_of
from .denial import Denial
from .endless import Vain
from .errors import ClientDisconnected, comes_of_disconnect
from .wakeup import Wakeup, wakeup

if TYPE_CHECKING:
    from .mounts import Mount

CONNECTING = 0  # the application has not decided
ACCEPTED = 1
CLOSED = 2  # by the application, or it was refused
ANSWERING = 3  # by HTTP

# Fields of a 101 that are the server's, as those of any answer are that say where it ends.
_OURS = frozenset(
    (b"connection", b"content-length", b"keep-alive", b"sec-websocket-accept",
     b"sec-websocket-extensions", b"transfer-encoding", b"upgrade")
)  # fmt: skip

Message = MutableMapping[str, Any]


class WebSocketCall(deque[Any]):
    """The call of an application for one WebSocket, and the messages it has not taken."""

    __slots__ = (
        "_conn", "_denial", "_ended", "_is_behind", "_left", "_mount", "_order", "_request",
        "_state", "_upgrade", "_vain", "_waiter", "_waiting", "_was_told", "scope", "size",
    )  # fmt: skip

    def __init__(self, mount: Mount, conn: Any, request: Request, upgrade: Upgrade) -> None:
        super().__init__()
        self.size = 0  # bytes of the messages, as they lie in memory
        self._mount = mount
        self._conn = conn
        self._request = request
        self._upgrade = upgrade
        self._state = CONNECTING
        self._was_told = False  # that a client wants to connect
        self._is_behind = False  # messages came faster than they were taken
        self._left = TURN_FRAMES  # of this turn's share, where they did
        self._waiter: Wakeup | None = None
        self._order: asyncio.Lock | None = None  # of sends, once one has waited
        self._waiting = 0  # sends that do
        self._ended: tuple[int, str] | None = None
        self._denial: Denial | None = None  # the answer by HTTP
        self._vain: Vain | None = None  # calls for which there was nothing to wait
        self.scope = mount.scopes.websocket(conn, request, upgrade.subprotocols)

    async def run(self) -> None:
        """Call the application, and end the WebSocket when it does."""
        task = running_task()
        try:
            await self._mount.app(self.scope, self.receive, self.send)
        except BaseException as exc:
            self._failed(exc, task)
        else:
            self._returned()
        finally:
            self._state = CLOSED
            self._conn = None  # which holds this

    # What the core, the dispatcher and the hub call.

    def put(self, opcode: int, payload: str | bytes) -> None:
        """A message came."""
        self.append(payload)
        self.size += getsizeof(payload)
        if self._waiter is not None:
            self._waiter.wake()
        else:
            self._is_behind = True

    def closed(self, code: int, reason: str) -> None:
        """The connection is gone."""
        if self._ended is None:
            self._ended = code or ABNORMAL, reason
            if self._waiter is not None:
                self._waiter.wake()

    def cancel(self) -> None:
        """The client went before the application had decided."""
        self.closed(ABNORMAL, "")

    # What the application calls.

    async def receive(self) -> dict[str, Any]:
        """The wish to connect, then the messages, then the end."""
        if not self._was_told:
            self._was_told = True
            return {"type": "websocket.connect"}
        if self._left <= 0:
            self._left = TURN_FRAMES
            await asyncio.sleep(0)  # the others have their turn
        while not len(self):
            if self._ended is not None:
                self._vain = self._vain or Vain()
                await self._vain.received()
                code, reason = self._ended
                return {"type": "websocket.disconnect", "code": code, "reason": reason}
            if self._waiter is not None:
                raise RuntimeError("another task already waits for this WebSocket's messages")
            self._waiter = wakeup()
            try:
                await self._waiter
            finally:
                self._waiter = None
        payload = self.popleft()
        self.size -= getsizeof(payload)
        if self._is_behind:
            self._is_behind = len(self) > 0
            self._left = self._left - frames_of(payload) if self._is_behind else TURN_FRAMES
            if self._conn is not None:
                self._mount.pace(self._conn)
        if payload.__class__ is str:
            return {"type": "websocket.receive", "text": payload}
        return {"type": "websocket.receive", "bytes": payload}

    async def send(self, message: Message) -> None:
        """Take a message of the application's; returns when there is room for the next.

        Raises ClientDisconnected, an OSError, once nobody is there any more, RuntimeError for what
        cannot come now, and ValueError or TypeError for what cannot be sent.
        """
        try:
            kind = message["type"]
            if self._state == ACCEPTED and kind == "websocket.send":
                data = message.get("bytes")
                if data is None:
                    data = message.get("text")
                if data.__class__ is not str and data.__class__ is not bytes:
                    data = _as_payload(data)
                if self._waiting or self._conn._needs_drain:
                    await self._send_in_order(data)
                else:
                    self._conn.send(data)
            else:
                await self._send_rare(kind, message)
        except Exception as exc:
            self._vain = self._vain or Vain()
            await self._vain.sent()
            if isinstance(exc, ConnectionClosed):
                raise ClientDisconnected("the client is gone") from None
            raise

    async def _send_in_order(self, data: str | bytes) -> None:
        """Send once there is room, after what other tasks of the application have sent before."""
        if self._order is None:
            self._order = asyncio.Lock()  # which lets them in as they came
        self._waiting += 1
        try:
            async with self._order:
                if (conn := self._conn) is None:
                    raise ClientDisconnected("the client is gone")
                if conn._needs_drain:
                    await conn.drain()
                conn.send(data)
        finally:
            self._waiting -= 1

    async def _send_rare(self, kind: str, message: Message) -> None:
        conn = self._conn
        if self._state == ACCEPTED and kind == "websocket.close":
            if conn._phase != OPEN:
                self._state = CLOSED
                raise ClientDisconnected("the client is gone")
            conn.close(message.get("code") or NORMAL, message.get("reason") or "")
            self._state = CLOSED
        elif self._state in (CONNECTING, ANSWERING):
            if self._ended is not None or conn._phase >= ENDING:
                self._state = CLOSED
                raise ClientDisconnected("the client is gone")
            if self._denial is not None and kind == "websocket.http.response.body":
                if await self._denial.send(message):
                    self._state = CLOSED
                    self._mount.answered_upgrade(conn, self._request, self._denial.status)
            else:
                self._decide(kind, message)
        else:
            raise RuntimeError(f"unexpected ASGI message {kind!r} {_STATES[self._state]}")

    def _accept(self, subprotocol: str | None, fields: Sequence[tuple[str, str]]) -> bool:
        return self._mount.accept(
            self, self._conn, self._request, self._upgrade, subprotocol, fields
        )

    def _decide(self, kind: str, message: Message) -> None:
        if self._state == CONNECTING and kind == "websocket.accept":
            subprotocol = message.get("subprotocol") or None
            fields = [
                (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
                for name, value in message.get("headers") or ()
                if bytes(name).lower() not in _OURS
            ]
            self._state = ACCEPTED if self._accept(subprotocol, fields) else CLOSED
            if self._state == CLOSED:
                raise ClientDisconnected("the server is shutting down")
        elif self._state == CONNECTING and kind == "websocket.close":
            self._state = CLOSED
            self._mount.refused(self._conn, self._request)
        elif self._state == CONNECTING and kind == "websocket.http.response.start":
            self._denial = Denial(self._conn, message)
            self._state = ANSWERING
        else:
            raise RuntimeError(f"unexpected ASGI message {kind!r} {_STATES[self._state]}")

    # Its end.

    def _returned(self) -> None:
        if self._state == ACCEPTED:
            if self._conn._phase == OPEN:
                self._conn.close(NORMAL)
        elif self._state != CLOSED and self._ended is None:
            exc = RuntimeError("the application returned without accepting or refusing")
            self._mount.failed(exc, route_of(self.scope))
            self._refuse(500)

    def _failed(self, exc: BaseException, task: asyncio.Task[Any] | None) -> None:
        if not is_failure(exc, task):
            raise exc
        was_cancelled = is_cancelled(exc)
        is_gone = self._ended is not None or self._conn._phase > OPEN
        if not was_cancelled and not (is_gone and comes_of_disconnect(exc)):
            self._mount.failed(exc, route_of(self.scope))
        if self._state == ACCEPTED and self._conn._phase == OPEN:
            if was_cancelled:
                self._conn.close(GOING_AWAY, CLOSE_REASONS[GOING_AWAY])
            else:
                self._conn.close(INTERNAL_ERROR, "internal error")
        elif self._state in (CONNECTING, ANSWERING) and not is_gone:
            self._refuse(503 if was_cancelled else 500)

    def _refuse(self, status: int) -> None:
        self._state = CLOSED
        if self._denial is not None and self._denial.has_begun:  # its client sees it is not whole
            self._mount.answered_upgrade(self._conn, self._request, self._denial.status)
            return
        reason = "server is shutting down" if status == 503 else "internal server error"
        self._mount.gave_up(self._conn, self._request, HandshakeError(status, reason))


def _as_payload(data: object) -> str | bytes:
    if isinstance(data, str):
        return str(data)
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"a message is str or bytes, not {type(data).__name__}")


_STATES = ("before it is accepted", "while it is open", "after it is closed", "in an answer")

__all__ = ["WebSocketCall"]
