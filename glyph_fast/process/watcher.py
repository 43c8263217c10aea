"""`--reload`: a process that keeps the listening sockets and runs the server in another one.

When a source file changes, the server is started anew on the same sockets. Once that one serves,
the old one is asked to leave; one that does not come to serve has said why, and the old one stays.
The sockets are bound by the first server, which sends them here, so even one that crashes leaves
them open: clients wait until the next change.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, needs
from ..logs import SERVER, log
from .handover import LEAVE, SIGNALLED, STOP, HandoverError, Place, Successor, open_terminals

if TYPE_CHECKING:
    from watchfiles import Change

PACKAGE = "watchfiles"
SUFFIXES = (".py", ".glyph")
NO_SOURCES = {"__pycache__", "node_modules", "site-packages"}  # folders; hidden ones, too
LOAD_FAILED = 1  # the exit status of a program that does not load: a change may repair it


def check_watching() -> None:
    """Raise ConfigError where `--reload` cannot work."""
    if sys.platform == "win32":
        raise ConfigError("--reload needs a system on which processes pass sockets on, not Windows")
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("--reload needs the main thread, which alone hears signals")
    if importlib.util.find_spec(PACKAGE) is None:
        raise ConfigError(needs("--reload", PACKAGE, "reload"))


def watch(command: list[str], environ: Mapping[str, str], files: Iterable[str]) -> int:
    """Run the command, again after each change, until a signal; return the last one's status.

    Watched are Python and Glyph sources below the working directory, the folders of what a program
    says it is made of, and `files`.
    """

    async def run() -> int:
        return await Watcher(command, environ, files).run()

    return asyncio.run(run())


class Watcher:
    """The processes of a server under `--reload`."""

    def __init__(
        self, command: list[str], environ: Mapping[str, str], files: Iterable[str]
    ) -> None:
        self._command = command
        self._environ = environ
        self._files = {os.path.abspath(each) for each in files}  # watched whatever their names
        self._loop = asyncio.get_running_loop()
        self._places: dict[str, Place] = {}  # the sockets, as the latest server bound them
        self._serving: Successor | None = None
        self._starting: Successor | None = None
        self._leaving: set[Successor] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._status: asyncio.Future[int] = self._loop.create_future()
        self._other_folders = asyncio.Event()  # set when others are to be watched
        self._is_stopping = False
        self._terminals = open_terminals()

    async def run(self) -> int:
        """Serve until a signal, or until the server ends by itself."""
        self._loop.add_signal_handler(signal.SIGINT, self._stop)
        self._loop.add_signal_handler(signal.SIGTERM, self._stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            self._loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        self._spawn(self._watch())
        try:
            self._renew()
            return await self._status
        finally:
            await self._end()

    # The processes.

    def _renew(self) -> None:
        """Start the server, instead of one that is starting."""
        if self._is_stopping:
            return
        if self._starting is not None:
            self._starting.kill()
            self._leaving.add(self._starting)
        self._starting = Successor(
            self._command,
            self._places,
            self._environ,
            is_watched=True,
            has_former=self._serving is not None,
        )
        self._spawn(self._follow(self._starting))

    def _hang_up(self) -> None:
        """Start the server anew, or end with the terminal."""
        if self._terminals != open_terminals():
            self._stop()
        else:
            self._renew()

    async def _follow(self, process: Successor) -> None:
        """Act on what becomes of a process, to its end."""
        with suppress(HandoverError):
            await process.is_ready
            self._is_ready(process)
        status = await process.has_ended
        self._leaving.discard(process)
        if process is self._starting:
            self._starting = None
            self._did_not_start(status)
        elif process is self._serving:
            self._serving = None
            self._ended(status)
        elif self._is_stopping:
            self._finish(status)

    def _is_ready(self, process: Successor) -> None:
        if process is not self._starting:  # a change came that it does not have
            _close(process.places)
            return
        self._starting = None
        _close(self._places)
        self._places = process.places
        if self._files < (files := self._files | {*map(os.path.abspath, process.files)}):
            self._files = files
            self._other_folders.set()
        if self._serving is not None:
            log(SERVER, logging.INFO, "reloaded", pid=process.pid)
            self._leaving.add(self._serving)
            self._serving.tell(LEAVE, process.take_bequest())
        process.drop_bequest()
        self._serving = process
        if self._is_stopping:
            process.tell(STOP)

    def _did_not_start(self, status: int) -> None:
        if self._is_stopping:
            self._finish(0)
        elif self._serving is not None:
            log(SERVER, logging.ERROR, "not reloaded; the former program serves on", status=status)
        elif status == LOAD_FAILED or self._places:
            log(SERVER, logging.ERROR, "not started; waiting for a change", status=status)
        else:
            self._finish(status)  # bad usage, or no socket: nothing a change of the program repairs

    def _ended(self, status: int) -> None:
        """The one that served has ended, asked or not."""
        if self._is_stopping or status == 0:
            self._is_stopping = True
            self._finish(status)
        else:
            log(SERVER, logging.ERROR, "the server ended; waiting for a change", status=status)

    def _finish(self, status: int) -> None:
        """End with a status, once all processes have."""
        if not self._status.done() and not (self._serving or self._starting or self._leaving):
            self._status.set_result(status if status >= 0 else SIGNALLED - status)

    def _stop(self) -> None:
        """Drain; the second time, end at once."""
        processes = [each for each in (self._serving, self._starting, *self._leaving) if each]
        for process in processes:
            if self._is_stopping:
                process.kill()
            elif process is self._starting:
                process.terminate()  # it may have clients already, and its word be on the way
            else:
                process.tell(STOP)
        self._is_stopping = True
        self._finish(0)

    async def _end(self) -> None:
        """Leave nothing behind, whatever happened."""
        for process in (self._serving, self._starting, *self._leaving):
            if process is not None:
                await process.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        _close(self._places)

    def _spawn(self, coro: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(coro)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The files.

    async def _watch(self) -> None:
        from watchfiles import awatch

        while True:
            self._other_folders.clear()
            folders = self._folders()
            told = partial(log, SERVER, logging.INFO, "watching", folders=" ".join(folders))
            self._loop.call_soon(told)  # which is when the loop below waits for changes
            async for changes in awatch(
                *folders,
                watch_filter=self._is_source,
                stop_event=self._other_folders,
                recursive=True,
            ):
                names = sorted({os.path.relpath(path) for _, path in changes})
                log(SERVER, logging.INFO, "changed", files=" ".join(names))
                self._renew()

    def _folders(self) -> list[str]:
        """The folders to watch, none below another."""
        found = sorted({os.getcwd(), *map(os.path.dirname, self._files)})
        found = [each for each in found if os.path.isdir(each)]
        return [each for each in found if not any(_is_below(each, other) for other in found)]

    def _is_source(self, change: Change, path: str) -> bool:
        if path in self._files:
            return True
        parts = Path(os.path.relpath(path)).parts
        hidden = any(part in NO_SOURCES or re.match(r"\.[^.]", part) for part in parts)
        return path.endswith(SUFFIXES) and not hidden


def _is_below(path: str, folder: str) -> bool:
    return path != folder and Path(path).is_relative_to(folder)


def _close(places: Mapping[str, Place]) -> None:
    for place in places.values():
        for sock in place.sockets:
            sock.close()
