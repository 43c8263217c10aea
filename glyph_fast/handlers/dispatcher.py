"""From the core's events to the application's functions, one at a time for each connection.

While nothing waits, a message goes straight from the core to its handlers (`core.Dispatch`): no
queue, no task. When a handler waits, its connection gets an inbox; what comes meanwhile lies there,
and once that is full, reading pauses. The end of a connection is the last thing in its inbox; what
holds it up for longer than the grace, while nobody is there for whom it runs, is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
import time
from asyncio import events
from functools import partial
from inspect import isawaitable
from types import CoroutineType
from typing import Any

from ..dialects.base import Dialect, Undecoded
from ..dialects.message import Message
from ..errors import ConnectionClosed, Reject
from ..hub.connection import Connection
from ..hub.hub import Hub
from ..hub.shares import TURN_FRAMES
from ..logs import SERVER, AccessLog, ErrorLog, Throttle, log, qualified_name
from ..wire import INTERNAL_ERROR, PAUSE_INBOX, TEXT, MessageType
from .answering import Asked
from .blocking import Blocking
from .builtin import ClientCommands, reject_text
from .context import MessageContext
from .eager import Awaited, HandlerTask, as_coroutine, start
from .inbox import Inbox, Job, LastJob
from .jobs import Jobs
from .leaving import CANCEL_GRACE_S, give_up_late, say_closed
from .outcome import interrupt
from .permission import Refused
from .reading import Reading
from .registry import Plan, Registry
from .signature import Call
from .telling import tell_unhandled
from .typed import Invalid

_get_running_loop = events._get_running_loop

BARE = (MessageType.TEXT, MessageType.BINARY, MessageType.JSON)
SLOW_HANDLER_S = 1.0  # from here on a handler that waits is named in the log


class Dispatcher(Registry, Jobs, Reading):
    """Runs the handlers of a hub's connections.

    The methods `message`, `full`, `drain`, `close` and `failed` are those of the core's `Handler`.
    """

    def __init__(self, hub: Hub, access: AccessLog | None = None) -> None:
        Registry.__init__(self)
        Reading.__init__(self, hub, Message, MessageContext, *BARE)
        self.errors = ErrorLog()
        self._access = access or AccessLog()
        self._slow_lines = Throttle()
        self.deliver, self.paced = self._deliver, self._pace
        hub.get_room_manager()._left = self._left
        self._tasks: set[HandlerTask] = set()  # the loop holds no reference to a task that waits
        self._blocking = Blocking()
        self.configure()

    def configure(self) -> None:
        """Go by the hub's options as they are now. Before the server runs."""
        config = self.hub._config
        self._inbox_limit, self._inbox_bytes = config.inbox_messages, config.inbox_bytes
        self._grace = config.handler_grace
        words = config.command_words
        writer = self.hub._writer
        self.dialect, self.undecoded = Dialect(words, writer), Undecoded(words, writer)
        commands = self.client_commands = ClientCommands(self, config, failed=self._report)
        self.commands, self.is_meant = commands.effects(words), commands.is_meant
        self.built_in_events = {}
        self._is_stopping = self._is_draining = False
        self.nobody = (tell_unhandled,) if config.is_development else ()
        self.renew()

    # What the core reports.

    def opened(self, conn: Connection, expires_at: float | None = None) -> None:
        """A connection was upgraded. Its route, request and identity are set already."""
        self.hub._open(conn)
        if expires_at is not None:
            self.hub.expire(conn, expires_at)
        plan = conn._plan = self.plan(conn.route_pattern)
        conn._holds_close = bool(plan.close)
        if plan.connect or plan.stream is not None:
            self._enqueue(conn, partial(self._connect, conn, plan))

    def full(self, conn: Connection) -> None:
        """Policy `block`: read no more of the connection whose handler feeds a full one."""
        feeder: Any = conn._turn.current
        if feeder is not None and feeder.is_open:
            self._blocking.pause(feeder, conn)

    def drain(self, conn: Connection) -> None:
        """A queue has room again, or has lost its connection: go on."""
        self._blocking.drained(conn)
        conn._wake_waiters()

    def closing(self, conn: Connection, code: int, reason: str) -> None:
        """The client asks to close, and handlers of the program say what it is answered."""
        self._enqueue(conn, partial(self._answer_close, conn, conn._plan, code, reason))

    def close(self, conn: Connection, code: int, reason: str) -> None:
        """A connection is gone: out of the hub at once, its last handler in its turn."""
        if not self.hub._forget(conn, code):
            return  # it never was a WebSocket
        self._blocking.forget(conn)
        if conn._calls is not None:
            conn._calls.fail(code, reason, kind=ConnectionClosed)
        say_closed(self._access, conn, code, reason)
        for room in conn._rooms if self.leave_calls else ():
            self._enqueue(conn, LastJob(self._tell, conn, self.leave_calls, room.name))
        plan: Plan = conn._plan
        if plan.disconnect or conn._stream is not None or conn._inbox is not None:
            self._enqueue(conn, LastJob(self._disconnect, conn, plan, code, reason))
        if conn._inbox is not None and (loop := _get_running_loop()) is not None:
            conn._inbox.has_time = self._is_draining
            conn._inbox.grace = loop.call_later(self._grace, self._overdue, conn)

    def failed(self, conn: Connection | None, exc: BaseException) -> None:
        """Something that is no handler raised: a defect of ours, or a call from another thread."""
        if isinstance(exc, KeyboardInterrupt):
            interrupt(exc)
            return
        self.hub.metrics.handler_errors += 1
        log(SERVER, logging.ERROR, "internal error", exc_info=exc, connection=conn and conn.id)
        if isinstance(exc, MemoryError) and conn is not None and conn.is_open:
            conn.close(INTERNAL_ERROR, "internal error")  # a message of its is lost

    # What the link of a worker reports.

    def crowded(self) -> None:
        """Much waits for the main process: read no more of the connection that adds to it."""
        turn = self.hub._turn
        feeder: Any = None if turn is None else turn.current
        if feeder is not None and feeder.is_open:
            self._blocking.pause(feeder, self)

    def emptied(self) -> None:
        """Nothing waits for it any more: go on."""
        self._blocking.drained(self)

    # Messages, where the core's short way ends.

    def _wait(self, conn: Connection, opcode: int, payload: Any) -> None:
        """A message came while a handler waits. The reply it waits for must not."""
        calls = conn._calls
        if calls is not None and calls.open and opcode == TEXT and calls.take(payload):
            return
        conn._inbox.put(opcode, payload)
        self._pace(conn)

    def _unhandled(self) -> None:
        self.hub.metrics.messages_unhandled += 1

    def _go_on(
        self,
        conn: Connection,
        ctx: MessageContext,
        calls: tuple[Call, ...],
        index: int,
        result: Any,
    ) -> bool:
        """A handler returned something: if it waits, `calls[index:]` follow when it is done."""
        if result.__class__ is CoroutineType:  # the usual case; the general question costs more
            task = start(result, conn)
        elif isawaitable(result):
            task = start(as_coroutine(result), conn)
        else:
            return True
        if task is None:
            return True
        self._follow(task, ctx, calls, index)
        return False

    def _fail(self, conn: Connection, ctx: MessageContext, call: Call, exc: BaseException) -> bool:
        """A message handler raised: those behind it do not run."""
        if isinstance(exc, KeyboardInterrupt):
            interrupt(exc)
            return True
        if isinstance(exc, Refused):
            self.hub.metrics.commands_refused += 1
            if conn.is_open:
                ctx.reply_error(exc)
            return True
        if isinstance(exc, Invalid):
            self.hub.metrics.events_invalid += 1
            if isinstance(call, Asked):
                call.ctx._refuse(str(exc))
            elif conn.is_open:
                ctx.reply_error(exc)
            return True
        if isinstance(exc, ConnectionClosed) and not conn.is_open:
            return True  # nothing is wrong with a handler that answers somebody who has left
        if isinstance(call, Asked):
            if isinstance(exc, Reject):
                call.ctx._refuse(reject_text(exc, self.hub._writer.dumps) or str(exc))
                return True
            return self._begin(conn, self._report_asked(call, exc))
        return self._begin(conn, self._report(ctx, call, exc))

    # Running, waiting, going on.

    def _enqueue(self, conn: Connection, job: Job) -> None:
        if conn._inbox is None:
            conn._inbox = Inbox((job,))
            self._resume(conn)
        else:
            conn._inbox.append(job)

    def _begin(self, conn: Connection, coro: Awaited, *, is_last: bool = False) -> bool:
        """Start a job, which catches its own errors; False when it waits."""
        try:
            task = start(coro, conn)
        except BaseException as exc:
            self.failed(conn, exc)
            return True
        if task is None:
            return True
        task.is_last = is_last
        self._follow(task, None, (), 0)
        return False

    def _follow(self, task: HandlerTask, subject: Any, calls: tuple[Call, ...], index: int) -> None:
        """Go on with `calls[index:]` when the task is done; until then the inbox collects."""
        task.subject, task.calls, task.index = subject, calls, index
        task.started = time.perf_counter()
        if task.conn._inbox is None:
            task.conn._inbox = Inbox()
        task.conn._inbox.task = task
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: HandlerTask) -> None:
        self._tasks.discard(task)
        conn, ctx, calls, index = task.conn, task.subject, task.calls, task.index
        if ctx is not None:
            self._time(conn, calls[index - 1], time.perf_counter() - task.started)
        turn = conn._turn
        before, turn.current = turn.current, conn
        try:
            exc = task.failure()
            if isinstance(exc, KeyboardInterrupt) or task.ended_as_asked(exc):
                pass  # the loop has got the one from the task, and the other is ours
            elif exc is not None and ctx is not None:
                if not self._fail(conn, ctx, calls[index - 1], exc):
                    return
            elif exc is not None:
                self.failed(conn, exc)
            elif index < len(calls) and not self.run(conn, ctx, calls, index):
                return
            self._resume(conn)
        finally:
            turn.current = before

    def _time(self, conn: Connection, call: Call, seconds: float) -> None:
        """A message handler has waited, which costs a task: so each of them is timed."""
        conn._turn.counters.handler_seconds.observe(seconds)
        if seconds >= SLOW_HANDLER_S and self._slow_lines.admit() is not None:
            name = qualified_name(call)
            log(SERVER, logging.WARNING, "slow handler", handler=name, seconds=round(seconds, 3),
                connection=conn.id, route=conn.route_pattern)  # fmt: skip

    def _resume(self, conn: Connection) -> None:
        """Handle what waits in the inbox, up to the next wait, or as much as fits into a turn."""
        inbox = conn._inbox
        assert inbox is not None
        turn = conn._turn
        before, turn.current = turn.current, conn
        handled, charged = 0, turn.weight
        try:
            while inbox:
                if handled + turn.weight - charged >= TURN_FRAMES and _get_running_loop():
                    if not self._begin(conn, asyncio.sleep(0)):  # one more wait
                        return
                handled += 1
                item = inbox.take()
                if isinstance(item, tuple):
                    self._pace(conn)
                    is_done = self._is_stopping or self.handle(conn, *item)
                else:
                    is_done = self._begin(conn, item(), is_last=isinstance(item, LastJob))
                if not is_done:
                    return
            inbox.end()
            conn._inbox = None
        finally:
            turn.current = before

    def _pace(self, conn: Connection) -> None:
        """Pause reading when as much waits as may wait, resume it when half of that is done."""
        inbox, stream = conn._inbox, conn._stream
        count, size = (0, 0) if inbox is None else (len(inbox), inbox.size)
        if stream is not None:
            count, size = count + len(stream.messages), size + stream.size
        if conn._calls is not None and conn._calls.open:  # read on, for the reply may be next
            if count < 2 * self._inbox_limit and size < 2 * self._inbox_bytes:
                conn._resume_reading(PAUSE_INBOX)
                return
            conn._calls.fail("inbox is full")
        if count >= self._inbox_limit or size >= self._inbox_bytes:
            conn._pause_reading(PAUSE_INBOX)
        elif count * 2 <= self._inbox_limit and size * 2 <= self._inbox_bytes:
            conn._resume_reading(PAUSE_INBOX)

    # Streams and the end.

    def _deliver(self, ctx: MessageContext) -> None:
        conn, raw = ctx.conn, ctx.message.raw
        if conn._stream is not None and raw is not None:
            conn._stream.put(raw)
            self._pace(conn)

    def _overdue(self, conn: Connection) -> None:
        if conn._inbox is not None:  # else all is done
            give_up_late(conn._inbox, self._grace, partial(self._overdue, conn))

    def begin_stop(self) -> None:
        """The server closes all connections: handlers of their messages have until `finish`."""
        self._is_draining = True

    async def finish(self, timeout: float) -> None:
        """Wait until no handler runs; after `timeout` seconds, cancel those that still do."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while running := self._tasks - {asyncio.current_task()}:
            left = deadline - loop.time()
            if left <= 0:
                self._is_stopping = True  # what waits in an inbox is dropped, but for the end
                for task in running:
                    task.give_up()
                left = CANCEL_GRACE_S
                deadline += left
            await asyncio.wait(running, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        self.errors.flush()
