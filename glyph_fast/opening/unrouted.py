"""What is answered where the program has no route: files, health, the JavaScript client library,
the page of development mode, and which methods there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..http.head import METHODS
from ..http.request import Request
from ..http.response import Response, error_response
from .cors import Cors
from .redirects import Redirects

if TYPE_CHECKING:
    from .client_script import ClientScript
    from .site import Site

HEALTH_PATH = "/healthz"
READING = ("GET", "HEAD")  # the methods of files
_HEALTHY = Response({"status": "ok"})


class Unrouted:
    """Answers requests that no route of the program matches."""

    def __init__(
        self, site: Site, cors: Cors, redirects: Redirects, *, serves_client: bool
    ) -> None:
        self._routes = site.routes
        self._websockets = site.websockets
        self._statics = site.statics
        self._cors = cors if cors else None
        self._redirects = redirects
        self._page = site.page
        self.is_draining = False
        self._script: ClientScript | None = None
        if serves_client:
            from .client_script import ClientScript  # for those who hand it out

            self._script = ClientScript()

    def file(self, request: Request) -> Response:
        """As `answer`, or a file. Waits for the disk."""
        if request.method not in READING:
            is_file = any(each.has(request.raw_path) for each in self._statics)
            return self.answer(request, READING if is_file else ())
        found = self.find(request)
        return self.answer(request) if found is None else found

    def find(self, request: Request) -> Response | None:
        """The file of a request, if there is one. Waits for the disk."""
        for each in self._statics:
            if (response := each.respond(request)) is not None:
                return response
        return None

    def may_be_file(self, request: Request) -> bool:
        """Return whether the path is one of those below which there are files."""
        return request.method in READING and any(
            each.covers(request.raw_path) for each in self._statics
        )

    def instead(self, request: Request, status: int) -> Response | None:
        """Return the server's answer where an application answered 404 or 405, if it has one."""
        if status == 404 and request.method in READING:
            if request.raw_path == HEALTH_PATH:
                return self._health()
            if self._script is not None and self._script.has(request.raw_path):
                return self._script.answer(request)
        if self._cors is None:
            return None
        asked = request.headers.get("access-control-request-method", "")
        return self._cors.preflight(request, [asked] if asked in METHODS else [])

    def _health(self) -> Response:
        return Response({"status": "draining"}, 503) if self.is_draining else _HEALTHY

    def answer(self, request: Request, allowed: Sequence[str] = ()) -> Response:
        """The answer where no file is. `allowed` are methods the path has beside its routes'."""
        path = request.raw_path
        if request.target == "*":  # RFC 9110 §9.3.7: what the server can, not what is at a path
            return Response(status=204, headers={"Allow": ", ".join(METHODS)})
        if self._cors is not None and request.method == "OPTIONS":
            reachable = [*allowed, *self._routes.methods_for(path)]
            if (answer := self._cors.preflight(request, reachable)) is not None:
                return answer
        if path == HEALTH_PATH and request.method in READING:
            return self._health()
        if self._script is not None and self._script.has(path) and request.method in READING:
            return self._script.answer(request)
        if path == "/" and self._page is not None and request.method in READING:
            return self._page(request)
        websocket = self._websockets.match(None, path)
        if websocket is not None and request.method in READING:
            upgrade = {"Upgrade": "websocket"}
            return error_response(426, "this is a WebSocket: ask for an upgrade", upgrade)
        methods = [*allowed, *self._visible_methods(path)]
        if websocket is not None and not websocket.target:
            methods.append("GET")
        if methods:
            allow = {"Allow": ", ".join(sorted({*methods}))}
            return error_response(405, "Method not allowed", allow)
        return self._redirects.answer(request)

    def _visible_methods(self, path: str) -> list[str]:
        if any(not route.target.hides_methods for route in self._routes.routes_for(path)):
            return self._routes.methods_for(path)
        is_ours = path == HEALTH_PATH or self._script is not None and self._script.has(path)
        return list(READING) if is_ours else []
