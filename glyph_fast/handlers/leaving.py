"""Clients that have gone: the line about one, the end of a handler that reads by `async for`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from ..hub.connection import Connection
from ..hub.stream import Stream
from ..logs import AccessLog
from .inbox import Inbox

CANCEL_GRACE_S = 1.0  # between two cancellations of a handler that does not end


async def end_stream(stream: Stream, grace: float) -> None:
    """Let the handler come to the end of its messages; give it up once it no longer goes on.

    It is given `grace` seconds for each message that waits, and as many for its own end. Returns
    when it has ended, whatever becomes of the caller.
    """
    stream.end()
    task: Any = stream.task
    while task is not None and not task.done():
        waiting = len(stream.messages)
        try:
            await asyncio.wait((task,), timeout=grace)
        except asyncio.CancelledError:
            pass  # the server ends, and has given up that task as well
        if not task.done() and len(stream.messages) == waiting:
            task.give_up()
            grace = CANCEL_GRACE_S
    stream.task = None  # which holds the connection, and that the stream


def give_up_late(inbox: Inbox, grace: float, again: Callable[[], None]) -> None:
    """The client has been gone for the grace: give up what still runs for it, and look `again`.

    Each handler of a message that came before has the grace of its own, but once one had to be
    given up, the messages behind it are as well. What tells of the end is waited for.
    """
    task = inbox.task
    if task.is_last and inbox.only_ends():
        return  # it is being told, and nothing that may never end waits behind it
    left = grace - (time.perf_counter() - task.started)
    if inbox.has_time and task.subject is not None:
        left = max(left, CANCEL_GRACE_S)  # `Dispatcher.finish` ends it
    elif task.is_last or left <= 0:
        left = CANCEL_GRACE_S  # it may take its time to end, or not hear
        if not task.is_last:
            inbox.forget_messages()
            task.give_up()
    inbox.grace = asyncio.get_running_loop().call_later(left, again)


def say_closed(access: AccessLog, conn: Connection, code: int, reason: str) -> None:
    """Write the access line of a connection that is gone."""
    if access.is_on:
        access.say(
            "connection closed", connection=conn.id, remote=conn.remote,
            route=conn.route_pattern, code=code, reason=reason,
            seconds=round(conn._turn.clock() - conn._opened_at, 3),
            messages_received=conn.messages_received, messages_sent=conn.messages_sent,
            bytes_received=conn.bytes_received, bytes_sent=conn.bytes_sent,
            messages_dropped=conn.messages_dropped,
        )  # fmt: skip
