"""The part that brokers share: whom they give the publications for members in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..dialects.publication import Publication
from ..interfaces import PresenceOfProcess
from ..options.rooms import RoomDeclaration
from ..wire import NOBODY, NOWHERE, Position, SendResult
from .channels import Channels
from .history import Ask, Page
from .ids import Ids
from .presence import Diff, Snapshot

Deliver = Callable[[Any], SendResult]
UserOf = Callable[[Publication], "str | None"]  # whose message it is, as others may know
Obey = Callable[[str, list[Any]], object]  # what to do, by the name of a method, and with what


def disobey(call: str, args: list[Any]) -> None:
    """Nothing: for who has nothing that others could change."""


class Published(NamedTuple):
    """The fate of a publication: its place, and its receivers as `publish` counts them.

    `is_new` is False where it had been published under its id before.
    """

    position: Position
    result: SendResult
    is_new: bool


class BaseBroker:
    """A broker that has been told whom to deliver to, once the hub has called `attach`.

    By itself it remembers nothing of rooms but the ids under which was published.
    """

    __slots__ = ("channels", "deliver", "ids", "obey")

    is_alone = True
    state = ""
    has_nodes = False  # whether other servers may share a broker with this one
    deliver: Deliver
    obey: Obey
    publish: Deliver
    channels: Any  # those of a Channels layer; with `do` and `own` of `Channels`

    remembers = False  # whether rooms may have histories

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.ids = Ids(clock)
        self.channels = Channels()

    def attach(self, deliver: Deliver, obey: Obey = disobey) -> None:
        """Give publications for members in this process to `deliver`, and orders to `obey`."""
        self.deliver = deliver
        self.obey = obey

    def tell(self, call: str, *args: Any) -> None:
        """Nothing: there is no other process."""

    async def count(self, room: str | None) -> int:
        """Nobody: there is no other process."""
        return 0

    async def ask_worker(self, number: int, call: str, *args: Any) -> Any:
        """None: there is no other process."""
        return None

    # How many are in rooms: nobody elsewhere.

    counts_members = False

    async def take_seat(self, room: str, limit: int) -> bool:
        """True: who asks has looked at the members here."""
        return True

    async def count_seats(self, room: str) -> int:
        """None that this knows of."""
        return 0

    def change_seats(self, room: str, change: int) -> None:
        """Nothing."""

    # Who is in rooms: nobody elsewhere, as far as this knows.

    def attach_presence(self, presence: PresenceOfProcess) -> None:
        """Nothing."""

    def tell_presence(self, room: str, diff: Diff) -> None:
        """Nothing."""

    async def gather_presence(self, room: str, *, follow: bool) -> Sequence[Snapshot]:
        """Return nobody: there is no other process."""
        return ()

    def unfollow_presence(self, room: str) -> None:
        """Nothing."""

    def ask_presence(self, room: str, node: str) -> None:
        """Nothing."""

    # What rooms remember: nothing.

    def remember(
        self, terms: Callable[[str], RoomDeclaration | None], memory: int, user_of: UserOf
    ) -> None:
        """Nothing: there is nothing to keep it in."""

    def take_place(self, publication: Publication, user: str | None) -> None:
        """Nothing: no room has places."""

    async def publish_once(
        self, publication: Publication, id: str = "", user: str = ""
    ) -> Published:
        """Publish, unless that was done under this id already; say which place it has."""
        return self.publish_now(publication, id, user)

    def publish_now(self, publication: Publication, id: str, user: str) -> Published:
        """Publish as `publish_once` does, where this process has the order."""
        if id:
            known = self.ids.find(publication.name, user, id)
            if known is not None:
                return Published(known, NOBODY, is_new=False)
        result = self.publish(publication)
        position = publication.position
        if id:
            self.ids.keep(publication.name, user, id, position)
        return Published(position, result, is_new=True)

    async def history(self, room: str, ask: Ask) -> Page:
        """Nothing is kept."""
        return Page(NOWHERE, [])

    async def remove_history(self, room: str) -> None:
        """Nothing is kept."""

    def forget(self, room: str) -> None:
        """Nothing is kept."""

    def forget_all(self) -> None:
        """Nothing is kept."""

    def figures(self) -> dict[str, int]:
        """Return what is kept here, in bytes and messages, and ids that were forgotten early."""
        return {"history_bytes": 0, "history_messages": 0, "ids_forgotten": self.ids.forgotten}

    def sweep(self) -> None:
        """Forget the ids that are too old."""
        self.ids.sweep()
