# cython: annotation_typing=False
"""The scope of a request, which its application is told (ASGI 3.0, HTTP and WebSocket 2.5).

That of a request is a copy of what is the same for all; compiled where the core is, by `scope.pxd`.
"""

from __future__ import annotations

from typing import Any

from ..http.request import Request

_HTTP_EXTENSIONS: dict[str, dict[str, Any]] = {
    "http.response.pathsend": {},
    "http.response.zerocopysend": {},
    "http.response.early_hint": {},
    "http.response.trailers": {},
}
_VERSIONS = {"version": "3.0", "spec_version": "2.5"}
_WEBSOCKET_EXTENSIONS: dict[str, dict[str, Any]] = {"websocket.http.response": {}}


class Scopes:
    """Makes the scopes of one application.

    `before` is what a proxy has taken off the path in front of us (`--root-path`), `prefix` where
    the application is mounted. `state` is copied for each request, shallowly. `server` is where the
    server listens.
    """

    __slots__ = ("_before", "_http", "_raw_before", "_root_path", "_state", "server")

    def __init__(self, before: str, prefix: str, state: dict[str, Any]) -> None:
        self._before = before
        self._raw_before = before.encode()
        self._root_path = before + prefix
        self._state = state
        self.server: tuple[str, int | None] | None = None
        self._http: dict[str, Any] = {
            "type": "http", "asgi": None, "http_version": "1.1", "server": None, "client": None,
            "scheme": "http", "method": "GET", "root_path": self._root_path, "path": "/",
            "raw_path": b"/", "query_string": b"", "headers": None, "state": None,
            "extensions": None,
        }  # fmt: skip

    def http(self, conn: Any, request: Request) -> dict[str, Any]:
        """The scope of an HTTP request."""
        scope = self._http.copy()
        raw_path, query, headers = request.raw_path, request.query_string, request.headers
        raw = raw_path.encode("ascii")
        scope["asgi"] = _VERSIONS.copy()
        if (version := request.http_version) != "1.1":
            scope["http_version"] = version
        scope["server"] = self.server
        scope["client"] = client_of(conn, request)
        if (scheme := request.scheme) != "http":
            scope["scheme"] = scheme
        if (method := request.method) != "GET":
            scope["method"] = method
        path = request.path if "%" in raw_path else raw_path
        scope["path"] = self._before + path if self._before else path
        scope["raw_path"] = self._raw_before + raw if self._before else raw
        if query:
            scope["query_string"] = query.encode("ascii")
        scope["headers"] = headers.in_lower_case()
        scope["state"] = self._state.copy()
        scope["extensions"] = _HTTP_EXTENSIONS.copy()
        return scope

    def websocket(self, conn: Any, request: Request, subprotocols: list[str]) -> dict[str, Any]:
        """The scope of a WebSocket; `subprotocols` are the values of the fields that offer some."""
        return {
            "type": "websocket",
            "asgi": _VERSIONS.copy(),
            "http_version": request.http_version,
            "server": self.server,
            "client": client_of(conn, request),
            "scheme": "wss" if request.scheme == "https" else "ws",
            "root_path": self._root_path,
            "path": self._before + request.path,
            "raw_path": self._raw_before + request.raw_path.encode("ascii"),
            "query_string": request.query_string.encode("ascii"),
            "headers": request.headers.in_lower_case(),
            "subprotocols": [
                name
                for value in subprotocols
                for part in value.split(",")
                if (name := part.strip())
            ],
            "state": self._state.copy(),
            "extensions": _WEBSOCKET_EXTENSIONS.copy(),
        }


def client_of(conn: Any, request: Request) -> tuple[str, int] | None:
    """Address and port of the client; the port 0 where a proxy tells only the address."""
    remote = request.remote
    if remote is None:
        return None
    peer = conn.peername
    if isinstance(peer, tuple) and (peer[0] == remote or conn.remote == remote):
        return remote, peer[1]
    return remote, 0


__all__ = ["Scopes", "client_of"]
