"""The server: an application, and the two ways to run it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import core
from ..engine.making import NewEngine
from ..errors import ConfigError
from ..handlers.signature import Call
from ..logs import SERVER, configure_logging, log
from ..opening.observer import Observer
from ..options.choice import choose_loop, doubts, new_event_loop
from ..options.config import Config
from ..process.handover import is_watched, own_command
from ..process.process import Process, check_not_loading
from ..process.worker import Seat, Told, WorkerProcess
from .application import Application
from .background import CLUSTER
from .lifecycle import Lifecycle
from .run import Announce, Run

if TYPE_CHECKING:
    from typing import Unpack

    from ..opening.whole import Whole
    from ..options.given import Options
    from .hosted import Hosted


class Server(Application):
    """A WebSocket server with HTTP on the same port.

    Handlers may be `def` or `async def` and take fewer arguments than they are given. `run` serves
    in a loop of its own, `await serve()` in the running one.
    """

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self._lifecycle: Lifecycle | None = None  # while it serves
        self._observer: Observer | None = None
        self._whole: Whole | None = None  # the limits of several workers, in one of them
        self._hosted: Hosted | None = None

    @property
    def asgi(self) -> Hosted:
        """The server as an ASGI 3 application, for the port of uvicorn, hypercorn or granian."""
        from .hosted import Hosted  # for those who have another server

        self._hosted = self._hosted or Hosted(self)
        return self._hosted

    @property
    def worker(self) -> int:
        """The number of this process among its workers, from 1; 0 in a server of one process."""
        return self.hub._rooms._worker

    # Being observed.

    @property
    def _is_observed(self) -> bool:
        """Return whether `observe` was called."""
        return self._observer is not None

    def _observe(self, observer: Observer, wrap: Callable[[str, Any, Call], Call]) -> None:
        """Let `observer` hear of connections that open, and wrap every handler: for tracing.

        Raises RuntimeError while the server serves.
        """
        if self._lifecycle is not None:
            raise RuntimeError("the server serves already")
        self._observer = observer
        self._dispatcher.wrap(wrap)

    # Running.

    def run(
        self,
        config: Config | None = None,
        *,
        announce: Announce | None = None,
        **overrides: Unpack[Options],
    ) -> None:
        """Serve in a loop of its own until SIGTERM or SIGINT has drained it; a second one kills.

        SIGHUP starts the command of the process again, on the same sockets, and drains this one.
        `config` replaces the server's own, `overrides` are single options of it (`port=9000`).
        `announce` gets the lines that say where the server listens, one by one, once it does; by
        default they are printed. Raises ConfigError for options that cannot work, OSError when it
        cannot listen, and what a hook of `on_startup` raises.
        """
        check_not_loading()
        _check_no_loop()
        self._configure(config, overrides)
        choose_loop(self.config.loop)  # raises before anything is begun
        if not SERVER.hasHandlers():
            configure_logging(self.config.log_level, self.config.log_format)
        seat = Seat.from_environ(os.environ)
        if self.config.reload and not is_watched(os.environ) and seat is None:
            from ..process.watcher import check_watching, watch  # for those who reload

            check_watching()
            if status := watch(own_command(), os.environ, self._source_files()):
                sys.exit(status)
            return
        if self.config.workers > 1 and seat is None:
            from .main import run_workers  # for those who have some

            run_workers(self.config, announce or _print)
            return
        with asyncio.Runner(loop_factory=partial(new_event_loop, self.config.loop)) as runner:
            if seat is None:
                runner.run(self._serve_until_signal(announce))
                return
            runner.run(self._serve_as_worker(seat))
        sys.exit()  # what the program does after `run` is done by the main process

    async def serve(
        self,
        config: Config | None = None,
        *,
        announce: Announce | None = None,
        **overrides: Unpack[Options],
    ) -> None:
        """Serve in the running loop until `shutdown`; otherwise like `run`.

        Signals are left to the program. Cancelling it closes everything at once.
        """
        check_not_loading()
        self._configure(config, overrides)
        if self.config.reload:
            raise ConfigError("reload starts the whole program anew: it is for run(), not serve()")
        if self.config.workers > 1:
            raise ConfigError("workers are processes of their own: they are for run(), not serve()")
        await self._serve(announce)

    async def _serve_in_memory(
        self,
        new_engine: NewEngine,
        clock: Callable[[], float],
        announce: Announce,
        errors: list[BaseException],
        options: Options,
    ) -> None:
        """Serve on an engine that needs no sockets, until `shutdown`. For `glyph_fast.testing`.

        What handlers raise is added to `errors`. The server's own options are back afterwards.
        """
        own, log = self.config, self._dispatcher.errors
        without = own.replace(admin=None, admin_token=None, proxy_protocol=False, broker=None)
        self._configure(without, options)
        log.heard = errors.append
        since = time.time() - clock()
        self.hub._set_clock(lambda: since + clock())  # credentials end when the test says so
        try:
            await self._serve(announce, new_engine=new_engine, clock=clock)
        finally:
            self.config, log.heard = own, None
            self.hub._set_clock(time.time)

    async def shutdown(self, timeout: float | None = None) -> None:
        """Drain the server and return when it has ended; `timeout` replaces the drain timeout.

        In a handler or a hook of the server, for which the end waits, it returns at once. Does
        nothing when the server does not serve. May be awaited in any loop, in another thread too.
        """
        if self._lifecycle is not None:
            lifecycle = self._lifecycle
            if lifecycle.loop is asyncio.get_running_loop():
                lifecycle.stop(timeout)
            else:
                with suppress(RuntimeError):  # its loop is closed: it has ended
                    lifecycle.loop.call_soon_threadsafe(lifecycle.stop, timeout)
            await lifecycle.ended()

    def _configure(self, config: Config | None, overrides: Options) -> None:
        if self._lifecycle is not None:
            raise RuntimeError("the server serves already")
        chosen = config if config is not None else self.config
        self.config = chosen.replace(**overrides) if overrides else chosen
        self.hub._configure(self.config)
        if (url := self.config.broker) is not None:
            from .joining import check_joining, hear_operators  # for one of several nodes

            rooms = [*self.config.rooms, *self.hub._declared_in_program()]
            check_joining(url, rooms, self._background)
            hear_operators(self.hub)
        elif any(each.on == CLUSTER for each in self._background):
            raise ConfigError('background(…, on="cluster") needs a broker')
        self._dispatcher.configure()
        if self.config.centrifuge is not None:
            self.centrifuge(self.config.centrifuge)
        if not self._is_default_taken():
            for pattern in self._websocket_patterns():
                self._dispatcher.add_route(pattern)

    async def _serve_until_signal(self, announce: Announce | None) -> None:
        from .succession import Succession  # for who serves, not for who only declares

        process = Process()
        if self.config.broker is not None:  # what rooms remember is there, not in this process
            with process.signals():
                try:
                    await self._serve(announce, process)
                finally:
                    await process.close()
            return
        succession = Succession(self.hub, process.inherited.take_former())
        process.hand_on, process.has_begun = succession.hand_on, succession.serving
        with process.signals():
            try:
                await self._serve(announce, process, started=succession.started)
            finally:
                await succession.close()
                await process.close()

    async def _serve_as_worker(self, seat: Seat) -> None:
        from ..broker.workers import WorkersBroker  # for those who have several processes
        from ..opening.whole import Whole

        process = WorkerProcess(seat)
        with process.signals():
            try:
                files = tuple(self._source_files())
                config = self.config.replace(json_default=None)  # main makes no JSON of a program's
                told = Told(config, self.hub._declared_in_program(), files)
                has_nodes = config.broker is not None
                link = process.take_place(told)
                dispatcher = self._dispatcher
                link.crowded, link.emptied = dispatcher.crowded, dispatcher.emptied
                broker = WorkersBroker(link, has_nodes=has_nodes)
                broker.answers["count"] = self.hub._count_here
                broker.answers["take"] = self.hub._sessions.take
                if config.admin is not None:
                    from ..admin.worker import WorkerSide  # for those who have an operators' port

                    side = WorkerSide(self.hub, dispatcher.errors, lambda: link.dropped)
                    broker.answers["operate"] = side.answer
                self._whole = Whole(config, seat.of, broker.questions.ask, broker.questions.order)
                process.figures = self._figures_of_worker
                process.heard, process.lost = broker.heard, broker.lost
                self.hub._use(broker, seat.number)
                await self._serve(_say_nothing, process)
            finally:
                await process.close()

    async def _serve(
        self,
        announce: Announce | None,
        process: Process | WorkerProcess | None = None,
        **parts: Any,
    ) -> None:
        """Serve one run of it; `parts` as in `Run`."""
        for doubt in () if "new_engine" in parts else doubts(self.config, core.NAME):
            log(SERVER, logging.WARNING, doubt)
        run = Run(self, process, **parts)
        self._lifecycle = run.lifecycle
        try:
            await run.serve(announce or _print)
        finally:
            self._lifecycle = None
            await run.close()

    def _figures_of_worker(self) -> dict[str, Any]:
        """Return what main is told with each sign of life."""
        lag = 0.0 if self._lifecycle is None else self._lifecycle.loop_lag
        return {"connections": self.hub._count(), "loop_lag_seconds": round(lag, 3)}

    def _source_files(self) -> list[str]:
        """The files the program is made of, beside its Python modules."""
        return []


def _check_no_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    said = "a loop runs in this thread already, as in a notebook"
    raise RuntimeError(f"{said}: write `await server.serve()` there instead of `server.run()`")


def _say_nothing(line: str) -> None:
    """Announce nothing: the main process does."""


def _print(line: str) -> None:
    with suppress(OSError):  # a reader that is gone does not stop the server
        print(line, flush=True)
