"""The main process of `--workers`: it owns what there is once, and runs nothing of the program.

    the first worker tells its options → bind → all workers serve → … → drain → they are gone

Main holds the listening sockets, so a worker that dies loses nobody who waits for it, and hears the
signals. What the workers say to each other goes through it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..broker.switchboard import Switchboard
from ..engine.listening import spread
from ..errors import ConfigError
from ..logs import SERVER, configure_logging, log
from ..opening.whole import Shares
from ..options.choice import new_event_loop
from ..options.config import Config
from ..options.rooms import Declarations
from ..process.handover import HandoverError, Place, own_command
from ..process.process import ADMIN, MAIN, Process
from ..process.worker import Told
from ..process.workers import Worker, Workers
from ..wire import GOING_AWAY, SERVICE_RESTART
from .binding import Binding, listen_errors
from .lifecycle import TOKEN_ALONE
from .succession import MainSuccession

if TYPE_CHECKING:
    from ..admin.workers import AllWorkers
    from ..broker.nodes.main import Beyond
    from .operating import Operating

SWEEP_S = 1.0

Announce = Callable[[str], object]


def run_workers(config: Config, announce: Announce) -> None:
    """Be the main process of `config.workers` workers until a signal has drained them.

    Of the options only those that are needed to start one count here; the rest are the program's,
    and the first worker tells them. Raises ConfigError, ListenError, and SystemExit with the status
    of a worker that did not come to serve.
    """
    with asyncio.Runner(loop_factory=partial(new_event_loop, config.loop)) as runner:
        runner.run(_serve(config.workers, announce))


async def _serve(count: int, announce: Announce) -> None:
    process = Process()
    with process.signals():
        try:
            await MainProcess(count, process).run(announce)
        finally:
            await process.close()


class MainProcess:
    """One run of a server of several processes; a `Part` of its `Process`."""

    def __init__(self, count: int, process: Process) -> None:
        self._process = process
        self._workers = Workers(self, own_command(), os.environ, count)
        self._switchboard = Switchboard()
        self._told: Told | None = None  # by the first worker
        self._binding: Binding | None = None
        self._shares: list[list[socket.socket]] = []  # the sockets of each worker
        self._limits = Shares(Config())
        self._beyond: Beyond | None = None  # other nodes, where a broker leads to some
        self._stopped = asyncio.Event()
        self._is_handing_over = False
        self._succession = MainSuccession(self._switchboard, process.inherited.take_former())
        process.hand_on = self._succession.hand_on
        process.has_begun = self._succession.serving
        self._operated: AllWorkers | None = None
        self._operating: Operating | None = None  # the operators' port, if there is one
        process.add(MAIN, self)

    async def run(self, announce: Announce) -> None:
        """Serve until `stop`."""
        sweeping = asyncio.create_task(self._sweep(), name="sweep")
        try:
            if await self._has_started():
                assert self._binding is not None
                self._announce(self._binding, announce)
                self._process.serving(self._told.files if self._told is not None else ())
                await self._stopped.wait()
            await self._drain()
        finally:
            sweeping.cancel()
            await self._workers.close()
            await self._succession.close()
            if self._beyond is not None:
                await self._beyond.close()
            if self._operating is not None:
                await self._operating.stop()
            if not self._is_handing_over:
                self.release_files()
            self._close_sockets()

    def _announce(self, binding: Binding, announce: Announce) -> None:
        url, *others = binding.urls
        if not binding.was_announced:
            announce(f"glyph-fast listening on {url}")
        if self._operating is not None and not self._operating.lifecycle.was_announced:
            announce(self._operating.line)
        if not binding.was_announced:
            for each in others:
                announce(f"glyph-fast listening also on {each}")

    async def _has_started(self) -> bool:
        """Start the workers; False when it was stopped before all served."""
        starting = asyncio.ensure_future(self._workers.start())
        stopped = asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not starting.done():
            starting.cancel()
            return False
        try:
            starting.result()
        except HandoverError as exc:
            if exc.status is None or exc.status < 0:
                log(SERVER, logging.ERROR, "a worker did not come to serve", reason=str(exc))
            sys.exit(exc.status if exc.status is not None and exc.status > 0 else 1)
        return True

    async def _sweep(self) -> None:
        """Forget what is too old."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self._switchboard.keeper.memory.sweep()

    async def _drain(self) -> None:
        config = self._config
        log(SERVER, logging.INFO, "draining", workers=len(list(self._workers)))
        code = SERVICE_RESTART if self._is_handing_over else GOING_AWAY
        timeout = config.drain_timeout
        if not self._is_handing_over:
            timeout += config.drain_delay
        await self._workers.end(code, timeout, is_succeeded=self._is_handing_over)
        log(SERVER, logging.INFO, "stopped")

    @property
    def _config(self) -> Config:
        return self._told.config if self._told is not None else Config()

    # As the owner of workers.

    def sockets_for(self, worker: Worker, told: Told) -> Sequence[socket.socket]:
        """The sockets of a worker; of the first one they are bound by what it tells."""
        if self._told is None:
            try:
                self._begin(told)
            except Exception as exc:
                self._workers.fail(exc)
                return ()
        elif told != self._told:
            problem = f"worker {worker.number} has other options or declarations than the first"
            if self._workers.has_started:
                log(SERVER, logging.ERROR, problem + "; restart the server to have them in all")
            self._workers.fail(ConfigError(problem))
            return ()
        return self._shares[worker.number - 1]

    def _begin(self, told: Told) -> None:
        config = told.config
        configure_logging(config.log_level, config.log_format)
        self._binding = Binding(config, self._process.inherited, MAIN)
        self._shares = spread(self._binding.listening.sockets, self._workers.count)
        self._workers.timeout = config.worker_timeout
        declared = Declarations(config.rooms, told.declared)
        self._switchboard.keeper.remember(declared.history_of, config.history_memory)
        self._limits = Shares(config)
        self._switchboard.keeper.answers.update(self._limits.answers())
        if config.broker is not None:
            from ..broker.choosing import beyond_of  # for those who share a broker with others

            self._beyond = beyond_of(config.broker, config.broker_prefix, self._switchboard)
            self._switchboard.reach(self._beyond)
            self._beyond.remember(declared.history_of)
            self._beyond.seek_lease(self._workers.lead_cluster)
            self._process.hand_on = None  # a successor has what rooms remember from there
        self._told = told

    async def loaded(self) -> None:
        """Open the operators' port, before there is much to see, and join other nodes."""
        await self._open_port()
        if self._beyond is not None:
            await self._beyond.start()

    async def _open_port(self) -> None:
        assert self._told is not None
        config, declared = self._told.config, self._told.declared
        if config.admin is None:
            if config.admin_token is not None:  # perhaps set for `glyph-fast top` alone
                log(SERVER, logging.WARNING, TOKEN_ALONE)
            return
        # Not for those who do without: they import a good deal.
        from ..admin.port import OperatorsPort
        from ..admin.workers import AllWorkers
        from .operating import Operating

        declarations = Declarations(config.rooms, declared)
        self._operated = AllWorkers(config, declarations, self._switchboard, self._workers)
        port = OperatorsPort(config, self._operated)
        port.status = self._status
        if self._beyond is not None:
            nodes = self._beyond.nodes
            port.broker = lambda: nodes.state
        self._operating = Operating(port, self._process.inherited)
        self._process.add(ADMIN, self._operating.lifecycle)
        with listen_errors():
            await self._operating.start()

    def _status(self) -> str:
        if self._stopped.is_set():
            return "draining"
        return "ok" if self._workers.has_started else "starting"

    def joined(self, worker: Worker) -> None:
        """A worker serves."""
        self._switchboard.add(worker.link, f"{worker.number}.{worker.pid}", worker.number)
        if self._workers.has_started:
            log(SERVER, logging.INFO, "a worker serves again", worker=worker.number, pid=worker.pid)

    def heard(self, worker: Worker, frames: list[bytes]) -> None:
        """Pass on what a worker says to the others."""
        self._switchboard.heard(worker.link, frames)

    def left(self, worker: Worker) -> None:
        """A worker is gone."""
        self._switchboard.remove(worker.link)
        self._limits.gone(worker.link)
        if self._operated is not None:
            self._operated.left(worker)

    # As a part of the process.

    @property
    def is_serving(self) -> bool:
        """Return whether it accepts connections and has not been asked to end."""
        return self._workers.has_started and not self._stopped.is_set()

    @property
    def place(self) -> Place:
        """Every listening socket, for a successor."""
        assert self._binding is not None
        return Place(self._binding.place.name, self._sockets())

    def stop(self, timeout: float | None = None, code: int | None = None) -> None:
        """Begin to drain."""
        self._stopped.set()

    def lead(self) -> None:
        """Nothing: one of the workers does."""

    def lead_cluster(self, leads: bool) -> None:
        """Nothing: one of the workers does."""

    def hand_over(self) -> None:
        """Begin to drain for a successor that accepts from the same sockets."""
        self._is_handing_over = True
        if self._binding is not None:
            self._binding.listening.leave_file()
        self.stop()

    def release_files(self) -> None:
        """Remove what would outlive the process, workers included: before it is killed."""
        if not self._is_handing_over:
            self._workers.kill()
        if self._binding is not None:
            self._binding.listening.close()

    def _sockets(self) -> list[socket.socket]:
        return list(dict.fromkeys(sock for share in self._shares for sock in share))

    def _close_sockets(self) -> None:
        for sock in self._sockets():
            sock.close()
