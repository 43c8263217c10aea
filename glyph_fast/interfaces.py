"""The seams between the core, the engines and the rest, and between processes.

A `Sink` takes bytes for one peer, a `Handler` hears what a peer did, an `Engine` owns the sockets.
The core knows the first two by these methods only; it never sees a loop, a room name or a log.
A `Broker` brings publications to every process that has members for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from socket import socket
    from typing import Any

    from .wire import SendResult


class Sink(Protocol):
    """The way of the bytes of one connection. All calls come from the loop's thread."""

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        """Take bytes in order and return how many were taken.

        Fewer than offered means "full": the sink calls the connection's `flush` once it can take
        more. Raises OSError when the peer is gone.
        """
        ...

    def unsent(self) -> int:
        """Bytes taken by `writev` that the peer has not, as far as that is known."""
        ...

    def pause_reading(self) -> None:
        """Deliver no more input until `resume_reading`. May be called twice."""
        ...

    def resume_reading(self) -> None:
        """Deliver input again. May be called twice."""
        ...

    def shutdown(self) -> None:
        """End the writing side once what was taken has left; keep reading."""
        ...

    def close(self) -> None:
        """Close once what was taken has left. The connection hears nothing more."""
        ...

    def abort(self) -> None:
        """Close at once and lose what has not left."""
        ...


class Handler(Protocol):
    """The owner of connections, told what they do. In the loop's thread, never within `publish`.

    A method that raises ends that message, never the turn: the exception goes to `failed`.
    """

    def request(self, conn: Any, head: bytes) -> None:
        """A complete request head came, with the empty line that ends it.

        Answer by `conn._write`, then leave the phase as it is (the next head is read), or call
        `conn._upgrade`, `conn._expect_body`, `conn._hold` or `conn._finish`.
        """
        ...

    def refuse(self, conn: Any, status: int) -> None:
        """No acceptable head came: 408 too slow, 414 request line too long, 431 head too long."""
        ...

    def data(self, conn: Any, chunk: bytes) -> int:
        """Bytes of a request body came; return how many were used of it.

        With fewer than came, of a body that has not ended, the rest comes again in the next turn:
        so a body that costs much is shared out. With 0 it comes again with what follows it, and
        the head timeout goes on.
        """
        ...

    def ended(self, conn: Any) -> None:
        """The peer of a connection that is held has ended its side, once.

        It may still read what it is answered, or be gone: nothing tells until that is written.
        """
        ...

    def message(self, conn: Any, opcode: int, payload: str | bytes) -> None:
        """A whole message came: TEXT with a str, BINARY with bytes."""
        ...

    def full(self, conn: Any) -> None:
        """Policy `block`: the queue of `conn` is over its limits; whoever feeds it should pause."""
        ...

    def drain(self, conn: Any) -> None:
        """The queue of `conn`, full or waited for before, has room again, or nobody to fill it."""
        ...

    def close(self, conn: Any, code: int, reason: str) -> None:
        """The connection is gone. The last call, exactly one for each connection.

        `code` is ours when we began the close, else the peer's; 1005 when its frame had none,
        1006 when there was no close frame (RFC 6455 §7.1.5).
        """
        ...

    def closing(self, conn: Any, code: int, reason: str) -> None:
        """The peer asks one to close whose `_holds_close` is set; 1005 when without a code.

        Answer now or later, by `conn.close`, or `conn._answer_close`, which echoes; the latter
        comes by itself after the close timeout.
        """
        ...

    def failed(self, conn: Any, exc: BaseException) -> None:
        """One of the methods above raised `exc`."""
        ...


class Engine(Protocol):
    """The owner of a server's sockets."""

    also: Callable[[], object] | None  # called after each sweep, for what else passes with time

    async def listen(self, sock: socket) -> None:
        """Accept connections on a bound, listening, non-blocking socket, and own it."""
        ...

    def stop_listening(self) -> None:
        """Close the listening sockets; connections go on."""
        ...

    async def settle(self) -> None:
        """Return when every socket accepted before has its connection."""
        ...

    async def close(self) -> None:
        """Abort what is left and release every descriptor; return when none is open."""
        ...


class Publication(Protocol):
    """One message to many, as a broker sees it."""

    @property
    def kind(self) -> str:
        """To whom it goes: `everyone`, `room`, `rooms` or `user`."""
        ...

    @property
    def name(self) -> Any:
        """Which room, rooms or user."""
        ...

    @property
    def payload(self) -> bytes:
        """The message, text as UTF-8."""
        ...

    @property
    def exclude(self) -> str | frozenset[str] | None:
        """The ids of members who are left out."""
        ...


class Broker(Protocol):
    """Brings publications to every process that has members for them.

    It knows rooms by their names, publications as bytes and members by their ids, and never a
    connection, a handler or the socket of a client. All calls come from the loop's thread, and it
    calls back there: so nobody else has to serialise anything.
    """

    is_alone: bool  # whether there is no other process, and never will be
    has_nodes: bool  # whether other servers may share a broker with this one

    @property
    def state(self) -> str:
        """Return the state of the link that joins several machines: `waiting`, then `up` or `lost`.

        Empty where there is none.
        """
        ...

    def attach(
        self,
        deliver: Callable[[Any], SendResult],
        obey: Callable[[str, list[Any]], object] = ...,
    ) -> None:
        """Give publications for members of this process to `deliver`. Called once, before others.

        Delivery is at most once. The publications of one process arrive in the order in which it
        published them, at every process; those of different processes may cross.
        """
        ...

    def tell(self, call: str, *args: Any) -> None:
        """Have all other processes do something: their `obey` gets its name and JSON values."""
        ...

    async def count(self, room: str | None) -> int:
        """Return how many connections, or members of a room, other processes have.

        Raises BrokerUnavailable.
        """
        ...

    async def ask_worker(self, number: int, call: str, *args: Any) -> Any:
        """The answer of another worker of this server to a question; None where it has none.

        Raises BrokerUnavailable.
        """
        ...

    def subscribe(self, room: str) -> None:
        """The first member of a room has come to this process: deliver what is published to it.

        Called before the member can be sent to. Never twice without `unsubscribe` between.
        """
        ...

    def unsubscribe(self, room: str) -> None:
        """The last member of a room has left this process. What still comes for it is harmless."""
        ...

    def publish(self, publication: Publication) -> SendResult:
        """Deliver a publication to all it is for, those in this process included.

        Those are served before this returns, by one call of `deliver` in the order of publishing.
        The result counts the receivers of this process, and is pending where there may be others.
        Never blocks, and runs no code of the program's.
        """
        ...

    counts_members: bool  # whether members of other processes count for the limit of a room

    async def take_seat(self, room: str, limit: int) -> bool:
        """Count one more member of a room; False where it has `limit` in all processes.

        Raises BrokerUnavailable.
        """
        ...

    async def count_seats(self, room: str) -> int:
        """Count a room's members that have seats, in all processes. Raises BrokerUnavailable.

        Raises BrokerUnavailable.
        """
        ...

    def change_seats(self, room: str, change: int) -> None:
        """So many members more, or fewer, are in a room of this process, whatever the limit."""
        ...

    # Who is in rooms: each process is the only author of its own members. What is told has the
    # types of `broker/presence.py`.

    def attach_presence(self, presence: PresenceOfProcess) -> None:
        """Ask `presence` for the members of this process, and tell it of those of others."""
        ...

    def tell_presence(self, room: str, diff: Any) -> None:
        """Tell the processes that follow a room who has come, changed or left in this one.

        Each `Diff` at most once, those about one room in the order of telling.
        """
        ...

    async def gather_presence(self, room: str, *, follow: bool) -> Sequence[Any]:
        """A `Snapshot` of the members that each other process has in a room; none: an empty one.

        With `follow`, every diff that comes after those of the snapshots is given to `heard`, from
        now on until `unfollow_presence`; that may begin before this returns.
        """
        ...

    def unfollow_presence(self, room: str) -> None:
        """Nobody here follows the room any more. Diffs that still come are harmless."""
        ...

    def ask_presence(self, room: str, node: str) -> None:
        """Ask a process for a new snapshot, which is given to `took`: there was a gap."""
        ...

    channels: Any  # of a Channels layer, in all processes: `do` and `own` of `broker/channels.py`

    remembers: bool  # whether it can

    # Rooms that remember: each of their messages has a place, which is a position, in one order for
    # all processes, and the latest are kept.

    def remember(
        self, terms: Callable[[str], Any], memory: int, user_of: Callable[[Any], str | None]
    ) -> None:
        """Keep of a room what `terms` says by its name: a `RoomDeclaration`, or None.

        `user_of` tells whose a publication is, as members may know. `memory` is the most bytes for
        what lies in this server. Called before others, and again when options change before the
        server runs.
        """
        ...

    def take_place(self, publication: Any, user: str | None) -> None:
        """Give a publication that is being delivered its place in its room, and keep it.

        Asked by who delivers a publication of kind `room` to a room that remembers. A broker that
        has the order elsewhere never delivers those: it gets them a place first, and delivers them
        as `placed`, in that order, and none twice.
        """
        ...

    async def publish_once(self, publication: Any, id: str = "", user: str = "") -> Any:
        """Publish as `publish` does; return, once it has its place and is kept, a `Published`.

        Where the same id came with the same user for the same room within five minutes, that is
        the first one, and nothing is published. Raises BrokerUnavailable.
        """
        ...

    async def history(self, room: str, ask: Any) -> Any:
        """The `Page` of a room that an `Ask` asks for. Raises BrokerUnavailable.

        Messages after its position may have been delivered here before this returns.
        """
        ...

    async def remove_history(self, room: str) -> None:
        """Forget the messages of a room; its position stays. Raises BrokerUnavailable."""
        ...

    def forget(self, room: str) -> None:
        """Forget the messages of a room and its position: the next one begins a new epoch."""
        ...

    def forget_all(self) -> None:
        """Forget all rooms, as `forget` does one."""
        ...

    def figures(self) -> Mapping[str, int]:
        """Return what is kept here: `history_bytes`, `history_messages`, `ids_forgotten`."""
        ...

    def sweep(self) -> None:
        """Forget what has become too old. Called about once a second."""
        ...


class PresenceOfProcess(Protocol):
    """The members of rooms, as this process knows them; what a broker asks and tells.

    A process has a name, its node, which it does not use again after it has ended.
    """

    def own(self, name: str) -> tuple[int, Any]:
        """The members of this process in a room, and the number of the diff they are after."""
        ...

    def heard(self, name: str, node: str, diff: Any) -> None:
        """A process tells who came and went in a room. Safe to call twice, and with gaps."""
        ...

    def took(self, name: str, snapshot: Any) -> None:
        """A snapshot has come that was asked for."""
        ...

    def gone(self, node: str) -> None:
        """A process has ended, or is taken for it; whatever still comes from it is ignored."""
        ...
