"""A server run in memory, and clients of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .. import core
from ..engine.base import new_turn
from ..errors import ConfigError
from ..json import dumps
from ..server.server import Server
from ..websocket.handshake import client_request, new_key
from .compression import offer_of
from .forms import FormFields, encode_form
from .http import Answer, HeaderFields, HttpExchange, pairs, request_fields
from .memory import Clock, MemoryEngine
from .peer import NO_LIMITS, PeerEvents
from .websocket import TestWebSocket

if TYPE_CHECKING:
    from typing import Unpack

    from ..options.given import Options

__tracebackhide__ = True  # pytest shows the test and the handlers, not this module

T = TypeVar("T")

TIMEOUT_S = 5.0  # for whatever a test waits for
HOST = "testserver"  # what clients put into Host
REMOTE = "127.0.0.1"  # where they come from


class TestClient:
    """Serves `server` for the length of an `async with`, without a port, and connects to it.

    `timeout` is the longest wait for anything, in seconds. With `raise_errors`, what handlers
    raised and the test did not take from `errors` is raised at the end. `options` are options of
    the server (`queue_messages=4`), whose own are used again afterwards. Raises ConfigError for
    several workers.

    The start-up, background and shut-down functions of the server run as they do in production.
    Its clock stands still but for `advance`; the loop's does not, so a handler's `asyncio.sleep`
    takes as long as ever.
    """

    __test__ = False  # not a class of tests, whatever pytest thinks of its name

    def __init__(
        self,
        server: Server,
        *,
        timeout: float = TIMEOUT_S,
        raise_errors: bool = True,
        **options: Unpack[Options],
    ) -> None:
        if not isinstance(server, Server):
            raise TypeError(f"a test client takes a Server, and {server!r} is none")
        self.server = server
        self.hub = server.hub
        self.timeout = timeout
        self.errors: list[BaseException] = []  # that handlers raised, in their order
        self._raise_errors = raise_errors
        self._options: Options = {"drain_delay": 0.0, **options}
        self._clock = Clock()
        self._engine: MemoryEngine | None = None
        self._sockets: list[TestWebSocket] = []
        self._task: asyncio.Task[None]
        self._peers: core.Turn

    # Running.

    async def __aenter__(self) -> TestClient:
        if self.server.config.replace(**self._options).workers > 1:
            raise ConfigError("workers are processes, and a TestClient has one: give it workers=1")
        loop = asyncio.get_running_loop()
        self._peers = new_turn(loop, NO_LIMITS, PeerEvents())  # type: ignore[arg-type]
        started: asyncio.Future[str] = loop.create_future()
        serving = self.server._serve_in_memory(
            self._new_engine, self._clock, started.set_result, self.errors, self._options
        )
        self._task = asyncio.create_task(serving)
        either: set[asyncio.Future[Any]] = {self._task, started}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            await self._task  # which raises what the start raised
        return self

    async def __aexit__(self, kind: object, exc: BaseException | None, traceback: object) -> None:
        for each in self._sockets:
            if each.is_open:
                each.resume()  # what hangs would only hold up the end
        try:
            await self.server.shutdown(self.timeout)
            await self._task
        finally:
            self._task.cancel()
            await asyncio.wait({self._task})
        if exc is None and self._raise_errors and self.errors:
            self._raise()

    def _new_engine(self, turn: core.Turn, loop: asyncio.AbstractEventLoop) -> MemoryEngine:
        self._engine = MemoryEngine(turn, loop, self._clock)
        return self._engine

    def _raise(self) -> None:
        first, *others = self.errors
        if others:
            raise BaseExceptionGroup("handlers raised, and the test did not expect it", self.errors)
        first.add_note("raised by a handler; a test that expects it takes it from `client.errors`")
        raise first

    # WebSockets.

    async def connect(
        self,
        path: str = "/ws",
        *,
        headers: HeaderFields | None = None,
        origin: str | None = None,
        subprotocols: Sequence[str] = (),
        compression: bool | str = False,
        remote: str | None = REMOTE,
    ) -> TestWebSocket:
        """Open a WebSocket from the address `remote`.

        `compression` offers permessage-deflate as browsers do, or by the parameters of a text
        (`"permessage-deflate; server_no_context_takeover"`); `compression` of what is returned is
        what the server agreed to. Raises UpgradeRefused with the answer when the server does not
        accept.
        """
        offer = offer_of(compression)
        fields = pairs(headers)
        host = next((value for name, value in fields if name.lower() == "host"), HOST)
        others = [(name, value) for name, value in fields if name.lower() != "host"]
        key = new_key()
        head = client_request(
            host,
            path,
            key,
            origin=origin,
            subprotocols=subprotocols,
            extensions=offer,
            headers=others,
        )
        socket = TestWebSocket(self, path)
        await socket.open(self._serving(), self._peers, head, key, remote, offer)
        self._sockets.append(socket)
        return socket

    async def connect_many(
        self, count: int, path: str = "/ws", **options: Any
    ) -> list[TestWebSocket]:
        """Open so many WebSockets, one after the other."""
        return [await self.connect(path, **options) for _ in range(count)]

    # HTTP.

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: HeaderFields | None = None,
        body: str | bytes = b"",
        json: object = None,
        form: FormFields | None = None,
        remote: str | None = REMOTE,
        timeout: float | None = None,
    ) -> Answer:
        """Send an HTTP request on a connection of its own.

        `json` is a body, encoded. `form` is one, too: texts by name, files as `(name, bytes)` or
        `(name, bytes, type)`, several of one name as a list.
        """
        data = body.encode() if isinstance(body, str) else body
        content_type = None
        if json is not None:
            data, content_type = dumps(json), "application/json"
        elif form is not None:
            data, content_type = encode_form(form)
        fields = request_fields(HOST, headers, data, content_type)
        exchange = HttpExchange(method, path, fields, data)
        pipe = exchange.begin(self._serving(), remote)
        try:
            what = f"no answer to {method} {path}"
            return await self.within(exchange.answer, timeout, lambda: what)
        finally:
            pipe.end()

    async def get(self, path: str, **options: Any) -> Answer:
        """`request` with GET."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Answer:
        """`request` with POST."""
        return await self.request("POST", path, **options)

    async def put(self, path: str, **options: Any) -> Answer:
        """`request` with PUT."""
        return await self.request("PUT", path, **options)

    async def patch(self, path: str, **options: Any) -> Answer:
        """`request` with PATCH."""
        return await self.request("PATCH", path, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        """`request` with DELETE."""
        return await self.request("DELETE", path, **options)

    # Time.

    async def advance(self, seconds: float) -> None:
        """Let the server's time pass: pings are sent and answered, and deadlines judged.

        It passes in the steps in which a server looks at its clock, a second at most.
        """
        await self._serving().advance(seconds)

    async def settle(self) -> None:
        """Let everything under way arrive, and the handlers run that wait for nothing else."""
        await self._serving().settle()

    # Waiting.

    async def within(
        self, awaitable: Awaitable[T], timeout: float | None, what: Callable[[], str]
    ) -> T:
        """The result, or a TimeoutError that says `what` did not happen."""
        seconds = self.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds) as limit:
                return await awaitable
        except TimeoutError:
            if not limit.expired():
                raise
        raise TimeoutError(f"{what()} within {seconds:g} s{_raised(self.errors)}")

    def _serving(self) -> MemoryEngine:
        if self._engine is None:
            raise RuntimeError("the server does not run: use `async with TestClient(server)`")
        return self._engine


def _raised(errors: Iterable[BaseException]) -> str:
    """Say what handlers have raised: mostly the reason why something did not come."""
    lines = [f"\n  a handler raised {exc!r}" for exc in errors]
    return "".join(lines[-3:])


__all__ = ["TestClient"]
