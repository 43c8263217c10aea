"""Every limit of a server: what whoever goes beyond it hears, and what counts it.

`LIMITS` is the table of docs/limits.md, row by row; a test compares the two. Each case goes to the
limit, where all is well, and one step beyond it.
"""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from glyph_fast import Config, Connection, Server
from glyph_fast.core import encode_frame
from glyph_fast.http.head import MAX_FIELDS
from glyph_fast.hub.hub import Hub
from glyph_fast.hub.metrics import MAX_CODES, OTHER_CODE, Metrics
from glyph_fast.options.config import FIELDS
from glyph_fast.options.values import Rate
from glyph_fast.wire import BINARY, CONTINUATION, MAX_BODY, MAX_HEAD, MAX_REQUEST_LINE, PING, TEXT
from tests.engine.peers import MASK, UPGRADE, Peer, eventually
from tests.running import Url, running

PAGE = Path(__file__).parents[1] / "docs" / "limits.md"


class Site(NamedTuple):
    """A server that runs, and where."""

    url: Url
    server: Server
    gate: asyncio.Event  # handlers of /slow wait for it

    async def opened(self, path: bytes = b"/ws", *fields: str) -> Peer:
        peer = await self.url.peer()
        head = UPGRADE % path
        peer.write(head[:-2] + "".join(f"{each}\r\n" for each in fields).encode() + b"\r\n")
        assert (await peer.answer())[0] == 101
        return peer

    async def status(self, head: bytes) -> int:
        """The status of the answer to a request on a connection of its own."""
        peer = await self.url.peer()
        peer.write(head)
        status = (await peer.answer())[0]
        await peer.close()
        return status


class Case(NamedTuple):
    """One row: the limit as the page names it, options that make it small, what to do, and the
    figure (a path in the snapshot) that must have the value then."""

    limit: str
    options: dict[str, Any]
    act: Callable[[Site], Awaitable[None]]
    figure: str
    value: int = 1


async def refuse_second(site: Site, status: int) -> None:
    first = await site.opened()
    assert await site.status(UPGRADE % b"/ws") == status
    await first.close()


async def full(site: Site) -> None:
    await refuse_second(site, 503)


async def too_many(site: Site) -> None:
    await refuse_second(site, 429)


async def handshakes(site: Site) -> None:
    first = await site.opened()
    peer = await site.url.peer()
    peer.write(UPGRADE % b"/ws")
    status, headers, _ = await peer.answer()
    assert (status, int(headers["retry-after"]) > 0) == (429, True)
    for each in (first, peer):
        await each.close()


async def command(peer: Peer, type_: str, room: str) -> str:
    """What comes of a built-in message: the error, or the status."""
    peer.send(TEXT, json.dumps({"type": type_, "room": room}).encode())
    data = json.loads((await peer.frame())[1])["data"]
    return str(data.get("error") or data["status"])


async def room_members(site: Site) -> None:
    one, two = await site.opened(), await site.opened()
    assert await command(one, "join_room", "r") == "joined"
    assert await command(two, "join_room", "r") == "room is full"
    for peer in (one, two):
        await peer.close()


async def rooms_of_one(site: Site) -> None:
    peer = await site.opened()
    assert await command(peer, "join_room", "a") == "joined"
    assert await command(peer, "join_room", "b") == "a connection may be in 1 rooms at a time"
    assert await command(peer, "leave_room", "a") == "left"
    assert await command(peer, "join_room", "b") == "joined"
    await peer.close()


async def room_name(site: Site) -> None:
    peer = await site.opened()
    assert await command(peer, "join_room", "é" * 2) == "joined"
    assert await command(peer, "join_room", "é" * 2 + "x") == "a room name is at most 4 bytes long"
    await peer.close()


async def room_name_characters(site: Site) -> None:
    peer = await site.opened()
    for name in ("a\nb", "\x00", "\x7f", "\x85"):
        assert await command(peer, "join_room", name) == "a room name has no control characters"
    assert await command(peer, "join_room", "") == "room must be text and not empty"
    assert await command(peer, "join_room", "a 😀/#*") == "joined"
    await peer.close()


async def message_size(site: Site) -> None:
    peer = await site.opened()
    peer.send(BINARY, bytes(100))
    assert await peer.frame() == (BINARY, bytes(100))
    peer.send(BINARY, bytes(60), fin=False)
    peer.send(CONTINUATION, bytes(41))
    assert await peer.close_code() == 1009
    await peer.close()


async def inflated_size(site: Site) -> None:
    peer = await site.opened(b"/ws", "Sec-WebSocket-Extensions: permessage-deflate")
    deflater = zlib.compressobj(wbits=-15)
    bomb = (deflater.compress(bytes(1 << 20)) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(bomb) < 1100
    peer.write(encode_frame(BINARY, bomb, rsv1=True, key=MASK))
    assert await peer.close_code() == 1009
    await peer.close()


async def empty_fragments(site: Site) -> None:
    peer = await site.opened()
    peer.send(BINARY, b"", fin=False)
    peer.write(encode_frame(CONTINUATION, b"", fin=False, key=MASK) * 65536)
    assert await peer.close_code() == 1008
    await peer.close()


async def control_frame(site: Site) -> None:
    peer = await site.opened()
    peer.send(PING, bytes(125))
    assert len((await peer.frame())[1]) == 125
    peer.write(b"\x89\xfe\x00\x7e" + MASK + bytes(126))
    assert await peer.close_code() == 1002
    await peer.close()


async def rate_drops(site: Site) -> None:
    peer = await site.opened()
    for text in (b"one", b"two", b"three"):
        peer.send(TEXT, text)
    peer.send(PING, b"!")  # control frames do not count
    assert [await peer.frame() for _ in range(2)] == [(10, b"!"), (TEXT, b"one")]
    await peer.close()


async def rate_disconnects(site: Site) -> None:
    peer = await site.opened()
    peer.send(TEXT, b"one")
    assert await peer.frame() == (TEXT, b"one")
    peer.send(TEXT, b"two")
    assert await peer.close_code() == 1008
    await peer.close()


async def slow_receiver(site: Site) -> None:
    """A receiver reads nothing, so at some time the kernel takes no more and the queue is full."""
    peer = await site.opened()
    (conn,) = site.server.hub.get_connections()
    while not conn.messages_dropped and conn.is_open:
        conn.send(bytes(50_000))
        await asyncio.sleep(0)
    await peer.close()


async def write_timeout(site: Site) -> None:
    peer = await site.opened()
    (conn,) = site.server.hub.get_connections()
    while conn.is_open:
        conn.send(bytes(50_000))
        await asyncio.sleep(0.001)
    assert conn.close_code == 4008
    await peer.close()


async def inbox(site: Site) -> None:
    """Reading pauses, so that nothing is refused and nothing lost."""
    peer = await site.opened(b"/slow")
    for number in range(200):
        peer.send(TEXT, str(number).encode() * 10_000)
    (conn,) = site.server.hub.get_connections()
    await eventually(lambda: conn.messages_received >= 2)
    assert conn.messages_received < 200
    site.gate.set()
    for number in range(200):
        assert await peer.frame() == (TEXT, str(number).encode())
    await peer.close()


async def missed_pongs(site: Site) -> None:
    peer = await site.opened()
    while (frame := await peer.frame())[0] == PING:
        pass
    assert frame[1][:2] == (1011).to_bytes(2, "big")
    await peer.close()


async def close_timeout(site: Site) -> None:
    peer = await site.opened()
    (conn,) = site.server.hub.get_connections()
    conn.close(4321)
    assert await peer.frame() == (8, (4321).to_bytes(2, "big"))
    assert await peer.rest() == b""
    await peer.close()


async def request_line(site: Site) -> None:
    filler = b"a" * (MAX_REQUEST_LINE - len(b"GET / HTTP/1.1"))
    assert await site.status(b"GET /" + filler + b" HTTP/1.1\r\nHost: a\r\n\r\n") == 404
    assert await site.status(b"GET /" + filler + b"a HTTP/1.1\r\nHost: a\r\n\r\n") == 414


async def head_size(site: Site) -> None:
    head = b"GET /http HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n"
    filler = b"a" * (MAX_HEAD - len(head) + 2)
    assert await site.status(head % filler) == 200
    assert await site.status(head % (filler + b"a")) == 431


async def header_fields(site: Site) -> None:
    head = b"GET /http HTTP/1.1\r\nHost: a\r\n%s\r\n"
    assert await site.status(head % (b"X: y\r\n" * (MAX_FIELDS - 1))) == 200
    assert await site.status(head % (b"X: y\r\n" * MAX_FIELDS)) == 431


async def head_timeout(site: Site) -> None:
    assert await site.status(b"GET / HTTP/1.1\r\n") == 408
    silent = await site.url.peer()
    assert await silent.rest() == b""  # who asked nothing is answered nothing
    await silent.close()


async def keep_alive_timeout(site: Site) -> None:
    head = b"GET /http HTTP/1.1\r\nHost: a\r\n\r\n"
    peer = await site.url.peer()
    for _ in range(2):
        peer.write(head)
        assert (await peer.answer())[0] == 200
    assert await peer.rest() == b""
    await peer.close()


async def body_rate(site: Site) -> None:
    peer = await site.url.peer()
    peer.write(b"POST /http HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")

    async def trickle() -> None:
        while True:
            peer.write(b"b")
            await asyncio.sleep(0.01)

    trickling = asyncio.create_task(trickle())
    assert (await peer.answer())[0] == 408
    trickling.cancel()
    await asyncio.wait({trickling})
    await peer.close()


async def body_size(site: Site) -> None:
    head = b"POST /http HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    peer = await site.url.peer()
    peer.write(head % MAX_BODY)
    assert (await peer.answer())[0] == 100
    await peer.close()
    assert await site.status(head % (MAX_BODY + 1)) == 413


async def second_body(site: Site, status: int) -> None:
    head = b"POST /http HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
    first = await site.url.peer()
    first.write(head + b"he")
    assert await site.status(b"GET /http HTTP/1.1\r\nHost: a\r\n\r\n") == 200  # a turn later
    assert await site.status(head + b"hello") == status
    first.write(b"llo")
    assert (await first.answer())[0] == 200
    assert await site.status(head + b"hello") == 200
    await first.close()


async def bodies_of_an_address(site: Site) -> None:
    await second_body(site, 429)


async def bodies_in_all(site: Site) -> None:
    await second_body(site, 503)


async def origin(site: Site) -> None:
    host = str(site.url).removeprefix("http://")
    fields = f"Host: {host}\r\nOrigin: http://{host}".encode()
    good = (UPGRADE % b"/ws").replace(b"Host: example.com", fields)
    assert await site.status(good) == 101
    assert await site.status(good.replace(b"Origin: http://", b"Origin: https://x")) == 403


async def unproxied(site: Site) -> None:
    peer = await site.url.peer()
    peer.write(UPGRADE % b"/ws")
    assert await peer.rest() == b""
    await peer.close()


BIG = {"queue_messages": 4, "queue_bytes": 200_000, "write_timeout": 30}
LIMITS = [
    Case("--max-connections", {"max_connections": 1}, full, "connections_rejected.full"),
    Case("--max-connections-per-ip", {"max_connections_per_ip": 1}, too_many,
         "connections_rejected.address"),
    Case("--max-connections-per-user", {"max_connections_per_user": 1}, too_many,
         "connections_rejected.user"),
    Case("--handshake-rate", {"handshake_rate": "1/h"}, handshakes, "connections_rejected.rate"),
    Case("--allowed-origin", {}, origin, "connections_rejected.origin"),
    Case("--proxy-protocol", {"proxy_protocol": True}, unproxied, "connections_rejected.proxy"),
    Case("--max-room-members", {"max_room_members": 1}, room_members, "commands_refused"),
    Case("max_members of a [declared room](python.md#declared-rooms)",
         {"rooms": {"r": {"client_join": True, "max_members": 1}}}, room_members,
         "commands_refused"),
    Case("--max-rooms-per-connection", {"max_rooms_per_connection": 1}, rooms_of_one,
         "commands_refused"),
    Case("--max-room-name", {"max_room_name": 4}, room_name, "commands_refused"),
    Case("characters of a room's name", {}, room_name_characters, "commands_refused", 5),
    Case("--max-message-size", {"max_message_size": 100}, message_size, "disconnects.1009"),
    Case("--max-message-size, inflated", {"max_message_size": 2000, "compression": "shared"},
         inflated_size, "disconnects.1009"),
    Case("empty fragments of a message", {}, empty_fragments, "disconnects.1008"),
    Case("size of a control frame", {}, control_frame, "disconnects.1002"),
    Case("--rate-limit", {"rate_limit": "1/h"}, rate_drops, "messages_dropped.rate", 2),
    Case("--byte-rate-limit", {"byte_rate_limit": "3/h"}, rate_drops, "messages_dropped.rate", 2),
    Case("--rate-policy disconnect", {"rate_limit": "1/h", "rate_policy": "disconnect"},
         rate_disconnects, "disconnects.1008"),
    Case("--queue-messages, drop_oldest", BIG, slow_receiver, "messages_dropped.oldest"),
    Case("--queue-messages, drop_newest", {**BIG, "queue_policy": "drop_newest"}, slow_receiver,
         "messages_dropped.newest"),
    Case("--queue-messages, block", {**BIG, "queue_policy": "block"}, slow_receiver,
         "messages_dropped.block"),
    Case("--queue-messages, disconnect", {**BIG, "queue_policy": "disconnect"}, slow_receiver,
         "disconnects.4008"),
    Case("--queue-bytes", {"queue_bytes": 60_000, "write_timeout": 30}, slow_receiver,
         "messages_dropped.oldest"),
    Case("--write-timeout", {"write_timeout": 0.1, "close_timeout": 0.1}, write_timeout,
         "disconnects.4008"),
    Case("--close-timeout", {"close_timeout": 0.05}, close_timeout, "disconnects.4321"),
    Case("--inbox-messages", {"inbox_messages": 2}, inbox, "messages_received", 200),
    Case("--inbox-bytes", {"inbox_bytes": 20_000}, inbox, "messages_received", 200),
    Case("--max-missed-pongs", {"ping_interval": 0.02, "max_missed_pongs": 2}, missed_pongs,
         "disconnects.1011"),
    Case("request line, 8 KiB", {}, request_line, "requests_refused.414"),
    Case("request head, 64 KiB", {}, head_size, "requests_refused.431"),
    Case("header fields, 256", {}, header_fields, "requests_refused.431"),
    Case("--max-body-size", {}, body_size, "requests_refused.413"),
    Case("requests with a body under way, of one address", {"max_connections_per_ip": 1},
         bodies_of_an_address, "requests_refused.429"),
    Case("requests with a body under way, in all", {"max_connections": 1}, bodies_in_all,
         "requests_refused.503"),
    Case("request body below 1 KiB/s", {"head_timeout": 0.1}, body_rate, "requests_refused.408"),
    Case("--head-timeout", {"head_timeout": 0.1}, head_timeout, "requests_refused.408"),
    Case("--keep-alive-timeout", {"keep_alive_timeout": 0.1, "head_timeout": 60},
         keep_alive_timeout, "", 0),  # nothing is refused
]  # fmt: skip


def server_of(options: dict[str, Any], gate: asyncio.Event) -> Server:
    server = Server(Config(**options))
    server.room("*", client_join=True)
    if "max_connections_per_user" in options:
        server.authenticate(lambda request: "ada")
    server.on_message("text", "/ws")(lambda ctx: ctx.reply("text", ctx.message.data))
    server.on_message("binary", "/ws")(lambda ctx: ctx.reply("binary", ctx.message.data))
    server.get("/http")(lambda: "hello")
    server.post("/http")(lambda: "hello")

    @server.on_message("json", "/slow")
    @server.on_message("text", "/slow")
    async def slow(ctx: Any) -> None:
        await gate.wait()
        data = ctx.message.data
        ctx.reply("text", data[: len(data) // 10_000])

    return server


def figure(server: Server, path: str) -> int:
    found: Any = server.hub.metrics.snapshot()
    for step in path.split("."):
        found = found.get(step, 0)
    return int(found)


@pytest.mark.parametrize("case", LIMITS, ids=lambda case: case.limit)
def test_beyond_a_limit_there_is_an_answer_and_a_count(
    case: Case, backend: Any, run: Callable[..., Any]
) -> None:
    async def main() -> None:
        gate = asyncio.Event()
        server = server_of(case.options, gate)
        async with running(server, backend, drain_timeout=5) as url:
            assert figure(server, case.figure) == 0
            await case.act(Site(url, server, gate))
            await eventually(lambda: figure(server, case.figure) >= case.value)
            if "oldest" not in case.figure:  # what the kernel takes meanwhile is its business
                assert figure(server, case.figure) == case.value
            if not case.options.get("proxy_protocol"):  # and the others are still served
                assert await site_is_well(Site(url, server, gate))

    run(main())


async def site_is_well(site: Site) -> bool:
    return await site.status(b"GET /http HTTP/1.1\r\nHost: a\r\n\r\n") == 200


def test_the_page_has_the_table() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)
    told = {re.sub(r"[`]", "", row[0]): row for row in rows}
    for case in LIMITS:
        assert case.limit in told, case.limit
        name, _, label = case.figure.partition(".")
        counter = told[case.limit][3]
        assert f'"{label}"' in counter if label and label != "4321" else name in counter, case
    for limit, row in told.items():  # the defaults are those of the options
        option = re.match(r"--([a-z-]+)", limit)
        if option:
            name = option[1].replace("-", "_").replace("allowed_origin", "allowed_origins")
            assert name in FIELDS, limit
            if FIELDS[name].default_text:
                assert FIELDS[name].default_text in row[1], limit


def test_the_file_of_the_page_is_accepted() -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    config = Config(**tomllib.loads(text))
    assert (config.rate_limit, config.byte_rate_limit) == (Rate(20, 100), Rate(65536, 1 << 20))
    assert config.trusted_proxies == ("10.0.0.0/8",)


def test_the_pages_handler_tells_what_the_client_asked_the_proxy_for(backend, run) -> None:
    (text,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    server = Server(Config(trusted_proxies=["127.0.0.1"]))
    server.websocket("/ws")
    exec(text, {"server": server, "Connection": Connection})
    fields = (
        b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.b\r\n\r\n"
    )

    async def main() -> None:
        async with running(server, backend) as url:
            peer = await url.peer()
            peer.write((UPGRADE % b"/ws")[:-2] + fields)
            assert (await peer.answer())[0] == 101
            told = {"from": "192.0.2.1", "at": "https://a.b"}
            assert json.loads((await peer.frame())[1]) == told
            await peer.close()

    run(main())


# What clients choose takes bounded memory.


def test_close_codes_of_clients_are_told_apart_up_to_a_number() -> None:
    metrics = Metrics()
    for code in range(3000, 5000):
        metrics.count_disconnect(code)
    assert len(metrics.disconnects) == MAX_CODES + 1
    assert metrics.disconnects[OTHER_CODE] == 2000 - MAX_CODES
    assert metrics.disconnects[3000] == 1
    metrics.count_disconnect(3000)
    assert metrics.disconnects[3000] == 2


def test_names_that_clients_choose_are_forgotten(backend: Any, run: Callable[..., Any]) -> None:
    """Rooms, ids of requests, events, paths, header fields: whatever was sent, nothing stays."""
    server = server_of({"max_rooms_per_connection": 10}, asyncio.Event())

    def held(hub: Hub) -> tuple[int, ...]:
        metrics = hub.metrics
        counts = metrics.connections_rejected, metrics.disconnects, metrics.requests_refused
        return len(hub.get_room_manager()), len(hub), *map(len, counts)

    async def main() -> None:
        async with running(server, backend) as url:
            site = Site(url, server, asyncio.Event())
            for number in range(30):
                peer = await site.opened(f"/ws?{number}".encode(), f"X-{number}: {number}")
                for room in range(10):
                    text = {"type": "join_room", "room": f"{number}-{room}", "id": f"i{number}"}
                    peer.send(TEXT, json.dumps(text).encode())
                    peer.send(TEXT, json.dumps({"event": f"e{number}-{room}"}).encode())
                    answers = [(await peer.frame())[1] for _ in range(2)]
                    assert b"joined" in answers[0]
                assert await command(peer, "join_room", "one more") != "joined"
                assert await site.status(UPGRADE % f"/{number}".encode()) == 404
                assert await site.status(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number) == 404
                assert await site.status(b"M%d / HTTP/1.1\r\nHost: a\r\n\r\n" % number) == 501
                await peer.close()
            await eventually(lambda: not len(server.hub))
            assert held(server.hub) == (0, 0, 1, 1, 1)

    run(main())
