"""Every public method, called from another thread: handed over, a snapshot, or refused clearly."""

from __future__ import annotations

import asyncio
import random
import ssl
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast import Server
from glyph_fast.dialects.message import Message
from glyph_fast.handlers.context import MessageContext
from glyph_fast.http.request import Request
from glyph_fast.hub.connection import Connection
from glyph_fast.hub.hub import Hub
from glyph_fast.hub.room import Room
from glyph_fast.hub.rooms import RoomManager
from glyph_fast.wire import BINARY, CLOSE, PAUSE_INBOX, PING, PONG, TEXT, MessageType
from tests.engine.certificates import Certificate, make_certificate
from tests.engine.peers import Peer as Client
from tests.running import running
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores

HANDED, READ, REFUSED = "handed over", "a snapshot", "refused"
WAITED = "waited for"  # on the server's loop, which test_streams.py has
Table = dict[str, tuple[str, tuple[Any, ...]]]

# The arguments may name what there is: "conn", "room".
CONNECTION: Table = {
    "send": (HANDED, ("x",)),
    "send_json": (HANDED, ([1],)),
    "send_message": (HANDED, (Message("text", "x"),)),
    "send_event": (HANDED, ("e",)),
    "close": (HANDED, ()),
    "abort": (HANDED, ()),
    "join_room": (HANDED, ("new",)),
    "join": (REFUSED, ("new",)),
    "leave_room": (HANDED, ("blue",)),
    "get_rooms": (READ, ()),
    "is_in_room": (READ, ("blue",)),
    "set_data": (READ, ("k", 1)),
    "get_data": (READ, ("k",)),
    "drain": (REFUSED, ()),
    "call": (REFUSED, ("event",)),
}
ROOM: Table = {
    "add": (HANDED, ("conn",)),
    "remove": (HANDED, ("conn",)),
    "broadcast": (HANDED, ("x",)),
    "replace_metadata": (HANDED, ({"a": 1},)),
    "has": (READ, ("conn",)),
    "size": (READ, ()),
    "set_metadata": (READ, ("k", 1)),
    "get_metadata": (READ, ("k",)),
    "get_all_metadata": (READ, ()),
}
ROOMS: Table = {
    "delete_room": (READ, ("blue",)),  # says whether there is one; the rest is handed over
    "clear": (HANDED, ()),
    "get_room": (READ, ("blue",)),
    "get_or_create_room": (READ, ("green",)),
    "get_room_size": (READ, ("blue",)),
    "get_room_names": (READ, ()),
    "count": (READ, ()),
}
HUB: Table = {
    "broadcast": (HANDED, ("x",)),
    "broadcast_json": (HANDED, ([1],)),
    "broadcast_to_room": (HANDED, ("blue", "x")),
    "broadcast_json_to_room": (HANDED, ("blue", [1])),
    "broadcast_event": (HANDED, ("e",)),
    "send_to": (HANDED, ("id", "x")),
    "send_to_user": (HANDED, ("ada", "x")),
    "disconnect_user": (HANDED, ("ada",)),
    "expire": (HANDED, ("conn", 1.0)),
    "presence": (REFUSED, ("blue",)),
    "presence_stats": (REFUSED, ("blue",)),
    "get_user_connections": (READ, ("ada",)),
    "get_user_connection_count": (READ, ("ada",)),
    "get_connections": (READ, ()),
    "get_connection_count": (READ, ()),
    "get_connection": (READ, ("id",)),
    "get_room_manager": (READ, ()),
    "publish": (WAITED, ("blue", "x")),
    "remove_history": (WAITED, ("blue",)),
    "history": (READ, ("blue",)),
    "count": (WAITED, ("blue",)),
}
# What drives a hub: the server's loop alone.
DRIVING: Table = {
    "_attach": (REFUSED, ("turn",)),
    "_open": (REFUSED, ("conn",)),
    "_forget": (REFUSED, ("conn", 1000)),
    "_sweep": (REFUSED, ()),
    "_close_all": (REFUSED, ()),
}
# What the hub does with its rooms.
KEEPING: Table = {
    "_join": (REFUSED, ("conn", "blue")),
    "_check_name": (READ, ("blue",)),
}
# What drives a connection.
STEPS: Table = {
    "_ping": (HANDED, ()),
    "_flush": (HANDED, ()),
    "_feed": (REFUSED, (b"",)),
    "_feed_eof": (REFUSED, ()),
    "_lost": (REFUSED, ()),
    "_write": (REFUSED, (b"HTTP",)),
    "_upgrade": (REFUSED, ()),
    "_use_codec": (REFUSED, (None,)),
    "_write_through": (REFUSED, (-1, None)),
    "_expect_head": (REFUSED, ()),
    "_expect_body": (REFUSED, ()),
    "_hold": (REFUSED, ()),
    "_finish": (REFUSED, ()),
    "_pause_reading": (REFUSED, (PAUSE_INBOX,)),
    "_resume_reading": (REFUSED, (PAUSE_INBOX,)),
    "_want_drain": (REFUSED, ()),
    "_wake_waiters": (REFUSED, ()),
    "_answer": (REFUSED, ("x",)),
    "_answer_close": (HANDED, ()),
}
CONTEXT: Table = {
    "reply": (HANDED, (MessageType.TEXT, "x")),
    "reply_json": (HANDED, ([1],)),
    "reply_error": (HANDED, ("x",)),
    "broadcast": (HANDED, ("text", "x")),
    "broadcast_to_room": (HANDED, ("blue", "text", "x")),
}
REQUEST: Table = {
    "body": (READ, ()),
    "form": (READ, ()),
    "json": (READ, ()),
    "stream": (READ, ()),
}
UNREADABLE = ("form", "json")  # there is no body
TABLES = {
    Connection: CONNECTION, Room: ROOM, RoomManager: ROOMS, Hub: HUB, MessageContext: CONTEXT,
    Request: REQUEST,
}  # fmt: skip
INSIDE = {Hub: DRIVING, RoomManager: KEEPING, Connection: STEPS}
CALLS = [
    (cls, name)
    for cls, table in (*TABLES.items(), *INSIDE.items())
    for name in table
    if table[name][0] != WAITED
]


def methods(cls: type) -> set[str]:
    return {name for name in dir(cls) if name[0] != "_" and callable(getattr(cls, name))}


@pytest.mark.parametrize("cls", TABLES, ids=lambda cls: cls.__name__)
def test_what_each_method_does_in_another_thread_is_settled(cls):
    assert methods(cls) == set(TABLES[cls])


def subject(cls: type, site: Site, ada: Peer) -> Any:
    if cls is Connection:
        return ada.conn
    if cls is Room:
        return site.hub.get_room_manager().get_room("blue")
    if cls is RoomManager:
        return site.hub.get_room_manager()
    if cls is Hub:
        return site.hub
    if cls is MessageContext:
        return MessageContext(ada.conn, Message("text", "hi"), site.hub)
    return ada.conn.request


def arguments(given: tuple[Any, ...], conn: Connection, site: Site) -> list[Any]:
    """The arguments with what they name put in its place."""
    found = {"conn": conn, "turn": site.turn, "id": conn.id}
    return [found.get(each, each) if isinstance(each, str) else each for each in given]


def elsewhere(function: Callable[..., Any], *args: Any) -> Any:
    """What it returns in another thread; what it raises there is raised here."""
    results: list[Any] = []

    def call() -> None:
        try:
            result = function(*args)
            if asyncio.iscoroutine(result):
                result = asyncio.run(awaited(result))
            results.append(result)
        except BaseException as exc:
            results.append(exc)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


async def awaited(coro: Any) -> Any:
    return await coro


@pytest.mark.parametrize(("cls", "name"), CALLS, ids=lambda each: getattr(each, "__name__", each))
def test_a_method_is_handed_over_or_reads_or_is_refused(cls, name):
    site = Site()
    ada = site.connect(identity="ada")
    ada.conn.join_room("blue")
    site.flush()
    ada.received()
    conn = ada.conn
    kind, given = (TABLES[cls] | INSIDE.get(cls, {}))[name]
    method = getattr(subject(cls, site, ada), name)
    args = arguments(given, conn, site)
    before = (conn._phase, conn.queued_messages, conn.missed_pongs, conn.get_rooms())
    if kind is REFUSED:
        with pytest.raises(RuntimeError, match="this is another one"):
            elsewhere(method, *args)
    elif name not in UNREADABLE:
        result = elsewhere(method, *args)
        assert kind is READ or result is None or (result == (0, 0, 0) and result.pending)
    # Nothing has happened yet: that is for the loop.
    assert before == (conn._phase, conn.queued_messages, conn.missed_pongs, conn.get_rooms())
    assert not ada.pipe.data
    site.flush()
    assert site.hub.metrics.handler_errors == 0


@pytest.mark.parametrize("cls", TABLES, ids=lambda cls: cls.__name__)
def test_every_property_can_be_read_in_another_thread(cls):
    site = Site()
    ada = site.connect()
    ada.conn.join_room("blue")
    names = [n for n in dir(cls) if n[0] != "_" and isinstance(getattr(cls, n), property)]
    for name in names:
        elsewhere(getattr, subject(cls, site, ada), name)


def test_async_for_is_refused_on_another_loop(site: Site) -> None:
    ada = site.connect()
    ada.conn._stream = object()  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="this is another one"):
        elsewhere(ada.conn.__aiter__)


def test_the_turn_itself_is_handed_over(site: Site) -> None:
    ada = site.connect()
    ada.conn.send("hello")
    elsewhere(site.turn.flush)
    assert not ada.pipe.data
    with pytest.raises(RuntimeError, match="sweep.. belongs to the thread"):
        elsewhere(site.turn.sweep, 0.0)
    assert ada.received() == ["hello"]


@pytest.fixture
def site() -> Site:
    return Site()


# --- while clients read ---------------------------------------------------------------------------

THREADS, EACH = 4, 2000
READERS = 4
# What ends the connection or empties the rooms; calls of these have a test of their own.
ENDS: dict[str, Callable[[Hub, Connection], object]] = {
    "close": lambda hub, conn: conn.close(),
    "abort": lambda hub, conn: conn.abort(),
    "disconnect_user": lambda hub, conn: hub.disconnect_user(conn.identity),
    "expire": lambda hub, conn: hub.expire(conn, 1.0),
}
EMPTYING = ("clear", "delete_room")
HARMLESS = {
    cls: [name for name in table if name not in (*ENDS, *EMPTYING)] for cls, table in TABLES.items()
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("threads"), "localhost")


class Callers:
    """Threads that call every method of everything, in a random order."""

    def __init__(self, server: Server) -> None:
        self.hub = server.hub
        self.errors: deque[BaseException] = deque()
        self.pings = 0
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(THREADS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    async def ended(self) -> None:
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _run(self, seed: int) -> None:
        choose = random.Random(seed).choice
        try:
            for number in range(EACH):
                self._call(choose(list(HARMLESS)), choose, f"{seed} {number}")
        except BaseException as exc:
            self.errors.append(exc)

    def _call(self, cls: type, choose: Any, text: str) -> None:
        name = choose(HARMLESS[cls])
        kind, given = TABLES[cls][name]
        conns = self.hub.get_connections()
        conn = choose(conns)
        rooms = self.hub.get_room_manager()
        what: Any = {
            Connection: conn, Room: rooms.get_or_create_room("blue"), RoomManager: rooms,
            Hub: self.hub, Request: conn.request,
            MessageContext: MessageContext(conn, Message("text", text), self.hub),
        }[cls]  # fmt: skip
        found = {"conn": conn, "turn": conn._turn, "id": conn.id, "x": text}
        args = [found.get(each, each) if isinstance(each, str) else each for each in given]
        try:
            result = getattr(what, name)(*args)
            if asyncio.iscoroutine(result):
                result.close() if kind is WAITED else result.send(None)
        except StopIteration:
            assert kind is READ
        except RuntimeError as exc:
            assert kind is REFUSED and "this is another one" in str(exc), (cls, name)
        except Exception:
            assert name in UNREADABLE
        else:
            assert kind is not REFUSED, (cls, name)


async def read(client: Client) -> int:
    """Whole frames until the last word; each thread's own words come in their order."""
    heard: dict[str, int] = {}
    count = 0
    while True:
        opcode, payload = await client.frame()
        count += 1
        assert opcode in (TEXT, PING, BINARY), (opcode, payload)
        if opcode == PING:
            client.send(PONG, payload)
        elif payload == b"the end":
            return count
        elif not payload.startswith((b"{", b"[")) and payload != b"x":
            thread, number = payload.decode().split()
            assert heard.get(thread, -1) <= int(number)  # a broadcast comes twice at most
            heard[thread] = int(number)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_threads_that_call_everything_break_nobodys_stream(backend, run, tls, certificate):
    server = Server()
    server.on_message()(lambda ctx: ctx.conn.send(ctx.message.raw))
    options: dict[str, Any] = {"queue_messages": 10**6, "queue_bytes": 10**9}
    context = None
    if tls:
        options |= {"tls_cert": certificate.cert, "tls_key": certificate.key}
        context = ssl.create_default_context(cafile=certificate.cert)

    async def main():
        async with running(server, backend, **options) as url:
            clients = [
                await Client.connect(url.address, ssl=context) if tls else await url.peer()
                for _ in range(READERS)
            ]
            for client in clients:
                await client.upgrade(b"/ws")
            reading = [asyncio.create_task(read(client)) for client in clients]
            callers = Callers(server)
            callers.start()
            await callers.ended()
            server.hub.broadcast("the end")
            counts = await asyncio.gather(*reading)
            assert list(callers.errors) == []
            assert min(counts) > EACH // 10
            assert server.hub.metrics.handler_errors == 0
            for client in clients:
                await client.close()

    run(main(), deadline=60)


@pytest.mark.parametrize("end", ENDS)
def test_threads_may_end_connections_that_others_write_to(backend, run, end):
    server = Server()
    server.authenticate(lambda request: "ada")

    async def main():
        async with running(server, backend) as url:
            for _ in range(2 if end == "expire" else 10):  # that waits for a sweep
                clients = [await url.peer() for _ in range(READERS)]
                for client in clients:
                    await client.upgrade(b"/ws")
                conns = server.hub.get_connections()

                def work(conns=conns) -> None:
                    for number in range(200):
                        server.hub.broadcast(f"0 {number}")
                        conn = conns[number % READERS]
                        if number >= 150:
                            ENDS[end](server.hub, conn)
                        conn._ping()
                        conn._flush()

                threads = [threading.Thread(target=work) for _ in range(THREADS)]
                for thread in threads:
                    thread.start()
                for client in clients:
                    try:
                        while (await client.frame())[0] != CLOSE:
                            pass
                    except (ConnectionError, asyncio.IncompleteReadError):
                        assert end == "abort"
                for thread in threads:
                    await asyncio.to_thread(thread.join)
                for client in clients:
                    await client.close()
            assert server.hub.metrics.handler_errors == 0

    run(main(), deadline=60)


def test_threads_may_empty_rooms_that_others_join_and_write_to(backend, run):
    server = Server()

    def work(number: int) -> None:
        hub, rooms = server.hub, server.hub.get_room_manager()
        for count in range(EACH // 4):
            conn = hub.get_connections()[count % READERS]
            conn.join_room("blue")
            rooms.get_or_create_room("blue").broadcast(f"{number} {count}")
            if count % 3 == 0:
                rooms.clear() if count % 2 else rooms.delete_room("blue")

    async def main():
        async with running(server, backend, queue_messages=10**6, queue_bytes=10**9) as url:
            clients = [await url.peer() for _ in range(READERS)]
            for client in clients:
                await client.upgrade(b"/ws")
            reading = [asyncio.create_task(read(client)) for client in clients]
            await asyncio.gather(*(asyncio.to_thread(work, number) for number in range(THREADS)))
            server.hub.broadcast("the end")
            await asyncio.gather(*reading)
            rooms = server.hub.get_room_manager()
            rooms.clear()
            assert [conn.get_rooms() for conn in server.hub.get_connections()] == [[]] * READERS
            assert len(rooms) == 0
            assert server.hub.metrics.handler_errors == 0
            for client in clients:
                await client.close()

    run(main(), deadline=60)
