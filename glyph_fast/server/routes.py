"""The decorators for handlers of HTTP requests."""

from __future__ import annotations

from collections.abc import Callable

from ..handlers.registry import check_path
from ..handlers.shapes import OfRequest, RequestF
from ..http.body import BY_OPTION
from ..options.readers import size

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_read_size = size()


class HttpRoutes:
    """Registers handlers by `_add_http_route`."""

    def route(
        self, method: str, path: str, *, max_body: int | str | None = BY_OPTION
    ) -> Callable[[RequestF], RequestF]:
        """Answer requests of `method` at a path pattern such as `/users/:id` by the function.

        It takes the request and returns dict, list, str, bytes or `Response`, or gives the answer
        piece by piece: an iterator of str or bytes, or by being a generator of them. Parameters
        `body: T` and `query: T` are given values of these types; a request that does not fit is
        refused with 422. Raises ValueError for a bad pattern, an unknown method or a route declared
        twice, TypeError for a type that JSON cannot be checked against.

        `max_body` bounds the bodies of its requests in the place of `--max-body-size`, in bytes or
        as "1GiB", also for a handler that takes `request.stream()`; None: no limit.
        """
        if method not in METHODS:
            raise ValueError(f"method {method!r} is not one of {', '.join(METHODS)}")
        check_path(path, method.lower())
        limit = _largest_body(max_body)

        def register(handler: RequestF) -> RequestF:
            self._add_http_route(method, path, handler, max_body=limit)
            return handler

        return register

    def get(self, path: str) -> Callable[[RequestF], RequestF]:
        """Answer GET, and HEAD without the body. See `route`."""
        return self.route("GET", path)

    def post(
        self, path: str, *, max_body: int | str | None = BY_OPTION
    ) -> Callable[[RequestF], RequestF]:
        """Answer POST. See `route`."""
        return self.route("POST", path, max_body=max_body)

    def put(
        self, path: str, *, max_body: int | str | None = BY_OPTION
    ) -> Callable[[RequestF], RequestF]:
        """Answer PUT. See `route`."""
        return self.route("PUT", path, max_body=max_body)

    def patch(
        self, path: str, *, max_body: int | str | None = BY_OPTION
    ) -> Callable[[RequestF], RequestF]:
        """Answer PATCH. See `route`."""
        return self.route("PATCH", path, max_body=max_body)

    def delete(
        self, path: str, *, max_body: int | str | None = BY_OPTION
    ) -> Callable[[RequestF], RequestF]:
        """Answer DELETE. See `route`."""
        return self.route("DELETE", path, max_body=max_body)

    def options(self, path: str) -> Callable[[RequestF], RequestF]:
        """Answer OPTIONS, preflight requests of browsers included. See `route`."""
        return self.route("OPTIONS", path)

    def _add_http_route(
        self, method: str, path: str, handler: OfRequest, *, max_body: int | None = BY_OPTION
    ) -> None:
        """Register an HTTP handler; `max_body` in bytes, None: no limit."""
        raise NotImplementedError


def _largest_body(size: int | str | None) -> int | None:
    if size is None or size == BY_OPTION:
        return None if size is None else BY_OPTION
    try:
        return int(_read_size(size))
    except ValueError as exc:
        raise ValueError(f"max_body: expected {exc}, found {size!r}") from None
