"""Checks of who may look and who may act: the Host header, the bearer token.

Without a token the port is on the loopback, where everybody on the machine may look and nobody may
act. A page of some other site that a browser on this machine has open could still reach it under a
name that resolves to 127.0.0.1; that is what the Host header gives away.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Container

from ..errors import Reject
from ..http.request import Request
from ..options.values import Address, bracketed

_PORT = re.compile(r":[0-9]*$")
NO_ACTING: dict[str, object] = {"error": "acting needs a server started with --admin-token"}
CHALLENGE = {"WWW-Authenticate": "Bearer"}


class Access:
    """The rules of one operators' port. `port` is the one it listens on, once that is known."""

    def __init__(self, address: Address, token: str | None) -> None:
        self._host = address.host.lower()
        self._is_loopback = address.is_loopback
        self._token = token.encode() if token is not None else None
        self._names = {self._host}
        if self._is_loopback:
            self._names |= {"localhost", "127.0.0.1", "::1"}
        self._hosts: Container[str] | None = None
        self.port = address.port

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @port.setter
    def port(self, port: int) -> None:
        self._port = port
        names = {bracketed(name) for name in self._names}
        # Under "any address" the server cannot know its names, and there is always a token then.
        self._hosts = None if _is_any(self._host) else {f"{name}:{port}" for name in names}
        # On the loopback any port is as good: a tunnel (`ssh -L 9999:localhost:9090`) has one of
        # its own, and a name that another site chose is what the check is for.
        if self._hosts is not None and (port == 80 or self._is_loopback):
            self._hosts |= names

    @property
    def needs_token(self) -> bool:
        """Return whether a token must be shown even for looking."""
        return self._token is not None

    def is_token(self, token: object) -> bool:
        """Return whether it is the configured one, compared in constant time."""
        return (
            self._token is not None
            and isinstance(token, str)
            and hmac.compare_digest(token.encode(errors="surrogatepass"), self._token)
        )

    def check_host(self, request: Request) -> None:
        """Raise Reject (403) unless the request asks for the address that is listened on."""
        host = request.host.lower()
        if self._is_loopback:
            host = _PORT.sub("", host)
        if self._hosts is not None and host not in self._hosts:
            raise Reject(403, {"error": "the Host header is not this port's address"})

    def check_reading(self, request: Request) -> None:
        """Raise Reject unless the request may look: 403 for the host, 401 for the token."""
        self.check_host(request)
        if self._token is not None:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not self.is_token(token.strip()):
                raise Reject(401, {"error": "a valid bearer token is needed"}, CHALLENGE)

    def check_acting(self, request: Request) -> None:
        """Raise Reject unless the request may act: as reading, and 403 where no token is set."""
        self.check_reading(request)
        if self._token is None:
            raise Reject(403, NO_ACTING)

    def check_key(self, request: Request, key: object) -> None:
        """Raise Reject unless the request, whose key that is, may act."""
        self.check_host(request)
        if self._token is None:
            raise Reject(403, NO_ACTING)
        if not self.is_token(key):
            raise Reject(401, {"error": "X-API-Key is not the admin token"})


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
