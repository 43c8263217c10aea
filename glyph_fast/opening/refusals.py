"""Answers to an upgrade that is refused: by HTTP, or by a close for those who see no status.

A browser does not tell a page why a WebSocket was refused, so our client libraries could not tell a
bad token from a server that is away. They offer the subprotocol `glyph-fast`. What they can act on
they are told behind a 101, by the close code 4000 and the status; anything else is answered by HTTP
as everybody is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import HandshakeError, Reject
from ..http.response import Response, encode_response
from ..json import dumps
from ..websocket.handshake import accept_response, check_upgrade, choose_subprotocol
from ..wire import CLIENT_SUBPROTOCOL, CLOSE, MAX_CLOSE_REASON, REFUSAL_CODES

if TYPE_CHECKING:
    from ..http.request import Request

_FIN = 0x80
_OFFER = CLIENT_SUBPROTOCOL.encode()


def encode_refusal(request: Request, exc: Reject | HandshakeError, response: Response) -> bytes:
    """The bytes that refuse an upgrade, after which the connection ends; `response` is by HTTP."""
    if response.status in REFUSAL_CODES and (key := _key_of_a_library(request)) is not None:
        code = REFUSAL_CODES[response.status]
        return accept_response(key, CLIENT_SUBPROTOCOL) + _close_frame(code, _reason(exc))
    return encode_response(response, keep_alive=False)


def _key_of_a_library(request: Request) -> str | None:
    """The key of a sound upgrade that one of our libraries asks for; None for any other request."""
    offers = request.headers.raw(b"sec-websocket-protocol")
    if offers is None or _OFFER not in offers and not request.headers.is_repeated:
        return None
    try:
        upgrade = check_upgrade(request)
        if choose_subprotocol(upgrade.subprotocols, (CLIENT_SUBPROTOCOL,)) is None:
            return None
    except HandshakeError:
        return None
    return upgrade.key


def _reason(exc: Reject | HandshakeError) -> str:
    """Why, as the client may know it: what the body of the answer would have said."""
    if isinstance(exc, HandshakeError):
        return exc.reason
    said = exc.body.get("error", exc.body) if isinstance(exc.body, dict) else exc.body
    if isinstance(said, bytes):
        return said.decode(errors="replace")
    return said if isinstance(said, str) else dumps(said).decode()


def _close_frame(code: int, reason: str) -> bytes:
    """A close frame (RFC 6455 §5.5.1), with as much of the reason as fits, cut between characters.

    Made here and not by the connection, for which this is an answer of HTTP: no WebSocket was
    opened, so nobody is told of its end.
    """
    text = reason.encode(errors="replace")[:MAX_CLOSE_REASON].decode(errors="ignore").encode()
    return bytes((_FIN | CLOSE, 2 + len(text))) + code.to_bytes(2, "big") + text
