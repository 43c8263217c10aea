"""From a path with a slash too many or too few to the one that is served, where an option says so.

Every slash of a path counts, so `/users/` is not `/users`. A person who types it, or a page with an
old link, may be told where to go; nobody is served under a spelling that an authenticator, or a
proxy in front, does not know.
"""

from __future__ import annotations

from ..errors import Reject
from ..http.request import Request
from ..http.response import Response
from ..http.router import other_spellings, relative_location
from .site import Site

REDIRECT = 307  # no browser keeps it: the option may be taken back


class Redirects:
    """Answers that lead from other spellings of routes and files to those that are served."""

    def __init__(self, is_on: bool, site: Site) -> None:
        self._is_on = is_on
        self._routes = site.routes
        self._websockets = site.websockets
        self._statics = site.statics

    def answer(self, request: Request) -> Response:
        """The answer to a request that nothing serves: a redirect, or 404."""
        location = self._location(request)
        if location is not None:
            return Response("", REDIRECT, {"Location": location})
        return Response(_not_found(request), 404)

    def rejection(self, request: Request) -> Reject:
        """The answer to such an upgrade."""
        location = self._location(request)
        if location is not None:
            return Reject(REDIRECT, headers={"Location": location})
        return Reject(404, _not_found(request))

    def _location(self, request: Request) -> str | None:
        """Return where it leads to, relative; GET and HEAD alone, for no body should be sent twice.

        Looks for files, so it may wait for a disk.
        """
        if not self._is_on or request.method not in ("GET", "HEAD"):
            return None
        for path in other_spellings(request.raw_path):
            if self._is_served(request.method, path):
                return relative_location(request.raw_path, path, request.query_string)
        return None

    def _is_served(self, method: str, path: str) -> bool:
        return (
            self._routes.match(method, path) is not None
            or self._websockets.match(None, path) is not None
            or any(each.has(path) for each in self._statics)
        )


def _not_found(request: Request) -> dict[str, object]:
    return {"error": "Route not found", "path": request.path}
