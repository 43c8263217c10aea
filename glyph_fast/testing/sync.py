"""The same without `await`: the loop turns in a thread of its own, and each call waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, TypeVar

from ..choice import new_event_loop
from ..errors import ConnectionClosed
from ..server import Server
from .client import TestClient
from .http import Answer
from .websocket import CloseInfo, TestWebSocket

T = TypeVar("T")


class _Portal:
    """A loop in a thread, and calls into it."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._loop = new_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="glyph-fast test server"
        )
        self._thread.start()

    def wait(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and return its result here."""
        return asyncio.run_coroutine_threadsafe(coro, self._loop).result()

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function there."""

        async def run() -> T:
            return function(*args)

        return self.wait(run())

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


class SyncWebSocket:
    """A `TestWebSocket` whose methods wait by themselves."""

    def __init__(self, portal: _Portal, socket: TestWebSocket) -> None:
        self._portal = portal
        self._socket = socket
        self.path = socket.path
        self.headers = socket.headers
        self.subprotocol = socket.subprotocol
        self.compression = socket.compression
        self.connection = socket.connection

    def send(self, message: str | bytes, timeout: float | None = None) -> None:
        """Send str as text, bytes as binary; wait while the server does not read."""
        self._portal.wait(self._socket.send(message, timeout))

    def send_json(self, value: object, timeout: float | None = None) -> None:
        """Send the JSON of a value."""
        self._portal.wait(self._socket.send_json(value, timeout))

    def send_event(self, name: str, data: object = None, room: str = "") -> None:
        """Send what `on_event(name)` hears."""
        self._portal.wait(self._socket.send_event(name, data, room))

    def receive(self, timeout: float | None = None) -> str | bytes:
        """The next message. Raises ConnectionClosed when there are no more."""
        return self._portal.wait(self._socket.receive(timeout))

    def receive_text(self, timeout: float | None = None) -> str:
        """The next message, which must be text."""
        return self._portal.wait(self._socket.receive_text(timeout))

    def receive_bytes(self, timeout: float | None = None) -> bytes:
        """The next message, which must be binary."""
        return self._portal.wait(self._socket.receive_bytes(timeout))

    def receive_json(self, timeout: float | None = None) -> Any:
        """The next message, which must be text, read as JSON."""
        return self._portal.wait(self._socket.receive_json(timeout))

    def __iter__(self) -> Iterator[str | bytes]:
        while True:
            try:
                yield self.receive()
            except ConnectionClosed:
                return

    def expect_nothing(self) -> None:
        """Fail if there is a message that was not received, or one comes before all is quiet."""
        self._portal.wait(self._socket.expect_nothing())

    def expect_close(self, code: int | None = None, timeout: float | None = None) -> CloseInfo:
        """Wait for the end, which must have that code."""
        return self._portal.wait(self._socket.expect_close(code, timeout))

    def close(self, code: int = 1000, reason: str = "") -> CloseInfo:
        """Close in good order, and return how it ended once it has."""
        return self._portal.wait(self._socket.close(code, reason))

    def stall(self, takes: int = 0) -> None:
        """Read no more. See `TestWebSocket.stall`."""
        self._portal.call(self._socket.stall, takes)

    def trickle(self, nbytes: int) -> None:
        """Let a stalled client have so many bytes of what waits."""
        self._portal.call(self._socket.trickle, nbytes)

    def resume(self) -> None:
        """Read again, first what has waited."""
        self._portal.call(self._socket.resume)

    def drop(self) -> None:
        """Lose the connection without a close frame."""
        self._portal.call(self._socket.drop)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended, as far as this side knows."""
        return self._socket.is_open

    @property
    def bytes_received(self) -> int:
        """Bytes of all frames that came, compressed as they were."""
        return self._socket.bytes_received

    @property
    def is_paused(self) -> bool:
        """Whether the server has stopped reading from this client."""
        return self._socket.is_paused

    def __enter__(self) -> SyncWebSocket:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.is_open:
            self.close()


class SyncTestClient:
    """A `TestClient` for tests that are plain functions; the arguments are the same.

    The server runs in a thread of its own.
    """

    def __init__(self, server: Server, **options: Any) -> None:
        self._client = TestClient(server, **options)
        self._portal: _Portal
        self.server = server
        self.hub = server.hub
        self.errors = self._client.errors

    def __enter__(self) -> SyncTestClient:
        self._portal = _Portal(partial(new_event_loop, self.server.config.loop))
        try:
            self._portal.wait(self._client.__aenter__())
        except BaseException:
            self._portal.close()
            raise
        return self

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> None:
        try:
            self._portal.wait(self._client.__aexit__(kind, exc, traceback))
        finally:
            self._portal.close()

    def connect(self, path: str = "/ws", **options: Any) -> SyncWebSocket:
        """Open a WebSocket. See `TestClient.connect`."""
        socket = self._portal.wait(self._client.connect(path, **options))
        return SyncWebSocket(self._portal, socket)

    def request(self, method: str, path: str, **options: Any) -> Answer:
        """Send an HTTP request. See `TestClient.request`."""
        return self._portal.wait(self._client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> Answer:
        """`request` with GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Answer:
        """`request` with POST."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> Answer:
        """`request` with PUT."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Answer:
        """`request` with PATCH."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        """`request` with DELETE."""
        return self.request("DELETE", path, **options)

    def advance(self, seconds: float) -> None:
        """Let the server's time pass. See `TestClient.advance`."""
        self._portal.wait(self._client.advance(seconds))

    def settle(self) -> None:
        """Let everything under way arrive."""
        self._portal.wait(self._client.settle())


__all__ = ["SyncTestClient", "SyncWebSocket"]
