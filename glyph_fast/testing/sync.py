"""The same without `await`: the loop turns in a thread of its own, and each call waits for it.

A handler that never gives the loop back must not take the test with it. Each wait therefore looks
from time to time whether the loop still turns, and ends with the place where its thread stands.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine, Iterator
from concurrent import futures
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ConnectionClosed
from ..options.choice import new_event_loop
from ..server.server import Server
from .client import TIMEOUT_S, TestClient
from .http import Answer
from .peer import CloseInfo
from .websocket import TestWebSocket

if TYPE_CHECKING:
    from typing import Unpack

    from ..options.given import Options

__tracebackhide__ = True  # pytest shows the test and the handlers, not this module

T = TypeVar("T")


LOOK_S = 0.1  # between two looks at whether the loop turns
_OWN_FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")


class LoopBlocked(TimeoutError):
    """The loop does not turn: a handler does not give it back."""


class _Portal:
    """A loop in a thread, and calls into it. `patience` is how long it may stand still, in s."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop], patience: float) -> None:
        self._loop = new_loop()
        self._patience = patience
        self._is_blocked = False
        # A daemon: the interpreter must be able to end while a handler blocks the loop.
        self._thread = threading.Thread(
            target=self._run, name="glyph-fast test server", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        """Turn the loop until it is stopped, and close it here: nobody may be left to wait."""
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def wait(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and return its result here. Raises LoopBlocked."""
        result = asyncio.run_coroutine_threadsafe(coro, self._loop)
        futures.wait((result,), LOOK_S)
        while not result.done():
            # The wait may be long; what must be short is the time in which the loop answers.
            turn: futures.Future[None] = futures.Future()
            self._loop.call_soon_threadsafe(turn.set_result, None)
            patience = LOOK_S if self._is_blocked else self._patience  # the test knows already
            either: set[futures.Future[Any]] = {result, turn}
            futures.wait(either, patience, futures.FIRST_COMPLETED)
            self._is_blocked = not turn.done() and not result.done()
            if self._is_blocked:
                result.cancel()
                raise LoopBlocked(
                    f"the server's loop has not turned for {self._patience:g} s: a handler does "
                    f"not give it back\n{self._place()}"
                )
            futures.wait((result,), LOOK_S)
        error = result.exception()
        if error is None:
            return result.result()
        try:
            raise error  # from here, so that no frames of `concurrent.futures` are shown
        finally:
            del error  # its traceback holds this frame

    def _place(self) -> str:
        """Return where the thread stands: the frames of the code that the server called."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        frames = [] if frame is None else traceback.extract_stack(frame)
        called = list(frames)
        while called and any(each.filename.startswith(_OWN_FOLDER) for each in called):
            del called[0]
        return "".join(traceback.format_list(called or frames)).rstrip()

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function there."""

        async def run() -> T:
            return function(*args)

        return self.wait(run())

    def close(self) -> None:
        """End the thread; one that is blocked ends once its handler does."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LOOK_S if self._is_blocked else self._patience)


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

    def answer(
        self,
        event: str,
        data: object = None,
        *,
        error: object = None,
        timeout: float | None = None,
    ) -> Any:
        """Reply to `conn.call(event, …)`; return what it asks. See `TestWebSocket.answer`."""
        answering = self._socket.answer(event, data, error=error, timeout=timeout)
        return self._portal.wait(answering)

    def ask(self, word: str, timeout: float | None = None, **members: Any) -> Any:
        """Send a built-in message; return the `data` of its answer. See `TestWebSocket.ask`."""
        return self._portal.wait(self._socket.ask(word, timeout, **members))

    def join(self, room: str, timeout: float | None = None, **members: Any) -> Any:
        """Join a room by a message. See `TestWebSocket.join`."""
        return self._portal.wait(self._socket.join(room, timeout, **members))

    def present(self, room: str, timeout: float | None = None) -> list[Any]:
        """List who is in a room of this client. See `TestWebSocket.present`."""
        return self._portal.wait(self._socket.present(room, timeout))

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
        """Return whether it has not ended, as far as this side knows."""
        return self._socket.is_open

    @property
    def bytes_received(self) -> int:
        """Bytes of all frames that came, compressed as they were."""
        return self._socket.bytes_received

    @property
    def is_paused(self) -> bool:
        """Return whether the server has stopped reading from this client."""
        return self._socket.is_paused

    def __enter__(self) -> SyncWebSocket:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.is_open:
            self.close()


class SyncTestClient:
    """A `TestClient` for tests that are plain functions; the arguments are the same.

    The server runs in a thread of its own. When a handler blocks that for longer than `timeout`,
    what waits raises a TimeoutError that shows where.
    """

    def __init__(
        self,
        server: Server,
        *,
        timeout: float = TIMEOUT_S,
        raise_errors: bool = True,
        **options: Unpack[Options],
    ) -> None:
        self._client = TestClient(server, timeout=timeout, raise_errors=raise_errors, **options)
        self._thread: _Portal | None = None
        self.server = server
        self.hub = server.hub
        self.errors = self._client.errors

    def __enter__(self) -> SyncTestClient:
        new_loop = partial(new_event_loop, self.server.config.loop)
        portal = _Portal(new_loop, self._client.timeout)
        try:
            portal.wait(self._client.__aenter__())
        except BaseException:
            portal.close()
            raise
        self._thread = portal
        return self

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> None:
        portal, self._thread = self._portal, None
        try:
            portal.wait(self._client.__aexit__(kind, exc, traceback))
        except LoopBlocked as blocked:
            if exc is None:
                raise
            if not isinstance(exc, LoopBlocked):
                exc.add_note(str(blocked))
        finally:
            portal.close()

    @property
    def _portal(self) -> _Portal:
        if self._thread is None:
            raise RuntimeError("the server does not run: use `with SyncTestClient(server)`")
        return self._thread

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
