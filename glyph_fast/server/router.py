"""`Router`: the handlers and routes of one module, for a server to take in.

A router judges what it is given as a server does, so a mistake is told where it is made. Nothing of
it serves until a server includes it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ..handlers.registry import Registry
from ..handlers.shapes import OfRequest
from ..http.body import BY_OPTION
from .decorators import Decorators
from .routes import HttpRoutes


class Registering(Decorators, HttpRoutes):
    """The part that a server and a router have in common: one can take in the other."""

    _dispatcher: Registry

    def static(self, prefix: str, directory: str | os.PathLike[str]) -> None:
        """Serve the files of a directory below a path, where no route is."""
        raise NotImplementedError

    def include(self, router: Router, prefix: str = "") -> None:
        """Take in the handlers, routes and files of a router, their paths below `prefix`.

        The router's path `/` is the prefix itself. A router that was included takes no more, but
        may be included elsewhere. Raises ValueError for a prefix that does not begin with a slash,
        or ends with one, and for a route that is there already.
        """
        if not isinstance(router, Router):
            raise TypeError(f"expected a Router, not {router!r}")
        if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise ValueError(f"a prefix begins with a slash and ends without one, not {prefix!r}")
        router._is_included = True
        self._dispatcher.take_in(router._dispatcher, lambda path: _below(prefix, path))
        for each in router._http:
            path = _below(prefix, each.path)
            self._add_http_route(each.method, path, each.handler, max_body=each.max_body)
        for below, directory in router._statics:
            self.static(_below(prefix, below), directory)


class _HttpRoute(NamedTuple):
    method: str
    path: str
    handler: OfRequest
    max_body: int | None


class Router(Registering):
    """Handlers and routes of a module, which `server.include(router, prefix="")` takes in.

    It has the decorators of a server for handlers, routes and files. A handler without a route is
    for the WebSocket routes of its router, if that has any, else for all of the server. `on_join`,
    `on_leave` and `on_error` are for the whole server. RuntimeError for what is registered after it
    was included.
    """

    def __init__(self) -> None:
        self._dispatcher = _Collected(self)
        self._http: list[_HttpRoute] = []
        self._statics: list[tuple[str, str | os.PathLike[str]]] = []
        self._is_included = False

    def static(self, prefix: str, directory: str | os.PathLike[str]) -> None:
        """Serve the files of a directory below a path, where no route is."""
        self._check_open()
        self._statics.append((prefix, directory))

    def _add_http_route(
        self, method: str, path: str, handler: OfRequest, *, max_body: int | None = BY_OPTION
    ) -> None:
        self._check_open()
        self._http.append(_HttpRoute(method, path, handler, max_body))

    def _check_open(self) -> None:
        if self._is_included:
            raise RuntimeError("the router was included already: register before that")


class _Collected(Registry):
    """The registry of a router: it keeps what it is given, and nobody runs it."""

    def __init__(self, router: Router) -> None:
        super().__init__()
        self._router = router

    def add_route(self, route: str) -> None:
        """Remember the route, while the router is open."""
        self._router._check_open()
        super().add_route(route)

    def renew(self) -> None:
        """Something was registered."""
        self._router._check_open()


def _below(prefix: str, path: str) -> str:
    return (prefix or path) if path == "/" else prefix + path
