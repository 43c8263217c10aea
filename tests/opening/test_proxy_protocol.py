"""The PROXY protocol: its two headers, whose they may be, and what they lead to."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph_fast import Config, ConfigError, Server
from glyph_fast.engine.crc32c import crc32c
from glyph_fast.opening.proxy_protocol import MAX_EXTRA, SIGNATURE, ProxyHeader, read_proxy_header
from glyph_fast.wire import TEXT
from tests.engine.certificates import Certificate
from tests.engine.desk import Client, Desk, head, upgrade
from tests.engine.peers import UPGRADE, Peer
from tests.running import running

LINE = b"PROXY TCP4 192.0.2.1 203.0.113.9 50000 443\r\n"


def binary(
    source: str = "192.0.2.1",
    target: str = "203.0.113.9",
    *,
    command: int = 0x21,
    family: int | None = None,
    extra: bytes = b"",
    size: int | None = None,
) -> bytes:
    """A header of version 2."""
    addresses = [ipaddress.ip_address(each) for each in (source, target)]
    body = b"".join(each.packed for each in addresses) + struct.pack(">HH", 50000, 443) + extra
    known = 0x11 if addresses[0].version == 4 else 0x21
    return (
        SIGNATURE
        + bytes([command, known if family is None else family])
        + (len(body) if size is None else size).to_bytes(2, "big")
        + body
    )


def checked(header: bytes, extra: bytes = b"") -> bytes:
    """The header with a checksum and `extra` behind it."""
    size = len(header) - 16 + 7 + len(extra)
    begin = header[:14] + size.to_bytes(2, "big") + header[16:] + b"\x03\x00\x04"
    return begin + crc32c(begin + bytes(4) + extra).to_bytes(4, "big") + extra


NOOP = b"\x04\x00\x03abc"
# As HAProxy 2.6 sends it by `send-proxy-v2 proxy-v2-options crc32c,unique-id`.
HAPROXYS = bytes.fromhex(
    "0d0a0d0a000d0a515549540a211100207f0000017f000001bc204c19"
    "0300044ddb41da05000a31373935363632363933"
)
SIX = b"PROXY TCP6 2001:DB8::1 2001:db8:0::2 1 65535\r\n"
UNIX = bytes(216)
HEADERS: list[tuple[bytes, str | None]] = [
    (LINE, "192.0.2.1"),
    (SIX, "2001:db8::1"),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
    (binary(), "192.0.2.1"),
    (binary("2001:db8::1", "2001:db8::2"), "2001:db8::1"),
    (binary("::ffff:192.0.2.1", "::1"), "192.0.2.1"),
    (binary(extra=NOOP), "192.0.2.1"),  # what else a proxy may tell
    (binary(extra=bytes(MAX_EXTRA - 13)), "192.0.2.1"),
    (HAPROXYS, "127.0.0.1"),
    (checked(binary()), "192.0.2.1"),
    (checked(binary(extra=NOOP), NOOP), "192.0.2.1"),
    (checked(binary("2001:db8::1", "2001:db8::2")), "2001:db8::1"),
    (binary(command=0x20, extra=b"\x03\x00\x04abcd"), None),  # of LOCAL all is to be ignored
    (binary(command=0x20), None),  # LOCAL: the proxy's own health check
    (SIGNATURE + b"\x20\x00\x00\x00", None),
    (SIGNATURE + b"\x20\xff\x00\x02ab", None),
    (SIGNATURE + b"\x21\x00\x00\x00", None),  # a family that is not told
    (SIGNATURE + b"\x21\x31" + len(UNIX).to_bytes(2, "big") + UNIX, None),
]


@pytest.mark.parametrize(("data", "source"), HEADERS)
def test_a_header_tells_the_source_and_takes_no_byte_more(data: bytes, source: str | None) -> None:
    assert read_proxy_header(data) == ProxyHeader(len(data), source)
    assert read_proxy_header(data + b"GET / HTTP/1.1") == ProxyHeader(len(data), source)


@pytest.mark.parametrize(("data", "source"), HEADERS)
def test_a_part_of_a_header_is_no_header_yet(data: bytes, source: str | None) -> None:
    assert [read_proxy_header(data[:size]) for size in range(len(data))] == [None] * len(data)


BAD: list[bytes] = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"\r\nGET",
    b"PUT ",
    b"PROXY TCP4 192.0.2.1 203.0.113.9 50000\r\n",
    b"PROXY TCP4 192.0.2.1 203.0.113.9 50000 443 1\r\n",
    b"PROXY  TCP4 192.0.2.1 203.0.113.9 50000 443\r\n",
    b"PROXY TCP4 192.0.2.256 203.0.113.9 50000 443\r\n",
    b"PROXY TCP4 192.0.2.01 203.0.113.9 50000 443\r\n",
    b"PROXY TCP4 192.0.2.1 203.0.113.9 65536 443\r\n",
    b"PROXY TCP4 192.0.2.1 203.0.113.9 050 443\r\n",
    b"PROXY TCP4 192.0.2.1 203.0.113.9 -1 443\r\n",
    b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
    b"PROXY TCP6 192.0.2.1 203.0.113.9 1 2\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    b"PROXY UDP4 192.0.2.1 203.0.113.9 1 2\r\n",
    b"PROXY UNKNOWN \x00\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY TCP4 192.0.2.1 203.0.113.9 1 2\n",
    b"proxy TCP4 192.0.2.1 203.0.113.9 1 2\r\n",
    b"PROXY UNKNOWN " + b"x" * 200,
    b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",  # 108 bytes
    SIGNATURE + b"\x11\x11\x00\x0c",  # version 1 in binary
    SIGNATURE + b"\x22\x11\x00\x0c",  # an unknown command
    SIGNATURE + b"\x22",
    SIGNATURE[:-1] + b"\r",
    binary(family=0x12),  # datagrams
    binary(family=0x10),
    binary(family=0x41),
    binary(family=0x21),  # too short for its family
    SIGNATURE + b"\x21\x11\x00\x0bshort header",
    SIGNATURE + b"\x21\x31\x00\x0c" + bytes(12),
    binary(size=MAX_EXTRA + 1),
    binary(extra=b"\x04"),
    binary(extra=b"\x04\x00"),
    binary(extra=b"\x04\x00\x04abc"),  # longer than the header
    binary(extra=NOOP + b"\x04\xff\xff"),
    binary(extra=b"\x03\x00\x04" + bytes(4)),  # a wrong checksum
    binary(extra=b"\x03\x00\x03" + bytes(3)),
    HAPROXYS[:20] + b"\x01" + HAPROXYS[21:],
    HAPROXYS[:-1] + b"4",
    checked(binary())[:-1] + bytes([checked(binary())[-1] ^ 1]),
    checked(binary("192.0.2.1")).replace(b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02"),
    checked(checked(binary())),  # two of them
    SIGNATURE + b"\x20\x00\xff\xff",
]


@pytest.mark.parametrize("data", BAD)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="PROXY header"):
        read_proxy_header(data)


@given(st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE]), st.binary(max_size=300))
def test_any_bytes_are_a_header_or_none(begin: bytes, rest: bytes) -> None:
    try:
        found = read_proxy_header(begin + rest)
    except ValueError as exc:
        assert "PROXY header" in str(exc)
        return
    assert found is None or 0 < found.size <= len(begin + rest)


# What comes of it, without sockets.


def desk_of(**options: Any) -> Desk:
    desk = Desk(Config(proxy_protocol=True, **options))
    desk.websockets.add(None, "/ws", False)
    desk.get("/", lambda request: request.remote)
    return desk


def proxied(desk: Desk, peer: str = "10.0.0.1") -> Client:
    """A connection as the engine makes it when the PROXY protocol is on."""
    client = desk.client()
    client.conn.peername = (peer, 50000)
    client.conn._expect_body()
    return client


@pytest.mark.parametrize("header", [LINE, binary()])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_requests_behind_a_header_have_its_address(header: bytes, size: int) -> None:
    desk = desk_of()
    client = proxied(desk)
    data = header + head("GET /") + upgrade()
    for at in range(0, len(data), size):
        client.send(data[at : at + size])
    first, second = client.answers()
    assert (first.body, second.status) == (b"192.0.2.1", 101)
    assert desk.opened[0].remote == desk.opened[0].request.remote == "192.0.2.1"
    assert desk.opened[0].peername == ("10.0.0.1", 50000)


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", binary(command=0x20)])
def test_a_proxy_that_speaks_for_itself_keeps_its_address(header: bytes) -> None:
    (answer,) = proxied(desk_of()).send(header + head("GET /")).answers()
    assert answer.body == b"10.0.0.1"


def test_limits_count_by_the_headers_address() -> None:
    desk = desk_of(max_connections_per_ip=1)
    statuses = []
    for number in (1, 2, 1):
        client = proxied(desk).send(binary(f"192.0.2.{number}") + upgrade())
        statuses += [answer.status for answer in client.answers()]
    assert statuses == [101, 101, 429]


def test_a_second_header_is_a_bad_request() -> None:
    (answer,) = proxied(desk_of()).send(LINE + LINE + head("GET /")).answers()
    assert answer.status == 400


def test_fields_of_a_trusted_proxy_behind_the_one_of_the_header_count_too() -> None:
    desk = desk_of(trusted_proxies=["10.0.0.1", "192.0.2.1"])
    fields = {"X-Forwarded-For": "198.51.100.1"}
    (answer,) = proxied(desk).send(LINE + head("GET /", fields)).answers()
    assert answer.body == b"198.51.100.1"
    (answer,) = proxied(desk).send(binary("192.0.2.2") + head("GET /", fields)).answers()
    assert answer.body == b"192.0.2.2"


@pytest.mark.parametrize("data", [head("GET /"), BAD[4], SIGNATURE + b"\x20\x00\xff\xff"])
def test_without_a_header_the_connection_ends_without_an_answer(data: bytes) -> None:
    desk = desk_of()
    client = proxied(desk).send(data)
    assert client.is_ended
    assert client.pipe.data == b""
    assert desk.metrics.connections_rejected == {"proxy": 1}


def test_headers_of_others_than_trusted_proxies_end_the_connection() -> None:
    desk = desk_of(trusted_proxies=["10.0.0.1"])
    assert proxied(desk, "10.0.0.2").send(LINE + head("GET /")).is_ended
    assert not proxied(desk, "10.0.0.1").send(LINE + head("GET /")).is_ended
    assert desk.metrics.connections_rejected == {"proxy": 1}


def test_a_header_that_trickles_in_has_the_time_of_a_head() -> None:
    desk = desk_of(head_timeout=10)
    client = proxied(desk)
    now = 100.0
    for at in range(12):
        client.send(LINE[at : at + 1])
        desk.turn.sweep(now + at)
        desk.turn.flush()
        assert client.is_ended == (at >= 10)
    assert client.pipe.data == b""
    assert desk.metrics.connections_rejected == {"proxy": 1}


def test_after_the_header_a_head_has_its_own_time() -> None:
    desk = desk_of(head_timeout=10)
    client = proxied(desk)
    desk.turn.sweep(100.0)
    client.send(LINE + b"GET / HTTP")
    desk.turn.sweep(109.0)
    desk.turn.sweep(118.0)
    assert not client.is_ended
    desk.turn.sweep(119.0)
    desk.turn.flush()
    assert [answer.status for answer in client.answers()] == [408]


def test_a_body_is_still_a_body() -> None:
    desk = desk_of()

    async def echo(request: Any) -> bytes:
        return bytes(await request.body())

    desk.route("POST", "/echo", echo)
    client = proxied(desk).send(LINE + head("POST /echo", body=b"hello")[:-2])
    client.send(b"lo")
    (answer,) = client.answers()
    assert answer.body == b"hello"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com"])
def test_who_may_send_headers_must_be_said_where_others_can_connect(host: str) -> None:
    with pytest.raises(ConfigError, match="proxy_protocol needs trusted_proxies"):
        Config(host=host, proxy_protocol=True)
    Config(host=host, proxy_protocol=True, trusted_proxies=["10.0.0.0/8"])
    Config(host="127.0.0.1", proxy_protocol=True)
    Config(host=host, uds="/tmp/a", proxy_protocol=True)


# With sockets.


def server_of(**options: Any) -> Server:
    server = Server(Config(proxy_protocol=True, **options))
    server.get("/")(lambda request: request.remote or "nobody")
    server.on_message()(lambda ctx: ctx.reply("text", ctx.conn.remote))
    return server


async def conversation(peer: Peer) -> tuple[bytes, bytes]:
    """What an HTTP route and a WebSocket take the peer's address for."""
    peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    body = (await peer.answer())[2]
    peer.write(UPGRADE % b"/ws")
    assert (await peer.answer())[0] == 101
    peer.send(TEXT, b"?")
    return body, (await peer.frame())[1]


@pytest.mark.parametrize("header", [LINE, binary(), SIX, binary("2001:db8::1", "::1")])
def test_plain_connections(backend: Any, run: Callable[..., Any], header: bytes) -> None:
    async def main() -> None:
        async with running(server_of(), backend) as url:
            peer = await url.peer()
            peer.write(header)
            address = read_proxy_header(header).source.encode()  # type: ignore[union-attr]
            assert await conversation(peer) == (address, address)
            await peer.close()
            peer = await url.peer()
            peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await peer.rest() == b""
            await peer.close()

    run(main())


def test_unix_sockets(backend: Any, run: Callable[..., Any], tmp_path: Any) -> None:
    async def main() -> None:
        path = str(tmp_path / "socket")
        async with running(server_of(), backend, uds=path, trusted_proxies=["10.0.0.1"]) as url:
            peer = await url.peer()
            peer.write(LINE)
            assert await conversation(peer) == (b"192.0.2.1", b"192.0.2.1")
            await peer.close()

    run(main())


async def connect_tls(address: Any, certificate: Certificate, *pieces: bytes) -> Peer:
    """A TLS client behind a proxy that sends its header in pieces."""
    reader, writer = await asyncio.open_connection(*address)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        for _ in range(5):  # the server, in the same loop, reads one piece before the next
            await asyncio.sleep(0)
    context = ssl.create_default_context(cafile=certificate.cert)
    await writer.start_tls(context, server_hostname="localhost")
    return Peer(reader, writer)


@pytest.mark.parametrize("header", [LINE, binary("2001:db8::1", "::1")])
def test_the_header_stands_before_tls(
    backend: Any, run: Callable[..., Any], certificate: Certificate, header: bytes
) -> None:
    server = server_of(tls_cert=certificate.cert, tls_key=certificate.key)
    address = read_proxy_header(header).source.encode()  # type: ignore[union-attr]

    async def main() -> None:
        async with running(server, backend) as url:
            for pieces in ([header], [header[:3], header[3:20], header[20:]]):
                peer = await connect_tls(url.address, certificate, *pieces)
                assert await conversation(peer) == (address, address)
                await peer.close()
            for bad in (b"\x16\x03\x01\x02", BAD[4], header[:-1] + b"x" * 200):
                peer = await url.peer()
                peer.write(bad)
                assert await peer.rest() == b""
                await peer.close()

    run(main())


def test_a_peer_that_says_nothing_before_tls_is_closed_in_time(
    backend: Any, run: Callable[..., Any], certificate: Certificate
) -> None:
    server = server_of(tls_cert=certificate.cert, tls_key=certificate.key, head_timeout=0.1)

    async def main() -> None:
        async with running(server, backend) as url:
            for begin in (b"", LINE[:5], SIGNATURE):
                peer = await url.peer()
                peer.write(begin)
                assert await peer.rest() == b""
                await peer.close()

    run(main())


def test_a_wrong_checksum_ends_the_connection(backend: Any, run: Callable[..., Any]) -> None:
    server = server_of()

    async def main() -> None:
        async with running(server, backend) as url:
            good, bad = await url.peer(), await url.peer()
            good.write(HAPROXYS)
            assert await conversation(good) == (b"127.0.0.1", b"127.0.0.1")
            bad.write(HAPROXYS[:-1] + b"4" + UPGRADE % b"/ws")
            assert await bad.rest() == b""
            await good.close()
            await bad.close()

    run(main())
    assert server.hub.metrics.connections_rejected["proxy"] == 1
