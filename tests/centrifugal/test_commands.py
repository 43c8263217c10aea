"""What clients that have connected may ask, and what they are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast import Connection, MessageContext, MessageType, Reject, Server
from glyph_fast.centrifuge import commands
from glyph_fast.errors import CallFailed, ConnectionClosed
from tests.centrifugal.speaking import KEPT, Speaker, server_of, speaking

pytestmark = pytest.mark.both_cores


async def settled(client: Any, *speakers: Speaker) -> list[list[Any]]:
    """All pushes that each has got since."""
    await client.settle()
    found = []
    for speaker in speakers:
        got, speaker.pushes = speaker.pushes, []
        while speaker.socket.unread:
            got.append((await speaker.heard())["push"])
        found.append(got)
    return found


def test_a_publication_comes_to_members_of_both_dialects(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with speaking(server_of({"a": {"client_join": True}}), 2) as (client, ann, bob):
            ours = await client.connect()
            await ours.send_json({"type": "join_room", "room": "a"})
            await ours.receive()
            assert await ann.ask("subscribe", channel="a") == {}
            assert await bob.ask("subscribe", channel="a") == {}
            assert await ann.ask("publish", channel="a", data={"x": [1, "ü"]}) == {}
            ann_id = client.hub.get_connections()[0].id
            pub = {"data": {"x": [1, "ü"]}, "info": {"user": "", "client": ann_id}}
            for speaker in (ann, bob):
                assert await speaker.push() == {"channel": "a", "pub": pub}
            message = await ours.receive_json()
            assert (message["type"], message["data"], message["room"], message["connection_id"]) \
                == ("json", {"x": [1, "ü"]}, "a", ann_id)  # fmt: skip
            await ours.send_json({"type": "broadcast", "room": "a", "data": "hello"})
            assert (await bob.push())["pub"]["data"] == "hello"

    run(main())


SENT: list[tuple[str, Callable[[Server], object], dict[str, Any]]] = [
    ("text", lambda s: s.hub.broadcast_to_room("a", '{"x":1}'), {"data": '{"x":1}'}),
    ("json", lambda s: s.hub.broadcast_json_to_room("a", {"x": 1}), {"data": {"x": 1}}),
    ("binary", lambda s: s.hub.broadcast_to_room("a", b"\xff"), {"data": "/w=="}),
    ("event", lambda s: s.hub.broadcast_event("e", [1], room="a"),
     {"data": [1], "tags": {"event": "e"}}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "send", "pub"), SENT, ids=[each[0] for each in SENT])
@pytest.mark.parametrize("is_kept", [False, True])
def test_what_the_program_sends_to_a_room(
    run: Callable[..., Any],
    kind: str,
    send: Callable[[Server], object],
    pub: dict[str, Any],
    is_kept: bool,
) -> None:
    server = server_of({"a": {"client_join": True, "history_size": 5 if is_kept else 0}})

    async def main() -> None:
        async with speaking(server) as (_client, ann):
            await ann.ask("subscribe", channel="a")
            send(server)
            assert await ann.push() == {
                "channel": "a", "pub": pub | ({"offset": 1} if is_kept else {})
            }  # fmt: skip
            if is_kept:
                found = await ann.ask("history", channel="a", limit=10)
                assert found["publications"] == [pub | {"offset": 1}]

    run(main())


def test_what_is_sent_to_a_connection_is_a_message(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with speaking(server_of()) as (client, ann):
            (conn,) = client.hub.get_connections()
            conn.send('{\n"x": 1}')
            conn.send("text")
            conn.send(b"\xff")
            conn.send_json([1])
            client.hub.broadcast_json({"all": 1})
            client.hub.send_to(conn.id, "1")
            datas = [(await ann.push())["message"]["data"] for _ in range(6)]
            assert datas == [{"x": 1}, "text", "/w==", [1], {"all": 1}, 1]

    run(main())


def test_several_rooms_at_once(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with speaking(server_of({"*": {"client_join": True}})) as (client, ann):
            for name in "ab":
                await ann.ask("subscribe", channel=name)
            client.hub._publish_to_rooms(["a", "b", "c"], "1")
            (pushes,) = await settled(client, ann)
            assert pushes == [
                {"channel": "a", "pub": {"data": 1}}, {"channel": "b", "pub": {"data": 1}}
            ]  # fmt: skip

    run(main())


ROOMS: dict[str, dict[str, Any]] = {
    "open": KEPT,
    "mute": KEPT | {"client_publish": False},
    "plain": {"client_join": True},
    "full": {"client_join": True, "max_members": 1},
    "closed": {},
    "blind": KEPT | {"client_history": False},
}
REFUSED: list[tuple[str, dict[str, Any], int]] = [
    ("subscribe", {"channel": "closed"}, 103),
    ("subscribe", {"channel": "undeclared"}, 103),
    ("subscribe", {"channel": "open"}, 105),
    ("subscribe", {"channel": "full"}, 106),
    ("subscribe", {"channel": "x" * 200}, 107),
    ("subscribe", {"channel": "a\nb"}, 107),
    ("subscribe", {"channel": "new:open", "type": 1}, 107),
    ("subscribe", {"channel": "open2", "token": "x.y.z"}, 103),
    ("publish", {"channel": "plain", "data": 1}, 103),
    ("publish", {"channel": "mute", "data": 1}, 103),
    ("publish", {"channel": "open"}, 107),
    ("publish", {"channel": "open", "data": 1, "type": 1}, 107),
    ("presence", {"channel": "plain"}, 108),
    ("presence", {"channel": "open3"}, 108),
    ("presence_stats", {"channel": "plain"}, 108),
    ("history", {"channel": "plain"}, 108),
    ("history", {"channel": "blind"}, 103),
    ("history", {"channel": "open", "limit": 1, "reverse": True, "since": {"epoch": ""}}, 107),
    ("history", {"channel": "open", "limit": 1, "since": {"epoch": "other"}}, 112),
    ("sub_refresh", {"channel": "open"}, 107),
    ("sub_refresh", {"channel": "plain", "token": "x"}, 103),
    ("rpc", {"method": "x"}, 108),
]


@pytest.mark.parametrize(("kind", "fields", "code"), REFUSED, ids=str)
def test_errors(run: Callable[..., Any], kind: str, fields: dict[str, Any], code: int) -> None:
    async def main() -> None:
        async with speaking(server_of(ROOMS), 2) as (_client, ann, bob):
            await bob.ask("subscribe", channel="full")
            for name in ("open", "mute", "blind"):
                await ann.ask("subscribe", channel=name)
            assert (await ann.ask(kind, **fields))[0] == code
            assert (await ann.ask("history", channel="open"))["offset"] == 0  # it goes on

    run(main())


def test_too_many_rooms(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with speaking(server_of(max_rooms_per_connection=2)) as (_client, ann):
            assert [await ann.ask("subscribe", channel=each) for each in "ab"]
            assert (await ann.ask("subscribe", channel="c"))[0] == 106

    run(main())


def test_joins_that_the_program_judges(run: Callable[..., Any]) -> None:
    server = server_of({})
    left: list[str] = []

    @server.on_join("chat:*")
    async def judge(conn: Connection, room: str) -> bool:
        if room == "chat:reject":
            raise Reject(403, "not this one")
        return room == "chat:yes"

    @server.on_leave
    def leave(conn: Connection, room: str) -> None:
        left.append(room)

    async def main() -> None:
        async with speaking(server) as (client, ann):
            assert await ann.ask("subscribe", channel="chat:yes") == {}
            assert await ann.ask("subscribe", channel="chat:no") == (
                103, "not allowed to join this room"
            )  # fmt: skip
            assert await ann.ask("subscribe", channel="chat:reject") == (103, "not this one")
            assert await ann.ask("unsubscribe", channel="chat:yes") == {}
            assert await ann.ask("unsubscribe", channel="chat:yes") == {}
            await client.settle()
            assert left == ["chat:yes"] and client.hub.get_room_manager().count() == 0

    run(main())


def test_presence_and_who_comes_and_goes(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with speaking(server_of(), 2) as (client, ann, bob):
            ids = [conn.id for conn in client.hub.get_connections()]
            client.hub.get_connections()[1].info = {"name": "Bob"}
            infos = [{"user": "", "client": ids[0]},
                     {"user": "", "client": ids[1], "conn_info": {"name": "Bob"}}]  # fmt: skip
            await ann.ask("subscribe", channel="a", join_leave=True)
            assert await ann.push() == {"channel": "a", "join": {"info": infos[0]}}
            await bob.ask("subscribe", channel="a")
            client.hub.get_room_manager()._presence.tell()
            assert await ann.push() == {"channel": "a", "join": {"info": infos[1]}}
            found = await ann.ask("presence", channel="a")
            assert found == {"presence": dict(zip(ids, infos, strict=True))}
            assert await ann.ask("presence_stats", channel="a") == {
                "num_clients": 2, "num_users": 2
            }  # fmt: skip
            await bob.ask("unsubscribe", channel="a")
            client.hub.get_room_manager()._presence.tell()
            assert await ann.push() == {"channel": "a", "leave": {"info": infos[1]}}
            assert await settled(client, ann, bob) == [[], []]

    run(main())


def test_history_in_pages(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with speaking(server_of()) as (client, ann):
            await ann.ask("subscribe", channel="a")
            for n in range(1, 7):
                client.hub.broadcast_json_to_room("a", n)

            async def offsets(**fields: Any) -> list[int]:
                found = await ann.ask("history", channel="a", **fields)
                assert found["offset"] == 6 and found["epoch"]
                return [each["offset"] for each in found.get("publications", [])]

            epoch = (await ann.ask("history", channel="a"))["epoch"]
            assert await offsets() == []
            assert await offsets(limit=2) == [1, 2]
            assert await offsets(limit=-1) == [1, 2, 3, 4, 5, 6]
            assert await offsets(limit=2, reverse=True) == [6, 5]
            assert await offsets(limit=2, since={"offset": 3, "epoch": epoch}) == [4, 5]
            assert await offsets(limit=2, since={"offset": 3, "epoch": epoch}, reverse=True) == [
                2, 1
            ]  # fmt: skip
            assert await offsets(limit=5, since={"offset": 6, "epoch": epoch}) == []

    run(main())


def test_the_program_joins_and_takes_away(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with speaking(server_of({"plain": {}, "kept": {"history_size": 3}})) as (client, ann):
            (conn,) = client.hub.get_connections()
            conn.join_room("plain")
            conn.join_room("kept")
            client.hub.broadcast_json_to_room("kept", 1)
            assert await ann.push() == {"channel": "plain", "subscribe": {}}
            told = await ann.push()
            assert told["channel"] == "kept" and told["subscribe"]["recoverable"]
            assert await ann.push() == {"channel": "kept", "pub": {"data": 1, "offset": 1}}
            assert (await ann.ask("subscribe", channel="kept"))[0] == 105
            conn.leave_room("plain")
            assert await ann.push() == {
                "channel": "plain", "unsubscribe": {"code": 2000, "reason": "server unsubscribe"}
            }  # fmt: skip
            client.hub.get_room_manager().delete_room("kept")
            assert (await ann.push())["unsubscribe"]["code"] == 2000

    run(main())


def test_calls(run: Callable[..., Any]) -> None:
    server = server_of()
    seen: list[Any] = []

    @server.on_event("returns")
    def returns(ctx: MessageContext) -> Any:
        return {"got": ctx.message.data}

    @server.on_event("replies")
    async def replies(ctx: MessageContext) -> None:
        ctx.reply_json([ctx.message.event])

    @server.on_event("binary")
    def binary(ctx: MessageContext) -> None:
        ctx.reply(MessageType.BINARY, b"\xff")

    @server.on_event("nothing")
    def nothing(ctx: MessageContext) -> None:
        seen.append(ctx.message.data)

    @server.on_event("rejects")
    def rejects(ctx: MessageContext) -> None:
        raise Reject(403, "not you")

    @server.on_event("errs")
    def errs(ctx: MessageContext) -> None:
        ctx.reply_error("no luck")

    @server.on_event("typed")
    def typed(ctx: MessageContext, data: int) -> int:
        return data + 1

    @server.on_event("raises")
    def raises(ctx: MessageContext) -> None:
        raise KeyError("secret")

    async def main() -> None:
        async with speaking(server) as (client, ann):
            assert await ann.ask("rpc", method="returns", data=5) == {"data": {"got": 5}}
            assert await ann.ask("rpc", method="replies") == {"data": ["replies"]}
            assert await ann.ask("rpc", method="binary") == {"data": "/w=="}
            assert await ann.ask("rpc", method="nothing", data="x") == {}
            assert await ann.ask("rpc", method="rejects") == (103, "not you")
            assert await ann.ask("rpc", method="errs") == (100, "no luck")
            assert await ann.ask("rpc", method="typed", data=1) == {"data": 2}
            assert (await ann.ask("rpc", method="typed", data="x"))[0] == 107
            assert await ann.ask("rpc", method="raises") == (100, "internal server error")
            assert (await ann.ask("rpc", method="other"))[0] == 104
            (exc,) = client.errors
            assert isinstance(exc, KeyError) and seen == ["x"]
            client.errors.clear()

    run(main())


def test_messages_without_an_answer(run: Callable[..., Any]) -> None:
    server = server_of()
    said: list[Any] = []

    @server.on_message(MessageType.JSON)
    def json(ctx: MessageContext) -> None:
        said.append(ctx.message.data)
        ctx.reply_json({"you said": ctx.message.data})

    @server.on_message(MessageType.TEXT)
    async def text(ctx: MessageContext) -> None:
        said.append(ctx.message.data)

    async def main() -> None:
        async with speaking(server) as (client, ann):
            await ann.say({"send": {"data": {"type": "join_room"}}}, {"send": {"data": "text"}})
            push = await ann.push()
            assert push == {"message": {"data": {"you said": {"type": "join_room"}}}}
            await client.settle()
            assert said == [{"type": "join_room"}, "text"]
        async with speaking(server_of()) as (_client, bob):
            await bob.say({"send": {"data": 1}})
            assert await bob.ended() == (3508, "not available")

    run(main())


def test_a_call_to_the_client_is_not_possible(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with speaking(server_of()) as (client, _ann):
            with pytest.raises(CallFailed):
                await client.hub.get_connections()[0].call("x")

    run(main())


def test_who_reads_slowly_is_closed_and_loses_nothing_unknowingly(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with speaking(server_of(queue_messages=4), 2) as (client, slow, quick):
            for each in (slow, quick):
                await each.ask("subscribe", channel="a")
            slow.socket.stall()
            for n in range(30):
                client.hub.broadcast_json_to_room("a", n)
                await client.settle()
            slow.socket.resume()
            offsets = []
            while True:
                try:
                    offsets.append((await slow.push())["pub"]["offset"])
                except ConnectionClosed:
                    break
            assert offsets == list(range(1, len(offsets) + 1)) and len(offsets) < 30
            assert (await slow.ended())[0] == 3008
            (pushes,) = await settled(client, quick)
            assert [each["pub"]["offset"] for each in pushes] == list(range(1, 31))

    run(main())


def test_who_does_not_read_gets_no_more_answers(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with speaking(server_of()) as (client, ann):
            await ann.ask("subscribe", channel="a")
            for _ in range(50):
                await ann.ask("publish", channel="a", data="x" * 2000)
            (conn,) = client.hub.get_connections()
            ann.socket.stall()
            asked = {"history": {"channel": "a", "limit": 50}}
            await ann.say(*[{"id": 100 + n} | asked for n in range(200)])
            await client.settle()
            assert conn.queued_bytes < 3_000_000  # of twenty
            ann.socket.resume()
            heard = [await ann.heard() for _ in range(200)]
            assert [each["id"] for each in heard] == list(range(100, 300))

    run(main())


def test_what_is_larger_than_the_broker_takes(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_large(publication: Any) -> None:
        raise ValueError("at most 5 bytes")

    async def main() -> None:
        async with speaking(server_of()) as (client, ann):
            await ann.ask("subscribe", channel="a")
            monkeypatch.setattr(client.hub, "_publish_once", too_large)
            assert await ann.ask("publish", channel="a", data=1) == (106, "at most 5 bytes")

    run(main())


def test_a_large_room_lists_nobody_and_counts_all(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "LISTED", 2)

    async def main() -> None:
        async with speaking(server_of(), 3) as (_, ann, bob, eve):
            for speaker in (ann, bob):
                await speaker.ask("subscribe", channel="a")
            assert len((await ann.ask("presence", channel="a"))["presence"]) == 2
            await eve.ask("subscribe", channel="a")
            told = await ann.ask("presence", channel="a")
            assert told == (106, "this room has too many members to list")
            stats = await ann.ask("presence_stats", channel="a")
            assert stats == {"num_clients": 3, "num_users": 3}

    run(main())
