"""Tasks that run for requests, and what becomes of them when their client goes.

A handler of the program's is cancelled, after a moment to finish. What answers by itself, as an
application does, is told, and may go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from ..handlers.eager import start
from ..logs import SERVER, log
from ..wire import ENDING
from .pending import Exchange

if TYPE_CHECKING:
    from ..core import Connection

SAFE = ("GET", "HEAD", "OPTIONS")  # methods that change nothing, RFC 9110 §9.2.1
CANCEL_GRACE_S = 1.0  # for a handler to end once it is cancelled


class Running:
    """The tasks of a server's requests. `is_reading(conn)`: whether a body is being read."""

    def __init__(self, grace: float, *, is_reading: Callable[[Connection], bool]) -> None:
        self._grace = grace
        self._is_reading = is_reading
        self._tasks: set[asyncio.Task[Any]] = set()  # the loop holds no reference to them
        self._exchanges: dict[Connection, Exchange] = {}  # whose task runs

    def __contains__(self, conn: object) -> bool:
        """Return whether a request of that connection is being answered by a task."""
        return conn in self._exchanges

    def go_on(
        self, conn: Connection, exchange: Exchange | None, coro: Coroutine[Any, Any, None]
    ) -> asyncio.Task[Any] | None:
        """Run what may wait; if it does, nothing else of the connection is handled meanwhile.

        The task is returned where there is one. With an exchange it is cancelled when the client
        is gone.
        """
        task = start(_guard(conn, coro), conn)
        if task is None:
            return None
        if exchange is not None:
            self._keep(conn, exchange, task)
            return task
        if not self._is_reading(conn):
            conn._hold()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def run(
        self, conn: Connection, exchange: Exchange, coro: Coroutine[Any, Any, None]
    ) -> asyncio.Task[Any] | None:
        """Run what answers a request by itself, and may go on afterwards; its task if it waits."""
        task = start(coro, conn)
        if task is not None:
            self._keep(conn, exchange, task)
        return task

    def run_beside(self, conn: Connection, coro: Coroutine[Any, Any, None]) -> None:
        """Run in a task what decides about a connection, of which nothing is handled meanwhile."""
        conn._hold()
        task = asyncio.get_running_loop().create_task(coro, context=copy_context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _keep(self, conn: Connection, exchange: Exchange, task: asyncio.Task[Any]) -> None:
        """Keep what waits, and its connection as it is until it has answered."""
        exchange.task = task
        self._tasks.add(task)
        if not exchange.is_answered:
            if not self._is_reading(conn):
                conn._hold()
            if conn._phase < ENDING:
                self._exchanges[conn] = exchange
                self._end_endless(conn, exchange)
        task.add_done_callback(partial(self._has_run, conn, exchange))

    def _has_run(self, conn: Connection, exchange: Exchange, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if exchange.task is task:
            exchange.stop_waiting()
            if self._exchanges.get(conn) is exchange:
                del self._exchanges[conn]

    def forget(self, conn: Connection) -> None:
        """The connection is gone."""
        exchange = self._exchanges.pop(conn, None)
        if exchange is None:
            return
        if exchange.call is not None:
            exchange.stop_waiting()
            exchange.call.lost()
        elif exchange.task is not None:
            if exchange.in_pieces or exchange.request.method in SAFE:
                exchange.after(self._grace, exchange.task.cancel)

    def let_go(self, conn: Connection, exchange: Exchange) -> None:
        """A request is answered, whatever still runs for it."""
        exchange.stop_waiting()
        if self._exchanges.get(conn) is exchange:
            del self._exchanges[conn]

    def ended(self, conn: Connection) -> None:
        """The client has ended its side; it may be gone altogether, or still read."""
        exchange = self._exchanges.get(conn)
        if exchange is not None:
            exchange.has_client_ended = True
            if exchange.match is not None and exchange.match.target.ends_with_client:
                self._give_up(conn, exchange)
            else:
                self._end_endless(conn, exchange)

    def _end_endless(self, conn: Connection, exchange: Exchange) -> None:
        """Do not answer for ever who has probably gone; who reads on gets what comes quickly."""
        if (exchange.is_endless or exchange.call is not None) and exchange.has_client_ended:
            exchange.after(self._grace, self._give_up, conn, exchange)

    def _give_up(self, conn: Connection, exchange: Exchange) -> None:
        if self._exchanges.get(conn) is exchange and exchange.task is not None:
            if exchange.call is None:
                exchange.task.cancel()
            conn._lost()

    async def finish(self, timeout: float) -> None:
        """Wait until no handler runs; after `timeout` seconds, cancel those that still do."""
        if self._tasks:
            _, running = await asyncio.wait(self._tasks, timeout=timeout)
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running, timeout=CANCEL_GRACE_S)


async def _guard(conn: Connection, coro: Coroutine[Any, Any, None]) -> None:
    """Leave no connection held for ever by a defect of ours."""
    try:
        await coro
    except Exception as exc:
        log(SERVER, logging.ERROR, "internal error", exc_info=exc)
        conn.abort()


__all__ = ["CANCEL_GRACE_S", "Running"]
