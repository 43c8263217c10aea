"""A WebSocket client in memory: who waits for its half of the protocol, and what a test sees of it.

Like a browser it reads what comes as it comes: pings and closes are answered although nobody calls
`receive`. A peer that does not is what `stall` makes of it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..core import Turn
from ..errors import ConnectionClosed, GlyphFastError, HandshakeError
from ..http.headers import Headers
from ..hub.connection import Connection
from ..json import dumps
from ..websocket.deflate import ClientCodec, Parameters
from ..websocket.handshake import check_accept
from ..wire import ABNORMAL, CLIENT, NORMAL
from .compression import agreed_on
from .envelopes import Envelopes
from .http import Answer, HttpExchange
from .memory import MemoryEngine, Pipe
from .peer import CloseInfo, Outward, PeerConnection

if TYPE_CHECKING:
    from .client import TestClient

__tracebackhide__ = True  # pytest shows the test and the handlers, not this module

SEND_BUFFER = 64 * 1024  # bytes the server has not read, from which on a sender waits


class UpgradeRefused(GlyphFastError):
    """The server did not open the WebSocket; `answer` is the HTTP answer it gave instead."""

    def __init__(self, path: str, answer: Answer) -> None:
        text = answer.body[:200].decode(errors="replace")
        super().__init__(f"{path}: refused with {answer.status} {text}")
        self.answer = answer
        self.status = answer.status


class TestWebSocket(Envelopes):
    """A client of `TestClient.connect`.

    Whatever waits does so for at most the client's `timeout`, or its own, in seconds, and then
    raises TimeoutError with the state of things. Receiving after the end raises ConnectionClosed.
    """

    __test__ = False  # not a class of tests, whatever pytest thinks of its name

    def __init__(self, client: TestClient, path: str) -> None:
        self._client = client
        self.path = path
        self.headers = Headers([])  # of the server's answer
        self.subprotocol: str | None = None  # which the server chose
        self.compression: Parameters | None = None  # agreed on; None: messages go as they are
        self._pipe: Pipe
        self._conn: PeerConnection | None = None
        self._head = bytearray()
        self._unread: deque[str | bytes] = deque()
        self._close: CloseInfo | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._refusal: HttpExchange | None = None

    # Opening.

    async def open(
        self,
        engine: MemoryEngine,
        turn: Turn,
        head: bytes,
        key: str,
        remote: str | None,
        offer: str | None,
    ) -> None:
        """Shake hands; `offer` is the extension that `head` offers. Raises UpgradeRefused."""
        self._pipe = engine.connect(self, remote)
        try:
            await self._shake_hands(turn, head, key, offer)
        except BaseException:
            self._pipe.end()  # as a browser does: nothing more is wanted
            raise

    async def _shake_hands(self, turn: Turn, head: bytes, key: str, offer: str | None) -> None:
        self._pipe.write(head)
        await self._until(
            lambda: b"\r\n\r\n" in self._head or self._close is not None,
            lambda: f"no answer to the handshake at {self.path}",
            None,
        )
        head, _, rest = bytes(self._head).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise UpgradeRefused(self.path, await self._refused())
        try:
            accepted = check_accept(head + b"\r\n\r\n", key)
            self.compression = agreed_on(accepted, offer)
        except HandshakeError as exc:
            raise AssertionError(f"the server's answer is unsound: {exc.reason}") from exc
        self.headers, self.subprotocol = accepted.headers, accepted.subprotocol
        conn = self._conn = PeerConnection(turn, Outward(self._pipe), CLIENT)
        conn.socket = self
        conn._upgrade()
        if self.compression is not None:
            conn._use_codec(ClientCodec(self.compression))
        conn._feed(rest)
        if self._close is not None:
            conn._feed_eof()

    async def _refused(self) -> Answer:
        """The whole answer of a server that does not open the WebSocket."""
        exchange = self._refusal = HttpExchange("GET", "/", [("Host", "test")], b"")
        exchange.received(bytes(self._head))
        if self._close is not None and not exchange.answer.done():
            exchange.ended()
        what = f"the answer at {self.path} is not complete"
        return await self._client.within(exchange.answer, None, lambda: what)

    # What the pipe and the core call.

    def received(self, data: bytes) -> None:
        """Bytes came."""
        if self._conn is not None:
            self._conn._feed(data)
        elif self._refusal is not None:
            self._refusal.received(data)
        else:
            self._head += data
            self._wake()

    def ended(self) -> None:
        """No more bytes will come."""
        if self._conn is not None:
            self._conn._feed_eof()
        elif self._refusal is not None:
            self._refusal.ended()
        else:
            self.over(CloseInfo(ABNORMAL, ""))

    def heard(self, message: str | bytes) -> None:
        """A message came."""
        self._unread.append(message)
        self._wake()

    def over(self, close: CloseInfo) -> None:
        """The connection has ended."""
        self._close = close
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # Sending.

    async def send(self, message: str | bytes, timeout: float | None = None) -> None:
        """Send str as text, bytes as binary; wait while the server does not read (backpressure)."""
        await self._until(
            lambda: self._close is not None or self._pipe.unread < SEND_BUFFER,
            lambda: f"{self._pipe.unread} bytes sent to {self.path} were not read by the server",
            timeout,
        )
        conn = self._peer()
        conn.send(message)
        conn._flush()  # now, so that the next sender sees how much lies there

    async def send_json(self, value: object, timeout: float | None = None) -> None:
        """Send the JSON of a value."""
        await self.send(dumps(value).decode(), timeout)

    async def close(self, code: int = NORMAL, reason: str = "") -> CloseInfo:
        """Close in good order, and return how it ended once it has.

        Messages that come after it began are not heard (RFC 6455 §1.4).
        """
        if self._close is None:
            self._peer().close(code, reason)
        return await self._ended(None, lambda: f"the close of {self.path} was not answered")

    # Receiving.

    async def receive(self, timeout: float | None = None) -> str | bytes:
        """The next message. Raises ConnectionClosed when there are no more."""
        await self._until(
            lambda: self._unread or self._close is not None,
            lambda: f"no message came to {self.path}",
            timeout,
        )
        if not self._unread:
            assert self._close is not None
            raise ConnectionClosed(*self._close)
        return self._unread.popleft()

    def put_back(self, messages: Sequence[str | bytes]) -> None:
        """Let messages that were received be the next again, in their order."""
        self._unread.extendleft(reversed(messages))

    async def receive_text(self, timeout: float | None = None) -> str:
        """The next message, which must be text."""
        message = await self.receive(timeout)
        assert isinstance(message, str), f"expected text, got the binary message {message!r}"
        return message

    async def receive_bytes(self, timeout: float | None = None) -> bytes:
        """The next message, which must be binary."""
        message = await self.receive(timeout)
        assert isinstance(message, bytes), f"expected a binary message, got the text {message!r}"
        return message

    async def receive_json(self, timeout: float | None = None) -> Any:
        """The next message, which must be text, read as JSON."""
        text = await self.receive_text(timeout)
        try:
            return json.loads(text)
        except ValueError as exc:
            raise AssertionError(f"expected JSON, got {text!r}") from exc

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while True:
            try:
                yield await self.receive()
            except ConnectionClosed:
                return

    async def expect_nothing(self) -> None:
        """Fail if there is a message that was not received, or one comes before all is quiet."""
        await self._client.settle()
        assert not self._unread, f"expected nothing at {self.path}, got {self._unread[0]!r}"

    async def expect_close(
        self, code: int | None = None, timeout: float | None = None
    ) -> CloseInfo:
        """Wait for the end, which must have that code; messages that came before stay unread."""
        expected = "" if code is None else f" with {code}"
        close = await self._ended(timeout, lambda: f"{self.path} was not closed{expected}")
        assert code in (None, close.code), f"expected close code {code}, got {close}"
        return close

    # Faults.

    def stall(self, takes: int = 0) -> None:
        """Read no more, as a client that hangs; the network takes `takes` more bytes.

        The server's queue then fills; its pings find no answer either.
        """
        self._pipe.stall(takes)

    def trickle(self, nbytes: int) -> None:
        """Let a stalled client have so many bytes of what waits: slow, but making progress."""
        self._pipe.read(nbytes)

    def resume(self) -> None:
        """Read again, first what has waited."""
        self._pipe.resume()

    def drop(self) -> None:
        """Lose the connection: no close frame, and nothing that is under way arrives."""
        self._pipe.cut()

    # How it is.

    @property
    def connection(self) -> Connection:
        """The server's side of it, as handlers see it."""
        conn = self._pipe.conn
        assert isinstance(conn, Connection)
        return conn

    @property
    def is_open(self) -> bool:
        """Return whether it has not ended, as far as this side knows."""
        return self._close is None

    @property
    def is_paused(self) -> bool:
        """Return whether the server has stopped reading (policy `block`, full inbox)."""
        return self._pipe.is_paused

    @property
    def bytes_received(self) -> int:
        """Bytes of all frames that came, as they came: compressed, where they were."""
        return 0 if self._conn is None else self._conn.bytes_received

    @property
    def unread(self) -> list[str | bytes]:
        """The messages that have come and were not received, the oldest first."""
        return list(self._unread)

    async def __aenter__(self) -> TestWebSocket:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._close is None:
            await self.close()

    def __repr__(self) -> str:
        return f"<TestWebSocket {self.path} {self._state()}>"

    # Waiting.

    def _peer(self) -> PeerConnection:
        if self._close is not None:
            raise ConnectionClosed(*self._close)
        assert self._conn is not None
        return self._conn

    async def _ended(self, timeout: float | None, what: Callable[[], str]) -> CloseInfo:
        await self._until(lambda: self._close is not None, what, timeout)
        assert self._close is not None
        return self._close

    async def _until(
        self, predicate: Callable[[], object], what: Callable[[], str], timeout: float | None
    ) -> None:
        if not predicate():
            waiting = self._wait_until(predicate)
            await self._client.within(waiting, timeout, lambda: f"{what()} ({self._state()})")

    async def _wait_until(self, predicate: Callable[[], object]) -> None:
        while not predicate():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _state(self) -> str:
        """Describe the connection for a test in which something did not come."""
        if self._close is not None:
            return f"closed: {self._close.code} {self._close.reason}".rstrip()
        words = ["open" if self._conn is not None else "opening"]
        if self._pipe.is_stalled:
            words.append("stalled: call resume() to read")
        if self._pipe.is_paused:
            words.append("the server does not read")
        if self._unread:
            words.append(f"{len(self._unread)} messages not received")
        return ", ".join(words)


__all__ = ["TestWebSocket", "UpgradeRefused"]
