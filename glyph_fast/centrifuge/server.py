"""The protocol in one server: its clients, their pings, and what of theirs ends at a time."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakMethod

from .. import core
from ..dialects.base import Dialect
from ..dialects.message import Message
from ..handlers.context import MessageContext
from ..handlers.dispatcher import Dispatcher
from ..handlers.eager import start
from ..handlers.registry import Plan
from ..http.request import Request
from ..hub.connection import Connection
from ..hub.hub import Hub
from ..hub.room import Member, Room
from ..wire import PING, MessageType
from . import commands
from .codes import (
    BUSY,
    INSUFFICIENT_STATE,
    STATE_LOST,
    SUBSCRIPTION_EXPIRED,
    TOKEN_EXPIRED,
    CommandError,
    Disconnect,
)
from .identity import ttl
from .publishing import Format, PushCodec
from .session import GRACE_S, Command, Session
from .streaming import BodyCodec, BodyFormat, Framing, UniFormat
from .wireformat import Fields, WireFormat

if TYPE_CHECKING:
    from ..auth.ready import TokenAuthentication
    from ..opening.whole import Whole

MAX_PONG_WAIT_S = 8.0

Look: TypeAlias = Callable[[], "float | None"]  # of a session; in how many seconds to look again


class Frames(Dialect):
    """Leaves every frame as it came: for a handler that reads them itself."""

    __slots__ = ()

    def read(self, payload: str, connection_id: str) -> Message:
        """A message of type text that is the frame."""
        return Message._received(MessageType.TEXT, payload, payload, connection_id)


class CentrifugeServer:
    """The part of the server that its sessions need.

    `path` is the route whose handlers of the program are theirs. `authenticate` is asked who
    connects; `ready` in its place verifies tokens.
    """

    commands: Mapping[str, Command] = commands.ALL

    def __init__(self, hub: Hub, dispatcher: Dispatcher, path: str) -> None:
        self.hub = hub
        self.dispatcher = dispatcher
        self.sessions: dict[Any, Session] = {}
        self.whole: Whole | None = None
        self.authenticate: Callable[[Request], Any] | None = None
        self.ready: TokenAuthentication | None = None
        self.ping_interval = 0.0
        self.pong_timeout = 0.0
        self._head_timeout = 0.0
        self._codecs: dict[tuple[str, bool, bool], PushCodec] = {}
        self._body_codecs: dict[tuple[str, Framing, bool, bool], BodyCodec] = {}
        self._formats: dict[tuple[str, bool], Format] = {}
        self._body_formats: dict[tuple[str, bool], BodyFormat] = {}
        # And when, a heap. Most clients have left before, of whom nothing is kept so long.
        self._looks: list[tuple[float, int, WeakMethod[Look]]] = []
        self._numbers = itertools.count()
        self._ends: dict[tuple[Session, str], float] = {}  # of subscriptions
        self._next_end = math.inf  # none is before
        self._tasks: set[Any] = set()
        dispatcher.translate(path, self._take, Frames(writer=hub._writer))
        self.plan: Plan = dispatcher.plan(path)

    def attach(
        self,
        *,
        authenticate: Callable[[Request], Any] | None,
        ready: TokenAuthentication | None,
        whole: Whole | None,
    ) -> None:
        """Serve with these. Called once for each run, before anything else."""
        config = self.hub._config
        self.authenticate, self.ready, self.whole = authenticate, ready, whole
        if ready is not None:
            ready.has_channels = True
        self.ping_interval = config.ping_interval
        self.pong_timeout = min(MAX_PONG_WAIT_S, self.ping_interval / 2)
        self._head_timeout = config.head_timeout
        self.sessions.clear()
        self._looks.clear()
        self._ends.clear()
        self.hub._rooms._told = self
        if self._swept not in self.hub._also_swept:
            self.hub._also_swept.append(self._swept)

    # Clients.

    def codec(
        self, wire: type[WireFormat], *, is_native: bool = False, is_uni: bool = False
    ) -> PushCodec:
        """The codec of WebSockets that speak a wire format; `is_native`: pinged by WebSocket."""
        key = (wire.name, is_native, is_uni)
        codec = self._codecs.get(key)
        if codec is None:
            format = self._format(wire, is_uni)
            ping = core.Frame(format.wire.write("Reply", {})).data
            comment = core.encode_frame(PING, b"") if is_native else ping
            codec = self._codecs[key] = PushCodec(format, comment)
        return codec

    def body_codec(
        self, wire: type[WireFormat], framing: Framing, *, is_uni: bool, is_chunked: bool
    ) -> BodyCodec:
        """The codec of HTTP answers in which messages stand like this."""
        key = (wire.name, framing, is_uni, is_chunked)
        codec = self._body_codecs.get(key)
        if codec is None:
            body = self._body_formats.get((wire.name, is_uni))
            if body is None:
                body = BodyFormat(wire(), self._reset, is_uni=is_uni)
                self._body_formats[wire.name, is_uni] = body
            codec = self._body_codecs[key] = BodyCodec(body, framing, is_chunked=is_chunked)
        return codec

    def _format(self, wire: type[WireFormat], is_uni: bool) -> Format:
        format = self._formats.get((wire.name, is_uni))
        if format is None:
            kind = UniFormat if is_uni else Format
            format = self._formats[wire.name, is_uni] = kind(wire(), self._reset)
        return format

    def open(
        self,
        conn: Connection,
        codec: PushCodec,
        *,
        is_native: bool = False,
        kind: type[Session] = Session,
    ) -> Session:
        """Serve an open connection, whose messages its handlers get from now on."""
        session = kind(self, conn, codec, is_native=is_native)
        self.sessions[conn] = session
        conn._manager = self.hub._rooms
        conn._plan = self.plan
        self.hub._open_guest(conn, partial(self._lost, conn))
        self._look_after(self._head_timeout, session.check_connected)
        return session

    def _lost(self, conn: Connection, code: int, reason: str) -> None:
        """A client is gone that had not connected: what still decides about it is given up."""
        self.gone(conn)
        inbox = conn._inbox
        if inbox is not None:
            inbox.forget_messages()
            if (task := getattr(inbox, "task", None)) is not None:
                task.give_up()

    def gone(self, conn: Member) -> None:
        """A connection is gone."""
        session = self.sessions.pop(conn, None)
        if session is not None:
            for name in session.subs:
                self._ends.pop((session, name), None)

    def _take(self, ctx: MessageContext) -> Any:
        """A frame has come."""
        session = self.sessions.get(ctx.conn)
        return None if session is None else session.take(ctx.message.raw)

    def begin(self, conn: Connection, work: Coroutine[Any, Any, Any]) -> None:
        """Do what may wait, in its client's name but not in the order of its messages."""
        task = start(work, conn)
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # Tokens.

    async def verify(self, token: str) -> Fields:
        """The claims of a token. Raises CommandError, Disconnect, and ValueError for a bad one."""
        assert self.ready is not None
        from ..auth.keys import KeysUnavailable  # with `ready` there is what these need
        from ..auth.tokens import ExpiredToken, InvalidToken

        try:
            return await self.ready.verify(token)
        except ExpiredToken:
            raise CommandError(TOKEN_EXPIRED) from None
        except InvalidToken as exc:
            raise ValueError(str(exc)) from None
        except KeysUnavailable:
            raise Disconnect(BUSY, "tokens cannot be verified now") from None

    # Rooms.

    def joined(self, conn: Member, room: Room) -> None:
        """A connection has become a member."""
        session = self.sessions.get(conn)
        if session is not None:
            session.joined(room)

    def left(self, conn: Member, room: Room) -> None:
        """A connection is no member any more, but is not gone."""
        session = self.sessions.get(conn)
        if session is not None:
            self._ends.pop((session, room.name), None)
            session.left(room.name)

    def refreshed(self, conn: Member, at: float | None) -> None:
        """An operator has set when a connection ends."""
        session = self.sessions.get(conn)
        if session is not None and session.is_connected:
            told = {} if at is None else {"expires": True, "ttl": ttl(at, self.now())}
            session.push({"refresh": told})

    async def watch(self, session: Session, name: str) -> None:
        """Tell a member who comes into a room and leaves it, itself first, where that is shown."""
        rooms = self.hub._rooms
        if rooms._shows(name) and session.conn.is_in_room(name):
            await rooms._presence.watch(session.conn, name)

    def _reset(self, members: Iterable[Any], name: str) -> None:
        """A room begins anew: members know positions that are none any more."""
        for conn in list(members):
            conn._turn.post(self._lose_state, conn, name)

    def _lose_state(self, conn: Connection, name: str) -> None:
        session = self.sessions.get(conn)
        sub = None if session is None else session.subs.get(name)
        if session is None or sub is None:
            return
        if sub.is_of_server:
            session.disconnect(STATE_LOST)
        else:
            self._end(session, name, INSUFFICIENT_STATE)

    def _end(self, session: Session, name: str, code: int) -> None:
        session.left(name, code)
        session.conn.leave_room(name)

    # Time.

    def now(self) -> float:
        """Seconds since the epoch, as credentials end."""
        return self.hub._expiry.clock()

    def expire(self, session: Session, name: str, at: float | None) -> None:
        """Let a subscription end a while after a time, unless it is refreshed; None: never."""
        if at is None:
            self._ends.pop((session, name), None)
        else:
            self._ends[session, name] = at + GRACE_S
            self._next_end = min(self._next_end, at + GRACE_S)

    def ping_later(self, session: Session) -> None:
        """Begin to ping a client: sooner some than others, so that not all answer at once."""
        if self.ping_interval:
            self._look_after(self.ping_interval * random.uniform(0.5, 1.0), session.ping)

    def _look_after(self, seconds: float, look: Look) -> None:
        assert self.hub._turn is not None
        at = self.hub._turn.clock() + seconds
        heapq.heappush(self._looks, (at, next(self._numbers), WeakMethod(look)))

    def _swept(self) -> None:
        turn = self.hub._turn
        assert turn is not None
        now, looks = turn.clock(), self._looks
        while looks and looks[0][0] <= now:
            look = heapq.heappop(looks)[2]()
            if look is not None and (again := look()) is not None:
                self._look_after(again, look)
        if self.now() >= self._next_end:
            self._end_overdue(self.now())

    def _end_overdue(self, now: float) -> None:
        """End the subscriptions that are due: all are looked at, but only if one may be."""
        due = [key for key, at in self._ends.items() if at <= now]
        for session, name in due:
            del self._ends[session, name]
            self._end(session, name, SUBSCRIPTION_EXPIRED)
        self._next_end = min(self._ends.values(), default=math.inf)


__all__ = ["CentrifugeServer"]
