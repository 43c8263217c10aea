"""Tokens of connections and of subscriptions, by the ready-made authentication."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from glyph_fast.errors import ConnectionClosed
from glyph_fast.testing import TestClient, UpgradeRefused
from tests.centrifugal.speaking import PATH, Speaker, server_of, speaking

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]
SECRET = "x" * 32


def token(secret: str = SECRET, **claims: Any) -> str:
    return jwt.encode(claims, secret, "HS256")


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def in_(seconds: float) -> int:
    return int(time.time() + seconds)


def left(client: TestClient, ends_at: int) -> int:
    """Whole seconds until then by the server's clock, which stands still in a test."""
    return math.ceil(ends_at - client.hub._expiry.clock())


def test_a_token_says_who_it_is(run: Run) -> None:
    async def main() -> None:
        async with TestClient(server_of(jwt_secret=SECRET)) as client:
            speaker = Speaker(await client.connect(PATH))
            ends_at = in_(60)
            good = token(sub="ann", exp=ends_at, info={"name": "Ann"})
            result = await speaker.ask("connect", token=good)
            assert (result["expires"], result["ttl"]) == (True, left(client, ends_at))
            await speaker.ask("subscribe", channel="a")
            (info,) = (await speaker.ask("presence", channel="a"))["presence"].values()
            assert info == {
                "user": "ann", "client": result["client"], "conn_info": {"name": "Ann"}
            }  # fmt: skip
            await speaker.ask("publish", channel="a", data=1)
            assert (await speaker.push())["pub"]["info"]["user"] == "ann"

    run(main())


BAD: list[tuple[str, int]] = [
    ("", 3500),
    ("x.y.z", 3500),
    (token("y" * 32, sub="ann"), 3500),
    (token(sub="ann", channel="a"), 3500),
    (token(sub="ann", info="x" * 5000), 3500),
]


@pytest.mark.parametrize(("bad", "code"), BAD)
def test_who_has_no_good_one(run: Run, bad: str, code: int) -> None:
    async def main() -> None:
        async with TestClient(server_of(jwt_secret=SECRET)) as client:
            speaker = Speaker(await client.connect(PATH))
            await speaker.say({"id": 1, "connect": {"token": bad}})
            assert (await speaker.ended())[0] == code

    run(main())


def test_one_that_has_expired_is_an_error_to_come_back_from(run: Run) -> None:
    async def main() -> None:
        async with TestClient(server_of(jwt_secret=SECRET)) as client:
            speaker = Speaker(await client.connect(PATH))
            old = token(sub="ann", exp=in_(-60))
            assert await speaker.ask("connect", token=old) == (109, "token expired")
            await speaker.say({"id": 2, "connect": {"token": old}})
            assert (await speaker.ended())[0] == 3501
            assert len(client.hub) == 0

    run(main())


def test_a_connection_is_refreshed(run: Run) -> None:
    async def main() -> None:
        first = token(sub="ann", exp=in_(60))
        async with speaking(server_of(jwt_secret=SECRET), token=first) as (client, ann):
            ends_at = in_(600)
            second = token(sub="ann", exp=ends_at, info=1)
            result = await ann.ask("refresh", token=second)
            assert result["ttl"] == left(client, ends_at)
            (conn,) = client.hub.get_connections()
            assert conn.info == 1
            assert await ann.ask("refresh", token=token(sub="ann", exp=in_(-60))) == (
                109, "token expired"
            )  # fmt: skip
            await ann.say({"id": 9, "refresh": {"token": token(sub="bob")}})
            assert (await ann.ended())[0] == 3500

    run(main())


ROOMS: dict[str, dict[str, Any]] = {"private": {"presence": True}}


def test_a_subscriptions_token_lets_in_where_nothing_else_does(run: Run) -> None:
    async def main() -> None:
        server = server_of(ROOMS, jwt_secret=SECRET)
        async with speaking(server, token=token(sub="ann")) as (client, ann):
            assert (await ann.ask("subscribe", channel="private"))[0] == 103
            for bad, code in (
                ("x", 103),
                (token("y" * 32, sub="ann", channel="private"), 103),
                (token(sub="ann", channel="private", exp=in_(-60)), 109),
            ):
                assert (await ann.ask("subscribe", channel="private", token=bad))[0] == code
            ends_at = in_(60)
            good = token(sub="ann", channel="private", exp=ends_at)
            result = await ann.ask("subscribe", channel="private", token=good)
            assert (result["expires"], result["ttl"]) == (True, left(client, ends_at))
            assert (await ann.ask("publish", channel="private", data=1))[0] == 103

    run(main())


FOREIGN = [
    {"sub": "bob", "channel": "private"}, {"sub": "ann", "channel": "other"}, {"sub": "ann"},
    {"channel": "private"}, {"sub": "ann", "channel": "private", "client": "other"},
]  # fmt: skip


@pytest.mark.parametrize("claims", FOREIGN, ids=str)
def test_one_of_another_ends_the_connection(run: Run, claims: dict[str, Any]) -> None:
    async def main() -> None:
        server = server_of(ROOMS, jwt_secret=SECRET)
        async with speaking(server, token=token(sub="ann")) as (_client, ann):
            fields = {"channel": "private", "token": token(**claims)}
            await ann.say({"id": 9, "subscribe": fields})
            assert (await ann.ended())[0] == 3500

    run(main())


def test_a_subscription_ends_unless_it_is_refreshed(run: Run) -> None:
    async def main() -> None:
        server = server_of({"*": {}}, jwt_secret=SECRET, ping_interval=0)
        async with speaking(server, token=token(sub="ann")) as (client, ann):
            for name in ("a", "b"):
                good = token(sub="ann", channel=name, exp=in_(10))
                await ann.ask("subscribe", channel=name, token=good)
            await client.advance(20)
            longer = token(sub="ann", channel="b", exp=in_(600))
            result = await ann.ask("sub_refresh", channel="b", token=longer)
            assert result["expires"]
            await client.advance(20)
            assert await ann.push() == {
                "channel": "a", "unsubscribe": {"code": 2501, "reason": "subscription expired"}
            }  # fmt: skip
            (conn,) = client.hub.get_connections()
            assert conn.get_rooms() == ["b"]

    run(main())


def test_without_keys_no_token_lets_in(run: Run) -> None:
    async def main() -> None:
        async with speaking(server_of(ROOMS)) as (_client, ann):
            good = token(sub="ann", channel="private")
            assert (await ann.ask("subscribe", channel="private", token=good))[0] == 103

    run(main())


def test_a_unidirectional_client_whose_token_has_expired(run: Run) -> None:
    async def main() -> None:
        async with TestClient(server_of(jwt_secret=SECRET)) as client:
            socket = await client.connect("/connection/uni_websocket")
            await socket.send(json.dumps({"token": token(sub="ann", exp=in_(-60))}))
            with pytest.raises(ConnectionClosed) as ended:
                await socket.receive()
            assert ended.value.code == 3005

    run(main())


def test_a_subscriptions_token_opens_no_connection_of_ours(run: Run) -> None:
    async def main() -> None:
        server = server_of({"*": {}}, jwt_secret=SECRET)
        server.on_connect("/ours")(lambda conn: None)
        of_channel = token(sub="ann", channel="a")
        async with TestClient(server) as client:
            with pytest.raises(UpgradeRefused, match="401"):
                await client.connect("/ours", headers=bearer(of_channel))
            ours = await client.connect("/ours", headers=bearer(token(sub="ann")))
            asked = {"type": "json", "event": "auth_refresh", "data": {"token": of_channel}}
            await ours.send_json(asked)
            answer = await ours.receive()
            assert "error" in answer and "none of a connection" in answer

    run(main())
