"""A server as a process: signals, the service manager, and the process that takes its place.

    SIGTERM, SIGINT   drain; a second one kills
    SIGHUP            start the same command again on the same sockets; once that serves, hand over
                      and drain; if it does not come to serve, go on as before

Nothing here is for a server inside a program of others (`await server.serve()`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Protocol

from ..errors import ConfigError
from ..logs import SERVER, log
from .handover import (
    LEAVE,
    SIGNALLED,
    HandoverError,
    Inherited,
    Place,
    Successor,
    open_terminals,
    own_command,
)
from .systemd import ADMIN_NAME, Notifier, activated_sockets

START_TIMEOUT_S = 60.0  # for a successor to come to serve
MAIN = "listening"  # the role of the public port, and …
ADMIN = "admin"  # … of the operators'
LARGE_BLOCK = 16 * 2**20  # bytes; glibc lets itself be taught up to 32 MiB


def keep_freed_memory() -> None:
    """Let the C library keep what large messages leave behind, for the next ones: 32 MiB at most.

    By itself glibc asks the kernel for each large block and gives it back at once, and every page
    of it costs a fault: half of an echo of 1 MiB. A large block that was freed teaches it that such
    sizes come and go (mallopt(3), M_MMAP_THRESHOLD); this one is never written to, so it takes no
    memory. Limits in the environment (MALLOC_TRIM_THRESHOLD_, …) go before, and other C libraries
    do not mind.
    """
    bytes(LARGE_BLOCK)


_loading: ContextVar[str] = ContextVar("loading")  # what the command loads at this moment


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Let `check_not_loading` know that a command loads a program, to serve it afterwards."""
    token = _loading.set(name)
    try:
        yield
    finally:
        _loading.reset(token)


def check_not_loading() -> None:
    """Raise ConfigError where a program that is being loaded would serve by itself."""
    if name := _loading.get(""):
        raise ConfigError(
            f"{name} serves while it is loaded to be served: put the call of run() or serve() "
            'below `if __name__ == "__main__":`'
        )


def end_at_once(number: int) -> None:
    """End by a signal, so that whoever waits for this process sees which.

    The kernel keeps such an end from the first process of a container, which ignores every signal
    it has no handler for (pid_namespaces(7)); there the status tells, as a shell would put it.
    """
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(SIGNALLED + number)


class Part(Protocol):
    """A run that has listening sockets, as far as the process deals with it."""

    @property
    def is_serving(self) -> bool:
        """Return whether it accepts connections and has not been asked to end."""

    @property
    def place(self) -> Place:
        """Its listening sockets, for a successor."""

    def stop(self, timeout: float | None = None, code: int | None = None) -> None:
        """Begin to drain, with another deadline and close code if given."""

    def hand_over(self) -> None:
        """Begin to drain for a successor that accepts from the same sockets."""

    def lead(self) -> None:
        """Run what runs once in a server of several processes, from now on."""

    def lead_cluster(self, leads: bool) -> None:
        """Run what runs once on all machines from now on, or not any more."""

    def release_files(self) -> None:
        """Remove what would outlive the process."""


class Process:
    """The process that `Server.run` adds to a run of the server.

    Made before the run, which takes its sockets from `inherited`; `add` names its parts as they
    are made, and `serving` is called when clients can connect.
    """

    def __init__(self) -> None:
        keep_freed_memory()
        self.inherited = Inherited.from_environ(os.environ)
        for label, sockets in activated_sockets(os.environ).items():
            self.inherited.add(ADMIN if label == ADMIN_NAME else MAIN, sockets)
        self._notifier = Notifier(os.environ)
        self._loop = asyncio.get_running_loop()
        self._parts: dict[str, Part] = {}
        self._is_serving = False
        self._restarting: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._terminals = open_terminals()
        # Hands over what rooms remember to the process at the other end of a socket.
        self.hand_on: Callable[[socket.socket], Awaitable[object]] | None = None
        self.has_begun: Callable[[], object] = bool  # called when clients can connect

    def add(self, role: str, part: Part) -> None:
        """Name a part that has sockets."""
        self._parts[role] = part

    def serving(self, files: Sequence[str]) -> None:
        """Clients can connect: tell whoever waits for it. `files` are those the program is of."""
        self._is_serving = True
        inherited = self.inherited
        inherited.close()
        if inherited.channel is None or inherited.is_watched:
            self._notifier.ready("serving")
        if inherited.channel is not None:
            inherited.tell_ready(files, self._places())
            if inherited.is_watched:
                self._loop.add_reader(inherited.channel.fileno(), self._heed)
            else:
                inherited.channel.close()
        self.has_begun()
        self._feed_watchdog()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Heed signals, where that is possible: in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, handler) for number, handler in self._handlers()}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    async def close(self) -> None:
        """Give back what is not the run's own."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._restarting is not None and not self._restarting.done():
            self._restarting.cancel()
            await asyncio.wait({self._restarting})
        self.inherited.close()
        if self.inherited.channel is not None and self.inherited.channel.fileno() >= 0:
            self._loop.remove_reader(self.inherited.channel.fileno())
            self.inherited.channel.close()

    # Signals. Python's own handlers, not the loop's: they run although a handler of the application
    # keeps the loop from turning.

    def _handlers(self) -> Iterator[tuple[int, Callable[[int, FrameType | None], None]]]:
        seen = False

        def end(number: int, frame: FrameType | None) -> None:
            nonlocal seen
            if seen:
                for part in self._parts.values():
                    part.release_files()
                end_at_once(number)
            seen = True
            self._loop.call_soon_threadsafe(self.stop)

        def hang_up(number: int, frame: FrameType | None) -> None:
            self._loop.call_soon_threadsafe(self.restart)

        yield signal.SIGINT, end
        yield signal.SIGTERM, end
        if sys.platform == "win32":
            yield signal.SIGBREAK, end
        elif signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            yield signal.SIGHUP, hang_up

    def stop(self) -> None:
        """Drain."""
        self._notifier.stopping()
        if MAIN in self._parts:
            self._parts[MAIN].stop()

    def _heed(self) -> None:
        """The watcher says something, or is gone."""
        channel = self.inherited.channel
        assert channel is not None
        try:
            word, fds, _, _ = socket.recv_fds(channel, 1, 1)
        except OSError:  # killed while something of ours was unread, READY as a rule
            word, fds = b"", []
        self._loop.remove_reader(channel.fileno())
        if word == LEAVE:
            bequest = socket.socket(fileno=fds[0]) if fds else None
            self._restarting = self._loop.create_task(self._hand_over(bequest), name="hand over")
        else:
            self.stop()

    # The successor.

    def restart(self) -> None:
        """Start a successor, if that is possible now."""
        if self.inherited.is_watched:
            return  # the watcher got the signal of a terminal as well, and decides
        if self._terminals != open_terminals():
            self.stop()  # the terminal is gone, and whoever started us with it
        elif os.getpid() == 1:
            log(SERVER, logging.WARNING, "the first process of a container cannot be replaced")
        elif self._restarting is not None or not self._is_serving:
            log(SERVER, logging.WARNING, "no new process: one is being started or this one ends")
        elif self._parts[MAIN].is_serving:
            self._restarting = self._loop.create_task(self._restart(), name="restart")

    async def _restart(self) -> None:
        self._notifier.reloading()
        log(SERVER, logging.INFO, "starting a new process")
        try:
            successor = await self._start()
        except (OSError, HandoverError) as exc:
            self._restarting = None
            log(SERVER, logging.ERROR, "no new process serves; this one goes on", reason=str(exc))
            self._notifier.ready(f"serving; the last reload failed: {exc}")
            return
        self._notifier.handed_over(successor.pid)
        await self._hand_over(successor.take_bequest())
        log(SERVER, logging.INFO, "handed over", pid=successor.pid)

    async def _start(self) -> Successor:
        """A process that serves. Raises OSError and HandoverError."""
        successor = Successor(own_command(), self._places(), os.environ, has_former=True)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await asyncio.shield(successor.is_ready)
        except BaseException as exc:
            await successor.end()
            if isinstance(exc, TimeoutError):
                raise HandoverError(f"it did not serve within {START_TIMEOUT_S:g} s") from None
            raise
        return successor

    async def _hand_over(self, bequest: socket.socket | None) -> None:
        """Let the successor have what rooms remember, then all clients."""
        try:
            if bequest is not None and self.hand_on is not None:
                await self.hand_on(bequest)
            elif bequest is not None:
                bequest.close()
        finally:
            for part in self._parts.values():
                part.hand_over()

    def _places(self) -> dict[str, Place]:
        return {role: part.place for role, part in self._parts.items()}

    # The watchdog.

    def _feed_watchdog(self) -> None:
        """Tell the manager, from the loop, that the loop turns: twice in each interval."""
        if self._notifier.watchdog_s is not None:
            self._notifier.alive()
            wait = self._notifier.watchdog_s / 2
            self._watchdog = self._loop.call_later(wait, self._feed_watchdog)
