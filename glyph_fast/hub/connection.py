"""A connection as an application sees it: one peer, after its WebSocket handshake.

Bytes, frames and the send queue are the core's; here are rooms, the application's data, the request
the connection began with, and waiting. A server holds thousands of these, most of them idle, so
whatever is rarely used is None until someone asks for it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .. import core
from ..dialects.message import Message, Sendable
from ..errors import CallFailed, ConnectionClosed
from ..http.request import Kept, Request
from ..http.router import NO_PARAMS
from ..json import loads
from ..wire import ABNORMAL, SERVER, MessageType, Position, SendResult
from .calls import Calls
from .identity import checked_info, info_json
from .joining import Joined, join_as_program
from .room import Member

if TYPE_CHECKING:
    from .stream import Stream

_data_lock = threading.Lock()  # held while a connection's data dict is made


class Connection(Member):
    """One client.

    Everything may be called from any thread: what sends or changes is handed to the loop in order
    at once, and a send's result is pending; what reads gives a snapshot. `drain` and `async for`
    are the loop's, and so are the steps of the opening (`write` to `finish`): elsewhere they raise
    RuntimeError.
    """

    __slots__ = (
        "_calls",
        "_data",
        "_info",
        "_kept",
        "_stream",
        "_waiters",
        "identity",
        "path_params",
        "route_pattern",
        "subprotocol",
    )

    # They lie in the core's.
    id: str
    """Its name: 32 hexadecimal digits, drawn at random."""
    peername: Any
    """The peer's address as `socket.getpeername` gives it; None without one."""
    close_code: int
    """The code of the close; 0 until one begins."""
    close_reason: str
    """The reason of the close."""
    missed_pongs: int
    """Pings in a row that were not answered."""
    messages_received: int
    """Messages that came."""
    messages_sent: int
    """Messages that have left."""
    messages_dropped: int
    """Messages not delivered: its queue was full, or it was beyond its rate."""
    bytes_received: int
    """Bytes that came, those of the handshake too."""
    bytes_sent: int
    """Bytes that have left, those of the handshake too."""

    def __init__(self, turn: core.Turn, sink: Any = None, role: int = SERVER) -> None:
        Member.__init__(self, turn, sink, role)  # one per client: super() takes thrice as long
        # Set by whoever answers the opening handshake.
        self.path_params: Mapping[str, str] = NO_PARAMS
        """What stands in the place of the route's parameters, percent-decoded."""
        self.route_pattern = ""
        """The route it came by, as it was registered."""
        self.identity: Any = None
        """What `authenticate` returned; None without it."""
        self.subprotocol: str | None = None
        """The subprotocol agreed on, None without one."""
        self._info: bytes | None = None  # the JSON of `info`; None: null
        self._kept: Kept = b""  # of the request
        self._calls: Calls | None = None  # from the first on
        # Set by the dispatcher.
        self._stream: Stream | None = None  # of `async for`
        self._rooms = ()
        self._data: dict[str, Any] | None = None
        self._waiters: list[asyncio.Future[None]] | None = None  # in `drain`

    @property
    def worker(self) -> int:
        """The number of the process that serves it among its workers, from 1; 0 where it is one."""
        return self._manager._worker

    # Sending. `send` itself is the core's.

    if TYPE_CHECKING:

        def send(self, message: Sendable) -> SendResult: ...

    def send_json(self, value: object) -> SendResult:
        """Send the bare JSON of `value`, encoded at once.

        Raises TypeError or ValueError for a value that JSON cannot hold, and what `send` raises.
        """
        return self.send(self._manager._writer.json_text(value))

    def send_message(self, message: Message) -> SendResult:
        """Send the JSON of a message, its envelope. Raises what `send` raises."""
        return self.send(message)

    def send_event(self, name: str, data: Any = None) -> SendResult:
        """Send an envelope of type `json` with an event. Raises what `send` raises."""
        return self.send_message(Message(MessageType.JSON, data, event=name))

    async def drain(self) -> None:
        """Wait until the send queue has room for the next message, of whatever size.

        Returns at once unless more than half of `queue_messages` or `queue_bytes` waits, and then
        once no more than a quarter does. If you await it after each send, you lose nothing, under
        any policy. Raises ConnectionClosed when the connection is or becomes closed, and
        RuntimeError on another loop than the server's.
        """
        if not self._turn.is_owner():
            raise RuntimeError("drain() waits on the server's event loop, and this is another one")
        self._check_open()
        if not self._needs_drain:
            return
        self._flush()  # the kernel has not been asked yet
        if not self._needs_drain:
            await asyncio.sleep(0)  # a publisher that only sends and drains must not hog the loop
        while self.is_open and self._needs_drain:  # others may have filled it before our turn came
            await self._room()
        self._check_open()

    async def _room(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters = [*(self._waiters or ()), waiter]
        self._want_drain()
        await waiter

    def _wake_waiters(self) -> None:
        """Let every `drain` go on: there is room, or the connection is closed."""
        self._turn.check_thread("wake_waiters")
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def _check_open(self) -> None:
        if not self.is_open:
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)

    # Asking.

    async def call(self, event: str, data: Any = None, timeout: float | None = 10.0) -> Any:
        """Ask the client: send an event, and return the data of its `reply`.

        A handler may ask its own client: the answer is taken while it waits. `timeout` is in
        seconds, None for no end but the connection's. Raises CallTimeout; CallFailed when the
        client answers with an error, when the call cannot be sent or its answer not be heard;
        ConnectionClosed; TypeError or ValueError for data that JSON cannot hold; and RuntimeError
        on another loop than the server's.
        """
        if not isinstance(event, str) or not event:
            raise TypeError("a call needs the name of the event")
        if not self._turn.is_owner():
            raise RuntimeError("call() waits on the server's event loop, and this is another one")
        self._check_open()
        if MessageType.REPLY not in self._plan.commands:
            raise CallFailed("clients may not reply here: client_commands is without `reply`")
        if self._calls is None:
            self._calls = Calls()
        return await self._calls.ask(self, event, data, timeout)

    # Receiving.

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """The messages as they come, text as str and binary as bytes, until the connection closes.

        For the handler of `server.websocket(path)`; elsewhere a RuntimeError.
        """
        if self._stream is None:
            raise RuntimeError("`async for` on a connection needs a handler of server.websocket()")
        if not self._turn.is_owner():
            raise RuntimeError("`async for` waits on the server's loop, and this is another one")
        return self._stream

    # Rooms.

    def join_room(self, name: str) -> None:
        """Become a member of a room, which is made if need be; joining twice changes nothing.

        Raises RoomFull, ConnectionClosed, ValueError for a bad name, and GlyphFastError when the
        connection is in too many rooms. A join that fails leaves no trace.
        """
        if not self._turn.hand_over(self.join_room, name):
            self._manager._join_here(self, name)

    async def join(
        self,
        room: str,
        since: Position | tuple[str, int] | None = None,
        history: int = 0,
        envelopes: bool = False,
    ) -> Joined:
        """Become a member of a room that remembers, and get what came after a position, or lately.

        With `since`, a former position, `resumed` says whether `messages` are all that came after
        it; with `history` they are the latest so many. From the return on nothing is missed. With
        `envelopes` the connection gets the room's messages as a client that joined by a message
        does, with their offsets. A room that does not remember is joined as by `join_room`. Raises
        what `join_room` raises, RuntimeError in another thread, and BrokerUnavailable.
        """
        return await join_as_program(self, room, since, history, envelopes)

    def leave_room(self, name: str) -> None:
        """End the membership of a room, if there is one."""
        if not self._turn.hand_over(self.leave_room, name):
            self._manager._leave(self, name)

    def get_rooms(self) -> list[str]:
        """The names of its rooms in the order of joining; after the end, the former ones."""
        return [room.name for room in self._rooms]

    def is_in_room(self, name: str) -> bool:
        """Return whether it is a member of the room of that name."""
        room = self._manager.get_room(name)
        return room is not None and self in room

    # The application's data.

    def set_data(self, key: str, value: Any) -> None:
        """Keep a value with the connection."""
        if self._data is None:
            with _data_lock:
                if self._data is None:
                    self._data = {}
        self._data[key] = value

    def get_data(self, key: str, default: Any = None) -> Any:
        """The value kept under `key`, or `default`."""
        return default if self._data is None else self._data.get(key, default)

    # What others see of it.

    @property
    def info(self) -> Any:
        """The part of the client that others may see: JSON of at most 4 KiB, null unless given.

        It comes from an `Identity` or a token's claim `info`, or is set here. You read a
        copy: set it anew to change it. Setting raises ValueError when it is too large, and what
        `json.dumps` raises.
        """
        return None if self._info is None else loads(self._info)

    @info.setter
    def info(self, value: object) -> None:
        self._set_info(info_json(value, self._manager._writer.dumps))

    def _show_json(self, text: str) -> None:
        """Set `info` to what is JSON already. Raises ValueError when it is too large."""
        self._set_info(checked_info(text.encode()))

    def _set_info(self, text: bytes | None) -> None:
        if self._manager._hand_over(self._set_info, text) or text == self._info:
            return
        self._info = text
        for room in self._rooms:
            if room._is_shown and room.has(self):
                self._manager._presence.joined(self, room.name)

    # How it began, and how it is.

    @property
    def request(self) -> Request:
        """The request of the opening handshake: path, query, headers, cookies, remote."""
        request = Request._from_head(self._kept, self.remote, getattr(self._sink, "tls", None))
        request.path_params = self.path_params
        return request

    @property
    def last_pong_time(self) -> datetime | None:
        """Return when the latest ping was answered, in UTC; None before the first answer."""
        if not self._last_pong:
            return None
        ago = self._turn.clock() - self._last_pong
        return datetime.fromtimestamp(time.time() - ago, UTC)

    @property
    def stats(self) -> dict[str, Any]:
        """Its figures as plain values. Times are seconds; the round trip None before a first pong.

        Messages are those received and sent since the beginning; queued is what waits now.
        """
        return {
            "seconds": self._turn.clock() - self._opened_at,
            "messages_received": self.messages_received,
            "messages_sent": self.messages_sent,
            "messages_dropped": self.messages_dropped,
            "bytes_received": self.bytes_received,
            "bytes_sent": self.bytes_sent,
            "queued_messages": self.queued_messages,
            "queued_bytes": self.queued_bytes,
            "missed_pongs": self.missed_pongs,
            "ping_rtt_seconds": self._ping_rtt if self._last_pong else None,
            "rooms": len(self._rooms),
        }

    @property
    def is_healthy(self) -> bool:
        """Return whether it is open, and not one unanswered ping away from being closed.

        The latest ping may still be under way, so one alone proves nothing.
        """
        return self.is_open and (
            self.missed_pongs <= 1 or self.missed_pongs < self._turn.limits.max_missed_pongs
        )

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<Connection {self.id or 'unnamed'} {state} {self.route_pattern}>"


class WritingConnection(Connection):
    """One whose messages the server writes by rules of its own, of which the core knows nothing."""

    __slots__ = ()

    def send(self, message: Sendable) -> SendResult:
        """Send a message, its data made JSON with the help of the program's `json_default`."""
        return Connection.send(self, self._manager._writer.as_sent(message))
