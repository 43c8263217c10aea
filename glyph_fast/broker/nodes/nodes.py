"""One node of several: what it says to the others over a bus, and what it hears.

It knows neither hubs nor links: what is for this machine goes to a `Here`, which is one process or
the main process of several. For the loop's thread alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, Protocol

from ...errors import BrokerUnavailable
from ...logs import SERVER, log
from ..presence import Diff, Snapshot
from .attending import Attending
from .bus import Bus
from .interest import Interest
from .messages import BadMessage, Said, head, message, new_id, read, value_of
from .peers import Peers, Times
from .subjects import ALL, INBOX, NODES, ROOM, Subjects

WAITING, UP, LOST = "waiting", "up", "lost"  # the states of a broker; the first: never reached
HEAD_SIZE = len(head(Said.BEAT, b""))
KNOWN_ROOMS = 4096  # names whose subjects are kept
_PUBLISH = int(Said.PUBLISH)
AWAY = "the broker is away"


class Here(Protocol):
    """The part that a node does for the others, on this machine."""

    def deliver(self, frame: bytes, room: str | None) -> None:
        """Take a publication of another node, for that room or else for others than one room's.

        Raises ValueError where it is none.
        """

    def obey(self, call: str, args: list[Any]) -> object:
        """Do what the hub of another node has done."""

    def answer(self, call: str, args: list[Any]) -> Any:
        """The answer to a question, or an awaitable of it."""

    def numbers(
        self, rooms: list[str]
    ) -> Awaitable[list[tuple[str, str, int]]] | list[tuple[str, str, int]]:
        """Room, author and the number of its latest diff, for each of those with members here."""

    def snapshots(self, room: str) -> Awaitable[list[Snapshot]] | list[Snapshot]:
        """Return who is in a room here; the `node` of each stands behind the id in its author."""

    def want(self, room: str, author: str) -> None:
        """See that a snapshot of one of this node's authors is told, by `tell_snapshot`."""

    def heard(self, room: str, author: str, diff: Diff) -> None:
        """Hear who came and went elsewhere, in a room that is followed."""

    def took(self, room: str, snapshot: Snapshot) -> None:
        """A snapshot has come that was asked for."""

    def gone(self, author: str) -> None:
        """An author has ended: once."""

    def met(self, node: bytes) -> None:
        """Another node is new."""

    def changed(self, state: str) -> None:
        """The broker is up, or lost."""


class Nodes:
    """This node among the others."""

    def __init__(
        self, bus: Bus, here: Here, subjects: Subjects, times: Times | None = None
    ) -> None:
        self.bus = bus
        self.here = here
        self.subjects = subjects
        self.times = times if times is not None else Times()
        self.id = new_id()
        self.peers = Peers(self.times, self._died)
        self.rooms = Interest(bus, subjects, ROOM, self.times.held)
        self.attending = Attending(self)
        self.state = WAITING
        self.bad = 0  # messages that were none
        self.answers: dict[str, Callable[..., Any]] = {}  # to questions, besides those of `here`
        self._all = subjects.of(ALL)
        self._control = subjects.of(NODES)
        self._of_room = lru_cache(KNOWN_ROOMS)(lambda name: subjects.of(ROOM, name))
        self._head = head(Said.PUBLISH, self.id)
        self._open: dict[int, tuple[asyncio.Future[None], dict[bytes, Any], set[bytes]]] = {}
        self._number = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._own_at = 0.0  # when the latest own beat came back
        self._beat_at = 0.0
        self._ticked_at = 0.0
        self._was = ""  # the id before this one, which others took for dead
        self._former: set[bytes] = set()  # all of those
        self._known = asyncio.Event()  # who else is there
        self._handlers: dict[int, Callable[[bytes, Any], None]] = {
            Said.BEAT: self._beat,
            Said.LEAVE: self._left,
            Said.TELL: self._told,
            Said.ASK: self._asked,
            Said.ANSWER: self._answered,
            Said.DIFF: self.attending.diff,
            Said.SNAPSHOT: self.attending.snapshot,
            Said.WANT: self.attending.want,
            Said.GONE: self.attending.gone,
        }

    # Its life.

    async def start(self) -> None:
        """Join the others, or go on trying. Raises BrokerRefused."""
        self.bus.attach(self.heard, self._bus_changed)
        for subject in (self._all, self._control, self._inbox):
            self.bus.subscribe(subject)
        self._loop = asyncio.get_running_loop()
        self._ticked_at = self._own_at = self._loop.time()
        await self.bus.start()
        self._ticking = asyncio.create_task(self._tick(), name="nodes")
        if self.bus.is_up:  # else it is waited for
            try:
                async with asyncio.timeout(self.times.answer):
                    await self._known.wait()
            except TimeoutError:
                pass

    async def close(self) -> None:
        """Leave."""
        if self._ticking is not None:
            self._ticking.cancel()
            self._say(self._control, Said.LEAVE, [])
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await self.bus.close()
        self._end_questions()
        if tasks:
            await asyncio.wait(tasks)

    @property
    def is_up(self) -> bool:
        """Return whether others can be reached."""
        return self.state == UP

    @property
    def _inbox(self) -> bytes:
        return self.subjects.of(INBOX, self.id)

    def _bus_changed(self, is_up: bool) -> None:
        now = self._loop.time()
        if is_up:
            self._own_at = now
            self.peers.pardon(now)
            self._say_beat(is_hello=True)
        elif self.state == UP:
            self._lose(self.bus.reason)

    def _lose(self, reason: str) -> None:
        self.state = LOST
        place = self.bus.place
        log(SERVER, logging.ERROR, "the broker is lost", broker=place, reason=reason)
        self._end_questions()
        self.here.changed(LOST)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self.times.tick)
            now = self._loop.time()
            if now - self._ticked_at > self.times.tick + self.times.dead / 4:
                self.peers.pardon(now)  # this process was stopped: what they said waits to be read
                self._own_at = now
            self._ticked_at = now
            if now - self._beat_at >= self.times.beat and self.bus.is_up:
                self._say_beat()
            if self.bus.is_up and now - self._own_at > self.times.silent:
                self._own_at = now
                if self.state == UP:
                    self._lose("nothing comes back")
                self.bus.suspect()
            if self.state == UP:
                self.peers.judge(now)
            self.rooms.sweep(now)
            self.attending.sweep(now)

    def _say_beat(self, *, is_hello: bool = False) -> None:
        self._beat_at = self._loop.time()
        ghosts = [each.decode() for each in self.peers.ghosts]
        self.peers.ghosts.clear()
        value = {"hello": is_hello, "dead": ghosts, "was": self._was}
        self._say(self._control, Said.BEAT, value)

    def _own_beat(self) -> None:
        """The link leads there and back."""
        self._own_at = self._loop.time()
        if self.state != UP:
            was_waiting, self.state = self.state == WAITING, UP
            event = "the broker is reached" if was_waiting else "the broker is back"
            log(SERVER, logging.INFO, event, broker=self.bus.place)
            self._loop.call_later(self.times.hello, self._known.set)
            self.here.changed(UP)
            if not was_waiting:
                self.attending.verify()

    def _beat(self, node: bytes, value: Any) -> None:
        if node == self.id:
            self._own_beat()
            return
        if not isinstance(value, dict):
            raise BadMessage("a beat")
        if was := value.get("was"):
            self.peers.left(str(was).encode())
        dead = value.get("dead", [])
        if isinstance(dead, list) and self.id.decode() in dead:
            self._renew()
        self._meet(node)
        if value.get("hello") or node in self.peers.dead:
            self._soon(self._say_beat)

    def _meet(self, node: bytes) -> None:
        if self.peers.heard(node, self._loop.time()):
            self.here.met(node)
            self.attending.verify(node)

    def _soon(self, do: Callable[[], object]) -> None:
        """Do it once, however many ask for it at this moment."""
        if self._loop.time() - self._beat_at > self.times.beat / 20:
            do()

    def _renew(self) -> None:
        """Others have taken this node for dead: it comes back under another id."""
        log(SERVER, logging.WARNING, "other nodes took this one for dead; it begins anew")
        self.bus.unsubscribe(self._inbox)
        self._was, self.id = self.id.decode(), new_id()
        self._former.add(self._was.encode())
        self._head = head(Said.PUBLISH, self.id)
        self.bus.subscribe(self._inbox)
        self._say_beat(is_hello=True)

    def _left(self, node: bytes, value: Any) -> None:
        self.peers.left(node)

    def _died(self, node: bytes) -> None:
        self.attending.died(node)
        for future, _, missing in list(self._open.values()):
            missing.discard(node)
            if not missing and not future.done():
                future.set_result(None)

    # Speaking.

    def _say(self, subject: bytes, said: Said, value: Any) -> None:
        self.bus.publish(subject, message(said, self.id, value))

    def say(self, said: Said, value: Any, subject: bytes | None = None) -> None:
        """Say something to a subject, or else to all nodes."""
        self._say(self._control if subject is None else subject, said, value)

    def inbox_of(self, node: bytes) -> bytes:
        """The subject of one node."""
        return self.subjects.of(INBOX, node)

    def check(self, frame: bytes) -> None:
        """Raise ValueError for a publication that is larger than the broker takes."""
        most = self.bus.max_payload
        if most is not None and len(frame) + HEAD_SIZE > most:
            raise ValueError(f"a message for other nodes is at most {most - HEAD_SIZE} bytes")

    def publish(self, frame: bytes, room: str | None) -> None:
        """Send the frame of a publication to the members of a room, or else to everybody."""
        self.bus.publish(self._all if room is None else self._of_room(room), self._head + frame)

    def tell(self, call: str, args: list[Any]) -> None:
        """Have all other hubs do something. Raises TypeError for what JSON does not know."""
        self._say(self._control, Said.TELL, [call, *args])

    async def ask(self, call: str, *args: Any) -> list[Any]:
        """The answers of all other nodes; of those that do not answer in time there is none.

        Raises BrokerUnavailable.
        """
        return list((await self.ask_nodes(self.peers, call, *args)).values())

    async def ask_nodes(self, nodes: Iterable[bytes], call: str, *args: Any) -> dict[bytes, Any]:
        """The answers of some: of all, or of one. As `ask`."""
        if not self.is_up:
            raise BrokerUnavailable(AWAY)
        missing = set(nodes)
        if not missing:
            return {}
        self._number += 1
        future: asyncio.Future[None] = self._loop.create_future()
        answers: dict[bytes, Any] = {}
        number = self._number
        self._open[number] = future, answers, missing
        to = self._control if len(missing) > 1 else self.inbox_of(*missing)
        try:
            self._say(to, Said.ASK, [number, call, *args])
            async with asyncio.timeout(self.times.answer):
                await future
        except TimeoutError:
            pass
        finally:
            del self._open[number]
        return answers

    def _end_questions(self) -> None:
        for future, _, _ in self._open.values():
            if not future.done():
                future.set_exception(BrokerUnavailable(AWAY))

    def background(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Let something go on by itself; that the broker is away is no error of it."""

        async def run() -> None:
            with suppress(BrokerUnavailable):
                await work()

        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def time(self) -> float:
        """The loop's clock."""
        return self._loop.time()

    # Hearing.

    def heard(self, subject: bytes, payload: bytes) -> None:
        """Take a message. One that is none is counted, and has no other effect."""
        try:
            said, node, body = read(payload)
            if said == _PUBLISH:
                if node != self.id and node not in self._former:
                    room = self.rooms.names.get(subject)
                    if room is not None or subject == self._all:  # else nobody is there any more
                        self.here.deliver(body, room)
                return
            handler = self._handlers.get(said)
            if handler is None or node in self._former or (node == self.id and said != Said.BEAT):
                return
            if said != Said.BEAT:
                if node in self.peers.dead:
                    return
                if node not in self.peers and said != Said.LEAVE:
                    self._meet(node)
            handler(node, value_of(body))
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as exc:
            self.bad += 1
            log(SERVER, logging.DEBUG, "not a message of a node", reason=str(exc))

    def _told(self, node: bytes, value: Any) -> None:
        call, *args = value
        self.here.obey(call, args)

    def _asked(self, node: bytes, value: Any) -> None:
        number, call, *args = value
        if type(number) is not int or not isinstance(call, str):
            raise BadMessage("a question")
        self.background(partial(self._answer, node, number, call, args))

    async def _answer(self, node: bytes, number: int, call: str, args: list[Any]) -> None:
        try:
            if (about := self.attending.answers.get(call)) is not None:
                found = about(node, *args)
            else:
                own = self.answers.get(call)
                found = own(*args) if own is not None else self.here.answer(call, args)
            if isinstance(found, Awaitable):
                found = await found
            self._say(self.inbox_of(node), Said.ANSWER, [number, found])
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as exc:
            self.bad += 1
            log(SERVER, logging.DEBUG, "not a question of a node", reason=str(exc))

    def _answered(self, node: bytes, value: Any) -> None:
        number, answer, *_ = value
        if (asked := self._open.get(number)) is None or node not in asked[2]:
            return
        future, answers, missing = asked
        missing.discard(node)
        answers[node] = answer
        if not missing and not future.done():
            future.set_result(None)
