"""The background tasks of a server: begun before it listens, kept running, cancelled at its end.

Of a server with several workers those that are to run once run in the worker that leads, from when
it is told so; the others in each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from inspect import isawaitable
from typing import Any, NamedTuple

from ..handlers.outcome import is_cancelled, is_failure, running_task

FIRST_BACKOFF_S = 1.0  # before a task that failed is started again; then doubled …
LONGEST_BACKOFF_S = 60.0  # … up to this, and reset by a run of this length

BackgroundTask = Callable[[], Coroutine[Any, Any, Any]]

# Where a task runs: once in a server, in each of its workers, once on all machines of a broker.
SERVER, WORKER, CLUSTER = "server", "worker", "cluster"


class Wanted(NamedTuple):
    """A task as it was registered."""

    function: BackgroundTask
    on: str


class Background:
    """The tasks of one run of a server; `failed` is told of each failure.

    Those that run once on all machines run where the server is the only one (`is_alone`), or while
    it has been told to by `lead_cluster`.
    """

    def __init__(
        self,
        wanted: Sequence[Wanted],
        failed: Callable[[BackgroundTask, BaseException], object],
        *,
        leads: bool = True,
        is_alone: bool = True,
    ) -> None:
        self._wanted = wanted
        self._failed = failed
        self._leads = leads  # whether those that run once run here
        self._leads_cluster = is_alone
        self._is_cancelled = False
        self._has_started = False
        self._tasks: list[asyncio.Task[None]] = []
        self._of_cluster: list[asyncio.Task[None]] = []  # those of them

    async def start(self) -> None:
        """Start each that runs here, and return when each has come to its first wait."""
        self._has_started = True
        self._begin(WORKER, *self._leading())
        # A task begins in the next iteration of the loop, and there a socket that listens by then
        # may come first.
        await asyncio.sleep(0)

    def lead(self) -> None:
        """Start those that run once in a server, from now on here."""
        if not self._leads and not self._is_cancelled:
            self._leads = True
            self._begin(*self._leading())

    def lead_cluster(self, leads: bool) -> None:
        """Start those that run once on all machines, or cancel them: from now on, others do."""
        if leads is self._leads_cluster or self._is_cancelled:
            return
        self._leads_cluster = leads
        if leads and self._has_started:
            self._begin(*({CLUSTER} & set(self._leading())))
        for task in () if leads else self._of_cluster:
            task.cancel()

    def _leading(self) -> list[str]:
        """Return the kinds of tasks that run once, and run here."""
        if not self._leads:
            return []
        return [SERVER, CLUSTER] if self._leads_cluster else [SERVER]

    def _begin(self, *meant: str) -> None:
        loop = asyncio.get_running_loop()
        for function, on in self._wanted:
            if on in meant:
                name = f"background {_name(function)}"
                task = loop.create_task(self._keep_running(function), name=name)
                self._tasks.append(task)
                if on == CLUSTER:
                    self._of_cluster.append(task)
                    task.add_done_callback(self._of_cluster.remove)

    async def cancel(self, timeout: float) -> None:
        """Cancel the tasks, each once, and wait for them; some may be left then."""
        self._is_cancelled = True
        self._tasks = [task for task in self._tasks if not task.done()]
        for task in self._tasks:
            if not task.cancelling():
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)

    async def _keep_running(self, function: BackgroundTask) -> None:
        """Run a task; when it raises, start it again after a while."""
        loop, own = asyncio.get_running_loop(), running_task()
        backoff = FIRST_BACKOFF_S
        while True:
            started = loop.time()
            try:
                task = function()
                if isawaitable(task):
                    await task
                else:  # to start it again would do all of it again
                    problem = "a background task is an `async def`, and this one has run already"
                    self._failed(function, TypeError(problem))
                return
            except BaseException as exc:
                if is_cancelled(exc) or not is_failure(exc, own):
                    raise
                self._failed(function, exc)
            if loop.time() - started >= LONGEST_BACKOFF_S:
                backoff = FIRST_BACKOFF_S
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF_S)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
