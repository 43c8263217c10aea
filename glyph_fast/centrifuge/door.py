"""The way in: upgrades at the path of the protocol, in which it is agreed on the wire format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import HandshakeError
from ..http.request import Request
from ..opening.mounting import Door
from ..websocket.handshake import Upgrade, accept_response, check_upgrade, choose_subprotocol
from ..wire import TRANSLATED
from .server import CentrifugeServer
from .streaming import UniSession
from .wireformat import Json, WireFormat

if TYPE_CHECKING:
    from ..opening.handshakes import Handshakes

JSON, PROTOBUF = "centrifuge-json", "centrifuge-protobuf"
MISSING = "the Protobuf format needs protobuf: pip install 'glyph-fast[centrifuge]'"


class WebSocketDoor(Door):
    """Opens WebSockets of clients that speak the protocol; who they are they say afterwards."""

    def __init__(self, server: CentrifugeServer) -> None:
        self._server = server

    def attach(self, handshakes: Handshakes) -> None:
        """Serve by these. Called once for each run, before anything else."""
        self._handshakes = handshakes

    def check(self, request: Request) -> Upgrade:
        """The upgrade that a request asks for. HandshakeError for an unsound one."""
        upgrade = check_upgrade(request)
        wire_of(request, upgrade)
        return upgrade

    def let_in(
        self,
        conn: Any,
        request: Request,
        fields: Sequence[tuple[str, str]],
        expires_at: float | None,
    ) -> None:
        """Open the connection."""
        upgrade = check_upgrade(request)
        wire, subprotocol = wire_of(request, upgrade)
        is_native = request.query.get("cf_ws_frame_ping_pong") == "true"
        codec = self._server.codec(wire, is_native=is_native)
        conn.subprotocol = subprotocol
        self._handshakes.count(conn, request)
        conn._write(accept_response(upgrade.key, subprotocol, None, fields))
        conn._use_codec(codec)
        conn._upgrade(TRANSLATED)
        self._server.open(conn, codec, is_native=is_native)


class UniWebSocketDoor(WebSocketDoor):
    """Opens WebSockets of unidirectional clients, whose first frame is a ConnectRequest in JSON."""

    def check(self, request: Request) -> Upgrade:
        """The upgrade that a request asks for. HandshakeError for an unsound one."""
        return check_upgrade(request)

    def let_in(
        self,
        conn: Any,
        request: Request,
        fields: Sequence[tuple[str, str]],
        expires_at: float | None,
    ) -> None:
        """Open the connection; who it is may stand in the query, else in the first frame."""
        upgrade = check_upgrade(request)
        codec = self._server.codec(Json, is_native=True, is_uni=True)
        self._handshakes.count(conn, request)
        conn._write(accept_response(upgrade.key, None, None, fields))
        conn._use_codec(codec)
        conn._upgrade(TRANSLATED)
        self._server.open(conn, codec, is_native=True, kind=UniSession)
        if (first := request.query.get("cf_connect")) is not None:
            conn._receive(first)


def wire_of(request: Request, upgrade: Upgrade) -> tuple[type[WireFormat], str | None]:
    """The wire format of a client, and the subprotocol that says so.

    HandshakeError 400 for offers that break the grammar, 501 where the library is not installed.
    """
    subprotocol = choose_subprotocol(upgrade.subprotocols, (PROTOBUF, JSON))
    query = request.query
    asked = (subprotocol == PROTOBUF, query.get("cf_protocol") == "protobuf",
             query.get("format") == "protobuf")  # fmt: skip
    if not any(asked):
        return Json, subprotocol
    return protobuf(), subprotocol


def protobuf() -> type[WireFormat]:
    """The wire format. HandshakeError 501 where the library is not installed."""
    try:
        from .protobuf import Protobuf  # for those who speak it
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] != "google":
            raise
        raise HandshakeError(501, MISSING) from None
    return Protobuf


__all__ = ["UniWebSocketDoor", "WebSocketDoor", "protobuf", "wire_of"]
