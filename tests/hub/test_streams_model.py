"""Random lives of rooms that remember, against a model that remembers everything.

A reader keeps to the page: it resumes by its position, and fills gaps by `history`. Whatever
happens, it has all messages of its room, in order and once, between two moments at which it was
told that it cannot have them.
"""

from __future__ import annotations

import random
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from glyph_fast.broker.history import STREAM_BYTES
from glyph_fast.options.config import Config
from glyph_fast.wire import Position
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores

T = TypeVar("T")
ROOMS = ("chat:a", "chat:b", "chat:c")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of what does not wait."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits")


class World:
    """A site, its time, and the log of all that was ever published, by room and epoch."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        choose = self.random.choice
        self.terms = {
            "history_size": choose((1, 5, 50, 1000)),
            "history_bytes": choose((200, 2000, 1_000_000)),
            "history_ttl": choose((5, 60)),
            "history_meta_ttl": choose((30, 600)),
        }
        self.has_room = choose((True, False))  # for all histories
        memory = 10_000_000 if self.has_room else 3 * STREAM_BYTES + 6000
        policy = choose(("drop_oldest", "drop_newest"))
        self.site = Site(
            Config(
                rooms={"chat:*": {"client_join": True, **self.terms}},
                history_memory=memory,
                history_answer=choose((3, 1000)),
                queue_messages=choose((4, 100)),
                queue_policy=policy,
            )
        )
        self.broker: Any = self.site.hub._rooms._broker
        self.now = 1000.0
        self.broker.histories.clock = lambda: self.now
        self.log: dict[tuple[str, str], list[tuple[str, frozenset[str]]]] = {}
        self.readers = [Reader(self, choose(ROOMS), choose((2, 10**6))) for _ in range(4)]
        self.count = 0

    def publish(self) -> None:
        room = self.random.choice(ROOMS)
        left_out = frozenset(each.id for each in self.readers if self.random.random() < 0.2)
        self.count += 1
        text = f"{self.count} " + "x" * self.random.choice((0, 10, 150))
        position = at_once(self.site.hub.publish(room, text, exclude=left_out))
        log = self.log.setdefault((room, position.epoch), [])
        log.append((text, left_out))
        assert position.offset == len(log)

    def step(self) -> None:
        """Something happens."""
        what = self.random.random()
        reader = self.random.choice(self.readers)
        if what < 0.6:
            for _ in range(self.random.choice((1, 1, 1, 12))):
                self.publish()
        elif what < 0.75:
            reader.hear()
        elif what < 0.85:
            reader.come_back()
        elif what < 0.95:
            reader.stall()
        elif what < 0.97:
            self.now += self.random.choice((0.1, 3, 20))
        elif what < 0.98:
            at_once(self.site.hub.remove_history(self.random.choice(ROOMS)))
        elif what < 0.99:
            room = self.random.choice(ROOMS)
            self.site.hub.get_room_manager().delete_room(room)
            for each in self.readers:
                if each.room == room:
                    each.come_back()
        else:
            self.broker.forget(self.random.choice(ROOMS))
        histories = self.broker.histories
        assert histories.nbytes <= histories.limit


class Reader:
    """A client that wants all messages of a room."""

    def __init__(self, world: World, room: str, takes: int) -> None:
        self.world = world
        self.room = room
        self.takes = takes
        self.peer: Peer = world.site.connect()
        self.id = self.peer.id
        self.was = ""
        self.position: Position | None = None
        self.begin: Position | None = None  # of what it has without a hole
        self.texts: list[str] = []  # since then
        self.ids: set[str] = {self.id}
        self.kept = 0  # messages, when it joined
        self.asked = False  # for what a gap hides
        self.refused = self.resumed = self.filled = 0
        self.join()

    def join(self) -> None:
        message: dict[str, Any] = {"type": "join_room", "room": self.room}
        if self.position is not None:
            message |= {"since": self.position._asdict(), "was": self.was}
        self.peer.send(message)
        stream = self.world.broker.histories.find(self.room)
        self.kept = len(stream.kept)  # as it was answered

    def come_back(self) -> None:
        """Lose the connection, at some moment, with what lies in it."""
        if self.world.random.random() < 0.5:
            self.hear()
        self.peer.vanish()
        for _ in range(self.world.random.choice((0, 0, 3, 20))):
            self.world.publish()
        self.peer = self.world.site.connect()
        self.was, self.id = self.id, self.peer.id
        self.ids.add(self.id)
        self.asked = False
        self.join()

    def stall(self) -> None:
        """Take nothing for a while, so that the queue policy has to decide."""
        self.peer.pipe.room = self.takes
        for _ in range(self.world.random.choice((8, 20, 60))):
            self.world.publish()
        self.peer.pipe.room = None
        self.peer.conn._flush()

    def hear(self) -> None:
        """Read what has come, and ask for what is missing, until nothing is."""
        for _ in range(100):
            messages = self.peer.json()
            if not messages:
                return
            for message in messages:
                self.take(message)

    def take(self, message: dict[str, Any]) -> None:
        type_, data = message.get("type"), message.get("data")
        if type_ == "room_reset":
            self.start(Position(data["epoch"], data["offset"]))
        elif "target" in message:
            self.take_answer(data)
        elif not self.asked:  # what comes behind an answer is behind it
            self.take_place(message["offset"], None if type_ == "skip" else data)

    def take_answer(self, data: dict[str, Any]) -> None:
        if "error" in data:  # its room was deleted
            assert data["error"] == "not a member of this room"
            self.asked = False
            self.join()
            return
        position = Position(data["epoch"], data["offset"])
        if data["type"] == "join_room_success":
            if self.position is None or not data["resumed"]:
                self.check_refusal(self.position, position)
                self.start(position)
                return
            assert self.position.epoch == position.epoch
            self.resumed += 1
        else:
            self.asked = False
            if data.get("lost"):
                self.start(position)
                return
            self.filled += 1
        self.texts += [each["data"] for each in data["messages"]]
        self.position = position
        if data.get("more"):
            assert data["messages"]
            self.position = Position(position.epoch, data["messages"][-1]["offset"])
            self.ask()

    def take_place(self, offset: int, text: str | None) -> None:
        assert self.position is not None
        if offset != self.position.offset + 1:
            assert offset > self.position.offset
            self.ask()
            return
        self.position = Position(self.position.epoch, offset)
        if text is not None:
            self.texts.append(text)

    def ask(self) -> None:
        assert self.position is not None
        self.asked = True
        since = self.position._asdict()
        self.peer.send({"type": "history", "room": self.room, "since": since})

    def start(self, position: Position) -> None:
        """What came before is over: it must have been all there was."""
        self.check()
        self.begin = self.position = position
        self.texts = []
        self.asked = False
        self.refused += 1

    def check(self) -> None:
        if self.begin is None or self.position is None:
            return
        log = self.world.log.get((self.room, self.begin.epoch), [])
        part = log[self.begin.offset : self.position.offset]
        # Who loses two connections in a row names one of them, and may get what left out the other.
        theirs = {text for text, left_out in part if left_out & self.ids}
        assert [text for text in self.texts if text not in theirs] == [
            text for text, _ in part if text not in theirs
        ]
        places = {text: place for place, (text, _) in enumerate(part)}
        found = [places[text] for text in self.texts]
        assert found == sorted(set(found))

    def check_refusal(self, since: Position | None, now: Position) -> None:
        """Nobody is refused what is kept: that is known here unless memory was short."""
        world = self.world
        if since is None or since.epoch != now.epoch or not world.has_room:
            return
        missed = now.offset - since.offset
        assert not 0 <= missed <= min(self.kept, 3)


@pytest.mark.parametrize("seed", range(30))
def test_a_reader_has_all_or_is_told(seed: int) -> None:
    world = World(seed)
    for _ in range(300):
        world.step()
    for reader in world.readers:
        reader.hear()
        reader.check()


def test_the_worlds_are_not_too_kind() -> None:
    resumed = refused = filled = 0
    for seed in range(12):
        world = World(seed)
        for _ in range(200):
            world.step()
        resumed += sum(each.resumed for each in world.readers)
        refused += sum(each.refused for each in world.readers)
        filled += sum(each.filled for each in world.readers)
    assert min(resumed, refused) > 30
    assert filled > 5
