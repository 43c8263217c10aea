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
from typing import Any

from .application import Application
from .auth import ready_authentication
from .choice import choose_loop, new_event_loop
from .config import Config
from .engine.making import NewEngine
from .engine.opening import Opening
from .errors import ConfigError
from .handlers.eager import start
from .handlers.registry import Call
from .handover import is_watched, own_command
from .lifecycle import Lifecycle
from .logs import SERVER, configure_logging, log
from .process import ADMIN, MAIN, Process
from .watcher import check_watching, watch

Announce = Callable[[str], object]


class Server(Application):
    """A WebSocket server with HTTP on the same port.

    Handlers may be `def` or `async def` and take fewer arguments than they are given. `run` serves
    in a loop of its own, `await serve()` in the running one.
    """

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self._lifecycle: Lifecycle | None = None  # while it serves
        self._new_opening: Callable[..., Opening] = Opening

    # Being observed.

    @property
    def is_observed(self) -> bool:
        """Whether `observe` was called."""
        return self._new_opening is not Opening

    def observe(
        self, opening: Callable[..., Opening], wrap: Callable[[str, Any, Call], Call]
    ) -> None:
        """Open connections by another kind of `Opening`, and wrap every handler: for tracing.

        Raises RuntimeError while the server serves.
        """
        if self._lifecycle is not None:
            raise RuntimeError("the server serves already")
        self._new_opening = opening
        self._dispatcher.wrap(wrap)

    # Running.

    def run(
        self, config: Config | None = None, *, announce: Announce | None = None, **overrides: Any
    ) -> None:
        """Serve in a loop of its own until SIGTERM or SIGINT has drained it; a second one kills.

        SIGHUP starts the command of the process again, on the same sockets, and drains this one.
        `config` replaces the server's own, `overrides` are single options of it (`port=9000`).
        `announce` gets the line that says where the server listens, once it does; by default it is
        printed. Raises ConfigError for options that cannot work, OSError when it cannot listen, and
        what a hook of `on_startup` raises.
        """
        self._configure(config, overrides)
        choose_loop(self.config.loop)  # raises before anything is begun
        if not SERVER.hasHandlers():
            configure_logging(self.config.log_level, self.config.log_format)
        if self.config.reload and not is_watched(os.environ):
            check_watching()
            if status := watch(own_command(), os.environ, self._source_files()):
                sys.exit(status)
            return
        with asyncio.Runner(loop_factory=partial(new_event_loop, self.config.loop)) as runner:
            runner.run(self._serve_until_signal(announce))

    async def serve(
        self, config: Config | None = None, *, announce: Announce | None = None, **overrides: Any
    ) -> None:
        """Serve in the running loop until `shutdown`; otherwise like `run`.

        Signals are left to the program. Cancelling it closes everything at once.
        """
        self._configure(config, overrides)
        if self.config.reload:
            raise ConfigError("reload starts the whole program anew: it is for run(), not serve()")
        await self._serve(announce)

    async def serve_in_memory(
        self,
        new_engine: NewEngine,
        clock: Callable[[], float],
        announce: Announce,
        errors: list[BaseException],
        options: dict[str, Any],
    ) -> None:
        """Serve on an engine that needs no sockets, until `shutdown`. For `glyph_fast.testing`.

        What handlers raise is added to `errors`. The server's own options are back afterwards.
        """
        own, log = self.config, self._dispatcher.errors
        without = own.replace(admin=None, admin_token=None, proxy_protocol=False)
        self._configure(without, options)
        log.heard = errors.append
        since = time.time() - clock()
        self.hub.set_clock(lambda: since + clock())  # credentials end when the test says so
        try:
            await self._serve(announce, new_engine=new_engine, clock=clock)
        finally:
            self.config, log.heard = own, None
            self.hub.set_clock(time.time)

    async def shutdown(self, timeout: float | None = None) -> None:
        """Drain the server and return when it has ended; `timeout` replaces the drain timeout.

        Does nothing when it does not serve. For the server's loop.
        """
        if self._lifecycle is not None:
            lifecycle = self._lifecycle
            lifecycle.stop(timeout)
            await lifecycle.ended()

    def _configure(self, config: Config | None, overrides: dict[str, Any]) -> None:
        if self._lifecycle is not None:
            raise RuntimeError("the server serves already")
        chosen = config if config is not None else self.config
        self.config = chosen.replace(**overrides) if overrides else chosen
        self.hub.configure(self.config)
        self._dispatcher.configure()
        for pattern in self._websocket_patterns():
            self._dispatcher.add_route(pattern)

    async def _serve_until_signal(self, announce: Announce | None) -> None:
        process = Process()
        with process.signals():
            try:
                await self._serve(announce, process)
            finally:
                await process.close()

    async def _serve(
        self, announce: Announce | None, process: Process | None = None, **memory: Any
    ) -> None:
        ready = ready_authentication(self.config, self._dispatcher, self._authenticate)
        opening = self._new_opening(
            self.config,
            routes=self._http,
            websockets=self._websockets,
            statics=self._statics,
            cors=self._cors,
            authenticate=self._authenticate if ready is None else ready.authenticate,
            subprotocols=None if ready is None else ready.subprotocols,
            start=start,
            opened=self._dispatcher.opened if ready is None else ready.opened,
            count=self.hub.get_connection_count,
            count_user=self.hub.get_user_connection_count,
            metrics=self.hub.metrics,
            errors=self._dispatcher.errors,
        )
        self._lifecycle = Lifecycle(
            self.config,
            self.hub,
            self._dispatcher,
            opening,
            background=self._background,
            on_startup=self._on_startup if ready is None else [ready.start, *self._on_startup],
            on_shutdown=self._on_shutdown if ready is None else [*self._on_shutdown, ready.stop],
            inherited=process.inherited if process is not None else None,
            **memory,
        )
        if process is not None:
            process.add(MAIN, self._lifecycle)
        try:
            await self._run(self._lifecycle, opening, announce or _print, process)
        finally:
            self._lifecycle = None

    async def _run(
        self, lifecycle: Lifecycle, opening: Opening, announce: Announce, process: Process | None
    ) -> None:
        """Run with the operators' port, if there is one: it is there before and after the rest."""
        port = None

        def serving(line: str) -> None:
            if port is not None:
                port.status = lambda: "draining" if opening.is_draining else "ok"
            if not lifecycle.was_announced:
                announce(line)
            if port is not None and not port.lifecycle.was_announced:
                announce(port.line)
            if process is not None:
                process.serving(self._source_files())

        if self.config.admin is None:
            if self.config.admin_token is not None:  # perhaps set for `glyph-fast top` alone
                log(SERVER, logging.WARNING, "--admin-token has no effect without --admin")
            await lifecycle.run(serving)
            return
        from .admin import OperatorsPort  # not for those who do without: it imports a good deal

        inherited = process.inherited if process is not None else None
        port = OperatorsPort(self.config, self.hub, self._dispatcher.errors, inherited)
        if process is not None:
            process.add(ADMIN, port.lifecycle)
        await port.start()
        try:
            await lifecycle.run(serving)
        finally:
            await port.stop()

    def _source_files(self) -> list[str]:
        """The files the program is made of, beside its Python modules."""
        return []


def _print(line: str) -> None:
    with suppress(OSError):  # a reader that is gone does not stop the server
        print(line, flush=True)
