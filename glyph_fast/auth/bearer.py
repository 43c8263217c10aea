"""Places in which a request carries its token.

In this order, and the first that is there counts: the field `Authorization: Bearer TOKEN` (RFC 6750
§2.1), the cookie `access_token`, the subprotocols `bearer, TOKEN`, the parameter `access_token` of
the query (RFC 6750 §2.3). A browser's `new WebSocket` can send all but the first.
"""

from __future__ import annotations

from ..http.request import Request

NAME = "access_token"  # of the cookie and the parameter
SUBPROTOCOL = "bearer"  # the element that follows it is the token


class AmbiguousToken(Exception):
    """There is a token, or there should be, but not exactly one in that place."""


def find_token(request: Request) -> str | None:
    """The token of a request, or None when there is none. Raises AmbiguousToken."""
    headers = request.headers
    return (
        _of_authorization(headers.getlist("authorization"))
        or request.cookies.get(NAME)
        or _of_subprotocols(headers.getlist("sec-websocket-protocol"))
        or request.query.get(NAME)
    ) or None


def _of_authorization(values: list[str]) -> str | None:
    if len(values) > 1:
        raise AmbiguousToken("more than one Authorization field")
    for value in values:
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            if not token.strip(" "):
                raise AmbiguousToken("no token follows Bearer")
            return token.strip(" ")
    return None  # another scheme is another's, say a proxy's


def _of_subprotocols(values: list[str]) -> str | None:
    names = [name.strip(" \t") for value in values for name in value.split(",")]
    if SUBPROTOCOL not in names:
        return None
    at = names.index(SUBPROTOCOL) + 1
    if at == len(names) or not names[at]:
        raise AmbiguousToken(f"no token follows the subprotocol {SUBPROTOCOL}")
    return names[at]
