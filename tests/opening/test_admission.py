"""Limits by address: connections at a time, handshakes in a time, and the memory they take."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from glyph_fast import Config, ConfigError, Reject, Server
from glyph_fast.http.request import Request
from glyph_fast.opening.admission import Admission, HandshakeRate
from glyph_fast.options.values import Rate
from glyph_fast.wire import PING, PONG, TEXT
from tests.engine.desk import Answer, Desk, upgrade
from tests.engine.peers import UPGRADE, Peer, eventually
from tests.running import Url, running


class TestHandshakeRate:
    def test_a_burst_and_then_the_rate(self) -> None:
        rate = HandshakeRate(Rate(2.0, 3))
        assert [rate.take("a", 100.0) for _ in range(4)] == [0, 0, 0, pytest.approx(0.5)]
        assert rate.take("a", 100.4) == pytest.approx(0.1)
        assert rate.take("a", 100.5) == 0
        assert rate.take("a", 100.6) == pytest.approx(0.4)

    def test_networks_do_not_share_a_bucket(self) -> None:
        rate = HandshakeRate(Rate(1.0, 1))
        assert rate.take("a", 0.0) == rate.take("b", 0.0) == 0
        assert rate.take("a", 0.0) > 0 < rate.take("b", 0.0)

    def test_a_refusal_does_not_put_the_next_one_off(self) -> None:
        rate = HandshakeRate(Rate(1.0, 1))
        rate.take("a", 0.0)
        for _ in range(1000):
            assert rate.take("a", 0.5) == pytest.approx(0.5)
        assert rate.take("a", 1.0) == 0

    def test_it_never_holds_more_than_the_burst(self) -> None:
        rate = HandshakeRate(Rate(10.0, 2))
        assert [rate.take("a", 1e6) > 0 for _ in range(3)] == [False, False, True]

    def test_sums_of_seconds_do_not_cost_a_token(self) -> None:
        rate = HandshakeRate(Rate(3.0, 1))
        assert [rate.take("a", 1e6 + n / 3.0) for n in range(1000)] == [0] * 1000

    def test_many_addresses_take_bounded_memory(self) -> None:
        rate = HandshakeRate(Rate(0.001, 1), limit=100)
        for number in range(10_000):
            rate.take(f"192.0.2.{number}", number * 1e-6)
            assert len(rate) <= 101
        assert rate.take("192.0.2.9999", 0.01) > 0  # the latest are remembered

    def test_buckets_that_are_full_again_are_forgotten(self) -> None:
        rate = HandshakeRate(Rate(1.0, 1))
        for number in range(1000):
            rate.take(str(number), 0.0)
        for number in range(1000):
            rate.take(f"later {number}", 2.0)
        assert len(rate) == 1000
        rate.take("one", 4.0)
        rate.take("two", 4.0)
        assert len(rate) == 998


def test_connections_that_are_gone_leave_nothing_behind() -> None:
    admission = Admission(Config(max_connections_per_ip=2))
    conns: list[Any] = [object() for _ in range(1000)]
    for number, conn in enumerate(conns):
        admission.opened(conn, f"2001:db8:{number:x}::1")
    for conn in [*conns, object(), *conns]:  # one that never opened, and some twice
        admission.closed(conn)
    assert not admission._counts and not admission._networks


def desk_of(**options: Any) -> Desk:
    authenticate = options.pop("authenticate", None)
    desk = Desk(Config(**options), authenticate=authenticate)
    desk.websockets.add(None, "/ws", False)
    return desk


def ask(desk: Desk, address: str, **fields: str) -> Answer:
    client = desk.client()
    client.conn.peername = (address, 50000)
    (answer,) = client.send(upgrade(**fields)).answers()
    return answer


def test_connections_beyond_those_of_an_address_are_refused() -> None:
    desk = desk_of(max_connections_per_ip=2)
    addresses = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"]
    assert [ask(desk, each).status for each in addresses] == [101, 101, 429, 101]
    refused = ask(desk, "192.0.2.1")
    assert refused.json == {"error": "too many connections from this address"}
    assert not refused.keeps_alive
    assert desk.metrics.connections_rejected == {"address": 2}


def test_an_ipv6_network_counts_as_one_address() -> None:
    desk = desk_of(max_connections_per_ip=1)
    addresses = ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::", "2001:db8:0:1::1"]
    assert [ask(desk, each).status for each in addresses] == [101, 429, 429, 101]


def test_an_ipv4_address_counts_the_same_through_an_ipv6_socket() -> None:
    desk = desk_of(max_connections_per_ip=1)
    assert [ask(desk, each).status for each in ("::ffff:192.0.2.1", "192.0.2.1")] == [101, 429]


def test_a_refused_handshake_says_when_to_come_again() -> None:
    desk = desk_of(handshake_rate="6/m:2")
    answers = [ask(desk, "192.0.2.1") for _ in range(3)]
    assert [each.status for each in answers] == [101, 101, 429]
    assert answers[2].headers["retry-after"] == "10"
    assert answers[2].json == {"error": "too many handshakes from this address"}
    assert desk.metrics.connections_rejected == {"rate": 1}


def test_handshakes_that_fail_count_and_requests_do_not() -> None:
    desk = desk_of(handshake_rate="1/m:3")
    desk.get("/", lambda request: "hello")
    for _ in range(5):
        assert desk.ask("GET /").status == 200
    statuses = [
        ask(desk, "192.0.2.7", **fields).status
        for fields in ({"Sec_WebSocket_Key": "x"}, {"Origin": "http://evil"}, {}, {})
    ]
    assert statuses == [400, 403, 101, 429]


def test_the_authenticator_is_not_asked_beyond_the_rate() -> None:
    asked = []
    desk = desk_of(handshake_rate="1/m:2", authenticate=lambda request: asked.append(request))
    for _ in range(5):
        ask(desk, "192.0.2.1")
    assert len(asked) == 2


def test_behind_a_trusted_proxy_the_clients_address_counts() -> None:
    desk = desk_of(max_connections_per_ip=1, trusted_proxies=["10.0.0.0/8"])
    statuses = [
        ask(desk, peer, X_Forwarded_For=told).status
        for peer, told in [
            ("10.0.0.1", "192.0.2.1"), ("10.0.0.2", "192.0.2.2"), ("10.0.0.2", "192.0.2.1"),
            ("192.0.2.3", "192.0.2.99"), ("192.0.2.3", "192.0.2.98"),
        ]
    ]  # fmt: skip
    assert statuses == [101, 101, 429, 101, 429]
    assert [conn.remote for conn in desk.opened] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert desk.opened[0].request.remote == "192.0.2.1"


def test_a_trusted_proxy_that_speaks_nonsense_gets_400() -> None:
    desk = desk_of(trusted_proxies=["10.0.0.1"])
    desk.get("/", lambda request: request.remote)
    assert ask(desk, "10.0.0.1", X_Forwarded_For="nonsense").status == 400
    assert ask(desk, "10.0.0.2", X_Forwarded_For="nonsense").status == 101
    assert desk.opened[0].remote == "10.0.0.2"


def test_each_request_of_a_proxys_connection_has_its_own_client() -> None:
    desk = desk_of(trusted_proxies=["192.0.2.7"])
    desk.get("/", lambda request: request.remote)
    lines = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.%d\r\n\r\n"
    answers = desk.client().send(lines % 1 + lines % 2).answers()
    assert [each.body for each in answers] == [b"198.51.100.1", b"198.51.100.2"]


# X-Forwarded-Proto, X-Forwarded-Host and Origin of a handshake; Host is inner.example:8080
ORIGINS = [
    ("https", "example.com", "https://example.com", 101),
    ("https", "example.com", "https://example.com:443", 101),
    ("https", "example.com", "http://example.com", 403),
    ("https", "example.com", "https://inner.example:8080", 403),
    ("https", "example.com:8443", "https://example.com:8443", 101),
    ("https", "example.com:8443", "https://example.com", 403),
    ("https", "[2001:db8::1]", "https://[2001:db8:0::1]", 101),
    ("http", "example.com", "http://example.com", 101),
    ("https", "example.com.", "https://example.com", 403),
    ("https", "example.com.", "https://example.com.", 101),
    ("", "", "http://inner.example:8080", 101),
    ("https", "", "https://inner.example:8080", 101),
    ("https", "example.com", "null", 403),
]


@pytest.mark.parametrize(("scheme", "host", "origin", "status"), ORIGINS)
def test_behind_a_trusted_proxy_the_origin_is_compared_with_what_the_client_asked_for(
    scheme: str, host: str, origin: str, status: int
) -> None:
    common = {"X_Forwarded_Proto": scheme, "X_Forwarded_Host": host}
    pairs = [f'{name}="{value}"' for name, value in (("proto", scheme), ("host", host)) if value]
    for fields in (common, {"Forwarded": ";".join(["for=192.0.2.1", *pairs])}):
        fields = {**fields, "Host": "inner.example:8080", "Origin": origin}
        desk = desk_of(trusted_proxies=["10.0.0.1"])
        assert ask(desk, "10.0.0.1", **fields).status == status
        # An untrusted peer's fields change nothing.
        own = 101 if origin.endswith("//inner.example:8080") else 403
        assert ask(desk, "192.0.2.1", **fields).status == own


def test_a_connection_that_ends_makes_room_for_another(backend: Any, run: Any) -> None:
    server = Server(Config(max_connections_per_ip=2))
    server.websocket("/ws")

    async def main() -> None:
        async with running(server, backend) as url:
            peers = [await url.peer() for _ in range(4)]
            for peer in peers[:3]:
                peer.write(UPGRADE % b"/ws")
            statuses = [(await peer.answer())[0] for peer in peers[:3]]
            assert sorted(statuses) == [101, 101, 429]
            await peers[statuses.index(101)].close()
            await eventually(lambda: len(server.hub) == 1)
            peers[3].write(UPGRADE % b"/ws")
            assert (await peers[3].answer())[0] == 101
            for peer in peers:
                await peer.close()

    run(main())


class Doorman:
    """An authenticator that waits until its gate is open: a server that has one, and a limit."""

    def __init__(self, **limit: int) -> None:
        self.gate = asyncio.Event()
        self.asked = self.cancelled = 0
        self.server = Server(Config(**limit))  # type: ignore[arg-type]
        self.server.websocket("/ws")
        self.server.authenticate(self.decide)

    async def decide(self, request: Any) -> str:
        self.asked += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if request.query.get("user") == "eve":
            raise Reject(401, "no")
        return {"ada": "Ada"}[request.query["user"]]


LIMITS = pytest.mark.parametrize(
    ("limit", "status", "reason"),
    [("max_connections", 503, "full"), ("max_connections_per_ip", 429, "address")],
)


async def asking(url: Url, user: bytes = b"ada") -> Peer:
    """A peer that has asked to be let in."""
    peer = await url.peer()
    peer.write(UPGRADE % (b"/ws?user=" + user))
    return peer


@LIMITS
def test_upgrades_whose_authentication_takes_time_count_until_it_ends(
    limit: str, status: int, reason: str, backend: Any, run: Any
) -> None:
    async def main() -> None:
        door = Doorman(**{limit: 3})
        async with running(door.server, backend) as url:
            peers = [await asking(url, user) for user in (b"ada", b"eve", b"nobody")]
            await eventually(lambda: door.asked == 3)
            peers.append(await asking(url))
            assert (await peers[3].answer())[0] == status
            assert door.asked == 3
            assert door.server.hub.metrics.connections_rejected == {reason: 1}
            door.gate.set()
            assert [(await peer.answer())[0] for peer in peers[:3]] == [101, 401, 500]
            # One is in, so there is room for two, and for no third.
            for expected in (101, 101, status):
                peers.append(await asking(url))
                assert (await peers[-1].answer())[0] == expected
            for peer in peers:
                await peer.close()

    run(main())


@LIMITS
def test_one_that_leaves_while_it_is_authenticated_makes_room(
    limit: str, status: int, reason: str, backend: Any, run: Any
) -> None:
    async def main() -> None:
        door = Doorman(**{limit: 1})
        async with running(door.server, backend) as url:
            peer = await asking(url)
            await eventually(lambda: door.asked)
            peer.reset()
            door.gate.set()
            turn = door.server.hub._turn
            assert turn is not None
            await eventually(lambda: not len(turn))
            peers = []
            for expected in (101, status):
                peers.append(await asking(url))
                assert (await peers[-1].answer())[0] == expected
            for peer in peers:
                await peer.close()

    run(main())


@pytest.mark.parametrize("leave", ["close", "write_eof", "reset"])
def test_the_authenticator_of_one_that_leaves_is_cancelled(
    backend: Any, run: Any, leave: str
) -> None:
    async def main() -> None:
        door = Doorman(max_connections=1)
        async with running(door.server, backend) as url:
            peer = await asking(url)
            await eventually(lambda: door.asked)
            if leave == "reset":
                peer.reset()
            else:
                getattr(peer.writer, leave)()
            await eventually(lambda: door.cancelled)
            door.gate.set()
            other = await asking(url)
            assert (await other.answer())[0] == 101
            await other.close()
            await peer.close()
        assert not door.server.hub.metrics.connections_rejected
        assert not door.server.hub.metrics.handler_errors

    run(main())


def test_frames_behind_a_request_that_waits_for_its_authenticator_are_kept(
    backend: Any, run: Any
) -> None:
    async def main() -> None:
        door = Doorman()
        door.server.on_message()(lambda ctx: ctx.conn.send(ctx.message.raw))
        async with running(door.server, backend) as url:
            peer = await asking(url)
            await eventually(lambda: door.asked)
            for number in range(100):
                peer.send(TEXT, b"%d" % number)
                await asyncio.sleep(0)
            door.gate.set()
            assert (await peer.answer())[0] == 101
            assert [await peer.frame() for _ in range(100)] == [
                (TEXT, b"%d" % number) for number in range(100)
            ]
            await peer.close()

    run(main())


@LIMITS
def test_a_wait_that_nobody_waits_for_or_that_is_cancelled_holds_no_room(
    limit: str, status: int, reason: str, run: Any
) -> None:
    async def main() -> None:
        wait = asyncio.Event().wait
        desk = desk_of(**{limit: 1}, authenticate=lambda request: wait())
        left = desk.client().send(upgrade())
        assert ask(desk, "192.0.2.7").status == status
        left.conn._lost()
        desk.turn.flush()
        waiting = desk.client().send(upgrade())
        assert waiting.answers() == []
        assert ask(desk, "192.0.2.7").status == status
        await desk.opening.exchanges.finish(0)
        await asyncio.sleep(0)
        assert [each.status for each in waiting.answers()] == [503]
        assert desk.client().send(upgrade()).answers() == []
        await desk.opening.exchanges.finish(0)
        assert not desk.opening._handshakes._pending and not desk.opening._admission._counts

    run(main())


def seen(request: Request) -> list[object]:
    """What a program can see of who asked for what."""
    return [request.remote, request.scheme, request.host, request.headers["host"]]


PROXY_SAYS = [
    (b"", ["127.0.0.1", "http", "example.com", "example.com"]),
    (
        b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n"
        b"X-Forwarded-Host: chat.example:8443\r\n",
        ["192.0.2.1", "https", "chat.example:8443", "example.com"],
    ),
    (
        b'Forwarded: for=192.0.2.1;proto=https;host="chat.example"\r\n',
        ["192.0.2.1", "https", "chat.example", "example.com"],
    ),
    (b"X-Forwarded-Proto: https\r\n", ["127.0.0.1", "https", "example.com", "example.com"]),
    (b"X-Forwarded-Host: chat.example\r\n", ["127.0.0.1", "http", "chat.example", "example.com"]),
    (
        b"X-Forwarded-Proto: wss\r\nX-Forwarded-Host: example.com\r\n",
        ["127.0.0.1", "https", "example.com", "example.com"],
    ),
]


@pytest.mark.parametrize(("fields", "expected"), PROXY_SAYS)
@pytest.mark.parametrize("is_trusted", [True, False])
def test_what_a_proxy_says_is_seen_before_and_after_the_upgrade(
    backend: Any, run: Any, fields: bytes, expected: list[object], is_trusted: bool
) -> None:
    if not is_trusted:
        expected = PROXY_SAYS[0][1]
    server = Server(Config(trusted_proxies=["127.0.0.1"] if is_trusted else []))
    server.get("/")(seen)
    heard: dict[str, object] = {}

    @server.authenticate
    def authenticate(request: Request) -> str:
        heard["authenticate"] = seen(request)
        return "ada"

    server.on_connect(lambda conn: heard.update(connect=seen(conn.request)))
    server.on_message()(lambda ctx: ctx.conn.send_json(seen(ctx.conn.request)))
    server.on_disconnect(lambda conn: heard.update(disconnect=seen(conn.request)))

    async def main() -> None:
        async with running(server, backend) as url:
            peer = await url.peer()
            peer.write(b"GET / HTTP/1.1\r\nHost: example.com\r\n" + fields + b"\r\n")
            assert json.loads((await peer.answer())[2]) == expected
            peer.write((UPGRADE % b"/ws")[:-2] + fields + b"\r\n")
            assert (await peer.answer())[0] == 101
            peer.send(TEXT, b"?")
            assert json.loads((await peer.frame())[1]) == expected
            await peer.close()
            await eventually(lambda: "disconnect" in heard)

    run(main())
    assert heard == dict.fromkeys(("authenticate", "connect", "disconnect"), expected)


@pytest.mark.parametrize("option", ["max_connections_per_ip", "handshake_rate"])
def test_a_unix_sockets_peers_need_a_proxy_that_names_them(option: str) -> None:
    value = {"max_connections_per_ip": 1, "handshake_rate": "1/s"}[option]
    with pytest.raises(ConfigError, match="needs trusted_proxies with uds"):
        Config(uds="/tmp/a", **{option: value})  # type: ignore[arg-type]
    Config(uds="/tmp/a", trusted_proxies=["127.0.0.1"], **{option: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("is_proxy", [True, False])
def test_idle_connections_beyond_those_of_an_address_are_closed(
    backend: Any, run: Any, is_proxy: bool
) -> None:
    asked, gate = asyncio.Event(), asyncio.Event()
    proxies = ["127.0.0.1"] if is_proxy else []
    # The sweeps come as often as the shortest time-out asks for.
    server = Server(Config(max_connections_per_ip=3, trusted_proxies=proxies, write_timeout=0.1))
    server.websocket("/ws")
    server.get("/")(lambda request: "hello")

    @server.get("/slow")
    async def slow(request: Request) -> str:
        asked.set()
        await gate.wait()
        return "slow"

    async def main() -> None:
        async with running(server, backend) as url:
            open_, busy, used = [await url.peer() for _ in range(3)]
            await open_.upgrade(b"/ws")
            busy.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            await asked.wait()
            used.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await used.answer())[0] == 200
            silent = [await url.peer() for _ in range(10)]
            turn = server.hub._turn
            assert turn is not None
            await eventually(lambda: len(turn) == (13 if is_proxy else 4))
            await asyncio.sleep(0.2)  # some sweeps more, which must cut nobody else
            assert len(turn) == (13 if is_proxy else 4)
            gate.set()
            assert (await busy.answer())[2] == b"slow"
            used.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await used.answer())[0] == 200
            open_.send(PING, b"there")
            assert await open_.frame() == (PONG, b"there")
            for peer in (open_, busy, used, *silent):
                await peer.close()

    run(main())
    refused = server.hub.metrics.connections_rejected
    assert refused == ({} if is_proxy else {"address": 9})
