"""Clients that offer permessage-deflate: what they offer, accept, send and get."""

from __future__ import annotations

import pytest

from glyph_fast.errors import HandshakeError
from glyph_fast.http.headers import Headers
from glyph_fast.testing import SyncTestClient, TestClient
from glyph_fast.testing.compression import agreed_on, offer_of
from glyph_fast.websocket.deflate import CLIENT_OFFER, Parameters
from glyph_fast.websocket.handshake import Accepted, parse_extensions
from tests.running import echo_server

pytestmark = pytest.mark.both_cores

WORDS = "to be or not to be, " * 200


def answer(extensions: str | None) -> Accepted:
    values = [] if extensions is None else [extensions]
    return Accepted(None, parse_extensions(values), Headers([]))


class TestOffer:
    def test_true_is_the_offer_of_browsers_and_a_text_is_itself(self):
        assert offer_of(False) is None
        assert offer_of(True) == CLIENT_OFFER
        text = "permessage-deflate; server_max_window_bits=10"
        assert offer_of(text) == text

    @pytest.mark.parametrize(
        "text",
        ["deflate", "", "permessage-deflate, permessage-deflate", "permessage-deflate; =", "x;;"],
    )
    def test_what_is_no_offer_of_it_is_refused(self, text):
        with pytest.raises(ValueError, match="expected True or an offer of permessage-deflate"):
            offer_of(text)


class TestAgreement:
    def test_what_was_offered_may_be_agreed_to_or_declined(self):
        assert agreed_on(answer("permessage-deflate"), CLIENT_OFFER) == (False, False, 15, 15)
        assert agreed_on(answer(None), CLIENT_OFFER) is None
        assert agreed_on(answer(None), None) is None

    @pytest.mark.parametrize(
        ("extensions", "offer"),
        [
            ("permessage-deflate", None),
            ("x-other", CLIENT_OFFER),
            ("permessage-deflate", "permessage-deflate; server_no_context_takeover"),
        ],
    )
    def test_more_than_was_offered_is_refused(self, extensions, offer):
        with pytest.raises(HandshakeError, match="not offered"):
            agreed_on(answer(extensions), offer)


class TestMessages:
    @pytest.mark.parametrize("mode", ["shared", "dedicated"])
    @pytest.mark.parametrize("message", [WORDS, WORDS.encode()], ids=["text", "binary"])
    def test_they_are_compressed_both_ways(self, run, mode, message):
        async def main():
            async with TestClient(echo_server(), compression=mode) as client:
                ws = await client.connect(compression=True)
                for round in range(1, 4):
                    await ws.send(message)
                    assert await ws.receive() == message
                    assert ws.bytes_received < 150 * round
                assert ws.connection.bytes_received < 1000  # the handshake's among them
                await ws.send("short")
                assert await ws.receive() == "short"

        run(main())

    def test_the_server_keeps_to_the_offer(self, run):
        offer = "permessage-deflate; server_no_context_takeover; server_max_window_bits=9"

        async def main():
            async with TestClient(echo_server(), compression="dedicated") as client:
                ws = await client.connect(compression=offer)
                assert ws.compression == Parameters(True, False, 9, 15)
                assert "server_max_window_bits=9" in ws.headers["sec-websocket-extensions"]
                await ws.send(WORDS)
                assert await ws.receive() == WORDS

        run(main())

    def test_without_an_offer_or_without_the_option_nothing_is_compressed(self, run):
        async def main():
            async with TestClient(echo_server(), compression="shared") as client:
                ws = await client.connect()
                await ws.send(WORDS)
                assert await ws.receive() == WORDS
                assert ws.compression is None and ws.bytes_received > len(WORDS)
            async with TestClient(echo_server()) as client:
                ws = await client.connect(compression=True)
                await ws.send(WORDS)
                assert await ws.receive() == WORDS
                assert ws.compression is None and ws.bytes_received > len(WORDS)

        run(main())

    def test_a_broadcast_reaches_compressed_and_plain_alike(self):
        with SyncTestClient(echo_server(), compression="shared") as client:
            packed, plain = client.connect(compression=True), client.connect()
            client.hub.broadcast(WORDS)
            assert packed.receive() == plain.receive() == WORDS
            assert packed.bytes_received < plain.bytes_received / 10
            assert packed.compression == Parameters(True, True, 15, 15)

    def test_the_message_limit_counts_what_it_inflates_to(self, run):
        async def main():
            async with TestClient(
                echo_server(), compression="shared", max_message_size=len(WORDS) - 1
            ) as client:
                ws = await client.connect(compression=True)
                await ws.send(WORDS)
                await ws.expect_close(1009)

        run(main())
