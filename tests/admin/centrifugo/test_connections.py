"""What commands do to connections: of a user, of one id, of nobody."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.admin.operated import TOKEN, Client, Site, operated

KEY = {"X-API-Key": TOKEN}
Run = Callable[..., Any]


async def do(site: Site, method: str, **body: Any) -> Any:
    """The answer to a command; the bearer token of `site.http` would make it ours."""
    del site.http.headers["authorization"]
    try:
        answer = await site.http.post(f"/api/{method}", json=body, headers=KEY)
    finally:
        site.http.headers["authorization"] = f"Bearer {TOKEN}"
    assert answer.status_code == 200, answer.text
    return answer.json()


DONE: dict[str, Any] = {"result": {}}


async def closed(client: Client) -> tuple[int | None, str | None]:
    await client.socket.wait_closed()
    return client.socket.close_code, client.socket.close_reason


def test_a_subscription_is_of_a_user_or_of_one_connection(backend: Any, run: Run) -> None:
    async def main() -> None:
        async with operated(backend) as site:
            ada, phone = await site.connect("?user=ada"), await site.connect("?user=ada")
            eve = await site.connect()
            members = site.server.hub.get_room_manager().get_room_size
            assert await do(site, "subscribe", user="ada", channel="r") == DONE
            assert members("r") == 2
            assert await do(site, "subscribe", user="ada", channel="r") == DONE
            assert await do(site, "subscribe", channel="nobody") == DONE
            assert members("nobody") == 1
            for other in ({"user": "eve"}, {"client": ada.id}, {"user": "ada", "session": "s"}):
                assert await do(site, "subscribe", channel="other", **other) == DONE
            assert members("other") == 0
            await do(site, "subscribe", user="ada", client=phone.id, channel="one")
            assert members("one") == 1
            await do(site, "publish", channel="one", data="hello")
            assert await phone.json() == "hello"
            assert await do(site, "unsubscribe", user="ada", client=ada.id, channel="r") == DONE
            assert members("r") == 1
            assert await do(site, "unsubscribe", user="ada", channel="") == DONE
            assert members("r") == members("one") == 0
            assert await eve.echo("still here") == "still here"

    run(main())


def test_a_full_room_is_an_error(backend: Any, run: Run) -> None:
    async def main() -> None:
        async with operated(backend, max_room_members=1) as site:
            await site.connect("?user=ada"), await site.connect("?user=ada")
            answer = await do(site, "subscribe", user="ada", channel="r")
            assert answer["error"]["code"] == 106 and "full" in answer["error"]["message"]

    run(main())


def test_a_disconnect_has_a_code_and_spares_some(backend: Any, run: Run) -> None:
    async def main() -> None:
        async with operated(backend) as site:
            ada, phone = await site.connect("?user=ada"), await site.connect("?user=ada")
            assert await do(site, "disconnect", user="ada", whitelist=[phone.id]) == DONE
            assert await closed(ada) == (3503, "force disconnect")
            how = {"code": 4001, "reason": "bye"}
            assert await do(site, "disconnect", user="ada", disconnect=how) == DONE
            assert await closed(phone) == (4001, "bye")
            assert await do(site, "disconnect", user="ada") == DONE

    run(main())


def test_a_refresh_sets_the_end_and_what_others_see(backend: Any, run: Run) -> None:
    async def main() -> None:
        async with operated(backend) as site:
            ada = await site.connect("?user=ada")
            conn = site.server.hub.get_connection(ada.id)
            assert conn is not None
            assert await do(site, "refresh", user="ada", info={"name": "Ada"}) == DONE
            assert conn.info == {"name": "Ada"}
            assert await do(site, "refresh", user="ada", expire_at=int(time.time()) + 900) == DONE
            assert conn.info == {"name": "Ada"} and len(site.server.hub._expiry) == 1
            assert await do(site, "refresh", user="ada") == DONE
            assert len(site.server.hub._expiry) == 0
            assert await do(site, "refresh", user="ada", expired=True) == DONE
            assert await closed(ada) == (3005, "connection expired")

    run(main())


def test_a_session_is_of_a_stream(backend: Any, run: Run) -> None:
    async def main() -> None:
        async with operated(backend) as site:
            ada = await site.connect("?user=ada")
            hub = site.server.hub
            conn = hub.get_connection(ada.id)
            assert conn is not None
            session = hub._sessions.begin(conn)
            await do(site, "subscribe", user="ada", session=session, channel="r")
            assert conn.get_rooms() == ["r"]

    run(main())
