"""The way of a client to its server: TCP, TLS, a Unix socket, a proxy."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Protocol

from ..errors import needs
from ..http.headers import TOKEN
from ..http.response import HeaderItems, checked_fields
from ..urls import WebSocketUrl, websocket_url
from ..websocket.deflate import CLIENT_OFFER
from ..websocket.handshake import client_request, new_key
from .websocket import Owner, Request, Socket

_OWN = {"connection", "host", "upgrade"}


class Dialer:
    """Opens sockets to one server. Raises ValueError for an address or a field that cannot be."""

    def __init__(
        self,
        url: str,
        *,
        ssl: ssl.SSLContext | None = None,
        headers: HeaderItems = (),
        uds: str | None = None,
        proxy: str | None = None,
        compression: bool = True,
        max_size: int = 64 * 1024 * 1024,
    ) -> None:
        if uds is not None and proxy is not None:
            raise ValueError("a Unix socket is reached without a proxy")
        # As in browsers, the address of the page will do.
        self._url = websocket_url("ws" + url[4:] if url.startswith(("http:", "https:")) else url)
        self._tls = ssl
        self._uds = uds
        self._proxy = None if proxy is None else _proxy(proxy)
        self._compression = compression
        self._max_size = max_size
        self._fields = checked_fields(headers)
        for name, _ in self._fields:
            if name.lower() in _OWN or name.lower().startswith("sec-websocket-"):
                raise ValueError(f"the handshake itself decides the field {name!r}")
        self._request(None)  # raises what is wrong now

    @property
    def url(self) -> WebSocketUrl:
        """The address, taken apart."""
        return self._url

    async def __call__(self, token: str | None, owner: Owner) -> Socket:
        """Connect and send the request. Raises OSError, or ValueError for a bad token."""
        request = self._request(token)
        loop = asyncio.get_running_loop()
        tls = self._context() if self._url.is_secure else None
        name = self._url.server_name if tls is not None else None

        def make() -> Socket:
            return Socket(request, owner)

        if self._uds is not None:
            _, socket = await loop.create_unix_connection(
                make, self._uds, ssl=tls, server_hostname=name
            )
        elif self._proxy is not None:
            sock = await self._proxy.connect(self._url.host, self._url.port)
            _, socket = await loop.create_connection(make, sock=sock, ssl=tls, server_hostname=name)
        else:
            _, socket = await loop.create_connection(
                make, self._url.host, self._url.port, ssl=tls, server_hostname=name
            )
        return socket

    def _request(self, token: str | None) -> Request:
        if token and not TOKEN.fullmatch(token):
            raise ValueError("the token has characters that a subprotocol must not have")
        subprotocols = ["glyph-fast", *(["bearer", token] if token else [])]
        fields = list(self._fields)
        if self._url.authorization and "authorization" not in {name.lower() for name, _ in fields}:
            fields.append(("Authorization", self._url.authorization))
        key = new_key()
        head = client_request(
            self._url.host_field,
            self._url.target,
            key,
            subprotocols=subprotocols,
            extensions=CLIENT_OFFER if self._compression else None,
            headers=fields,
        )
        return Request(head, key, subprotocols, self._compression, self._max_size)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


class _Proxy(Protocol):
    async def connect(self, dest_host: str, dest_port: int) -> Any: ...


def _proxy(url: str) -> _Proxy:
    try:
        from python_socks.async_.asyncio import Proxy
    except ModuleNotFoundError as exc:
        if exc.name != "python_socks":
            raise
        needed = needs("proxy=", "python-socks", "proxy")
        raise ModuleNotFoundError(needed, name="python_socks") from None
    proxy: _Proxy = Proxy.from_url(url)
    return proxy
