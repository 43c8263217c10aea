"""Functions that say who a client is: one for all routes, or one for each that differs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from inspect import isawaitable
from typing import Any

from ..errors import ConfigError
from ..handlers.signature import adapt
from ..http.request import Request
from ..hub.identity import Identity
from ..websocket.handshake import Accept


class Authenticators:
    """The functions that a program has registered with `authenticate`."""

    def __init__(self) -> None:
        self.general: Callable[[Request], Any] | None = None
        self.by_route: dict[str, Callable[[Request], Any]] = {}

    def add(self, handler: Callable[..., Any], route: str | None) -> None:
        """Register one. Raises ValueError when there is one already."""
        if route is None and self.general is not None:
            raise ValueError("the server has an authenticator already")
        if route in self.by_route:
            raise ValueError(f"route {route} has an authenticator already")
        call = adapt(handler, 1)
        if route is None:
            self.general = call
        else:
            self.by_route[route] = call

    def check(self, patterns: Collection[str]) -> None:
        """Raise ConfigError for a route that is none of these: a misspelt one would stay open."""
        for route in self.by_route:
            if route not in patterns:
                raise ConfigError(f"authenticate(route={route!r}): the server has no such route")

    def of(self, *patterns: str) -> Callable[[Request], Any] | None:
        """That of the first route that has one of its own, else the general one."""
        own = (self.by_route[each] for each in patterns if each in self.by_route)
        return next(own, self.general)


async def identity_of(request: Request, authenticate: Callable[[Request], Any] | None) -> Any:
    """Return what `conn.identity` would be, were the request one for a WebSocket."""
    if authenticate is None:
        return None if request.tls is None else request.tls.identity
    found = authenticate(request)
    if isawaitable(found):
        found = await found
    if isinstance(found, Accept):
        found = found.identity
    return found.user if isinstance(found, Identity) else found
