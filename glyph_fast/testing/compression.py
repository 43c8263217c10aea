"""Compression of a client in memory: what it offers, and what came of that."""

from __future__ import annotations

from ..errors import HandshakeError
from ..websocket.deflate import CLIENT_OFFER, NAME, Parameters, accept
from ..websocket.handshake import Accepted, parse_extensions

__tracebackhide__ = True  # pytest shows the test and the handlers, not this module


def offer_of(compression: bool | str) -> str | None:
    """The extension to offer: as browsers do, or as the text says; None for none.

    Raises ValueError for a text that is no single offer of permessage-deflate.
    """
    if isinstance(compression, bool):
        return CLIENT_OFFER if compression else None
    try:
        names = [name for name, _ in parse_extensions([compression])]
    except HandshakeError:
        names = []
    if names != [NAME]:
        raise ValueError(f"expected True or an offer of {NAME}, found {compression!r}")
    return compression


def agreed_on(accepted: Accepted, offer: str | None) -> Parameters | None:
    """What a server's answer agrees to, None for no compression.

    Raises HandshakeError for an answer that a client must refuse.
    """
    if offer is not None:
        return accept(accepted.extensions, offer)
    if accepted.extensions:
        raise HandshakeError(400, "it agrees to an extension that was not offered")
    return None
