"""Which pages may open a WebSocket, and which of them with what their browsers add by themselves.

A browser sends cookies, saved passwords and client certificates along whichever page asks. So a
page that only `*` lets in (or `null`, which any page can be) opens a connection without them: else
every site could act as the user who visits it. As with CORS, credentials are for pages that are
named, and for the server's own.
"""

from __future__ import annotations

import logging
from typing import Any

from ..errors import HandshakeError
from ..http.forwarded import Proxies
from ..http.request import Request
from ..logs import SERVER, log
from ..options.config import Config
from ..options.origin import ANYBODY, check_origin
from ..websocket.handshake import Upgrade
from .admission import MAX_SHOWN, Refusal


class Origins:
    """The rule about origins of a server's options."""

    def __init__(self, config: Config, proxies: Proxies) -> None:
        self._allowed = config.allowed_origins
        self._named = tuple(rule for rule in self._allowed if rule not in ANYBODY)
        self._proxies = proxies
        self._is_proxied = bool(config.trusted_proxies)
        self._was_said = False

    def check(self, conn: Any, request: Request, origin: str | None) -> None:
        """Refusal 403 unless pages of `origin` may connect.

        Takes the credentials out of the request of a page that may, but not with them.
        """
        if origin is None:
            return  # no browser
        if not self._allowed:
            if not self._is_own(conn, request, origin):
                raise self._refusal(origin, host=self._server(conn, request)[0])
        elif not self._named or not check_origin(origin, "", self._named, ""):
            if not check_origin(origin, "", self._allowed, ""):
                raise self._refusal(origin, allowed=", ".join(self._allowed))
            if not self._is_own(conn, request, origin) and request._drop_credentials():
                self._say(request, origin)

    def _is_own(self, conn: Any, request: Request, origin: str) -> bool:
        """Return whether it is the server's own origin, as its clients see it."""
        host, scheme = self._server(conn, request)
        return check_origin(origin, host, (), scheme)

    def _server(self, conn: Any, request: Request) -> tuple[str, str]:
        """Host and scheme of the server, as its clients see them."""
        host, scheme = request.host, request.scheme
        if self._is_proxied:
            client = self._proxies.client(request, conn.remote)
            host, scheme = client.host or host, client.scheme or scheme
        return host, scheme

    def _refusal(self, origin: str, **compared: str) -> Refusal:
        shown = {name: text[:MAX_SHOWN] for name, text in {"origin": origin, **compared}.items()}
        return Refusal("origin", 403, "origin not allowed", compared=shown)

    def _say(self, request: Request, origin: str) -> None:
        """Tell the operator, once."""
        if not self._was_said:
            self._was_said = True
            log(SERVER, logging.WARNING, "cookies of a page that only '*' allows do not count",
                origin=origin, target=request.raw_path,
                hint="name the origin with --allowed-origin")  # fmt: skip


__all__ = ["Origins"]


def upgrade_of_stream(request: Request) -> Upgrade:
    """Judge a request that becomes a stream as an upgrade. HandshakeError for one that cannot."""
    origins = request.headers.getlist("origin")
    if len(origins) > 1:
        raise HandshakeError(400, "more than one Origin field")
    # A page reads a stream by a request that names its origin; an image, say, cannot.
    if not origins and request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise HandshakeError(403, "a page of another origin must name it")
    return Upgrade(request.host, "", origins[0] if origins else None, [], [])
