"""permessage-deflate (RFC 7692) as clients meet it: from the offer to the last message."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from glyph_fast import core
from glyph_fast.options.config import Config
from glyph_fast.websocket.deflate import _negotiate_one
from glyph_fast.wire import OPEN
from tests.engine.desk import Desk, upgrade
from tests.running import echo_server, running

TEXT = '{"type":"quote","symbol":"ABC","bid":10.25,"ask":10.5}' * 20
NO_TAKEOVER = "server_no_context_takeover; client_no_context_takeover"


def desk(mode: str, **options: Any) -> Desk:
    desk = Desk(Config(compression=mode, **options))
    desk.websockets.add(None, "/ws", False)
    return desk


# One row an offer: what the 101 says under off, shared and dedicated. A number refuses.
OFFERS: list[tuple[str, str | int | None, str | int | None, str | int | None]] = [
    ("", None, None, None),
    (
        "permessage-deflate; client_max_window_bits",
        None,
        f"permessage-deflate; {NO_TAKEOVER}",
        "permessage-deflate; client_max_window_bits=12",
    ),
    ("x-webkit-deflate-frame", None, None, None),
    ("permessage-bzip2, permessage-deflate; server_max_window_bits=8", None, None, None),
    ("permessage-deflate; unknown=1", None, None, None),
    (
        "permessage-deflate; mode=x, permessage-deflate",
        None,
        f"permessage-deflate; {NO_TAKEOVER}",
        "permessage-deflate",
    ),
    (";", None, 400, 400),
    (",", None, None, None),
    ("permessage-deflate;", None, 400, 400),
    ("permessage-deflate; =1", None, 400, 400),
    ("permessage-deflate=1", None, 400, 400),
    ("permessage-deflate; a=", None, 400, 400),
    ("permessage-deflate; a b", None, 400, 400),
    ('permessage-deflate; a="', None, 400, 400),
    ('permessage-deflate; a=""', None, 400, 400),
    ('permessage-deflate; a="x y"', None, 400, 400),
    ("permessage deflate", None, 400, 400),
    ("permessage-deflate/1", None, 400, 400),
    ("permessage-d\xe9flate", None, 400, 400),
]


@pytest.mark.parametrize("mode", ["off", "shared", "dedicated"])
@pytest.mark.parametrize("row", OFFERS, ids=[row[0] or "none" for row in OFFERS])
def test_an_offer_is_answered_as_the_table_says(row, mode):
    expected = row[1 + ["off", "shared", "dedicated"].index(mode)]
    request = upgrade(Sec_WebSocket_Extensions=row[0])
    answer = desk(mode).answer(request)
    if isinstance(expected, int):
        assert answer.status == expected
    else:
        assert answer.status == 101
        assert answer.headers.get("sec-websocket-extensions") == expected


def test_offers_spread_over_fields_are_one_list():
    request = upgrade(Sec_WebSocket_Extensions="x-a").replace(
        b"Upgrade: websocket", b"Upgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate"
    )
    answer = desk("shared").answer(request)
    assert answer.headers["sec-websocket-extensions"] == f"permessage-deflate; {NO_TAKEOVER}"


def test_long_offers_are_answered_but_not_remembered():
    before = _negotiate_one.cache_info().currsize
    offer = "permessage-deflate; " + "x" * 300
    assert desk("shared").answer(upgrade(Sec_WebSocket_Extensions=offer)).status == 101
    assert _negotiate_one.cache_info().currsize == before


def test_a_compressed_frame_breaks_the_protocol_when_nothing_was_agreed():
    client = desk("off").client()
    client.send(upgrade(Sec_WebSocket_Extensions="permessage-deflate"))
    assert client.conn._phase == OPEN
    client.send(core.encode_frame(1, b"x", rsv1=True, key=b"abcd"))
    assert client.conn.close_code == 1002


def test_a_broadcast_is_compressed_once_and_shared_by_reference(monkeypatch):
    calls = []

    def encode_frame(*args: Any, **options: Any) -> bytes:
        calls.append(args)
        return core.encode_frame(*args, **options)

    monkeypatch.setattr("glyph_fast.websocket.deflate.encode_frame", encode_frame)
    here = desk("shared")
    room = core.Room()
    clients = [here.client() for _ in range(30)]
    for i, client in enumerate(clients):
        bits = "; server_max_window_bits=10" if i % 3 == 0 else ""
        client.send(upgrade(Sec_WebSocket_Extensions=f"permessage-deflate{bits}"))
        client.answers()
        client.conn.id = str(i)
        room.add(client.conn)
    frame = core.Frame(TEXT)
    assert room.publish(frame) == (30, 0, 0)
    here.turn.flush()
    assert len(calls) == 2  # a window size each
    assert frame.variants is not None and set(frame.variants) == {10, 15}
    for i, client in enumerate(clients):
        assert bytes(client.pipe.data).endswith(frame.variants[10 if i % 3 == 0 else 15])


@pytest.mark.parametrize("mode", ["shared", "dedicated"])
def test_messages_below_the_minimum_size_go_uncompressed(mode):
    client = desk(mode, compression_min_size=512).client()
    client.send(upgrade(Sec_WebSocket_Extensions="permessage-deflate"))
    client.answers()
    client.pipe.data.clear()
    for size, first in ((500, 0x81), (600, 0xC1)):
        client.conn.send("x" * size)
        client.turn.flush()
        assert client.pipe.data[0] == first
        client.pipe.data.clear()


# Over real sockets, with a foreign peer.


MESSAGES = [
    "",
    "short",
    TEXT,
    "grüße, 你好, 🎉 " * 200,
    b"",
    bytes(100_000),
    bytes(range(256)) * 40,
    TEXT + "again",
]


@pytest.mark.parametrize("mode", ["shared", "dedicated"])
@pytest.mark.parametrize("bits", [None, 9, 15])
def test_messages_survive_with_a_foreign_peer(backend, run, mode, bits):
    async def main() -> None:
        factory = ClientPerMessageDeflateFactory(
            server_max_window_bits=bits, client_max_window_bits=bits or True
        )
        async with (
            running(echo_server(), backend, compression=mode, compression_min_size=0) as url,
            connect(url.ws("/ws"), extensions=[factory], compression=None) as client,
        ):
            (extension,) = client.protocol.extensions
            assert extension.name == "permessage-deflate"
            for _ in range(3):
                for message in MESSAGES:
                    await client.send(message)
                    assert await client.recv() == message
            await client.send([TEXT[:500], "", TEXT[500:]])  # in fragments
            assert await client.recv() == TEXT

    run(main())


@pytest.mark.parametrize("mode", ["shared", "dedicated"])
def test_a_bomb_is_cut_with_1009_and_others_are_served(backend, run, mode):
    async def main() -> None:
        async with (
            running(echo_server(), backend, compression=mode, max_message_size=100_000) as url,
            connect(url.ws("/ws")) as bomber,
            connect(url.ws("/ws")) as bystander,
        ):
            deflater = zlib.compressobj(9, zlib.DEFLATED, -12)
            data = deflater.compress(bytes(50_000_000)) + deflater.flush(zlib.Z_SYNC_FLUSH)
            assert len(data) < 60_000
            frame = core.encode_frame(2, data[:-4], rsv1=True, key=b"\1\2\3\4")
            bomber.transport.write(frame)
            with pytest.raises(ConnectionClosed) as caught:
                await bomber.recv()
            assert caught.value.rcvd is not None and caught.value.rcvd.code == 1009
            await bystander.send("still here")
            assert await bystander.recv() == "still here"

    run(main())
