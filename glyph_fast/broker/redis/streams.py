"""Rooms that remember, in Redis: their places, what is kept, and ids; by one script call each."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import hiredis

from ...dialects.stream import Kept
from ...errors import BrokerUnavailable
from ...options.rooms import RoomDeclaration
from ...wire import NOWHERE, Position
from ..history import NO_LIMIT, Ask, Page, leaves_out, page_of
from ..ids import LIFETIME_S
from ..nodes.subjects import Subjects, encode
from ..ordering import PARTS_AT, read_placed
from .connection import LOST, Answer, ignore, pack, settle
from .link import Reached
from .scripts import PUBLISH, READ, Script, Scripts

CHUNK = 1000  # messages of one answer of the server
KNOWN_ROOMS = 4096  # whose keys are at hand
ID_MS = int(LIFETIME_S * 1000)
FIRST = b"first"  # in the place of an id: what comes first under it counts

STREAM, META, ID, LEASE = b"s", b"m", b"k", b"l"  # kinds of keys

# All that stands before the message where the answer does not matter; of other calls the keys, and
# what stands behind that of an id; and what stands behind the message.
_Around: TypeAlias = tuple[bytes, bytes, bytes, bytes]


class Keys(NamedTuple):
    """What belongs to a room; all of it in one slot. The channel has the name of the list."""

    meta: bytes
    stream: bytes
    id: bytes  # before that of an id


class Placed(NamedTuple):
    """A position, and whether it has just been given."""

    position: Position
    is_new: bool


class RedisStreams:
    """What Redis keeps of rooms. `terms_of(name)` is what is declared about a room."""

    publishing = PUBLISH  # the script

    def __init__(self, link: Reached, subjects: Subjects) -> None:
        self.terms_of: Callable[[str], RoomDeclaration | None] = lambda name: None
        self._link = link
        self._subjects = subjects
        self.scripts = Scripts(lambda: link.commands)
        self.keys = lru_cache(KNOWN_ROOMS)(self._keys)
        self.failed: Callable[[Exception], object] = lambda error: None
        self._around: dict[str, _Around] = {}
        self._telling = self._told  # bound once
        self._without_id = _call(14, self.publishing, 2)  # how the calls begin
        self._with_id = _call(15, self.publishing, 3)
        self._that_tell = _call(15, self.publishing, 2)
        self._draw_epoch()  # for the next room that begins one

    def _keys(self, name: str) -> Keys:
        of = self._subjects.of
        return Keys(of(META, name), of(STREAM, name), of(ID, name))

    def run_of(self, name: str) -> str:
        """The server that gives the offsets of a room."""
        return self._link.server.run_id

    async def opened(self) -> None:
        """Make a new link ready."""
        self._draw_epoch()
        await self.scripts.load()

    def publish(self, name: str, order: bytes, id: str, answer: Answer) -> None:
        """Give an `ORDER` its place, keep and publish it, unless that was done under the id.

        `answer` gets a `Placed`, or the error.
        """
        if not self._link.is_up or self.terms_of(name) is None:
            answer(BrokerUnavailable(LOST))
            return
        _, keys, middle, last = self._around.get(name) or self._call_around(name)
        head = self._without_id
        if id:
            head, keys = self._with_id, keys + _bulks(self.keys(name).id + b"." + encode(id))
        parts = order[PARTS_AT:]
        command = b"".join((head, keys, middle, b"$%d\r\n" % len(parts), parts, last))
        self.scripts.send(command, lambda got: answer(self._placed(got)))

    def tell(self, name: str, parts: bytes) -> None:
        """The same without an id, of the parts of an order, for who only wants to know of errors:
        `failed` is told.
        """
        if not self._link.is_up:
            self.failed(BrokerUnavailable(LOST))
            return
        before, _, _, last = self._around.get(name) or self._call_around(name)
        command = b"%b$%d\r\n%b%b%b" % (before, len(parts), parts, last, UNANSWERED)
        self.scripts.send(command, self._telling)

    def _call_around(self, name: str) -> _Around:
        """What stands in the call of a room around the message: its keys, and what is said of it.

        Good until another epoch is drawn, or another link made.
        """
        terms, keys = self.terms_of(name), self.keys(name)
        assert terms is not None
        if len(self._around) >= KNOWN_ROOMS:
            self._around.clear()
        of = _bulks(keys.meta, keys.stream)
        middle = _bulks(self.run_of(name), self._epoch, _ms(terms.history_meta_ttl))
        made = self._around[name] = (
            self._that_tell + of + middle,
            of,
            middle,
            b"\r\n"
            + _bulks(
                terms.history_size, terms.history_bytes, _ms(terms.history_ttl), ID_MS, keys.stream
            ),
        )
        return made

    def _draw_epoch(self) -> None:
        self._epoch = secrets.token_urlsafe(6)
        self._epoch_drawn = self._epoch.encode()
        self._around.clear()

    def declare(self, terms_of: Callable[[str], RoomDeclaration | None]) -> None:
        """Go by other declarations."""
        self.terms_of = terms_of
        self._around.clear()

    def _told(self, got: Any) -> None:
        if type(got) is int:
            return
        if type(got) is list:
            if got[0] == self._epoch_drawn:
                self._draw_epoch()
        elif isinstance(got, Exception):
            self.failed(unavailable(got))

    def _placed(self, got: Any) -> Any:
        if type(got) is list:
            if got[0] == self._epoch_drawn:
                self._draw_epoch()
            return Placed(Position(got[0].decode(), got[1]), True)
        if type(got) is bytes:  # of an id
            offset, _, epoch = got.decode().partition(" ")
            return Placed(Position(epoch, int(offset)), False)
        return unavailable(got)

    async def claim(self, name: str, id: str) -> bool:
        """Whether an id is new, in a room that gives no places. Raises BrokerUnavailable."""
        if not self._link.is_up:
            raise BrokerUnavailable(LOST)
        key = self.keys(name).id + b"." + encode(id)
        return await self._ask("SET", key, FIRST, "NX", "PX", ID_MS) is not None

    async def position(self, name: str) -> Position:
        """Where a room is; it begins now if it has not. Raises BrokerUnavailable."""
        return (await self._read(name, 0, 0, 0, from_newest=False)).position

    async def read(self, name: str, ask: Ask) -> Page:
        """The messages that are asked for. Raises BrokerUnavailable."""
        if self.terms_of(name) is None:
            return Page(NOWHERE, [])
        since, below = ask.since, ask.before or 0
        from_newest = since is None
        above = 0 if since is None else since.offset
        if ask.limit == 0:
            below, above = 1, NO_LIMIT >> 10
        first = chunk = await self._read(name, above, below, CHUNK, from_newest=from_newest)
        if since is not None and not first.covers(since):
            return Page(first.position, [], is_lost=True)
        found: list[tuple[int, Kept]] = []
        while True:
            some = [each for each in chunk.messages if not leaves_out(each[1][3], ask.without)]
            found = some + found if from_newest else found + some
            if len(chunk.messages) < CHUNK or self._is_enough(found, ask):
                break
            if from_newest:
                below = chunk.messages[0][0]
            else:
                above = chunk.messages[-1][0]
            chunk = await self._read(name, above, below, CHUNK, from_newest=from_newest)
            if chunk.position.epoch != first.position.epoch or (
                not from_newest and chunk.messages and chunk.messages[0][0] != above + 1
            ):
                return Page(chunk.position, [], is_lost=since is not None)
        # What came meanwhile is delivered as it comes.
        found = [each for each in found if each[0] <= first.position.offset]
        return page_of(first.position, reversed(found) if from_newest else found, ask)

    @staticmethod
    def _is_enough(found: list[tuple[int, Kept]], ask: Ask) -> bool:
        most = ask.most if ask.limit is None else min(ask.most, ask.limit)
        return len(found) > most or sum(len(kept[0]) for _, kept in found) > ask.most_bytes

    async def _read(
        self, name: str, above: int, below: int, most: int, *, from_newest: bool
    ) -> Chunk:
        terms = self.terms_of(name)
        if not self._link.is_up or terms is None:
            raise BrokerUnavailable(LOST)
        keys = self.keys(name)
        parts = (
            2, keys.meta, keys.stream, self.run_of(name), self._epoch,
            _ms(terms.history_meta_ttl), above, below, most, int(from_newest),
        )  # fmt: skip
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.scripts.call(READ, parts, lambda got: settle(future, unavailable(got)))
        epoch, offset, length, start, raw = await future
        position = Position(epoch.decode(), offset)
        if position.epoch == self._epoch:
            self._draw_epoch()
        messages = [(start + at, read_placed(each).kept) for at, each in enumerate(raw)]
        return Chunk(position, length, messages)

    async def empty(self, name: str) -> None:
        """Forget what a room keeps; its position stays. Raises BrokerUnavailable."""
        if not self._link.is_up:
            raise BrokerUnavailable(LOST)
        await self._ask("DEL", self.keys(name).stream)

    def forget(self, name: str, answer: Answer = ignore) -> None:
        """Forget what a room keeps, and its position."""
        if self._link.is_up:
            keys = self.keys(name)
            self._draw_epoch()  # never the one before
            self._link.commands.send(pack(("DEL", keys.meta, keys.stream)), answer)

    async def forget_all(self) -> None:
        """As `forget`, of all rooms of this server. Raises BrokerUnavailable."""
        self._draw_epoch()
        for kind in (META, STREAM):
            pattern = self._subjects.of(kind, "").partition(b"{")[0] + b"*"
            cursor: Any = b"0"
            while True:
                cursor, keys = await self._ask("SCAN", cursor, "MATCH", pattern, "COUNT", CHUNK)
                if keys:
                    await self._unlink(keys)
                if cursor == b"0":
                    break

    async def _unlink(self, keys: list[bytes]) -> None:
        await self._ask("UNLINK", *keys)

    async def _ask(self, *command: Any) -> Any:
        try:
            return await self._link.commands.ask(*command)
        except hiredis.ReplyError as exc:
            raise BrokerUnavailable(str(exc)) from None


class Chunk(NamedTuple):
    """Some of the messages of a room, as one answer has them."""

    position: Position
    length: int  # of all that is kept
    messages: list[tuple[int, Kept]]

    def covers(self, since: Position) -> bool:
        """Whether every message after a position is kept."""
        epoch, offset = self.position
        return since.epoch == epoch and offset - self.length <= since.offset <= offset


def unavailable(got: Any) -> Any:
    """An error of the server's as one of ours; anything else as it is."""
    if isinstance(got, hiredis.ReplyError):
        return BrokerUnavailable(str(got))
    return got


def _bulks(*parts: Any) -> bytes:
    """Parts of a command as they stand in it."""
    return pack(parts).partition(b"\r\n")[2]


def _call(count: int, script: Script, keys: int) -> bytes:
    return b"*%d\r\n" % count + _bulks("EVALSHA", script.sha, keys)


UNANSWERED = _bulks("")  # how one ends that wants no position


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))
