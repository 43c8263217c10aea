"""Subprotocols and extensions, offered and chosen."""

from __future__ import annotations

import pytest

from glyph_fast.errors import HandshakeError
from glyph_fast.opening.negotiation import NO_TERMS, Negotiation
from glyph_fast.options.config import Config
from glyph_fast.websocket.handshake import Upgrade

DEFLATE = "permessage-deflate"


def upgrade(subprotocols: list[str], extensions: list[str]) -> Upgrade:
    return Upgrade("a", "AAAAAAAAAAAAAAAAAAAAAA==", None, subprotocols, extensions)


def test_without_offers_nothing_is_agreed_on():
    assert Negotiation(Config(compression="shared")).agree(upgrade([], [])) is NO_TERMS


def test_the_server_prefers():
    negotiation = Negotiation(Config(subprotocols=["b", "a"]))
    assert negotiation.agree(upgrade(["a, b"], [])).subprotocol == "b"
    other = Negotiation(Config(subprotocols=["b"]), ["a"])
    assert other.agree(upgrade(["a, b"], [])).subprotocol == "a"


@pytest.mark.parametrize("mode", ["shared", "dedicated"])
def test_compression_is_agreed_on_where_it_is_on(mode):
    terms = Negotiation(Config(compression=mode)).agree(upgrade([], [DEFLATE]))
    assert terms.extensions is not None and terms.extensions.header.startswith(DEFLATE)
    assert Negotiation(Config()).agree(upgrade([], [DEFLATE])).extensions is None


def test_a_broken_offer_is_refused():
    for subprotocols, extensions in (["a a"], []), ([], ["a b"]):
        with pytest.raises(HandshakeError) as caught:
            Negotiation(Config(compression="shared")).agree(upgrade(subprotocols, extensions))
        assert caught.value.status == 400
