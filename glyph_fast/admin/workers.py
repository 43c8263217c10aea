"""A server of several workers, as the operators' port of main shows it and acts on it.

Main asks the workers, and adds up what they answer. One that does not answer in time, because it is
stopped or its loop is held up, is left out: of figures its latest stand for it, and the answer to
what was sent says that something is pending. Rooms that remember get their places from main itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from ..broker.history import Ask, Page
from ..broker.link import Link
from ..broker.switchboard import Switchboard
from ..dialects.publication import CONNECTION, EVERYONE, ROOM, ROOMS, USER, json_publication
from ..errors import BrokerUnavailable
from ..hub.hub import LARGEST_ROOMS
from ..hub.metrics import Metrics
from ..hub.room_presence import PresenceStats, Present, RoomPresence, present_of
from ..hub.rooms import RoomManager
from ..hub.user_rooms import UserRooms
from ..options.config import Config
from ..options.rooms import Declarations
from ..process.figures import figures_of_all, own_figures
from ..process.worker import BEAT_S
from ..process.workers import Worker, Workers
from ..wire import NOBODY, NORMAL, Position, SendResult
from .calls import CALLS, CLOSE, CallError, sent, text_of
from .centrifugo.connections import ORDER, told
from .centrifugo.publications import Outgoing
from .finding import Found, all_found, largest_streams
from .observation import Observation, merged, only_counts
from .operated import RoomSeen

ASKED = "operate"  # the question to a worker, whose first argument is a method of `WorkerSide`

_PRESENT = ("connections", "queue_bytes", "queue_messages", "rooms", "presence_members")
_LINE = ("connections", "cpu_seconds", "memory_bytes", "open_files", "max_files")
_Params = Mapping[str, Any]


class AllWorkers:
    """All workers of a server; an `Operated`. For main's loop."""

    def __init__(
        self, config: Config, declared: Declarations, switchboard: Switchboard, workers: Workers
    ) -> None:
        self._declared = declared
        self._switchboard = switchboard
        self._keeper = switchboard.keeper
        self._workers = workers
        self.channels = switchboard.keeper.channels
        self._names = RoomManager(max_name=config.max_room_name)
        self._user_rooms = None if config.user_room is None else UserRooms(config.user_room)
        self._seen: dict[Link, Observation] = {}  # the latest of each worker
        self._gone: Observation | None = None  # what the workers that are gone have done
        self._cpu_of_gone = 0.0  # seconds
        self._acts: Mapping[str, Callable[[_Params, str], Awaitable[dict[str, Any]]]] = {
            "publish": self._publish,
            "broadcast": self._broadcast,
            "send": self._send,
            "disconnect": self._disconnect,
            "close-room": self._close_room,
        }

    async def _ask(self, links: Iterable[Link], call: str, *args: Any) -> dict[Link, Any]:
        return await self._switchboard.ask(links, ASKED, call, *args)

    async def _ask_all(self, call: str, *args: Any) -> dict[Link, Any]:
        self._switchboard.settle()
        return await self._ask(self._switchboard.links, call, *args)

    # Figures.

    def left(self, worker: Worker) -> None:
        """A worker is gone; what it did stays counted, as far as it was told."""
        self._cpu_of_gone += worker.figures.get("cpu_seconds", 0.0)
        seen = self._seen.pop(worker.link, None)
        if seen is not None:
            had = [] if self._gone is None else [self._gone]
            self._gone = merged([*had, only_counts(seen)])

    async def observe(self) -> Observation:
        """The figures of all."""
        for link, seen in (await self._ask_all("observe")).items():
            if link in self._switchboard.links:  # it may be gone since
                self._seen[link] = seen
        gone = [] if self._gone is None else [self._gone]
        found = merged([self._own(), *gone, *self._seen.values()])
        present: dict[str, Any] = dict(found.present)
        present["rooms"] = self._switchboard.count_rooms()
        if len(present["room_members"]) == LARGEST_ROOMS:
            present["room_members"] = await self._sizes(present["room_members"])
        main = {**own_figures(), "loop_lag_seconds": 0.0}
        main["cpu_seconds"] += self._cpu_of_gone  # a counter never goes back
        return found._replace(present=present, process=figures_of_all([main, *self.workers()]))

    async def _sizes(self, named: Mapping[str, int]) -> dict[str, int]:
        """The sizes of rooms, of which a worker has told only where it was among its largest."""
        sums: Counter[str] = Counter()
        for sizes in (await self._ask(self._switchboard.links, "sizes", list(named))).values():
            sums.update(sizes)
        return dict(Counter({name: max(sums[name], n) for name, n in named.items()}).most_common())

    def _own(self) -> Observation:
        """Observe main itself, for what rooms remember. It has no clients."""
        metrics = Metrics()
        counts = metrics.counts()
        counts["messages_dropped"] = {"worker": self._switchboard.dropped}
        present = {**dict.fromkeys(_PRESENT, 0), "room_members": {}}
        return Observation(
            self._switchboard.uptime,
            counts,
            {**present, **self._keeper.memory.figures(), **self._broker_figures()},
            metrics.histograms(),
            metrics.rates(counts),
            [],
            [],
        )

    def _broker_figures(self) -> Mapping[str, int]:
        beyond = self._switchboard.beyond
        return {} if beyond is None else beyond.figures()

    def workers(self) -> Sequence[Mapping[str, Any]]:
        """A line for each worker; of one that is about to be started again, zeros."""
        serving = {each.number: each for each in self._workers}
        return [
            {
                "worker": number,
                **self._line(serving.get(number)),
                "restarts": self._workers.restarts[number],
            }
            for number in range(1, self._workers.count + 1)
        ]

    def _line(self, worker: Worker | None) -> dict[str, Any]:
        told = {} if worker is None else worker.figures
        line = {name: told.get(name, 0) for name in _LINE}
        # One that cannot tell how late it is has not told anything for so long.
        silent = 0.0 if worker is None else worker.silent_seconds - 2 * BEAT_S
        return {**line, "loop_lag_seconds": round(max(told.get("loop_lag_seconds", 0), silent), 3)}

    # Calls.

    async def act(self, name: str, params: object, key: str = "") -> dict[str, Any]:
        """Do a call, once for a key. Raises CallError."""
        checked = CALLS[name].check(params)
        self._switchboard.settle()
        try:
            return await self._acts[name](checked, key)
        except BrokerUnavailable:
            raise CallError(503, "try again") from None

    async def _deliver(
        self, links: Iterable[Link], kind: str, name: Any, text: str, exclude: list[str] | None
    ) -> dict[str, Any]:
        asked = list(links)
        has_nodes = self._publish_beyond(kind, name, text, exclude)
        answers = await self._ask(asked, "deliver", kind, name, text, exclude)
        return _sum(answers.values(), is_whole=len(answers) == len(asked) and not has_nodes)

    def _publish_beyond(self, kind: str, name: Any, text: str, exclude: list[str] | None) -> bool:
        """Publish on other nodes as well; whether there may be some."""
        beyond = self._switchboard.beyond
        if beyond is None:
            return False
        try:
            beyond.publish_own(json_publication(kind, name, text, exclude))
        except ValueError as exc:
            raise CallError(413, str(exc)) from None
        return True

    async def _publish(self, params: _Params, key: str) -> dict[str, Any]:
        if "rooms" in params:
            return await self._publish_to_rooms(params)
        room, exclude = params["room"], params.get("exclude")
        text = text_of(params["data"])
        made = json_publication(ROOM, room, text, exclude)
        position, is_new = await self._keeper.publish(made, f"operator:{key}" if key else "")
        if not is_new:
            return _placed(sent([NOBODY]), position)
        links = self._switchboard.links_of(room)
        if not position.epoch:
            return await self._deliver(links, ROOM, room, text, exclude)
        return _placed(_sum([], is_whole=not links), position)

    async def _publish_to_rooms(self, params: _Params) -> dict[str, Any]:
        text, exclude = text_of(params["data"]), params.get("exclude")
        places, plain, is_whole = {}, [], True
        for room in dict.fromkeys(params["rooms"]):
            if self.remembers(room):
                made = json_publication(ROOM, room, text, exclude)
                places[room] = (await self._keeper.publish(made))[0]._asdict()
                is_whole = is_whole and not self._switchboard.links_of(room)
            else:
                plain.append(room)
        links = dict.fromkeys(link for room in plain for link in self._switchboard.links_of(room))
        answer = await self._deliver(links, ROOMS, tuple(plain), text, exclude)
        if not is_whole:
            answer["pending"] = True
        return answer | ({"positions": places} if places else {})

    async def _broadcast(self, params: _Params, key: str) -> dict[str, Any]:
        links = self._switchboard.links
        return await self._deliver(links, EVERYONE, None, text_of(params["data"]), None)

    async def _send(self, params: _Params, key: str) -> dict[str, Any]:
        user = params.get("user")
        if self._user_rooms is not None and (own := self._user_rooms.of(user)) is not None:
            answer = await self._publish({"room": own, "data": params["data"]}, "")
            return {name: n for name, n in answer.items() if name not in Position._fields}
        asked = list(self._switchboard.links)
        kind = USER if "user" in params else CONNECTION
        has_nodes = self._publish_beyond(
            kind, params.get("user", params.get("connection")), text_of(params["data"]), None
        )
        answers = await self._ask(asked, "send", params)
        found = [each for each in answers.values() if each is not None]
        is_whole = len(answers) == len(asked) and not has_nodes
        if not found and is_whole:
            raise CallError(404, "no such connection")
        return _sum(found, is_whole=is_whole or "connection" in params)

    async def _disconnect(self, params: _Params, key: str) -> dict[str, Any]:
        how = [int(params.get("code", NORMAL)), params.get("reason", "")]
        beyond = self._switchboard.beyond
        if beyond is not None and "user" in params:
            beyond.nodes.tell("disconnect_user", [params["user"], *how])
        closed = sum((await self._ask_all("disconnect", params)).values())
        if beyond is not None and not closed and "connection" in params:
            beyond.nodes.tell(CLOSE, [params["connection"], *how])
        return {"closed": closed}

    async def _close_room(self, params: _Params, key: str) -> dict[str, Any]:
        room = params["room"]
        if self.remembers(room):
            await self._keeper.own.ask("forget", room)
        self._switchboard.forget_notes(room)
        if self._switchboard.beyond is not None:
            how = [params.get("code", NORMAL), params.get("reason", "")]
            self._switchboard.beyond.nodes.tell("close_room", [room, *how])
        return {"closed": sum((await self._ask_all("close_room", params)).values())}

    # Connections and rooms.

    async def find(self, text: str, limit: int) -> Found:
        """The connections that match, of all workers."""
        return all_found((await self._ask_all("find", text, limit)).values(), limit)

    def streams(self, limit: int) -> list[dict[str, Any]]:
        """The rooms that remember most."""
        return largest_streams(self._keeper.memory, limit)

    async def rooms(self) -> Mapping[str, int]:
        """Count the members of each room."""
        sums: Counter[str] = Counter()
        for sizes in (await self._ask_all("rooms")).values():
            sums.update(sizes)
        return sums

    async def room(self, name: str) -> RoomSeen | None:
        """One room, if it is anywhere."""
        found = [each for each in (await self._ask_all("room", name)).values() if each is not None]
        if not found:
            return None
        metadata: dict[str, Any] = next((each.metadata for each in found if each.metadata), {})
        return RoomSeen([id for each in found for id in each.members], metadata)

    async def describe_room(self, name: str, values: dict[str, Any]) -> bool:
        """Replace what is noted about a room, in all workers."""
        self._names._check_name(name)
        self._switchboard.tell("describe_room", name, values)
        return True

    def remembers(self, room: str) -> bool:
        """Return whether a room has a history."""
        return self._keeper.memory.histories.terms_of(room) is not None

    async def history(self, room: str, ask: Ask) -> Page:
        """Return what a room keeps."""
        page: Page = await self._keeper.own.ask("history", room, ask)
        return page

    async def remove_history(self, room: str) -> Position:
        """Forget what a room keeps."""
        await self._keeper.own.ask("remove_history", room)
        return (await self.history(room, Ask(limit=0))).position

    def shows(self, room: str) -> bool:
        """Return whether it can be asked who is in a room."""
        declared = self._declared.of(room)
        return declared is not None and declared.presence

    async def presence(self, room: str) -> tuple[PresenceStats, list[Present]]:
        """Return who is in a room."""
        self._switchboard.settle()
        found = RoomPresence(room)
        for snapshot in await self._keeper.own.ask("gather", room, False):
            found.apply(list(snapshot.members.items()))
        return found.stats, [present_of(entry) for entry in found.members.values()]

    # Of Centrifugo's API.

    def check_name(self, room: str) -> None:
        """Raise ValueError unless a room may be called so."""
        self._names._check_name(room)

    async def publish(self, room: str, what: Outgoing, id: str = "") -> Position:
        """Publish in a room, once for an id; the place it got."""
        self._switchboard.settle()
        position, is_new = await self._keeper.publish(what.publication(room), id)
        if is_new and not position.epoch:
            links = self._switchboard.links_of(room)
            await self._ask(links, "centrifugo", "publish", room, what)
        return position

    async def each(self, call: str, *args: Any) -> list[Any]:
        """Call a method in each worker that answers in time, and have other nodes do the same."""
        if self._switchboard.beyond is not None and (order := told(call, args)) is not None:
            self._switchboard.beyond.nodes.tell(ORDER, order)
        return list((await self._ask_all("centrifugo", call, *args)).values())


def _sum(answers: Iterable[Sequence[int]], *, is_whole: bool) -> dict[str, Any]:
    """Add up what workers have told of a message; the others are still to come."""
    answer: dict[str, Any] = sent([SendResult(*each) for each in answers])
    if not is_whole:
        answer["pending"] = True
    return answer


def _placed(answer: dict[str, Any], position: Position) -> dict[str, Any]:
    return answer | (position._asdict() if position.epoch else {})
