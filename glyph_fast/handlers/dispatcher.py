"""From the core's events to the application's functions, one at a time for each connection.

While nothing waits, a message goes straight from the core to its handlers (`core.Dispatch`): no
queue, no task. When a handler waits, its connection gets an inbox; what comes meanwhile lies there,
and once that is full, reading pauses. The end of a connection is the last thing in its inbox.

An inbox holds messages, `(opcode, payload)`, and jobs, functions that return a coroutine.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from inspect import isawaitable
from types import CoroutineType
from typing import Any, TypeAlias

from .. import core
from ..connection import Connection, Stream
from ..errors import ConnectionClosed, Reject
from ..hub import Hub
from ..logs import SERVER, AccessLog, ErrorLog, Throttle, log, qualified_name
from ..message import Message, MessageType
from ..room import Room
from ..wire import INTERNAL_ERROR, NORMAL, PAUSE_INBOX, POLICY_VIOLATION
from .blocking import Blocking
from .builtin import ClientCommands, Refused, reject_text
from .context import MessageContext
from .dialect import envelope_words, read_text
from .eager import Awaited, HandlerTask, as_coroutine, start
from .registry import Call, Plan, Registry

SLOW_HANDLER_S = 1.0  # from here on a handler that waits is named in the log
CANCEL_GRACE_S = 1.0  # between two cancellations of a handler that does not end

Job: TypeAlias = Callable[[], Awaited]


class Dispatcher(Registry, core.Dispatch):
    """Runs the handlers of a hub's connections.

    The methods `message`, `full`, `drain`, `close` and `failed` are those of the core's `Handler`.
    """

    def __init__(self, hub: Hub, access: AccessLog | None = None) -> None:
        Registry.__init__(self)
        core.Dispatch.__init__(
            self, hub, Message, MessageContext, MessageType.TEXT, MessageType.BINARY
        )
        self.errors = ErrorLog()
        self._access = access or AccessLog()
        self._slow_lines = Throttle()
        self.deliver = self._deliver
        hub.get_room_manager().left = self._left
        self._tasks: set[HandlerTask] = set()  # the loop holds no reference to a task that waits
        self._blocking = Blocking()
        self.configure()

    def configure(self) -> None:
        """Go by the hub's options as they are now. Before the server runs."""
        config = self.hub.config
        self._inbox_limit = config.inbox_messages
        self._words = envelope_words(config.client_commands)
        commands = ClientCommands(
            self, broadcast_all=config.client_broadcast_all, failed=self._report
        )
        self.commands = commands.effects(config.client_commands)
        self.built_in_events = {}
        self._is_stopping = False
        self.renew()

    # What the core reports.

    def opened(self, conn: Connection) -> None:
        """A connection was upgraded. Its route, request and identity are set already."""
        self.hub.open(conn)
        plan = conn._plan = self.plan(conn.route_pattern)
        if plan.connect or plan.stream is not None:
            self._enqueue(conn, partial(self._connect, conn, plan))

    def full(self, conn: Connection) -> None:
        """Policy `block`: read no more of the connection whose handler feeds a full one."""
        feeder: Any = conn.turn.current
        if feeder is not None and feeder.is_open:
            self._blocking.pause(feeder, conn)

    def drain(self, conn: Connection) -> None:
        """A queue has room again, or has lost its connection: go on."""
        self._blocking.drained(conn)
        conn.wake_waiters()

    def close(self, conn: Connection, code: int, reason: str) -> None:
        """A connection is gone: out of the hub at once, its last handler in its turn."""
        if not self.hub.forget(conn, code):
            return  # it never was a WebSocket
        self._blocking.forget(conn)
        self._log_access(conn, code, reason)
        for room in conn._rooms if self.leave_calls else ():
            self._enqueue(conn, partial(self._tell_left, conn, room.name))
        plan: Plan = conn._plan
        if plan.disconnect or conn._stream is not None or conn._inbox is not None:
            self._enqueue(conn, partial(self._disconnect, conn, plan, code, reason))

    def failed(self, conn: Connection | None, exc: BaseException) -> None:
        """Something that is no handler raised: a defect of ours, or a call from another thread."""
        self.hub.metrics.handler_errors += 1
        name = conn.id if conn is not None else None
        log(SERVER, logging.ERROR, "internal error", exc_info=exc, connection=name)

    # Messages, where the core's short way ends.

    def _wait(self, conn: Connection, opcode: int, payload: Any) -> None:
        """A message came while a handler waits."""
        conn._inbox.append((opcode, payload))
        self._pace(conn)

    def _read(self, conn: Connection, payload: str) -> tuple[Message, tuple[Call, ...]]:
        """A text that may be JSON: the message it is, and who handles that."""
        plan: Plan = conn._plan
        message = read_text(payload, self._words, conn.id)
        type_ = message.type
        if type_ is MessageType.TEXT:
            return message, message.event and plan.events.get(message.event) or plan.text
        if message.event and (calls := plan.events.get(message.event)):
            return message, calls
        if type_ is not MessageType.JSON:
            return message, plan.commands[type_]
        if plan.json_as_text:
            message.type, message.data = MessageType.TEXT, message.raw
        return message, plan.json

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
        if not isinstance(exc, Exception | asyncio.CancelledError):
            raise exc
        if isinstance(exc, Refused):
            self.hub.metrics.commands_refused += 1
            if conn.is_open:
                ctx.reply_error(exc)
            return True
        if isinstance(exc, ConnectionClosed) and not conn.is_open:
            return True  # nothing is wrong with a handler that answers somebody who has left
        return self._begin(conn, self._report(ctx, call, exc))

    # Running, waiting, going on.

    def _enqueue(self, conn: Connection, job: Job) -> None:
        if conn._inbox is None:
            conn._inbox = deque((job,))
            self._resume(conn)
        else:
            conn._inbox.append(job)

    def _begin(self, conn: Connection, coro: Awaited) -> bool:
        """Start a job, which catches its own errors; False when it waits."""
        try:
            task = start(coro, conn)
        except (Exception, asyncio.CancelledError) as exc:
            self.failed(conn, exc)
            return True
        if task is None:
            return True
        self._follow(task, None, (), 0)
        return False

    def _follow(self, task: HandlerTask, subject: Any, calls: tuple[Call, ...], index: int) -> None:
        """Go on with `calls[index:]` when the task is done; until then the inbox collects."""
        task.subject, task.calls, task.index = subject, calls, index
        task.started = time.perf_counter()
        if task.conn._inbox is None:
            task.conn._inbox = deque()
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: HandlerTask) -> None:
        self._tasks.discard(task)
        conn, ctx, calls, index = task.conn, task.subject, task.calls, task.index
        if ctx is not None:
            self._time(conn, calls[index - 1], time.perf_counter() - task.started)
        turn = conn.turn
        before, turn.current = turn.current, conn
        try:
            exc = asyncio.CancelledError() if task.cancelled() else task.exception()
            if exc is not None and ctx is not None:
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
        conn.turn.counters.handler_seconds.observe(seconds)
        if seconds >= SLOW_HANDLER_S and self._slow_lines.admit() is not None:
            name = qualified_name(call)
            log(SERVER, logging.WARNING, "slow handler", handler=name, seconds=round(seconds, 3),
                connection=conn.id, route=conn.route_pattern)  # fmt: skip

    def _resume(self, conn: Connection) -> None:
        """Handle what waits in the inbox, up to the next wait."""
        inbox = conn._inbox
        assert inbox is not None
        turn = conn.turn
        before, turn.current = turn.current, conn
        try:
            while inbox:
                item = inbox.popleft()
                if isinstance(item, tuple):
                    self._pace(conn)
                    is_done = self._is_stopping or self.handle(conn, *item)
                else:
                    is_done = self._begin(conn, item())
                if not is_done:
                    return
            conn._inbox = None
        finally:
            turn.current = before

    def _pace(self, conn: Connection) -> None:
        """Pause reading when as much waits as may wait, resume it when half of that is done."""
        waiting = len(conn._inbox or ())
        if conn._stream is not None:
            waiting += len(conn._stream.messages)
        if waiting >= self._inbox_limit:
            conn.pause_reading(PAUSE_INBOX)
        elif waiting * 2 <= self._inbox_limit:
            conn.resume_reading(PAUSE_INBOX)

    # Jobs.

    async def _connect(self, conn: Connection, plan: Plan) -> None:
        for call in plan.connect:
            try:
                result = call(conn)
                if isawaitable(result):
                    await result
            except Reject as exc:
                conn.close(POLICY_VIOLATION, reject_text(exc))
                self.hub.metrics.connections_rejected["on_connect"] += 1
                self._forget_messages(conn)
                return
            except (Exception, asyncio.CancelledError) as exc:
                await self._report(conn, call, exc)
                break
        if plan.stream is not None:
            self._open_stream(conn, plan.stream)

    def _forget_messages(self, conn: Connection) -> None:
        inbox = conn._inbox
        if inbox is not None:
            jobs = [item for item in inbox if not isinstance(item, tuple)]
            inbox.clear()
            inbox.extend(jobs)

    async def _disconnect(self, conn: Connection, plan: Plan, code: int, reason: str) -> None:
        stream = conn._stream
        if stream is not None:
            stream.end()
            if stream.task is not None and not stream.task.done():
                await asyncio.wait((stream.task,))
        for call in plan.disconnect:
            await self._call(conn, call, conn, code, reason)

    async def _tell_left(self, conn: Connection, room: str) -> None:
        for call in self.leave_calls:
            await self._call(conn, call, conn, room)

    def _left(self, conn: Any, room: Room) -> None:
        """A room says that a connection has left it. User code must not run from here."""
        if self.leave_calls:
            job = partial(self._tell_left, conn, room.name)
            if conn._inbox is not None:
                conn._inbox.append(job)
            else:
                conn.turn.post(self._enqueue, conn, job)

    async def _call(self, subject: Any, call: Call, *args: Any) -> None:
        try:
            result = call(*args)
            if isawaitable(result):
                await result
        except (Exception, asyncio.CancelledError) as exc:
            await self._report(subject, call, exc)

    async def _report(self, subject: Any, call: Call, exc: BaseException) -> None:
        """Log and count what a handler raised, then tell the handlers of errors."""
        if self._is_stopping and isinstance(exc, asyncio.CancelledError):
            return  # it is ours
        conn: Connection = getattr(subject, "conn", subject)
        self.hub.metrics.handler_errors += 1
        self.errors.record(call, exc, connection=conn.id, route=conn.route_pattern)
        for error_call in self.error_calls:
            try:
                result = error_call(subject, exc)
                if isawaitable(result):
                    await result
            except (Exception, asyncio.CancelledError) as second:
                self.errors.record(error_call, second, connection=conn.id)

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
        try:
            result = call(conn)
            if isawaitable(result):
                await result
        except ConnectionClosed:
            pass
        except (Exception, asyncio.CancelledError) as exc:
            code = INTERNAL_ERROR
            await self._report(conn, call, exc)
        conn.close(code)

    def _deliver(self, ctx: MessageContext) -> None:
        conn, raw = ctx.conn, ctx.message.raw
        if conn._stream is not None and raw is not None:
            conn._stream.put(raw)
            self._pace(conn)

    # The end.

    async def finish(self, timeout: float) -> None:
        """Wait until no handler runs; after `timeout` seconds, cancel those that still do."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while running := self._tasks - {asyncio.current_task()}:
            left = deadline - loop.time()
            if left <= 0:
                self._is_stopping = True  # what waits in an inbox is dropped, but for the end
                for task in running:
                    task.cancel()
                left = CANCEL_GRACE_S
                deadline += left
            await asyncio.wait(running, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        self.errors.flush()

    def _log_access(self, conn: Connection, code: int, reason: str) -> None:
        if self._access.is_on:
            self._access.say(
                "connection closed",
                connection=conn.id,
                remote=conn.remote,
                route=conn.route_pattern,
                code=code,
                reason=reason,
                seconds=round(conn.turn.clock() - conn.opened_at, 3),
                messages_received=conn.messages_received,
                messages_sent=conn.messages_sent,
                bytes_received=conn.bytes_received,
                bytes_sent=conn.bytes_sent,
                messages_dropped=conn.messages_dropped,
            )
