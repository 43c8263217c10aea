"""One WebSocket, from the request for it to its end: a core connection in the role of the client.

The core judges the server as strictly as a server judges its clients. What becomes of the socket is
told to its owner: `opened`, then `heard` for each message, and one `ended`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, cast

from ..core import Connection, Limits, Turn
from ..errors import HandshakeError
from ..websocket.deflate import CLIENT_OFFER, ClientCodec, accept
from ..websocket.handshake import check_accept
from ..wire import ABNORMAL, CLIENT, CLOSED, NORMAL, OPEN
from .tasks import LOGGER

CLOSE_WITHIN = 5.0  # seconds for the server's part of an end
MOST_UNTAKEN = 64 * 1024 * 1024  # bytes for a server that reads none: then it is not heard, either
_NO_LIMIT = 1 << 40


class Owner(Protocol):
    """The owner of a socket, who is told."""

    def made(self, socket: Socket) -> None:
        """There is a transport."""
        ...

    def opened(self) -> None:
        """Both sides speak frames from now on."""
        ...

    def alive(self) -> None:
        """Bytes came, of whatever."""
        ...

    def heard(self, payload: str | bytes) -> None:
        """A message came."""
        ...

    def ended(self, code: int, reason: str) -> None:
        """The server has closed it, it was refused, or it was lost (1006). Nothing follows."""
        ...


class Request(NamedTuple):
    """The request to the server, and what it may agree to."""

    head: bytes
    key: str
    subprotocols: Sequence[str]
    compression: bool
    max_size: int


class Socket(asyncio.Protocol):
    """The protocol of one transport. `gone` is done once that is closed."""

    _transport: asyncio.Transport
    _sink: _Sink

    def __init__(self, request: Request, owner: Owner) -> None:
        self._loop = asyncio.get_running_loop()
        self._request = request
        self._owner: Owner | None = owner  # None: nobody is to be told any more
        self._leaving: asyncio.TimerHandle | None = None
        self._conn: Connection
        self.gone: asyncio.Future[None] = self._loop.create_future()

    # Of the program.

    def send(self, message: str | bytes) -> bool:
        """Send a message; False where it is not open."""
        if not self._conn.is_open:
            return False
        self._conn.send(message)
        return True

    @property
    def unsent(self) -> int:
        """Bytes that the network has not taken."""
        return self._conn.queued_bytes + self._transport.get_write_buffer_size()

    def ping(self) -> None:
        """Send a ping frame, which every server answers by bytes."""
        self._conn._ping()

    def close(self) -> None:
        """Tell nobody any more, and end it as RFC 6455 §7.1.2 wants it."""
        self._owner = None
        if self._conn._phase == OPEN:
            self._conn.close(NORMAL)
            self._leave_in_time()
        else:
            self.abort()

    def drop(self) -> None:
        """End it at once, if the server has not ended it already."""
        if self._owner is not None:
            self.abort()

    def abort(self) -> None:
        """Tell nobody any more, and end it at once."""
        self._owner = None
        if self._conn._phase < CLOSED:
            self._conn.abort()

    # Of the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        limits = Limits(
            max_message_size=self._request.max_size,
            queue_messages=_NO_LIMIT,
            queue_bytes=_NO_LIMIT,
            ping_interval=0,
        )
        turn = Turn(limits, _Events(self), wake=lambda: self._loop.call_soon(turn.flush))
        self._sink = _Sink(self._transport)
        self._conn = Connection(turn, self._sink, CLIENT)
        self._conn._holds_close = True  # so that `closing` tells of the server's
        if self._owner is not None:
            self._owner.made(self)
        self._conn._write(self._request.head)

    def data_received(self, data: bytes) -> None:
        if self._owner is not None:
            self._owner.alive()
        self._conn._feed(data)
        if self.unsent > MOST_UNTAKEN:  # pongs and answers to what it says may be more and more
            self._sink.pause_reading(for_writing=True)

    def pause_writing(self) -> None:
        self._sink.is_full = True

    def resume_writing(self) -> None:
        self._sink.is_full = False
        # Not from here: asyncio's transport, closed by what it calls, would be lost twice.
        self._loop.call_soon(self._write_on)

    def _write_on(self) -> None:
        if self.gone.done():
            return
        self._conn._flush()
        if self._owner is not None and self._sink.is_deaf:
            self._owner.alive()  # it takes what is sent
        if self.unsent <= MOST_UNTAKEN:
            self._sink.resume_reading(for_writing=True)

    def eof_received(self) -> None:
        self._conn._feed_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._conn._lost()
        if self._leaving is not None:
            self._leaving.cancel()
        if not self.gone.done():
            self.gone.set_result(None)

    # Of the core.

    def answered(self, head: bytes) -> None:
        """The server's answer to the request came."""
        if self._owner is None:
            return
        try:
            self._agree(head)
        except HandshakeError as exc:
            refused = head.startswith(b"HTTP/1.1 ") and head[9:12] != b"101"
            said = f"the server answered {exc.status} {exc.reason}".rstrip()
            self.failed(said if refused else exc.reason)
            return
        self._conn._upgrade()
        self._owner.opened()

    def _agree(self, head: bytes) -> None:
        accepted = check_accept(head, self._request.key)
        if accepted.subprotocol not in (None, *self._request.subprotocols):
            raise HandshakeError(400, "the server chose a subprotocol that was not offered")
        offer = CLIENT_OFFER if self._request.compression else None
        if offer is None and accepted.extensions:
            raise HandshakeError(400, "the server chose an extension that was not offered")
        parameters = accept(accepted.extensions, offer) if offer else None
        if parameters is not None:
            self._conn._use_codec(ClientCodec(parameters))

    def heard(self, payload: str | bytes) -> None:
        """A message came."""
        if self._owner is not None:
            self._owner.heard(payload)

    def closing(self, code: int, reason: str) -> None:
        """The server closes: answer it, and let it end the transport first (RFC 6455 §7.1.1)."""
        self._conn._answer_close()
        self._leave_in_time()
        self._tell(code, reason)

    def failed(self, reason: str) -> None:
        """It cannot go on."""
        owner = self._owner
        self.abort()
        if owner is not None:
            owner.ended(ABNORMAL, reason)

    def over(self, code: int, reason: str) -> None:
        """The core's last call, and the first of an end without the server's close frame.

        A code there is the core's, of a server that broke the protocol.
        """
        self._leave_in_time()
        broken = "" if code == ABNORMAL else f"the server broke the protocol: {reason}"
        self._tell(ABNORMAL, broken or "connection lost")

    def _tell(self, code: int, reason: str) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.ended(code, reason)

    def _leave_in_time(self) -> None:
        if self._leaving is None and not self.gone.done():
            self._leaving = self._loop.call_later(CLOSE_WITHIN, self._transport.abort)


class _Events:
    """The core's `Handler` of one socket."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    def request(self, conn: Any, head: bytes) -> None:
        self._socket.answered(head)

    def refuse(self, conn: Any, status: int) -> None:
        self._socket.failed("the server's answer is too long")

    def data(self, conn: Any, chunk: bytes) -> int:
        return len(chunk)  # never: no body is expected

    def ended(self, conn: Any) -> None:
        """Never: nobody is held."""

    full = drain = ended  # never: there are no limits on this side

    def message(self, conn: Any, opcode: int, payload: str | bytes) -> None:
        self._socket.heard(payload)

    def closing(self, conn: Any, code: int, reason: str) -> None:
        self._socket.closing(code, reason)

    def close(self, conn: Any, code: int, reason: str) -> None:
        self._socket.over(code, reason)

    def failed(self, conn: Any, exc: BaseException) -> None:
        """Report a defect, or no memory; what handlers raise is caught where they are called."""
        if isinstance(exc, Exception):
            LOGGER.error("the connection failed", exc_info=exc)
            self._socket.failed(str(exc))
        else:
            asyncio.get_running_loop().call_soon(_raise, exc)  # the program is to end


def _raise(exc: BaseException) -> None:
    raise exc


class _Sink:
    """Takes the core's bytes to the transport, until that is full.

    The rest waits in the core, which keeps one pong for all pings that came meanwhile.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.is_full = False
        self.is_deaf = False  # because too much waits
        self._is_paused = False  # by the core
        self.unsent: Callable[[], int] = transport.get_write_buffer_size
        self.close = transport.close
        self.abort = transport.abort

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        if self._transport.is_closing():
            raise BrokenPipeError
        if self.is_full:
            return 0
        data = b"".join(buffers)
        self._transport.write(data)
        return len(data)

    def shutdown(self) -> None:
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:  # TLS
            self._transport.close()

    def pause_reading(self, *, for_writing: bool = False) -> None:
        self._set(self._is_paused or not for_writing, self.is_deaf or for_writing)

    def resume_reading(self, *, for_writing: bool = False) -> None:
        self._set(self._is_paused and for_writing, self.is_deaf and not for_writing)

    def _set(self, is_paused: bool, is_deaf: bool) -> None:
        was_quiet = self._is_paused or self.is_deaf
        self._is_paused, self.is_deaf = is_paused, is_deaf
        if was_quiet == (is_paused or is_deaf) or self._transport.is_closing():
            return
        if was_quiet:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
