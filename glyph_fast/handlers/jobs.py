"""The jobs of a connection: what runs beside its messages, from its opening to its end.

A job is a coroutine that catches what handlers raise. The `Dispatcher` runs those of one connection
one at a time, with its messages, in the order in which they came.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..errors import ConnectionClosed, Reject
from ..hub.connection import Connection
from ..hub.hub import Hub
from ..hub.room import Room
from ..hub.stream import Stream
from ..logs import ErrorLog
from ..wire import INTERNAL_ERROR, NORMAL, POLICY_VIOLATION
from .answering import FAILED, Asked
from .builtin import reject_text
from .eager import HandlerTask, start, was_given_up
from .inbox import Job, LastJob
from .leaving import end_stream
from .outcome import outcome
from .registry import Plan
from .signature import Call
from .telling import tell_failure


class Jobs:
    """The part of a `Dispatcher` that calls handlers which are not for messages."""

    if TYPE_CHECKING:  # of the dispatcher
        hub: Hub
        errors: ErrorLog
        error_calls: tuple[Call, ...]
        leave_calls: tuple[Call, ...]
        nobody: tuple[Call, ...]
        _grace: float
        _tasks: set[HandlerTask]

        def _enqueue(self, conn: Connection, job: Job) -> None: ...
        def _pace(self, conn: Connection) -> None: ...

    async def _connect(self, conn: Connection, plan: Plan) -> None:
        for call in plan.connect:
            exc = await outcome(call, conn)
            if isinstance(exc, Reject):
                conn.close(POLICY_VIOLATION, reject_text(exc, self.hub._writer.dumps))
                self.hub.metrics.connections_rejected["on_connect"] += 1
                if conn._inbox is not None:
                    conn._inbox.forget_messages()
                return
            if exc is not None and (conn.is_open or not isinstance(exc, ConnectionClosed)):
                await self._report(conn, call, exc)
            if exc is not None:
                break
        if plan.stream is not None and (conn.is_open or not was_given_up()):
            self._open_stream(conn, plan.stream)

    async def _answer_close(self, conn: Connection, plan: Plan, code: int, reason: str) -> None:
        await self._tell(conn, plan.close, code, reason)
        conn._answer_close()

    async def _disconnect(self, conn: Connection, plan: Plan, code: int, reason: str) -> None:
        if conn._stream is not None:
            await end_stream(conn._stream, self._grace)
        await self._tell(conn, plan.disconnect, code, reason)

    async def _tell(self, conn: Connection, calls: tuple[Call, ...], *args: Any) -> None:
        for call in calls:
            if (exc := await outcome(call, conn, *args)) is not None:
                await self._report(conn, call, exc)

    def _left(self, conn: Any, room: Room) -> None:
        """A room says that a connection has left it. User code must not run from here."""
        if self.leave_calls:
            job = LastJob(self._tell, conn, self.leave_calls, room.name)
            if conn._inbox is not None:
                conn._inbox.append(job)
            else:
                conn._turn.post(self._enqueue, conn, job)

    async def _report(self, subject: Any, call: Call, exc: BaseException) -> None:
        """Log and count what a handler raised, then tell the handlers of errors."""
        if isinstance(exc, asyncio.CancelledError) and was_given_up():
            return  # by the server itself, which is nobody's failure
        conn: Connection = getattr(subject, "conn", subject)
        self.hub.metrics.handler_errors += 1
        self.errors.record(call, exc, connection=conn.id, route=conn.route_pattern)
        for error_call in self.error_calls:
            if (second := await outcome(error_call, subject, exc)) is not None:
                self.errors.record(error_call, second, connection=conn.id)
        if self.nobody:
            tell_failure(subject, call, exc)

    async def _report_asked(self, call: Asked, exc: BaseException) -> None:
        """As `_report`; then whoever waits for an answer is told, unless a handler has told it."""
        await self._report(call.ctx, call.func, exc)
        call.ctx._refuse(FAILED)

    # Streams.

    def _open_stream(self, conn: Connection, call: Call) -> None:
        conn._stream = Stream(conn, self._pace)
        task = start(self._serve_stream(conn, call), conn)
        if task is not None:
            conn._stream.task = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve_stream(self, conn: Connection, call: Call) -> None:
        """Run the handler of a route that reads by `async for`; its end ends the connection."""
        code = NORMAL
        exc = await outcome(call, conn)
        if exc is not None and not isinstance(exc, ConnectionClosed):
            code = INTERNAL_ERROR
            await self._report(conn, call, exc)
        conn.close(code)
