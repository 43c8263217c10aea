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
from collections.abc import Callable, Sequence
from concurrent import futures
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from .. import core
from ..engine.base import new_turn
from ..engine.making import NewEngine, engine_of, limits_of
from ..errors import needs
from ..handlers.dispatcher import Dispatcher
from ..handlers.eager import HandlerTask
from ..handlers.outcome import is_cancelled, outcome
from ..hub.connection import Connection
from ..hub.hub import Hub
from ..logs import SERVER, log
from ..opening.opening import Opening
from ..opening.site import Site
from ..options.choice import check_core, choose_engine
from ..options.config import Config
from ..process.handover import Inherited, Place
from ..process.loopwatch import LoopWatch
from ..wire import ENDING, GOING_AWAY, OPEN, SERVICE_RESTART
from .background import Background, BackgroundTask, Wanted
from .binding import Binding, listen_errors
from .handler import ConnectionHandler

if TYPE_CHECKING:
    from ..interfaces import Engine

BACKGROUND_GRACE_S = 1.0  # for cancelled background tasks, before the connections are closed
LOOK_S = 0.01  # between two looks at connections that a successor does not have
LINGER_GRACE_S = 1.0  # for peers that were told all and have not ended their side, in a drain
DISCONNECT_GRACE_S = 1.0  # for the disconnect handlers of connections aborted at the deadline
TOKEN_ALONE = "--admin-token has no effect without --admin"

Hook = Callable[[], Any]


class Lifecycle:
    """One run of a site. `start` makes it serve, `stop` asks it to end, `ended` says when it has.

    `role` is the word of the line that says where it listens; of any but the first the log says
    little, for it ends with the server. Sockets of that role are taken from `inherited`.
    With `new_engine` that is the engine, and nothing is bound. `leads` is whether background tasks
    that run once in a server run here from the start, `is_alone` whether there are no others.
    """

    def __init__(
        self,
        config: Config,
        hub: Hub,
        dispatcher: Dispatcher,
        site: Site,
        *,
        background: Sequence[Wanted] = (),
        leads: bool = True,
        is_alone: bool = True,
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
        self._opening = Opening(config, site)
        self._background = Background(background, self._failed, leads=leads, is_alone=is_alone)
        self._on_startup = on_startup
        self._on_shutdown = on_shutdown
        self._role = role
        self._new_engine = new_engine
        self._clock = clock
        self._inherited = inherited if inherited is not None else Inherited()
        self._log_level = logging.INFO if role == "listening" else logging.DEBUG
        self._watch = LoopWatch() if role == "listening" else None
        self.loop = asyncio.get_running_loop()
        self._binding: Binding | None = None
        self._engine: Engine | None = None
        self._turn: core.Turn | None = None
        self._has_started = False
        self._is_handing_over = False
        self._all_closed: asyncio.Event | None = None  # set while the drain waits for it
        self._task: asyncio.Task[Any] | None = None  # that runs, and calls the hooks
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended_for_others: futures.Future[None] = futures.Future()  # for those of other loops
        self._drain_timeout = config.drain_timeout
        self._close_code = GOING_AWAY

    async def run(self, announce: Callable[..., object]) -> None:
        """Serve until `stop`.

        Raises ConfigError for what cannot work, ListenError for no socket, and what a hook raises.
        """
        self._task = asyncio.current_task()
        deadline = 0.0  # cancelled or failed: nothing is waited for
        try:
            await self._start(announce)
            await self._stop.wait()
            deadline = await self._drain()
        finally:
            await self._release(deadline)
            self._ended.set()
            self._ended_for_others.set_result(None)

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
        if self._binding is not None:
            self._binding.listening.leave_file()
        self.stop(code=SERVICE_RESTART)

    def lead(self) -> None:
        """Run the background tasks that run once in a server, from now on."""
        if self.is_serving:
            self._background.lead()

    def lead_cluster(self, leads: bool) -> None:
        """Run the background tasks that run once on all machines, or cancel them."""
        self._background.lead_cluster(leads)

    @property
    def is_serving(self) -> bool:
        """Return whether it accepts connections and has not been asked to end."""
        return self._engine is not None and not self._stop.is_set()

    @property
    def is_draining(self) -> bool:
        """Return whether new clients are sent away."""
        return self._opening.is_draining

    @property
    def loop_lag(self) -> float:
        """Return how late the loop was at most, in seconds, since this was asked before."""
        return 0.0 if self._watch is None else self._watch.lag()

    @property
    def place(self) -> Place:
        """The listening sockets and what they are for, to be handed over while it serves."""
        assert self._binding is not None
        return self._binding.place

    @property
    def was_announced(self) -> bool:
        """Return whether a former process of this server has said where it listens."""
        return self._binding is not None and self._binding.was_announced

    async def ended(self) -> None:
        """Return when everything is closed; in a hook or a handler, at once: that waits for it.

        In any loop.
        """
        if asyncio.get_running_loop() is not self.loop:
            # Not the future itself: who waits may be cancelled, and others wait for it too.
            await asyncio.shield(asyncio.wrap_future(self._ended_for_others))
            return
        task = asyncio.current_task()
        is_handler = isinstance(task, HandlerTask) and task.conn._turn is self._turn
        if not is_handler and task is not self._task:
            await self._ended.wait()

    def release_files(self) -> None:
        """Remove what would outlive the process. For the moment before it is killed."""
        if self._binding is not None:
            self._binding.listening.close()

    # Steps.

    async def _start(self, announce: Callable[..., object]) -> None:
        config = self._config
        check_core(config.core, core.NAME)
        gate = self._opening.gate
        new_engine = self._new_engine
        if new_engine is None:
            new_engine = engine_of(config, preface=gate.read if gate is not None else None)
            self._binding = Binding(config, self._inherited, self._role)
        made: Any = self._hub._connection_type
        if gate is not None and not config.is_tls:
            made = partial(_expecting_header, made)
        turn = new_turn(
            self.loop,
            limits_of(config),
            ConnectionHandler(self._opening, self._dispatcher, self._closed),
            connection_type=made,
            clock=self._clock,
        )
        self._turn = turn
        self._hub._attach(turn)
        for hook in self._on_startup:
            await _call(hook)
        self._has_started = True
        self._engine = new_engine(turn, self.loop)
        self._engine.also = self._swept
        await self._background.start()
        if self._watch is not None:
            self._watch.start()
        url, *others = await self._listen(self._engine)
        more = [f"glyph-fast {self._role} also on {each}" for each in others]
        announce(f"glyph-fast {self._role} on {url}", *more)

    async def _listen(self, engine: Engine) -> Sequence[str]:
        """Let clients connect; return where they can."""
        if self._binding is None:
            return ("memory",)
        listening, urls = self._binding.listening, self._binding.urls
        with listen_errors():
            listening.start()
        for sock in listening.sockets:
            await engine.listen(sock)
        self._opening.listens(listening.address, listening.port or None)
        name = choose_engine(self._config, core.NAME)
        for url in urls:
            log(SERVER, self._log_level, self._role, url=url, core=core.NAME, engine=name)
        if self._config.compression != "off":
            from ..websocket.deflate import HAS_ISAL  # loaded already, by who compresses

            if not HAS_ISAL:
                hint = needs("compressing faster than zlib", "isal", "compression")
                log(SERVER, self._log_level, hint)
        return urls

    def _swept(self) -> None:
        self._hub._sweep()
        if self._turn is not None:
            self._opening.sweep(self._turn)

    async def _drain(self) -> float:
        """Close every connection in good order; return the loop's time when that must be done."""
        assert self._engine is not None and self._turn is not None
        log(SERVER, self._log_level, "draining", connections=len(self._hub))
        self._dispatcher.begin_stop()
        if not self._is_handing_over:
            self._opening.drain()
            if self._config.drain_delay:
                await asyncio.sleep(self._config.drain_delay)
        self._engine.stop_listening()
        self.release_files()
        await self._engine.settle()
        deadline = self.loop.time() + self._drain_timeout
        await self._background.cancel(min(BACKGROUND_GRACE_S, self._drain_timeout))
        if self._is_handing_over:
            await self._serve_accepted(self._turn)
        self._opening.drain()
        self._close_idle_http(self._turn)
        await self._hub._close_all(self._close_code)
        await self._wait_until_closed(deadline)
        return deadline

    async def _serve_accepted(self, turn: core.Turn) -> None:
        """Serve the connections whose request this process has to answer: no other has them."""
        self._opening.finish()
        await self._hub._close_all(self._close_code)
        waited_for = self._opening.is_waited_for
        end = self.loop.time() + min(self._config.head_timeout, self._drain_timeout / 2)
        waiting = list(turn)
        while (waiting := list(filter(waited_for, waiting))) and self.loop.time() < end:
            await asyncio.sleep(LOOK_S)

    def _close_idle_http(self, turn: core.Turn) -> None:
        """Close the connections that wait for a request; one being answered closes by itself."""
        for conn in turn:
            if conn._phase < OPEN and not self._opening.exchanges.is_busy(conn):
                conn._finish()

    async def _wait_until_closed(self, deadline: float) -> None:
        assert self._turn is not None
        self._all_closed = asyncio.Event()
        self._closed()
        leaving = self.loop.create_task(self._leave_lingering(self._turn))
        try:
            async with asyncio.timeout_at(deadline):
                await self._all_closed.wait()
        except TimeoutError:
            count = len(self._turn)
            log(SERVER, logging.WARNING, "connections did not close in time", connections=count)
        finally:
            leaving.cancel()

    async def _leave_lingering(self, turn: core.Turn) -> None:
        """Close connections that only wait for their peer's end, each after a while.

        A client that was refused and keeps its socket has its answer, or the kernel has and goes on
        delivering it. The close timeout would else be the length of everybody's drain.
        """
        lingering: set[Any] = set()
        while True:
            ending = {conn for conn in list(turn) if conn._phase == ENDING and conn._flush()}
            for conn in ending & lingering:
                conn._lost()
            turn.flush()
            lingering = ending
            await asyncio.sleep(LINGER_GRACE_S)

    def _closed(self) -> None:
        """A connection is gone."""
        if self._all_closed is not None and not len(self._turn or ()):
            self._all_closed.set()

    async def _release(self, deadline: float) -> None:
        """Give back everything, whatever came before: a drain, a cancellation, a failed start.

        Connections that are left are aborted, and handlers may run until the deadline.
        """
        await self._background.cancel(self._left(deadline) or BACKGROUND_GRACE_S)
        # While there still is a connection to tell: what runs for a request is answered with 503.
        await self._opening.exchanges.finish(self._left(deadline))
        if self._engine is not None:
            await self._engine.close()
        self.release_files()
        await self._opening.exchanges.finish(self._left(deadline))
        await self._dispatcher.finish(self._left(deadline) or DISCONNECT_GRACE_S)
        for hook in self._on_shutdown if self._has_started else ():
            if (exc := await outcome(hook)) is not None:
                if is_cancelled(exc):
                    raise exc
                self._dispatcher.errors.record(hook, exc)
        if self._watch is not None:
            self._watch.stop()
        if self._has_started:
            log(SERVER, self._log_level, "stopped")

    def _left(self, deadline: float) -> float:
        return max(0.0, deadline - self.loop.time())

    def _failed(self, function: BackgroundTask, exc: BaseException) -> None:
        self._hub.metrics.handler_errors += 1
        self._dispatcher.errors.record(function, exc)


def _expecting_header(made: type[Connection], turn: core.Turn, sink: Any = None) -> Connection:
    """A connection that begins with a PROXY header, which the core takes for a body."""
    conn = made(turn, sink)
    conn._expect_body()
    return conn


async def _call(hook: Hook) -> None:
    result = hook()
    if isawaitable(result):
        await result
