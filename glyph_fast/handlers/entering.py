"""The way in for streams of events: the rooms they may join, and joining once they are open."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..errors import (
    BrokerUnavailable,
    ConnectionClosed,
    GlyphFastError,
    HandshakeError,
    RoomFull,
)
from ..hub.connection import Connection
from ..hub.events import EventCodecs, JoiningCodec, join_all
from ..hub.hub import Hub
from ..hub.seating import check_space
from ..hub.sessions import GONE, worker_of
from ..wire import INTERNAL_ERROR
from .dispatcher import Dispatcher
from .permission import Refused


class Entrance:
    """The part of the hub and the handlers of a program that streams of events need."""

    def __init__(self, hub: Hub, dispatcher: Dispatcher) -> None:
        self._hub = hub
        self._dispatcher = dispatcher
        self._rooms = hub.get_room_manager()
        self._codecs = EventCodecs(self._rooms)

    async def judge(self, conn: Connection, names: Sequence[str]) -> None:
        """Name a connection that is not open yet, and see whether it may be in these rooms.

        Raises HandshakeError: 400 for bad or too many names, 403 for a room that it may not join,
        503 for a full one.
        """
        conn.id, conn._manager = self._hub._new_id(), self._rooms
        await self._check_space(names)
        for name in names:
            try:
                await self._dispatcher.client_commands.judge(conn, name)
            except Refused as exc:
                raise HandshakeError(403, str(exc)) from None
        await self._check_space(names)  # others may have come meanwhile

    async def _check_space(self, names: Sequence[str]) -> None:
        rooms = self._rooms
        if rooms._max_rooms and len(names) > rooms._max_rooms:
            raise HandshakeError(400, f"a connection may be in {rooms._max_rooms} rooms at a time")
        try:
            for name in names:
                await check_space(rooms, name)
        except RoomFull as exc:
            raise HandshakeError(503, str(exc)) from None
        except BrokerUnavailable:
            raise HandshakeError(503, "try again") from None
        except ValueError as exc:
            raise HandshakeError(400, str(exc)) from None

    def begin_session(self, conn: Connection) -> str:
        """A secret by which the client speaks."""
        return self._hub._sessions.begin(conn)

    def join(self, conn: Connection, names: tuple[str, ...], joining: JoiningCodec) -> None:
        """Bring an open stream into its rooms, once the handlers of its beginning have run."""
        self._dispatcher._enqueue(conn, partial(self._join, conn, names, joining))

    async def _join(self, conn: Connection, names: tuple[str, ...], joining: JoiningCodec) -> None:
        shared = self._codecs.of(names, joining.is_chunked)
        try:
            await join_all(conn, names, joining, shared, self._hub.metrics.resumes)
        except ConnectionClosed:
            return
        except (GlyphFastError, ValueError) as exc:  # full meanwhile, or removed; it comes again
            conn.close(INTERNAL_ERROR, str(exc))

    def may_know(self, session: str) -> bool:
        """Return whether there may be such a session; for certain if it is this process's."""
        worker = worker_of(session)
        if worker is None or worker != self._rooms._worker:
            return worker is not None
        return self._rooms._broker.has_nodes or self._hub._sessions.has(session)

    def _is_here(self, session: str) -> bool:
        """Return whether a session of this worker's number is of this node, not another."""
        return self._hub._sessions.has(session) or not self._rooms._broker.has_nodes

    async def take(self, session: str, message: str | bytes) -> str:
        """Take what a client says in a session of this process or another. BrokerUnavailable."""
        worker = worker_of(session)
        if worker is None:
            return GONE
        if worker == self._rooms._worker and self._is_here(session):
            return self._hub._sessions.take(session, message)
        answer = await self._rooms._broker.ask_worker(worker, "take", session, message)
        return GONE if answer is None else str(answer)


__all__ = ["Entrance"]
