"""The identity of a client, as its `connect` and its tokens say."""

from __future__ import annotations

import math
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..auth.bearer import AmbiguousToken, find_token
from ..errors import HandshakeError, Reject
from ..handlers.builtin import reject_text
from ..handlers.outcome import is_cancelled, is_failure, running_task
from ..http.request import ConnectCommand
from ..hub.connection import Connection
from ..hub.identity import Identity, info_json
from ..hub.users import user_of
from ..websocket.handshake import Accept
from .codes import (
    BUSY,
    DENIED,
    INVALID_TOKEN,
    PERMISSION_DENIED,
    SERVER_ERROR,
    TOKEN_EXPIRED,
    CommandError,
    Disconnect,
)
from .wireformat import Fields

if TYPE_CHECKING:
    from .server import CentrifugeServer


class Who(NamedTuple):
    """The identity of a client: `identity` and `info` are the connection's.

    `expires_at` is when that ends, in seconds since the epoch; None: never.
    """

    identity: Any
    info: bytes | None = None
    expires_at: float | None = None


async def identify(server: CentrifugeServer, conn: Connection, fields: Fields) -> Who:
    """Return who connects by a command. Raises CommandError and Disconnect."""
    if server.ready is not None:
        return await _by_token(server, conn, fields.get("token", ""))
    request = conn.request
    if server.authenticate is None:
        return Who(None if request.tls is None else request.tls.identity)
    request._connect = ConnectCommand(
        fields.get("token", ""), fields.get("data"), fields.get("name", ""),
        fields.get("version", ""),
    )  # fmt: skip
    task = running_task()
    try:
        found = server.authenticate(request)
        if isawaitable(found):
            found = await found
        if isinstance(found, Accept):
            found = found.identity
        if isinstance(found, Identity):
            return Who(found.user, found._info, found.expires_at)
        return Who(found)
    except BaseException as exc:
        if is_cancelled(exc) or not is_failure(exc, task):
            raise
        raise _refusal(server, exc) from None


def _refusal(server: CentrifugeServer, exc: BaseException) -> Disconnect:
    """The end of a client that the program's authenticator has raised for."""
    if isinstance(exc, Reject | HandshakeError):
        code = {401: INVALID_TOKEN}.get(exc.status, DENIED)
        if exc.status == 429 or exc.status >= 500:
            code = BUSY
        dumps = server.hub._writer.dumps
        text = reject_text(exc, dumps) if isinstance(exc, Reject) else str(exc)
        server.hub.metrics.connections_rejected["authentication"] += 1
        return Disconnect(code, text)
    server.hub.metrics.handler_errors += 1
    server.dispatcher.errors.record(server.authenticate or "authenticate", exc)
    return Disconnect(SERVER_ERROR)


async def _by_token(server: CentrifugeServer, conn: Connection, token: str) -> Who:
    try:
        found = token or find_token(conn.request)
    except AmbiguousToken as exc:
        raise Disconnect(INVALID_TOKEN, str(exc)) from None
    if not found:
        raise Disconnect(INVALID_TOKEN, "a token is required")
    try:
        claims = await server.verify(found)
    except ValueError as exc:
        raise Disconnect(INVALID_TOKEN, str(exc)) from None
    if "channel" in claims:
        raise Disconnect(INVALID_TOKEN, "a subscription's token is none of a connection")
    try:
        info = info_json(claims.get("info"))
    except ValueError as exc:
        raise Disconnect(INVALID_TOKEN, str(exc)) from None
    return Who(claims, info, _end(claims))


async def subscription_end(
    server: CentrifugeServer, conn: Connection, token: str, channel: str
) -> float | None:
    """Return when a subscription's token, which gives the right to join, ends; None for never.

    Raises CommandError, and Disconnect for one of another user or channel.
    """
    if server.ready is None:
        raise CommandError(PERMISSION_DENIED)
    try:
        claims = await server.verify(token)
    except ValueError as exc:
        raise CommandError(PERMISSION_DENIED, str(exc)) from None
    if claims.get("channel") != channel or "sub" not in claims:
        raise Disconnect(INVALID_TOKEN, "the token is for another channel")
    if (claims["sub"] or None) != user_of(conn.identity):
        raise Disconnect(INVALID_TOKEN, "the token is of another user")
    if claims.get("client") not in (None, "", conn.id):
        raise Disconnect(INVALID_TOKEN, "the token is of another client")
    return _end(claims)


def _end(claims: Fields) -> float | None:
    return None if claims.get("exp") is None else float(int(claims["exp"]))


def ttl(at: float, now: float) -> int:
    """Return how many seconds are left until a time, at least one."""
    return max(1, min(2**31, math.ceil(at - now)))


__all__ = ["TOKEN_EXPIRED", "Who", "identify", "subscription_end", "ttl"]
