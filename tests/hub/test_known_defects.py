"""Defects of the original (GlyphLang's Go package) that must not come back: a test or more each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed as PeerClosed
from websockets.exceptions import InvalidStatus

from glyph_fast import core
from glyph_fast.errors import ConfigError, ConnectionClosed
from glyph_fast.options.config import Config
from glyph_fast.server.server import Server
from glyph_fast.wire import CONTINUATION, TEXT, SendResult
from tests.running import running
from tests.wired import KEY, Site

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


# A reply to a client that just left crashed the server: it wrote to a closed queue.


def test_a_reply_to_a_client_that_just_left_harms_nobody() -> None:
    site = Site()
    raised: list[type[BaseException]] = []

    @site.dispatcher.on_message("text")
    def answer(ctx: Any) -> None:
        ctx.conn._lost()
        try:
            ctx.reply("text", "too late")
        except ConnectionClosed as exc:
            raised.append(type(exc))
            raise

    ada, bob = site.connect(), site.connect()
    ada.send("x")
    assert raised == [ConnectionClosed]
    assert site.hub.metrics.handler_errors == 0
    assert site.hub.get_connections() == [bob.conn]
    site.hub.broadcast("still here")
    assert bob.received() == ["still here"]


def test_a_reply_in_on_disconnect_harms_nobody() -> None:
    site = Site()
    site.dispatcher.on_disconnect(lambda conn: conn.send("too late"))
    ada, bob = site.connect(), site.connect()
    ada.vanish()
    bob.send('{"type":"ping"}')
    assert len(bob.received()) == 1


# close() inside a handler blocked the hub for ever.


@pytest.mark.parametrize("kind", ["on_connect", "on_message", "on_disconnect"])
def test_close_inside_a_handler_blocks_nobody(kind: str) -> None:
    site = Site()
    ends: list[int] = []

    def close(subject: Any) -> None:
        conn = getattr(subject, "conn", subject)
        conn.close(4000, "enough")
        conn.close(4001, "again")

    getattr(site.dispatcher, kind)(close)
    site.dispatcher.on_disconnect(lambda conn, code: ends.append(code))
    ada, bob = site.connect(), site.connect()
    ada.send("x")
    ada.close(4000)
    bob.close(4000)
    assert ends == [4000, 4000]
    assert len(site.hub) == 0


def test_a_handler_may_close_everybody() -> None:
    site = Site()

    @site.dispatcher.on_message("text")
    def close_all() -> None:
        for conn in site.hub.get_connections():
            conn.close(1001)
        assert site.hub.broadcast("nobody is left") == SendResult(0, 0, 0)

    peers = [site.connect() for _ in range(5)]
    peers[0].send("x")
    for peer in peers:
        assert peer.received() == []
        assert peer.close_code == 1001


# More than 256 broadcasts inside one handler blocked the hub for ever.


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "block", "disconnect"])
def test_hundreds_of_broadcasts_inside_one_handler_all_arrive(policy: Any) -> None:
    site = Site(Config(queue_policy=policy))
    results: list[Any] = []

    @site.dispatcher.on_message("text")
    def broadcast(ctx: Any) -> None:
        results.extend(site.hub.broadcast(str(n)) for n in range(500))

    ada, bob = site.connect(), site.connect()
    ada.send("x")
    expected = [str(n) for n in range(500)]
    assert ada.received() == bob.received() == expected
    assert results == [SendResult(2, 0, 0)] * 500


def test_hundreds_of_broadcasts_reach_a_real_client(run: Run, backend: Any) -> None:
    async def main() -> None:
        server = Server()
        server.on_message(lambda ctx: [server.hub.broadcast(str(n)) for n in range(500)])
        async with running(server, backend) as url, connect(url.ws("/ws")) as client:
            await client.send("go")
            assert [await client.recv() for _ in range(500)] == [str(n) for n in range(500)]

    run(main())


# Registering a handler inside a handler blocked the hub for ever, too.


def test_a_handler_may_register_another() -> None:
    site = Site()
    seen: list[str] = []

    @site.dispatcher.on_message("text")
    def register() -> None:
        site.dispatcher.on_message("binary")(lambda: seen.append("binary"))

    site.connect().send("x", b"y")
    assert seen == ["binary"]


# The configuration was taken and ignored, but for the origins.


def test_the_configuration_is_not_ignored() -> None:
    options: dict[str, Any] = {
        "max_room_members": 1,
        "max_rooms_per_connection": 2,
        "max_room_name": 8,
        "max_message_size": 20,
        "queue_messages": 3,
        "queue_policy": "drop_newest",
        "client_commands": ("ping",),
        "inbox_messages": 2,
    }
    site = Site(Config(**options))
    rooms = site.hub.get_room_manager()
    assert (rooms._max_members, rooms._max_rooms, rooms._max_name) == (1, 2, 8)
    ada, bob = site.connect(), site.connect()
    ada.send("x" * 21)
    assert ada.received() == [] and ada.close_code == 1009
    bob.pipe.room = 0
    assert sum(result.dropped for _ in range(5) if (result := bob.conn.send("x"))) == 2
    bob.send('{"type":"join_room","room":"r"}'[:20])
    assert rooms.count() == 0
    assert site.dispatcher._inbox_limit == 2


def test_an_unknown_option_is_an_error() -> None:
    with pytest.raises(ConfigError, match="max_conections"):
        Config(max_conections=5)  # type: ignore[call-arg]


# Waiting messages were joined by newlines in one frame.


def test_frames_are_never_joined() -> None:
    site = Site()
    ada = site.connect()
    messages = ["one", "two\nlines", b"three", "", "four"]
    for message in messages:
        ada.conn.send(message)
    assert ada.received() == messages


def test_frames_are_never_joined_behind_a_slow_reader() -> None:
    site = Site()
    ada = site.connect()
    ada.pipe.room = 5  # in the middle of the first frame
    for n in range(10):
        ada.conn.send(f"message {n}")
    site.flush()
    ada.pipe.room = None
    ada.conn._flush()
    assert ada.received() == [f"message {n}" for n in range(10)]


# Plain text and binary were logged and dropped.


@pytest.mark.parametrize(
    "message", ["hello", "", "42", "{broken", b"", b"\x00\xff", [1], {"type": "own"}]
)
def test_no_message_is_lost_for_its_shape(message: Any) -> None:
    site = Site()
    seen: list[Any] = []
    site.dispatcher.on_message(lambda ctx: seen.append(ctx.message.data))
    site.connect().send(message)
    assert seen == [message]


@pytest.mark.parametrize("member", ["timestamp", "room", "event", "target", "metadata"])
def test_no_message_is_lost_for_a_member_of_the_wrong_kind(member: str) -> None:
    site = Site()
    seen: list[Any] = []
    site.dispatcher.on_message("json")(lambda ctx: seen.append(ctx.message.data))
    site.connect().send({"type": "json", "data": "kept", member: 1700000000})
    assert seen == ["kept"]


# Direct sends overtook broadcasts, and broadcasts each other.


def test_nothing_overtakes() -> None:
    site = Site()

    @site.dispatcher.on_message("text")
    def handler(ctx: Any) -> None:
        hub, conn = site.hub, ctx.conn
        conn.send("1")
        hub.broadcast("2")
        conn.join_room("r")
        hub.broadcast_to_room("r", "3")
        conn.send("4")
        hub.broadcast_json(5)
        hub.send_to(conn.id, "6")
        ctx.reply("text", "7")

    ada = site.connect()
    ada.send("go")
    assert ada.received() == list("1234567")


def test_all_members_see_the_same_order() -> None:
    site = Site()
    site.dispatcher.on_message("text")(
        lambda ctx: site.hub.broadcast_to_room("r", ctx.message.data)
    )
    peers = [site.connect() for _ in range(4)]
    for peer in peers:
        peer.conn.join_room("r")
    for n in range(20):
        peers[n % 4].feed(str(n))
    assert all(peer.received() == [str(n) for n in range(20)] for peer in peers)


# A slow client lost the oldest message, the newest, or its connection, by the call that was used.


@pytest.mark.parametrize(
    ("policy", "received", "close_code"),
    [
        ("drop_oldest", ["1", "2", "3", "4"], None),
        ("drop_newest", ["0", "1", "2", "3"], None),
        ("block", ["0", "1", "2", "3", "4"], None),
        ("disconnect", [], 4008),
    ],
)
@pytest.mark.parametrize("call", ["send", "send_to", "broadcast", "broadcast_to_room", "room"])
def test_a_slow_client_meets_one_policy(
    policy: Any, received: list[str], close_code: int | None, call: str
) -> None:
    site = Site(Config(queue_policy=policy, queue_messages=4))
    ada = site.connect()
    ada.conn.join_room("r")
    room = site.hub.get_room_manager().get_room("r")
    assert room is not None
    sends: dict[str, Callable[[str], Any]] = {
        "send": ada.conn.send,
        "send_to": lambda message: site.hub.send_to(ada.id, message),
        "broadcast": site.hub.broadcast,
        "broadcast_to_room": lambda message: site.hub.broadcast_to_room("r", message),
        "room": room.broadcast,
    }
    ada.pipe.room = 0
    for n in range(5):
        sends[call](str(n))
    ada.pipe.room = None
    ada.conn._flush()
    assert ada.received() == received
    assert ada.close_code == close_code


# A full room answered "joined", and the connection believed it.


def test_a_full_room_is_not_answered_with_joined() -> None:
    site = Site(Config(max_room_members=1, client_commands="join_room"))
    ada, bob = site.connect(), site.connect()
    ada.conn.join_room("r")
    bob.send({"type": "join_room", "room": "r"})
    (answer,) = bob.json()
    assert (answer["type"], answer["data"]) == ("error", {"error": "room is full"})
    assert bob.conn.get_rooms() == [] and not bob.conn.is_in_room("r")


# Rooms never died.


def test_rooms_that_clients_named_do_not_pile_up() -> None:
    site = Site(Config(client_commands=["join_room", "leave_room"]))
    rooms = site.hub.get_room_manager()
    ada = site.connect()
    for n in range(500):
        ada.send({"type": "join_room", "room": f"r{n}"}, {"type": "leave_room", "room": f"r{n}"})
    assert rooms.count() == 0
    for n in range(50):
        bob = site.connect()
        bob.send({"type": "join_room", "room": f"r{n}"})
        bob.vanish()
    assert rooms.count() == 0


def test_leaving_costs_the_rooms_of_the_connection_not_all_rooms() -> None:
    site = Site(Config(max_rooms_per_connection=5000))
    rooms = site.hub.get_room_manager()
    ada, bob = site.connect(), site.connect()
    for n in range(1000):
        ada.conn.join_room(f"r{n}")
    bob.conn.join_room("r5")

    class Counting(dict[str, Any]):
        touched = 0

        def __iter__(self) -> Any:
            type(self).touched += len(self)
            return super().__iter__()

        def values(self) -> Any:
            type(self).touched += len(self)
            return super().values()

        items = values

    rooms._rooms = Counting(rooms._rooms)
    bob.vanish()
    assert Counting.touched == 0
    assert rooms.get_room_size("r5") == 1


# Beyond the limit of connections, 101 was followed by the end without a close frame.


def test_a_full_server_refuses_before_the_upgrade(run: Run, backend: Any) -> None:
    async def main() -> None:
        server = Server(Config(max_connections=1))
        async with running(server, backend) as url, connect(url.ws("/ws")):
            with pytest.raises(InvalidStatus) as caught:
                await connect(url.ws("/ws"))
            assert caught.value.response.status_code == 503

    run(main())


# At shutdown there was no close frame.


def test_a_shutdown_says_1001_to_everyone(run: Run, backend: Any) -> None:
    async def main() -> None:
        server = Server()
        ends: list[int] = []
        server.on_disconnect(lambda conn, code: ends.append(code))
        async with running(server, backend) as url:
            clients = [await connect(url.ws("/ws")) for _ in range(3)]
            await server.shutdown()
            for client in clients:
                with pytest.raises(PeerClosed) as caught:
                    await client.recv()
                assert caught.value.rcvd is not None and caught.value.rcvd.code == 1001
        assert ends == [1001] * 3

    run(main())


# Text that is not UTF-8 was accepted.


@pytest.mark.parametrize("payload", [b"\xff", b"ab\xc3", b"\xed\xa0\x80", b"\xc0\x80"])
def test_text_that_is_not_utf_8_is_refused(payload: bytes) -> None:
    site = Site()
    site.dispatcher.on_message(lambda: pytest.fail("must not be delivered"))
    ada = site.connect()
    ada.conn._feed(core.encode_frame(TEXT, payload, key=KEY))
    assert ada.received() == [] and ada.close_code == 1007


def test_text_that_is_not_utf_8_is_refused_as_soon_as_it_shows() -> None:
    site = Site()
    ada = site.connect()
    ada.conn._feed(core.encode_frame(TEXT, b"ab\xc3", fin=False, key=KEY))
    assert ada.conn.is_open
    ada.conn._feed(core.encode_frame(CONTINUATION, b"\x28", fin=False, key=KEY))
    assert ada.received() == [] and ada.close_code == 1007


# Disconnect handlers did not run for clients that were evicted.


@pytest.mark.parametrize("peer_answers", [True, False])
def test_disconnect_handlers_run_for_evicted_clients(peer_answers: bool) -> None:
    now = [100.0]
    site = Site(Config(queue_policy="disconnect", queue_messages=4), clock=lambda: now[0])
    ends: list[Any] = []
    site.dispatcher.on_disconnect(lambda conn, code, reason: ends.append((code, reason)))
    ada = site.connect()
    ada.conn.join_room("r")
    ada.pipe.room = 0
    for _ in range(5):
        site.hub.broadcast("x")
    assert not ada.conn.is_open
    if peer_answers:
        ada.pipe.room = None
        ada.conn._flush()
        ada.close(4008)
    else:
        for _ in range(3):
            site.turn.sweep(now[0])
            site.flush()
            now[0] += site.turn.limits.close_timeout
    assert ends == [(4008, "slow consumer")]
    assert site.hub.get_room_manager().count() == 0
    assert site.hub.metrics.disconnects == {4008: 1}


def test_disconnect_handlers_run_for_clients_that_read_nothing() -> None:
    now = [100.0]
    site = Site(clock=lambda: now[0])
    ends: list[int] = []
    site.dispatcher.on_disconnect(lambda conn, code: ends.append(code))
    ada = site.connect()
    ada.pipe.room = 0
    ada.conn.send("x")
    for _ in range(6):
        site.flush()
        site.turn.sweep(now[0])
        now[0] += site.turn.limits.write_timeout
    site.flush()
    assert ends == [4008]
