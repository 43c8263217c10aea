"""Refused upgrades: the status where clients see one, a close code where a library asks for it."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast.errors import Reject
from glyph_fast.options.config import Config
from tests.engine.desk import Desk, head, upgrade

OFFER = "glyph-fast, bearer, s3cret"


def desk(*args, **options) -> Desk:
    made = Desk(*args, **options)
    made.websockets.add(None, "/ws", False)
    return made


def closed(desk: Desk, request: bytes) -> tuple[int, str]:
    """The code and the reason with which an upgrade of a library ends, behind a 101."""
    client = desk.client().send(request)
    answer, _, frame = bytes(client.pipe.data).partition(b"\r\n\r\n")
    lines = answer.decode().split("\r\n")
    assert lines[0].startswith("HTTP/1.1 101 ")
    assert "Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=" in lines
    assert "Sec-WebSocket-Protocol: glyph-fast" in lines
    assert "s3cret" not in answer.decode()
    assert frame[0] == 0x88
    assert len(frame) == 2 + frame[1]
    assert client.is_ended
    assert desk.opened == []
    return int.from_bytes(frame[2:4], "big"), frame[4:].decode()


def rejecting(*args) -> Desk:
    def refuse(request):
        raise Reject(*args)

    return desk(authenticate=refuse)


@pytest.mark.parametrize(("status", "code"), [(401, 4401), (403, 4403), (429, 4429), (503, 4503)])
def test_what_a_library_can_act_on_is_a_close_code(status, code):
    site = rejecting(status, {"error": "no"})
    assert closed(site, upgrade(Sec_WebSocket_Protocol=OFFER)) == (code, "no")
    assert site.metrics.connections_rejected == {"authentication": 1}


@pytest.mark.parametrize("status", [400, 404, 402, 500])
def test_any_other_status_is_an_answer(status):
    answer = rejecting(status, "no").answer(upgrade(Sec_WebSocket_Protocol=OFFER))
    assert (answer.status, answer.body) == (status, b"no")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("why", "why"),
        (b"bytes", "bytes"),
        ("", ""),
        ({"error": {"code": 7}}, '{"code":7}'),
        ({"why": "so"}, '{"why":"so"}'),
        ("ä" * 100, "ä" * 61),  # 123 bytes at most, and no half a character
    ],
)
def test_the_reason_is_what_the_answer_would_have_said(body, reason):
    refused = rejecting(403, body)
    assert closed(refused, upgrade(Sec_WebSocket_Protocol="glyph-fast")) == (4403, reason)


def test_a_reject_that_waits_is_told_in_the_same_way(run):
    async def main():
        async def refuse(request):
            await asyncio.sleep(0)
            raise Reject(401, "expired")

        site = desk(authenticate=refuse)
        client = site.client().send(upgrade(Sec_WebSocket_Protocol="v1, glyph-fast"))
        await site.opening.exchanges.finish(10)
        await asyncio.sleep(0)
        assert bytes(client.pipe.data).endswith(b"\r\n\r\n\x88\x09\x11\x31expired")

    run(main())


def test_limits_and_origins_are_told_in_the_same_way():
    full = desk(Config(max_connections=1))
    full.count = 1
    asks = upgrade(Sec_WebSocket_Protocol=OFFER)
    assert closed(full, asks) == (4503, "too many connections")
    draining = desk()
    draining.opening.drain()
    assert closed(draining, asks) == (4503, "server is shutting down")
    strict = desk(Config(handshake_rate="1/s:1"))
    assert strict.answer(upgrade()).status == 101
    strict.opened.clear()
    assert closed(strict, asks) == (4429, "too many handshakes from this address")
    foreign = upgrade(Sec_WebSocket_Protocol=OFFER, Origin="https://evil.example")
    assert closed(desk(), foreign)[0] == 4403


@pytest.mark.parametrize(
    "request_",
    [
        upgrade(),
        upgrade(Sec_WebSocket_Protocol="glyph-faster"),
        upgrade(Sec_WebSocket_Protocol="not-glyph-fast"),
        upgrade(Sec_WebSocket_Protocol="glyph-fast, glyph-fast"),  # RFC 6455 §11.3.4
        upgrade(Sec_WebSocket_Protocol="glyph-fast", Sec_WebSocket_Key="short"),
        upgrade(Sec_WebSocket_Protocol="glyph-fast", Sec_WebSocket_Version="8"),
        head("GET /ws", {"Sec-WebSocket-Protocol": "glyph-fast", "Upgrade": "websocket"}),
    ],
)
def test_nobody_else_gets_a_101(request_):
    site = desk(Config(max_connections=1))
    site.count = 1
    answer = site.answer(request_)
    assert (answer.status, answer.json) == (503, {"error": "too many connections"})


def test_the_offer_is_chosen_and_the_token_is_not():
    site = desk()
    answer = site.answer(upgrade(Sec_WebSocket_Protocol=OFFER))
    assert answer.headers["sec-websocket-protocol"] == "glyph-fast"
    assert site.opened[0].subprotocol == "glyph-fast"
    own = desk(Config(subprotocols=["v1"]))
    answer = own.answer(upgrade(Sec_WebSocket_Protocol="glyph-fast, v1"))
    assert answer.headers["sec-websocket-protocol"] == "v1"


def test_the_offer_may_stand_in_a_second_field():
    request = upgrade(Sec_WebSocket_Protocol="v1").replace(
        b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: glyph-fast\r\n\r\n"
    )
    assert closed(rejecting(401), request) == (4401, "")
