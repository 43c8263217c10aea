"""One run of a server, from its sockets to its last connection.

    bind → on_startup → background tasks → listen → … → drain → on_shutdown

Draining, in this order: upgrades and `/healthz` get 503 while clients may still connect, for the
length of the drain delay; listening stops and background tasks are cancelled; every connection is
asked to close; what handlers still do is waited for; what is left at the deadline is aborted.

Handing over is a drain without the 503: a successor accepts from the same sockets already, so this
run stops accepting at once, and serves what it has accepted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from . import core
from .choice import check_core, choose_engine
from .config import Config
from .connection import Connection
from .engine.base import new_turn
from .engine.listening import Listening, bind_tcp, bind_unix, inherit
from .engine.making import NewEngine, engine_of, limits_of
from .engine.opening import Opening
from .errors import ListenError
from .handlers.dispatcher import Dispatcher
from .handover import ACTIVATED, Inherited, Place
from .hub import Hub
from .logs import SERVER, log
from .loopwatch import LoopWatch
from .wire import GOING_AWAY, OPEN, SERVICE_RESTART

if TYPE_CHECKING:
    from .interfaces import Engine

FIRST_BACKOFF_S = 1.0  # before a background task that failed is started again; then doubled …
LONGEST_BACKOFF_S = 60.0  # … up to this, and reset by a run of this length
BACKGROUND_GRACE_S = 1.0  # for cancelled background tasks, before the connections are closed
LOOK_S = 0.01  # between two looks at connections that a successor does not have
DISCONNECT_GRACE_S = 1.0  # for the disconnect handlers of connections aborted at the deadline

Hook = Callable[[], Any]
BackgroundTask = Callable[[], Coroutine[Any, Any, Any]]


class Events:
    """The core's `Handler`: what the opening and the dispatcher do, one look-up away."""

    __slots__ = (
        "_closed", "_dispatcher", "_left", "_opening",
        "data", "drain", "failed", "full", "message", "refuse", "request",
    )  # fmt: skip

    def __init__(
        self, opening: Opening, dispatcher: Dispatcher, closed: Callable[[], object]
    ) -> None:
        self.request = opening.request
        self.refuse = opening.refuse
        self.data = opening.data
        self.message = dispatcher.message
        self.full = dispatcher.full
        self.drain = dispatcher.drain
        self.failed = dispatcher.failed
        self._opening = opening
        self._dispatcher = dispatcher
        self._closed = closed
        self._left = opening.left

    def close(self, conn: Any, code: int, reason: str) -> None:
        """A connection is gone."""
        if conn.opened:
            if self._left is not None:
                self._left(conn)
            self._dispatcher.close(conn, code, reason)
        else:
            self._opening.closed(conn)
        self._closed()


class Lifecycle:
    """One run. `start` makes it serve, `stop` asks it to end, `ended` returns when it has.

    `role` is the word of the line that says where it listens; of any but the first the log says
    little, for it ends with the server. Sockets of that role are taken from `inherited`.
    With `new_engine` that is the engine, and nothing is bound.
    """

    def __init__(
        self,
        config: Config,
        hub: Hub,
        dispatcher: Dispatcher,
        opening: Opening,
        *,
        background: Sequence[BackgroundTask] = (),
        on_startup: Sequence[Hook] = (),
        on_shutdown: Sequence[Hook] = (),
        role: str = "listening",
        inherited: Inherited | None = None,
        new_engine: NewEngine | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._hub = hub
        self._dispatcher = dispatcher
        self._opening = opening
        self._background = background
        self._on_startup = on_startup
        self._on_shutdown = on_shutdown
        self._role = role
        self._new_engine = new_engine
        self._clock = clock
        self._inherited = inherited if inherited is not None else Inherited()
        self._log_level = logging.INFO if role == "listening" else logging.DEBUG
        self._watch = LoopWatch() if role == "listening" else None
        self._loop = asyncio.get_running_loop()
        self._listening: Listening | None = None
        self._place = ""
        self.was_announced = False  # by a former process of this server
        self._engine: Engine | None = None
        self._turn: core.Turn | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._has_started = False
        self._is_handing_over = False
        self._all_closed: asyncio.Event | None = None  # set while the drain waits for it
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()
        self._drain_timeout = config.drain_timeout
        self._close_code = GOING_AWAY

    async def run(self, announce: Callable[[str], object]) -> None:
        """Serve until `stop`.

        Raises ConfigError for what cannot work, ListenError for no socket, and what a hook raises.
        """
        deadline = 0.0  # cancelled or failed: nothing is waited for
        try:
            await self._start(announce)
            await self._stop.wait()
            deadline = await self._drain()
        finally:
            await self._release(deadline)
            self._ended.set()

    def stop(self, timeout: float | None = None, code: int | None = None) -> None:
        """Begin to drain, with another deadline and close code if given. Returns at once."""
        if timeout is not None:
            self._drain_timeout = timeout
        if code is not None:
            self._close_code = code
        self._stop.set()

    def hand_over(self) -> None:
        """Begin to drain for a successor that accepts from the same sockets. Returns at once."""
        self._is_handing_over = True
        if self._listening is not None:
            self._listening.leave_file()
        self.stop(code=SERVICE_RESTART)

    @property
    def is_serving(self) -> bool:
        """Whether it accepts connections and has not been asked to end."""
        return self._engine is not None and not self._stop.is_set()

    @property
    def place(self) -> Place:
        """The listening sockets and what they are for, to be handed over while it serves."""
        assert self._listening is not None
        return Place(self._place, self._listening.sockets)

    async def ended(self) -> None:
        """Return when everything is closed."""
        await self._ended.wait()

    def release_files(self) -> None:
        """Remove what would outlive the process. For the moment before it is killed."""
        if self._listening is not None:
            self._listening.close()

    # Steps.

    async def _start(self, announce: Callable[[str], object]) -> None:
        config = self._config
        check_core(config.core, core.NAME)
        gate = self._opening.gate
        new_engine = self._new_engine
        if new_engine is None:
            new_engine = engine_of(config, preface=gate.read if gate is not None else None)
            with _listen_errors():
                self._listening = self._bind()
        events = Events(self._opening, self._dispatcher, self._closed)
        turn = new_turn(
            self._loop,
            limits_of(config),
            events,
            connection_type=Connection if gate is None or config.is_tls else _expecting_header,
            clock=self._clock,
        )
        self._turn = turn
        self._hub.attach(turn)
        for hook in self._on_startup:
            await _call(hook)
        self._has_started = True
        self._engine = new_engine(turn, self._loop)
        self._engine.also = self._swept
        self._tasks = [
            self._loop.create_task(self._keep_running(each), name=f"background {_name(each)}")
            for each in self._background
        ]
        if self._watch is not None:
            self._watch.start()
        url = await self._listen(self._engine)
        announce(f"glyph-fast {self._role} on {url}")

    async def _listen(self, engine: Engine) -> str:
        """Let clients connect; return where they can."""
        listening = self._listening
        if listening is None:
            return "memory"
        with _listen_errors():
            listening.start()
        for sock in listening.sockets:
            await engine.listen(sock)
        url = self._url(listening)
        name = choose_engine(self._config, core.NAME)
        log(SERVER, self._log_level, self._role, url=url, core=core.NAME, engine=name)
        return url

    def _swept(self) -> None:
        self._hub.sweep()
        if self._turn is not None:
            self._opening.sweep(self._turn)

    def _bind(self) -> Listening:
        config = self._config
        self._place = f"unix:{config.uds}" if config.uds else f"{config.host}:{config.port}"
        place = self._inherited.take(self._role, self._place)
        if place is None:
            return bind_unix(config.uds) if config.uds else bind_tcp(config.host, config.port)
        self._place = place.name
        self.was_announced = self._inherited.channel is not None
        return inherit(place.sockets, owns_file=place.name != ACTIVATED)

    def _url(self, listening: Listening) -> str:
        config = self._config
        if self._place != ACTIVATED:
            return config.url(listening.port)
        if listening.is_unix:
            return f"unix:{listening.address}"
        return config.replace(uds=None, host=listening.address).url(listening.port)

    async def _drain(self) -> float:
        """Close every connection in good order; return the loop's time when that must be done."""
        assert self._engine is not None and self._turn is not None
        log(SERVER, self._log_level, "draining", connections=len(self._hub))
        if not self._is_handing_over:
            self._opening.drain()
            if self._config.drain_delay:
                await asyncio.sleep(self._config.drain_delay)
        self._engine.stop_listening()
        self.release_files()
        await self._engine.settle()
        deadline = self._loop.time() + self._drain_timeout
        await self._cancel_background(min(BACKGROUND_GRACE_S, self._drain_timeout))
        if self._is_handing_over:
            await self._serve_accepted(self._turn)
        self._opening.drain()
        self._close_idle_http(self._turn)
        await self._hub.close_all(self._close_code)
        await self._wait_until_closed(deadline)
        return deadline

    async def _serve_accepted(self, turn: core.Turn) -> None:
        """Serve the connections whose request this process has to answer: no other has them."""
        self._opening.finish()
        await self._hub.close_all(self._close_code)
        waited_for = self._opening.is_waited_for
        end = self._loop.time() + min(self._config.head_timeout, self._drain_timeout / 2)
        waiting = list(turn)
        while (waiting := list(filter(waited_for, waiting))) and self._loop.time() < end:
            await asyncio.sleep(LOOK_S)

    def _close_idle_http(self, turn: core.Turn) -> None:
        """Close the connections that wait for a request; one being answered closes by itself."""
        for conn in turn:
            if conn.phase < OPEN and not self._opening.exchanges.is_busy(conn):
                conn.finish()

    async def _wait_until_closed(self, deadline: float) -> None:
        assert self._turn is not None
        self._all_closed = asyncio.Event()
        self._closed()
        try:
            async with asyncio.timeout_at(deadline):
                await self._all_closed.wait()
        except TimeoutError:
            count = len(self._turn)
            log(SERVER, logging.WARNING, "connections did not close in time", connections=count)

    def _closed(self) -> None:
        """A connection is gone."""
        if self._all_closed is not None and not len(self._turn or ()):
            self._all_closed.set()

    async def _release(self, deadline: float) -> None:
        """Give back everything, whatever came before: a drain, a cancellation, a failed start.

        Connections that are left are aborted, and handlers may run until the deadline.
        """
        await self._cancel_background(self._left(deadline) or BACKGROUND_GRACE_S)
        # While there still is a connection to tell: what runs for a request is answered with 503.
        await self._opening.exchanges.finish(self._left(deadline))
        if self._engine is not None:
            await self._engine.close()
        self.release_files()
        await self._opening.exchanges.finish(self._left(deadline))
        await self._dispatcher.finish(self._left(deadline) or DISCONNECT_GRACE_S)
        for hook in self._on_shutdown if self._has_started else ():
            try:
                await _call(hook)
            except Exception as exc:
                self._dispatcher.errors.record(hook, exc)
        if self._watch is not None:
            self._watch.stop()
        if self._has_started:
            log(SERVER, self._log_level, "stopped")

    def _left(self, deadline: float) -> float:
        return max(0.0, deadline - self._loop.time())

    # Background tasks.

    async def _keep_running(self, function: BackgroundTask) -> None:
        """Run a background task; when it raises, start it again after a while."""
        backoff = FIRST_BACKOFF_S
        while True:
            started = self._loop.time()
            try:
                task = function()
                if isawaitable(task):
                    await task
                else:  # to start it again would do all of it again
                    problem = "a background task is an `async def`, and this one has run already"
                    self._failed(function, TypeError(problem))
                return
            except Exception as exc:
                self._failed(function, exc)
            if self._loop.time() - started >= LONGEST_BACKOFF_S:
                backoff = FIRST_BACKOFF_S
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF_S)

    def _failed(self, function: BackgroundTask, exc: Exception) -> None:
        self._hub.metrics.handler_errors += 1
        self._dispatcher.errors.record(function, exc)

    async def _cancel_background(self, timeout: float) -> None:
        """Cancel the background tasks, each once, and wait for them; some may be left then."""
        self._tasks = [task for task in self._tasks if not task.done()]
        for task in self._tasks:
            if not task.cancelling():
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)


def _expecting_header(turn: core.Turn, sink: Any = None) -> Connection:
    """A connection that begins with a PROXY header, which the core takes for a body."""
    conn = Connection(turn, sink)
    conn.expect_body()
    return conn


@contextmanager
def _listen_errors() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ListenError(*exc.args) from exc


async def _call(hook: Hook) -> None:
    result = hook()
    if isawaitable(result):
        await result


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
