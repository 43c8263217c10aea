"""A socket whose other side is the test, and a loop in which waiting takes no time.

async def test_it(bench):            # `conftest.py` runs it
    server = bench.connect()
    socket = await bench.open()
    socket.say({...})
    await asyncio.sleep(30)          # at once
"""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

from glyph_fast.client import Client, ClientError, Room
from glyph_fast.client.link import Listener


class _Impatient(selectors.SelectSelector):
    """Has nothing to wait for but time, which it lets pass."""

    loop: WarpLoop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing will ever happen")
        self.loop.now += timeout
        return super().select(0)


class WarpLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        selector = _Impatient()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    @property
    def timers(self) -> int:
        """How many there are."""
        return sum(not each.cancelled() for each in self._scheduled)  # type: ignore[attr-defined]


class FakeSocket:
    """The client's socket; what stands below is the server's."""

    def __init__(self, token: str | None, listener: Listener) -> None:
        self.token = token
        self.sent: list[str | bytes] = []
        self.pings = 0
        self.end_of_ours = ""
        self.unsent = 0
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listener: Listener | None = listener
        self._is_open = False

    def send(self, message: str | bytes) -> bool:
        if self._is_open:
            self.sent.append(message)
        return self._is_open

    def ping(self) -> None:
        self.pings += 1

    def close(self) -> None:
        self._leave("closed")

    def drop(self) -> None:
        self._leave("dropped")

    def abort(self) -> None:
        self._leave("cut")

    def _leave(self, how: str) -> None:
        self.end_of_ours = self.end_of_ours or how
        self._listener, self._is_open = None, False
        if not self.gone.done():
            self.gone.set_result(None)

    # The server's side.

    def open(self) -> FakeSocket:
        """Answer 101."""
        self._is_open = True
        if self._listener is not None:
            self._listener.opened()
        return self

    def say(self, message: object) -> None:
        """Send text or bytes as they are, else JSON."""
        if self._listener is not None:
            self._listener.alive()
            is_plain = isinstance(message, (str, bytes))
            self._listener.heard(message if is_plain else json.dumps(message))  # type: ignore[arg-type]

    def pong(self) -> FakeSocket:
        """Answer the ping that was sent as it opened, by which it counts as open."""
        (ping,) = [each for each in self._messages() if each["type"] == "ping"]
        self.sent = [each for each in self.sent if json.loads(each) != ping]
        pong = {"type": "pong", "data": {"timestamp": None}, "target": "me", "id": ping["id"]}
        self.say(pong)
        return self

    def alive(self) -> None:
        """Send bytes that are no message."""
        if self._listener is not None:
            self._listener.alive()

    def end(self, code: int = 1006, reason: str = "") -> None:
        """Close it."""
        listener, self._listener, self._is_open = self._listener, None, False
        if not self.gone.done():
            self.gone.set_result(None)
        if listener is not None:
            listener.ended(code, reason)

    def take(self) -> list[Any]:
        """What was sent since the last call, without pings."""
        found = [each for each in self._messages() if each["type"] != "ping"]
        self.sent.clear()
        return found

    def take_one(self) -> Any:
        """The only thing that was sent since the last call."""
        (found,) = self.take()
        return found

    def answer(self, question: Any, data: object) -> None:
        """Answer something that was taken."""
        self.say({"type": "json", "data": data, "target": "me", "id": question["id"]})

    def refuse(self, question: Any, error: str) -> None:
        """Answer something by an error."""
        self.say({"type": "error", "data": {"error": error}, "target": "me", "id": question["id"]})

    def _messages(self) -> list[Any]:
        return [json.loads(each) for each in self.sent]


class Bench:
    """A client whose sockets are fakes; `sockets` are all that it has opened."""

    def __init__(self, loop: WarpLoop) -> None:
        self.loop = loop
        self.sockets: list[FakeSocket] = []
        self.states: list[tuple[str, int]] = []
        self.errors: list[str] = []
        self.dial: Callable[[str | None, Listener], Awaitable[object]] = self._dial

    async def _dial(self, token: str | None, listener: Listener) -> None:
        socket = FakeSocket(token, listener)
        self.sockets.append(socket)
        listener.made(socket)

    def connect(self, token: Any = None, *, ping: bool = True) -> Client:
        """A client that is about to open its first socket."""
        server = Client(lambda *given: self.dial(*given), token, ping=ping, where="fake")
        server.on("state", lambda state, why: self.states.append((state, why.code)))
        server.on("error", lambda error: self.errors.append(str(error)))
        self.server = server
        return server

    @property
    def socket(self) -> FakeSocket:
        """The latest."""
        return self.sockets[-1]

    async def open(self) -> FakeSocket:
        """The latest socket, open and known to be so."""
        await settle()
        return self.socket.open().pong()

    async def again(self, code: int = 1006) -> FakeSocket:
        """End the socket, wait out the pause, and open the next one."""
        former = self.socket
        former.end(code)
        return await self.next(former)

    async def next(self, former: FakeSocket) -> FakeSocket:
        """The socket after another, open and known to be so."""
        for _ in range(300):
            if self.socket is not former:
                break
            await asyncio.sleep(0.1)
        return await self.open()


async def settle() -> None:
    """Let what waits for nothing but the loop happen."""
    for _ in range(20):
        await asyncio.sleep(0)


class Fate:
    """What becomes of something awaitable: "pending", its value, or its error."""

    def __init__(self, coro: Any) -> None:
        self._task = asyncio.ensure_future(coro)
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def now(self) -> object:
        """How it stands."""
        await settle()
        if not self._task.done():
            return "pending"
        error = self._task.exception()
        if isinstance(error, ClientError):
            return str(error), error.maybe_sent
        return error or self._task.result()

    def cancel(self) -> None:
        """Whoever waited has enough."""
        self._task.cancel()


class Watched:
    """A room that writes down what it tells."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.log: list[Any] = []
        room.on(
            "message", lambda data, meta: self.log.append(f"old {data}" if meta.history else data)
        )
        for event in ("joined", "reset", "left"):
            room.on(event, lambda event=event: self.log.append(event))
        room.on("resumed", lambda count: self.log.append(f"resumed {count}"))
        room.on("error", lambda error: self.log.append(f"error {error}"))
        room.on("presence", self._present)

    def _present(self, members: Any, crowd: Any) -> None:
        names = ",".join(each.id for each in members)
        self.log.append(f"{names} {crowd.clients}/{crowd.users}")
