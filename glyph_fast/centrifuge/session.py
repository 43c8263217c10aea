"""One client: what it has said so far, and its commands in their order.

A client sends `connect` and whatever else in one frame, so what follows a command waits until that
is done: the frame's handler is one coroutine, and further frames wait in the connection's inbox.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sized
from contextlib import suppress
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeAlias

from .. import __version__
from ..broker.history import Page
from ..errors import ConnectionClosed, HandshakeError
from ..hub.connection import Connection
from ..hub.remembering import Remembering
from ..hub.room import Room
from ..hub.shares import TOKEN_FRAMES, TURN_FRAMES
from ..hub.users import user_of
from .codes import (
    BAD_CONNECTION,
    DENIED,
    ERRORS,
    INTERNAL,
    INVALID_TOKEN,
    NO_PONG,
    STALE,
    STATE_LOST,
    TEMPORARY,
    TOO_MANY_CONNECTIONS,
    UNSUBSCRIBED,
    UNSUBSCRIBES,
    CommandError,
    Disconnect,
)
from .fields import COMMANDS
from .identity import Who, identify, ttl
from .publishing import PushCodec
from .recovery import ask_of, described
from .wireformat import BadFrame, Fields

if TYPE_CHECKING:
    from .server import CentrifugeServer

NEW, CONNECTING, CONNECTED, REFUSED = range(4)

GRACE_S = 25.0  # after the end of credentials, for a client that is about to refresh them
# What counts like how many frames in its sender's share of a turn.
COMMAND_FRAMES = 8  # a command
WRITTEN_FRAMES = 4  # a message that a room keeps, written into an answer
PRESENT_FRAMES = 2  # a member, the same
LOOKED_AT = 32  # messages that a room keeps, or members that are counted: one frame
ANSWERED_FRAME = 2048  # bytes of an answer: one frame

Command: TypeAlias = "Callable[[Session, Fields, int], Coroutine[Any, Any, Fields | None]]"


class Subscription:
    """A room that a client is told about: by its own wish, or the program's."""

    __slots__ = ("is_of_server",)

    def __init__(self, *, is_of_server: bool) -> None:
        self.is_of_server = is_of_server


class Session:
    """A client on a connection, whatever its transport. `is_native`: it is pinged by WebSocket."""

    __slots__ = (
        "__weakref__", "_awaits_pong", "_has_token", "_is_full", "_is_native", "_is_overdue",
        "_received", "_spent", "_state", "codec", "conn", "server", "subs", "subscribing",
    )  # fmt: skip

    def __init__(
        self, server: CentrifugeServer, conn: Connection, codec: PushCodec, *, is_native: bool
    ) -> None:
        self.server = server
        self.conn = conn
        self.codec = codec
        self.subs: dict[str, Subscription] = {}
        self.subscribing: set[str] = set()  # rooms that its client is coming into right now
        self._state = NEW
        self._has_token = False
        self._is_native = is_native
        self._is_full = False  # whether its client is to read before it gets another answer
        self._awaits_pong = False
        self._is_overdue = False  # whether, at the next look, the pong should be there
        self._received = 0  # bytes, when it was pinged last
        self._spent = 0  # frames of a share of a turn

    # Frames in.

    async def take(self, payload: str | bytes) -> None:
        """Do what a frame says."""
        is_empty = True
        try:
            for command in self.codec.format.wire.read(payload):
                is_empty = False
                await self._do(command)
                if not await self._go_on():
                    return
            if is_empty:
                raise BadFrame("a frame is empty")
        except BadFrame:
            self.disconnect(BAD_CONNECTION)

    async def _go_on(self) -> bool:
        """Wait until its client has read enough, and others had a turn; whether it is there."""
        if self._is_full:
            self._is_full = False
            with suppress(ConnectionClosed):
                await self.conn.drain()
        if self._spent >= TURN_FRAMES:
            self._spent = 0
            await asyncio.sleep(0)
        return self.conn.is_open

    def charge(self, frames: int) -> None:
        """Let what is being done count like so many frames in its client's share of a turn."""
        self._spent += frames
        self.conn._turn.charge(frames)

    def charge_page(self, page: Page, written: Sized = ()) -> None:
        """The same for messages that a room keeps: all were looked at, and some are written."""
        self.charge(len(page.messages) // LOOKED_AT + WRITTEN_FRAMES * len(written))

    async def _do(self, command: Fields) -> None:
        """Do one command, and answer it."""
        id = command.get("id", 0)
        kind = next((each for each in COMMANDS if each in command), None)
        if kind is None:
            self._pong(id)
            return
        self.charge(COMMAND_FRAMES)
        try:
            result = await self._result(kind, command[kind], id)
            if result is not None:
                self.reply(id, kind, result)
        except CommandError as exc:
            self.reply_error(id, exc)
        except Disconnect as exc:
            self.disconnect(exc.code, str(exc))
        except ConnectionClosed:
            if self.conn.is_open:
                raise
        except Exception as exc:  # a defect of ours, or a broker's
            self.server.dispatcher.failed(self.conn, exc)
            self.reply_error(id, CommandError(INTERNAL))

    async def _result(self, kind: str, fields: Fields, id: int) -> Fields | None:
        is_in_order = kind == "connect" if self._state == NEW else self._state == CONNECTED
        if not is_in_order or (not id and kind != "send"):
            raise Disconnect(BAD_CONNECTION)
        if kind == "connect":
            if self._state != NEW:
                raise Disconnect(BAD_CONNECTION)
            return await self._connect(fields, id)
        command = self.server.commands.get(kind)
        if command is None:
            raise Disconnect(BAD_CONNECTION)
        return await command(self, fields, id)

    def _pong(self, id: int) -> None:
        """An empty command answers our ping, and is nothing else."""
        if id or not self._awaits_pong or self._state != CONNECTED:
            self.disconnect(BAD_CONNECTION)
        self._awaits_pong = False

    # Frames out.

    def reply(self, id: int, kind: str, result: Fields) -> None:
        """Answer a command."""
        if self.conn.is_open:
            self._say("Reply", {"id": id, kind: result})

    def reply_error(self, id: int, exc: CommandError) -> None:
        """Answer a command by an error."""
        error: Fields = {"code": exc.code, "message": str(exc) or ERRORS[INTERNAL]}
        if exc.code in TEMPORARY:
            error["temporary"] = True
        if self.conn.is_open and id:
            self._say("Reply", {"id": id, "error": error})

    def push(self, fields: Fields) -> None:
        """Tell the client something it has not asked for."""
        if self.conn.is_open:
            self._say("Reply", {"push": fields})

    def _say(self, message: str, fields: Fields) -> None:
        """Send a message of the protocol, which must not be lost."""
        payload = self.codec.format.wire.write(message, fields)
        self.charge(len(payload) // ANSWERED_FRAME)
        if not self.codec.answer(self.conn, payload):
            self._is_full = True

    def disconnect(self, code: int, reason: str = "") -> None:
        """End the connection with a code of the protocol."""
        self.conn.close(code, reason)

    # How it begins.

    async def _connect(self, fields: Fields, id: int) -> Fields | None:
        self._state = CONNECTING
        try:
            who = await identify(self.server, self.conn, fields)
            await self._check_share(who)
        except CommandError:
            self._state = REFUSED
            raise
        conn, server = self.conn, self.server
        if not conn.is_open:
            return None
        self._has_token = bool(fields.get("token"))
        conn.identity, conn._info = who.identity, who.info
        server.hub._take_in_guest(conn)
        self._expire(who)
        program = server.plan.program
        assert program is not None
        conn._holds_close = bool(program.close)
        await server.dispatcher._connect(conn, program)
        if conn.is_open:
            await self._begin(who, fields.get("subs", {}), id)
        return None

    async def _check_share(self, who: Who) -> None:
        """Raise Disconnect for a user who has enough connections."""
        server, identity = self.server, who.identity
        if identity is None:
            return
        try:
            if server.whole is not None:
                agreed = server.whole.checked(self.conn, identity)
                if isawaitable(agreed):
                    await agreed
            count = server.hub.get_user_connection_count(identity)
            server.hub._check_user(identity)
        except HandshakeError as exc:
            too_many = exc.status == 429
            raise Disconnect(TOO_MANY_CONNECTIONS if too_many else DENIED, str(exc)) from None
        most = server.hub._config.max_connections_per_user
        if most is not None and count >= most:
            raise Disconnect(TOO_MANY_CONNECTIONS)

    async def _begin(self, who: Who, asked: dict[str, Fields], id: int) -> None:
        """Answer `connect`, with the rooms that the program has put the client into."""
        conn, held = self.conn, []
        described_subs: Fields = {}
        for name in list(self.subs):
            room = conn._manager._rooms.get(name)
            if room is None or not isinstance(room._members, Remembering):
                described_subs[name] = {}
                continue
            ask = ask_of(conn, name, asked.get(name, {}))
            page = await conn._manager._broker.history(name, ask)
            if not room._members.is_held(conn):
                self.disconnect(STATE_LOST)
                return
            room._members.go_on_from(page.position)
            told = described(self.codec.format, asked.get(name, {}), page)
            self.charge_page(page, told.get("publications", ()))
            described_subs[name] = told
            held.append((room._members, page.position))
        self._state = CONNECTED
        self.reply(id, "connect", self._result_of_connect(who, described_subs))
        for members, position in held:
            if members.is_held(conn):
                members.release(conn, self.codec.format, position)
        for name in described_subs:
            await self.server.watch(self, name)
        self.server.ping_later(self)

    def _result_of_connect(self, who: Who, subs: Fields) -> Fields:
        interval = self.server.ping_interval
        result: Fields = {"client": self.conn.id, "version": __version__}
        if who.expires_at is not None and self._has_token:
            result |= {"expires": True, "ttl": ttl(who.expires_at, self.server.now())}
        if subs:
            result["subs"] = subs
        if interval and not self._is_native:
            result |= {"ping": math.ceil(interval), "pong": True}
        return result

    def _expire(self, who: Who) -> None:
        if who.expires_at is not None:
            grace = GRACE_S if self._has_token else 0.0
            self.server.hub.expire(self.conn, who.expires_at + grace)

    async def refresh(self, fields: Fields) -> Fields:
        """Go on with newer credentials of the same user."""
        self.charge(TOKEN_FRAMES)
        who = await identify(self.server, self.conn, fields)
        if user_of(who.identity) != user_of(self.conn.identity):
            raise Disconnect(INVALID_TOKEN, "the token is of another user")
        self.conn.identity = who.identity
        if who.info != self.conn._info:
            self.conn._set_info(who.info)
        self.server.hub.expire(self.conn, None)
        self._has_token = True
        self._expire(who)
        result: Fields = {"client": self.conn.id, "version": __version__}
        if who.expires_at is not None:
            result |= {"expires": True, "ttl": ttl(who.expires_at, self.server.now())}
        return result

    # Time. Each returns in how many seconds to look again.

    def check_connected(self) -> None:
        """See that it has connected in time."""
        if self.conn.is_open and self._state != CONNECTED:
            self.disconnect(STALE)

    def ping(self) -> float | None:
        """Ping the client, or see that it has answered the ping before."""
        conn, server = self.conn, self.server
        if not conn.is_open:
            return None
        if self._is_native and conn.bytes_received != self._received:
            self._awaits_pong = False  # the core keeps pongs to itself, but counts their bytes
        if self._is_overdue:
            if self._awaits_pong:
                self.disconnect(NO_PONG)
                return None
            self._is_overdue = False
            return server.ping_interval - server.pong_timeout
        self._awaits_pong = self._is_overdue = True
        self._received = conn.bytes_received
        conn._ping()
        return server.pong_timeout

    @property
    def is_connected(self) -> bool:
        """Return whether `connect` was answered."""
        return self._state == CONNECTED

    # Rooms that the program puts it into, or takes it out of.

    def joined(self, room: Room) -> None:
        """It has become a member."""
        name = room.name
        if name in self.subscribing or self._state == NEW:
            return
        self.subs[name] = Subscription(is_of_server=True)
        if self._state == CONNECTED:
            self.server.begin(self.conn, self._tell_joined(room))
        elif isinstance(room._members, Remembering):
            room._members.hold(self.conn)

    async def _tell_joined(self, room: Room) -> None:
        conn, members = self.conn, room._members
        if not isinstance(members, Remembering):
            self.push({"channel": room.name, "subscribe": {}})
        else:
            members.hold(conn)
            page = await conn._manager._broker.history(room.name, ask_of(conn, room.name, {}))
            if not members.is_held(conn):
                if members.has(conn):
                    self.disconnect(STATE_LOST)
                return
            members.go_on_from(page.position)
            told = described(self.codec.format, {}, page)
            self.push({"channel": room.name, "subscribe": told})
            members.release(conn, self.codec.format, page.position)
        await self.server.watch(self, room.name)

    def left(self, name: str, code: int = UNSUBSCRIBED) -> None:
        """It is no member any more, and its client has not asked for that."""
        if self.subs.pop(name, None) is not None:
            self.tell_unsubscribed(name, code)

    def tell_unsubscribed(self, name: str, code: int) -> None:
        """Say that a subscription has ended."""
        told = {"code": code, "reason": UNSUBSCRIBES[code]}
        if self._state == CONNECTED:
            self.push({"channel": name, "unsubscribe": told})
