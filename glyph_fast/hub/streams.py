"""The part of a hub for rooms that remember: publishing with a place, and reading what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..broker.base import Published
from ..broker.history import Ask
from ..dialects.message import Sendable
from ..dialects.publication import (
    ROOM,
    ROOMS,
    Exclude,
    Publication,
    json_publication,
)
from ..dialects.stream import StreamMessage, read
from ..dialects.writer import Writer
from ..errors import HistoryLost
from ..wire import Position, SendResult
from .remembering import Remembering

if TYPE_CHECKING:
    from .rooms import RoomManager

T = TypeVar("T")
_PROGRAM = "program:"  # before keys of the program, so that no id of a client is one


class History(NamedTuple):
    """Messages of a room, each with its `offset`, and the position of the room's newest."""

    messages: list[StreamMessage]
    position: Position


class Streams:
    """The part of a `Hub` that has to do with rooms that remember."""

    _rooms: RoomManager
    _writer: Writer

    if TYPE_CHECKING:  # of the hub

        def _count_here(self, room: str | None) -> int: ...

    async def publish(
        self,
        room: str,
        message: Sendable | dict[str, Any] | list[Any],
        exclude: Exclude = None,
        idempotency_key: str | None = None,
    ) -> Position:
        """Send a message to the members of a room, and say which place it got there.

        Returns once the message is kept. A room that does not remember gives no places: the
        position is `("", 0)`. A dict or list goes as its JSON. When the same key has come for the
        same room within five minutes nothing is sent, and the first position returned. Raises
        BrokerUnavailable.
        """
        if isinstance(message, dict | list):
            text = self._writer.json_text(message)
            made = json_publication(ROOM, room, text, exclude)
        else:
            made = self._writer.publication(ROOM, room, message, exclude)
        key = "" if idempotency_key is None else _PROGRAM + idempotency_key
        return (await self._on_loop(self._publish_once(made, key))).position

    async def _publish_once(self, made: Publication, id: str = "", user: str = "") -> Published:
        """Publish, unless that was done under the id already."""
        published: Published = await self._rooms._broker.publish_once(made, id, user)
        return published

    async def history(
        self,
        room: str,
        since: Position | tuple[str, int] | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> History:
        """The messages that a room keeps, the oldest first, or the newest first with `reverse`.

        With `since` those after that position, with `limit` at most so many: the first after
        `since` (with `reverse`, the newest), else the latest. Raises HistoryLost when messages
        after `since` are no longer kept or the room has begun anew, and BrokerUnavailable.
        """
        if self._rooms._terms(room) is None:
            return History([], Position("", 0))
        start = None if since is None else Position(*since)
        cut = None if reverse else limit
        page = await self._on_loop(self._rooms._broker.history(room, Ask(start, limit=cut)))
        if page.is_lost:
            raise HistoryLost(room, page.position)
        found = page.messages
        if reverse:
            found = found[::-1][:limit]
        return History([read(offset, kept) for offset, kept in found], page.position)

    async def remove_history(self, room: str) -> None:
        """Forget the messages that a room keeps; its position stays. Raises BrokerUnavailable."""
        await self._on_loop(self._rooms._broker.remove_history(room))

    async def count(self, room: str | None = None) -> int:
        """Count the connections of the server, or the members of a room, in all processes.

        Raises BrokerUnavailable.
        """
        return self._count_here(room) + await self._on_loop(self._rooms._broker.count(room))

    def _publish_to_room(self, room: str, text: str, exclude: Exclude = None) -> SendResult:
        """Send what is JSON to a room."""
        return self._rooms._publish(json_publication(ROOM, room, text, exclude))

    def _publish_to_rooms(
        self, rooms: Iterable[str], text: str, exclude: Exclude = None
    ) -> tuple[SendResult, dict[str, Position]]:
        """Send what is JSON to several rooms; say where it got places.

        Members of several get it once, but once in each of those that remember.
        """
        made = json_publication(ROOMS, tuple(dict.fromkeys(rooms)), text, exclude)
        result = self._rooms._publish(made)
        return result, made.places

    def _reset_room(self, room: str, position: Position) -> None:
        """Messages of a room are lost behind its members: those who follow positions hear it."""
        known = self._rooms.get_room(room)
        if known is not None and isinstance(known._members, Remembering):
            known._members.reset(position)

    async def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of what runs on the server's loop, whichever this one is."""
        turn = self._rooms._turn
        if turn is None or turn.is_owner():
            return await work
        done: Future[T] = Future()

        def begin() -> None:
            task = asyncio.ensure_future(work)
            task.add_done_callback(lambda task: _pass_on(task, done))

        turn.post(begin)
        return await asyncio.wrap_future(done)


def _pass_on(task: asyncio.Future[T], done: Future[T]) -> None:
    if done.cancelled():
        return
    if task.cancelled():
        done.cancel()
    elif (exc := task.exception()) is not None:
        done.set_exception(exc)
    else:
        done.set_result(task.result())
