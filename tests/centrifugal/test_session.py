"""How a client comes in, is kept alive and goes."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast import Connection, Identity, Reject, Request, Server
from glyph_fast.centrifuge.session import Session
from glyph_fast.testing import TestClient
from tests.centrifugal.speaking import KEPT, PATH, Speaker, server_of, speaking

pytestmark = pytest.mark.both_cores


def test_what_connect_answers(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with TestClient(server_of(ping_interval="25s")) as client:
            speaker = Speaker(await client.connect(PATH))
            result = await speaker.ask("connect", name="js")
            assert result == {"client": result["client"], "version": "0.1.0", "ping": 25,
                              "pong": True}  # fmt: skip
            assert client.hub.get_connection(result["client"]) is not None
            assert client.hub.metrics.connections_total == 1

    run(main())


def test_everything_in_the_first_frame(run: Callable[..., Any]) -> None:
    """What follows `connect` waits for an authenticator that does."""
    server = server_of()

    @server.authenticate
    async def who(request: Request) -> str:
        await asyncio.sleep(0)
        assert request.connect is not None
        return str(request.connect.data["name"])

    async def main() -> None:
        async with TestClient(server) as client:
            speaker = Speaker(await client.connect(PATH))
            await speaker.say(
                {"id": 1, "connect": {"data": {"name": "ann"}}},
                {"id": 2, "subscribe": {"channel": "a"}},
                {"id": 3, "publish": {"channel": "a", "data": 1}},
            )
            await speaker.say({"id": 4, "rpc": {"method": "x"}})
            heard = [await speaker.heard() for _ in range(5)]
            assert [each.get("id", 0) for each in heard] == [1, 2, 0, 3, 4]
            (conn,) = client.hub.get_connections()
            assert conn.identity == "ann"

    run(main())


@pytest.mark.parametrize(
    ("raised", "code", "reason"),
    [
        (Reject(401, "who are you?"), 3500, "who are you?"),
        (Reject(403, "not you"), 3507, "not you"),
        (Reject(429, "later"), 3013, "too many requests"),
        (Reject(503, "later"), 3013, "too many requests"),
        (KeyError("x"), 3004, "internal server error"),
    ],
    ids=lambda each: str(each)[:20],
)
def test_who_is_not_let_in(
    run: Callable[..., Any], raised: Exception, code: int, reason: str
) -> None:
    server = server_of()

    @server.authenticate
    def who(request: Request) -> str:
        raise raised

    async def main() -> None:
        async with TestClient(server, raise_errors=False) as client:
            speaker = Speaker(await client.connect(PATH))
            await speaker.say({"id": 1, "connect": {}}, {"id": 2, "subscribe": {"channel": "a"}})
            assert await speaker.ended() == (code, reason)
            assert len(client.hub) == 0 and not server._centrifuge.sessions  # type: ignore[union-attr]

    run(main())


def test_who_goes_while_it_is_decided_about(run: Callable[..., Any]) -> None:
    server = server_of()
    ended: list[str] = []

    @server.authenticate
    async def who(request: Request) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("given up")
        return "nobody"

    async def main() -> None:
        async with TestClient(server) as client:
            speaker = Speaker(await client.connect(PATH))
            await speaker.say({"id": 1, "connect": {}}, {"id": 2, "subscribe": {"channel": "a"}})
            await speaker.say({"id": 3, "rpc": {"method": "x"}})
            await client.settle()
            speaker.socket.drop()
            await client.settle()
            assert ended == ["given up"] and server.hub._count() == 0
            assert server._centrifuge is not None and not server._centrifuge.sessions

    run(main())


def test_nobody_is_kept_who_has_gone(run: Callable[..., Any]) -> None:
    server = server_of()

    async def main() -> None:
        async with speaking(server, 3) as (client, *speakers):
            for speaker in speakers:
                await speaker.ask("subscribe", channel="a", join_leave=True)
                await speaker.socket.close()
            await client.settle()
            server.hub.get_room_manager()._presence.tell()
            assert server._centrifuge is not None and not server._centrifuge.sessions
            rooms = server.hub.get_room_manager()
            assert len(client.hub) == 0 and rooms.count() == 0 and not rooms._presence.rooms

    run(main())


BAD = [
    "", "{", "[]", "{}", '{"id":1}', '{"id":1,"subscribe":{"channel":"a"}}', '{"connect":{}}',
    '{"id":1,"connect":{}}\n{"id":2,"connect":{}}', '{"id":1,"connect":{}}\n{}',
    '{"id":1,"connect":{}}\n{"id":2,"ping":{}}', '{"id":1,"connect":{}}\n{"id":5}',
    '{"id":1,"connect":{}}\n{"id":2,"nonsense":{}}',
    '{"id":1,"connect":{}}\n{"publish":{"channel":"a","data":1}}',
    '{"id":1,"connect":{}}\n{"id":2,"subscribe":{}}',
    '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"a","delta":"other"}}',
    '{"id":1,"connect":{}}\n{"id":2,"refresh":{}}',
]  # fmt: skip


@pytest.mark.parametrize("frame", BAD)
def test_bad_requests_end_the_connection(run: Callable[..., Any], frame: str) -> None:
    async def main() -> None:
        async with TestClient(server_of()) as client:
            socket = await client.connect(PATH)
            await socket.send(frame)
            assert await Speaker(socket).ended() == (3501, "bad request")

    run(main())


def test_binary_is_no_json(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with TestClient(server_of()) as client:
            socket = await client.connect(PATH)
            await socket.send(b"{}")
            assert (await Speaker(socket).ended())[0] == 3501

    run(main())


def test_who_does_not_connect_in_time(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with TestClient(server_of(head_timeout="10s")) as client:
            silent = Speaker(await client.connect(PATH))
            quick = Speaker(await client.connect(PATH))
            await quick.ask("connect")
            await client.advance(12)
            assert await silent.ended() == (3502, "stale")
            assert await quick.ask("presence_stats", channel="a") == (103, "permission denied")

    run(main())


def test_pings_and_who_does_not_answer_them(run: Callable[..., Any]) -> None:
    pongs = []

    async def answering(speaker: Speaker) -> None:
        async for message in speaker.socket:
            assert json.loads(message) == {}
            pongs.append(1)
            await speaker.say({})

    async def main() -> None:
        async with speaking(server_of(ping_interval="25s"), 2) as (client, answers, silent):
            task = asyncio.ensure_future(answering(answers))
            for _ in range(80):
                await client.advance(1)
            assert await silent.ended() == (3012, "no pong")
            assert answers.socket.is_open and len(pongs) == 3
            await answers.say({})  # which nobody has asked for
            assert (await answers.socket.expect_close()).code == 3501
            await task

    run(main())


def test_no_pings_where_they_are_off(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with TestClient(server_of(ping_interval=0)) as client:
            speaker = Speaker(await client.connect(PATH))
            assert "ping" not in await speaker.ask("connect")
            await client.advance(100)
            await speaker.socket.expect_nothing()

    run(main())


def test_pings_of_websocket_where_they_are_asked_for(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with TestClient(server_of(ping_interval="25s")) as client:
            speaker = Speaker(await client.connect(f"{PATH}?cf_ws_frame_ping_pong=true"))
            assert "ping" not in await speaker.ask("connect")
            await client.advance(100)
            assert (await speaker.ask("rpc", method="x"))[0] == 108  # it is there

    run(main())


def test_a_program_that_closes_says_it_in_codes_of_the_protocol(run: Callable[..., Any]) -> None:
    codes = {1000: 3503, 1001: 3001, 1011: 3004, 1012: 3001, 4008: 3008, 4401: 3005, 4200: 4200}

    async def main() -> None:
        async with speaking(server_of(), len(codes)) as (client, *speakers):
            connections = client.hub.get_connections()
            for conn, speaker, (own, theirs) in zip(
                connections, speakers, codes.items(), strict=True
            ):
                conn.close(own, "why")
                assert (await speaker.ended())[0] == theirs

    run(main())


def test_a_drain_is_a_shutdown(run: Callable[..., Any]) -> None:
    async def main() -> None:
        server = server_of()
        async with TestClient(server) as client:
            connected, new = [Speaker(await client.connect(PATH)) for _ in range(2)]
            await connected.ask("connect")
            stopping = asyncio.ensure_future(server.shutdown())
            assert await connected.ended() == (3001, "shutdown")
            assert await new.ended() == (3001, "shutdown")
            await stopping

    run(main())


def test_handlers_of_the_beginning_and_the_end(run: Callable[..., Any]) -> None:
    said: list[Any] = []
    server = server_of({"own": {}, "kept": KEPT})

    @server.on_connect
    async def begins(conn: Connection) -> None:
        conn.join_room("own")
        conn.join_room("kept")
        server.hub.broadcast_json_to_room("kept", "before the answer")
        await asyncio.sleep(0)
        said.append(("connect", conn.identity))

    @server.on_disconnect
    def ends(conn: Connection, code: int) -> None:
        said.append(("disconnect", code, conn.get_rooms()))

    async def main() -> None:
        async with TestClient(server) as client:
            speaker = Speaker(await client.connect(PATH))
            subs = (await speaker.ask("connect"))["subs"]
            assert subs["own"] == {}
            epoch = subs["kept"]["epoch"]
            assert subs["kept"] == {
                "recoverable": True, "positioned": True, "epoch": epoch, "offset": 1
            }  # fmt: skip
            join = await speaker.push()
            assert join["join"]["info"]["client"] == client.hub.get_connections()[0].id
            client.hub.broadcast_json_to_room("kept", {"n": 1})
            assert await speaker.push() == {
                "channel": "kept", "pub": {"data": {"n": 1}, "offset": 2}
            }  # fmt: skip
            await speaker.socket.close()
            again = Speaker(await client.connect(PATH))
            since = {"recover": True, "epoch": epoch, "offset": 1}
            sub = (await again.ask("connect", subs={"kept": since}))["subs"]["kept"]
            assert sub["recovered"] and sub["was_recovering"] and sub["offset"] == 1
            assert [each["data"] for each in sub["publications"]] == [
                {"n": 1}, "before the answer"
            ]  # fmt: skip
            await again.socket.close()
            await client.settle()
        assert said[:2] == [("connect", None), ("disconnect", 1000, ["own", "kept"])]

    run(main())


def test_a_connect_handler_that_rejects(run: Callable[..., Any]) -> None:
    server = server_of()

    @server.on_connect
    def begins(conn: Connection) -> None:
        raise Reject(403, "go away")

    async def main() -> None:
        async with TestClient(server) as client:
            speaker = Speaker(await client.connect(PATH))
            await speaker.say({"id": 1, "connect": {}})
            assert await speaker.ended() == (3507, "go away")

    run(main())


def test_limits_of_connections(run: Callable[..., Any]) -> None:
    server = server_of(max_connections_per_user=1)

    @server.authenticate
    def who(request: Request) -> Identity:
        return Identity("ann", info={"name": "Ann"})

    async def main() -> None:
        async with speaking(server) as (client, _first):
            second = Speaker(await client.connect(PATH))
            await second.say({"id": 1, "connect": {}})
            assert await second.ended() == (3504, "connection limit")

    run(main())


def test_credentials_that_end_are_refreshed_or_it_is_over(run: Callable[..., Any]) -> None:
    server = server_of(ping_interval=0)
    ends: list[float] = []

    @server.authenticate
    def who(request: Request) -> Identity:
        assert request.connect is not None
        return Identity(request.connect.token, expires_at=server.hub._expiry.clock() + ends.pop(0))

    async def main() -> None:
        ends[:] = [10, 30, 20, 20]
        async with TestClient(server) as client:
            speaker = Speaker(await client.connect(PATH))
            result = await speaker.ask("connect", token="ann")
            assert (result["expires"], result["ttl"]) == (True, 10)
            refreshed = await speaker.ask("refresh", token="ann")
            assert (refreshed["expires"], refreshed["ttl"]) == (True, 30)
            other = Speaker(await client.connect(PATH))
            await other.ask("connect", token="bob")
            await other.say({"id": 9, "refresh": {"token": "eve"}})
            assert (await other.ended())[0] == 3500
            for _ in range(6):
                await client.advance(9)  # 30 s, and 25 of grace
                assert speaker.socket.is_open
            await client.advance(3)
            assert await speaker.ended() == (3005, "connection expired")

    run(main())


def test_the_path_is_no_other_protocols(run: Callable[..., Any]) -> None:
    server = Server()
    server.centrifuge("/c")
    server.centrifuge("/c")
    with pytest.raises(ValueError, match="is served at /c"):
        server.centrifuge("/d")

    async def main() -> None:
        async with TestClient(server) as client:
            socket = await client.connect("/c", subprotocols=["centrifuge-json", "other"])
            assert socket.subprotocol == "centrifuge-json"
            assert (await client.get("/c")).status == 426
            bare = await client.connect("/ws")
            await bare.send("hello")
            assert bare.subprotocol is None

    run(main())


@pytest.mark.parametrize(
    ("command", "share"),
    [
        ({"rpc": {}}, 32),
        ({"presence_stats": {"channel": "a"}}, 32),
        ({"presence": {"channel": "a"}}, 6),
        ({"history": {"channel": "a"}}, 32),
        ({"history": {"channel": "a", "limit": 1}}, 6),
        ({"history": {"channel": "a", "limit": 1, "reverse": True}}, 22),
        ({"history": {"channel": "a", "limit": -1}}, 1),
    ],
    ids=str,
)
def test_a_command_counts_by_its_work_in_its_clients_share_of_a_turn(
    run: Callable[..., Any], command: dict[str, Any], share: int
) -> None:
    server = server_of({"*": KEPT | {"history_size": 1000}})

    async def main() -> None:
        steps: list[int] = []
        async with speaking(server, 20) as (client, ann, *others):
            for speaker in (ann, *others):
                await speaker.ask("subscribe", channel="a")
            for number in range(1000):
                server.hub.broadcast_to_room("a", str(number))
            await client.settle()
            assert server._centrifuge is not None
            done = 0

            def count(*args: Any) -> Any:
                nonlocal done
                done += 1
                return do(*args)

            session = next(iter(server._centrifuge.sessions.values()))
            kind = type(session)
            do = kind._do
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(kind, "_do", count)
                saying = asyncio.ensure_future(ann.say(*[{"id": 9, **command}] * 70))
                while done < 70 and session.conn.is_open:
                    before = done
                    await asyncio.sleep(0)
                    steps.append(done - before)
                await saying
        assert max(steps) == share

    run(main())


def sessions() -> int:
    """How many there are, wherever they are held."""
    gc.collect()
    return sum(type(each) is Session for each in gc.get_objects())


def test_nothing_is_kept_of_who_has_left_until_it_would_be_looked_at(
    run: Callable[..., Any],
) -> None:
    async def main() -> None:
        async with TestClient(server_of(ping_interval="1h")) as client:
            before = sessions()  # of other tests
            for _ in range(20):
                speaker = Speaker(await client.connect(PATH))
                await speaker.ask("connect")
                await speaker.socket.close()
            await client.settle()
            assert sessions() <= before

    run(main())
