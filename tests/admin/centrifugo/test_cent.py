"""Centrifugo's own library `cent`: both clients, against servers of one and of two processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cent
import pytest
from websockets.exceptions import ConnectionClosed

from tests.admin.operated import TOKEN
from tests.serving import ServeProcess, serving
from tests.workers.clients import APP, WITHIN_S, Client, clients_of_each, eventually


class Site:
    """A server with an operators' port, and the library's client for it."""

    def __init__(self, serve: ServeProcess, workers: int) -> None:
        assert serve.process.stdout is not None
        self.api = serve.process.stdout.readline().decode().split()[-1] + "/api"
        self.workers = workers
        self.client = cent.Client(self.api, api_key=TOKEN, timeout=WITHIN_S)
        self._serve = serve

    def clients(self, user: str = "", many: int = 1) -> Any:
        """So many connections of each worker, all of one user."""
        return clients_of_each(self._serve.ws(f"/ws?user={user}"), self.workers, many)


@pytest.fixture(scope="module", params=[1, 2], ids=["alone", "workers"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    options = ["--workers", str(request.param)] if request.param > 1 else []
    options += ["--admin", "127.0.0.1:0", "--admin-token", TOKEN]
    with serving("program:server", *options, cwd=APP) as started:
        yield Site(started, request.param)


def everyone(of_each: list[list[Client]]) -> list[Client]:
    return [client for clients in of_each for client in clients]


def test_a_publication_reaches_members_everywhere(site: Site) -> None:
    with site.clients() as of_each:
        clients = everyone(of_each)
        for client in clients:
            client.join("plain")
        done = site.client.publish(cent.PublishRequest(channel="plain", data={"text": "grüße"}))
        assert (done.offset, done.epoch) == (0, "")
        for client in clients:
            assert client.next() == {"text": "grüße"}
        tagged = cent.PublishRequest(
            channel="plain", data=None, b64data="eyJ4IjoxfQ==", tags={"event": "move", "a": "b"}
        )
        site.client.publish(tagged)
        for client in clients:
            message = client.next()
            assert (message["event"], message["data"]) == ("move", {"x": 1})
            assert message["metadata"] == {"a": "b"}
        site.client.publish(cent.PublishRequest(channel="plain", data=None, b64data="/wA="))
        for client in clients:
            assert client.socket.recv(timeout=WITHIN_S) == b"\xff\x00"


def test_a_publication_with_a_key_has_one_place(site: Site) -> None:
    request = cent.PublishRequest(channel="kept:once", data=1, idempotency_key="first")
    with site.clients() as of_each:
        clients = everyone(of_each)
        for client in clients:
            client.join("kept:once")
        first, again = site.client.publish(request), site.client.publish(request)
        assert first == again and first.offset == 1
        second = cent.BroadcastRequest(channels=["kept:once", "kept:other"], data=2)
        one, other = site.client.broadcast(second).responses
        assert one.result is not None and one.result.offset == 2
        assert other.result is not None and other.result.offset == 1
        for client in clients:
            assert [client.next()["data"] for _ in range(2)] == [1, 2]


def test_history_is_paged_and_removed(site: Site) -> None:
    for n in range(5):
        site.client.publish(cent.PublishRequest(channel="kept:pages", data={"n": n}))
    ask, latest = (
        cent.HistoryRequest,
        site.client.history(cent.HistoryRequest(channel="kept:pages")),
    )
    assert (latest.publications, latest.offset) == ([], 5)
    page = site.client.history(
        ask(channel="kept:pages", limit=2, since=cent.StreamPosition(offset=1, epoch=latest.epoch))
    )
    assert [each.data["n"] for each in page.publications] == [1, 2]
    newest = site.client.history(ask(channel="kept:pages", limit=2, reverse=True))
    assert [each.offset for each in newest.publications] == [5, 4]
    with pytest.raises(cent.CentApiResponseError) as caught:
        since = cent.StreamPosition(offset=1, epoch="other")
        site.client.history(ask(channel="kept:pages", limit=2, since=since))
    assert caught.value.code == 112
    site.client.history_remove(cent.HistoryRemoveRequest(channel="kept:pages"))
    assert site.client.history(ask(channel="kept:pages", limit=-1)).publications == []


def test_a_user_is_subscribed_and_unsubscribed_everywhere(site: Site) -> None:
    with site.clients("ada") as of_each:  # and perhaps others, to get one of each worker
        ids = {client.id for client in everyone(of_each)}
        site.client.subscribe(cent.SubscribeRequest(user="ada", channel="here:sub"))
        presence = eventually(lambda: here if ids <= {*(here := in_channel(site))} else None)
        assert {each.user for each in presence.values()} == {"ada"}
        stats = site.client.presence_stats(cent.PresenceStatsRequest(channel="here:sub"))
        assert (stats.num_clients, stats.num_users) == (len(presence), 1)
        found = site.client.channels(cent.ChannelsRequest(pattern="here:s*")).channels
        assert {name: n.num_clients for name, n in found.items()} == {"here:sub": len(presence)}
        one = ids.pop()
        site.client.unsubscribe(cent.UnsubscribeRequest(user="ada", channel="here:sub", client=one))
        eventually(lambda: one not in in_channel(site))
        assert ids <= {*in_channel(site)}
        site.client.unsubscribe(cent.UnsubscribeRequest(user="ada", channel="here:sub"))
        eventually(lambda: not in_channel(site))


def in_channel(site: Site) -> Any:
    """Who is in the channel."""
    return site.client.presence(cent.PresenceRequest(channel="here:sub")).presence


def test_a_user_is_refreshed_and_disconnected_everywhere(site: Site) -> None:
    with site.clients("bob", many=2) as of_each:
        clients = everyone(of_each)
        request = cent.RefreshRequest(user="bob", expire_at=int(time.time()) + 900)
        site.client.refresh(request)
        site.client.refresh(cent.RefreshRequest(user="bob", client=clients[0].id, expired=True))
        assert closed(clients[0]) == 3005
        kept = clients[1].id
        how = cent.Disconnect(code=4001, reason="bye")
        site.client.disconnect(cent.DisconnectRequest(user="bob", whitelist=[kept], disconnect=how))
        assert [closed(client) for client in clients[2:]] == [4001] * len(clients[2:])
        site.client.disconnect(cent.DisconnectRequest(user="bob"))
        assert closed(clients[1]) == 3503


def closed(client: Client) -> int | None:
    with pytest.raises(ConnectionClosed):
        client.socket.recv(timeout=WITHIN_S)
    return client.socket.close_code


def test_info_has_a_node_for_each_process(site: Site) -> None:
    with site.clients("eve") as of_each:
        everyone(of_each)[0].join("info")
        nodes = site.client.info(cent.InfoRequest()).nodes
        assert len({each.uid for each in nodes}) == len(nodes) == site.workers
        assert sum(each.num_clients for each in nodes) >= site.workers
        assert sum(each.num_subs for each in nodes) >= 1
        assert all(each.version and each.name and each.num_users >= 1 for each in nodes)


def test_a_batch_is_done_in_order(site: Site) -> None:
    requests = [
        cent.PublishRequest(channel="kept:batch", data=1),
        cent.BroadcastRequest(channels=["kept:batch"], data=2),
        cent.HistoryRequest(channel="kept:batch", limit=10),
        cent.ChannelsRequest(),
    ]
    replies: Any = site.client.batch(cent.BatchRequest(requests=requests, parallel=True)).replies
    assert replies[0].offset == 1
    assert replies[1].responses[0].result.offset == 2
    assert [each.data for each in replies[2].publications] == [1, 2]


def test_what_is_not_here_says_so(site: Site) -> None:
    for request, call in [
        (cent.PublishRequest(channel="kept:x", data=1, skip_history=True), site.client.publish),
        (cent.PresenceRequest(channel="plain"), site.client.presence),
        (cent.HistoryRequest(channel="plain"), site.client.history),
        (cent.SubscribeRequest(user="u", channel="c", info={"a": 1}), site.client.subscribe),
        (cent.ConnectionsRequest(user="u", expression=""), site.client.connections),
        (cent.BlockUserRequest(user="u"), site.client.block_user),
    ]:
        with pytest.raises(cent.CentApiResponseError) as caught:
            call(request)  # type: ignore[operator]
        assert caught.value.code == 108
    with pytest.raises(cent.CentApiResponseError, match="data is missing") as bad:
        site.client.publish(cent.PublishRequest(channel="c", data=None))
    assert bad.value.code == 107


def test_another_key_is_unauthorized(site: Site) -> None:
    other = cent.Client(site.api, api_key="wrong")
    with pytest.raises(cent.CentUnauthorizedError):
        other.info(cent.InfoRequest())


def test_the_client_for_asyncio(site: Site) -> None:
    async def main() -> None:
        async with cent.AsyncClient(site.api, api_key=TOKEN, timeout=WITHIN_S) as client:
            many = [
                client.publish(cent.PublishRequest(channel="kept:async", data=n)) for n in range(20)
            ]
            done = await asyncio.gather(*many)
            assert sorted(each.offset for each in done) == [*range(1, 21)]
            history = await client.history(cent.HistoryRequest(channel="kept:async", limit=-1))
            assert sorted(each.data for each in history.publications) == [*range(20)]
            assert len((await client.info(cent.InfoRequest())).nodes) == site.workers

    asyncio.run(main())


def test_threads_share_a_key(site: Site) -> None:
    request = cent.PublishRequest(channel="kept:race", data=1, idempotency_key="race")
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: cent.Client(site.api, TOKEN).publish(request), range(16)))
    assert {each.offset for each in done} == {1}
