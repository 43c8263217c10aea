"""Authentication by tokens as a server's options set it up.

A connection ends with its token (close code 4401), unless the client sends a newer one of the same
user in time:

    {"type": "json", "event": "auth_refresh", "data": {"token": "…"}}

which is answered like the other built-in messages, with `auth_refresh_success` or an error.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from inspect import isawaitable
from typing import Any
from urllib.parse import urlsplit

from jwt.algorithms import has_crypto

from ..errors import ConfigError, Reject, needs
from ..handlers.context import MessageContext
from ..handlers.dispatcher import Dispatcher
from ..handlers.permission import Refused
from ..http.request import Request
from ..hub.connection import Connection
from ..hub.identity import info_json
from ..hub.shares import TOKEN_FRAMES
from ..hub.users import user_of
from ..logs import SERVER, log
from ..options.config import Config
from ..options.jwt import is_url
from ..options.values import Address
from ..wire import CLIENT_SUBPROTOCOL
from .bearer import SUBPROTOCOL, AmbiguousToken, find_token
from .fetch import fetch, read_file
from .keys import MIN_INTERVAL_S, KeySet, KeysUnavailable, Secret
from .tokens import Claims, InvalidToken, Tokens, expires_at

REFRESH = "auth_refresh"
OF_CHANNEL = "a subscription's token is none of a connection"
_CHALLENGE = 'Bearer realm="glyph-fast"'  # RFC 6750 §3


class TokenAuthentication:
    """Authentication by the options `jwt_…`. Raises ConfigError when they cannot work."""

    def __init__(self, config: Config, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        dispatcher.built_in_events = {REFRESH: self.refresh}
        dispatcher.renew()
        # A browser that offers subprotocols fails unless one is chosen (WHATWG WebSockets §2.2),
        # and the token must not be it. Our client libraries offer one of their own as well.
        self.subprotocols = (*config.subprotocols, CLIENT_SUBPROTOCOL, SUBPROTOCOL)
        self.has_channels = False  # whether some tokens are those of channels, so of no connection
        self._set: KeySet | None = None
        secret, source, audience, _ = config.jwt
        algorithms = config.jwt.accepted
        if secret is not None:
            try:
                key = Secret(secret)
            except ValueError as exc:
                raise ConfigError(f"jwt_secret: {exc}") from None
            self._tokens = Tokens(key, algorithms, audience=audience)
            return
        assert source is not None
        if not has_crypto:
            raise ConfigError(needs("jwt_jwks", "cryptography", "jwt"))
        self._source = source
        self._set = _key_set(source, algorithms)
        self._tokens = Tokens(self._set, algorithms, audience=audience, renewable=self._set)

    # One run of a server.

    async def start(self) -> None:
        """Read the keys. A URL that does not answer yet is asked again when somebody comes."""
        if self._set is not None and is_url(self._source):
            parts = urlsplit(self._source)
            if parts.scheme == "http" and not Address(parts.hostname or "", 0).is_loopback:
                log(SERVER, logging.WARNING, "keys of tokens come unprotected, by http",
                    url=self._source)  # fmt: skip
            await self._set.read_first()

    async def stop(self) -> None:
        """Read no more keys."""
        if self._set is not None:
            await self._set.close()

    async def verify(self, token: str) -> Claims:
        """The claims of a token. Raises InvalidToken and KeysUnavailable."""
        claims = self._tokens.verify(token)
        return await claims if isawaitable(claims) else claims

    # Connections.

    def authenticate(self, request: Request) -> Claims | Awaitable[Claims]:
        """The claims of the request's token, or something to wait for that returns them.

        Raises Reject, or the awaitable does: 401 with a challenge, 503 while there are no keys.
        """
        try:
            token = find_token(request)
        except AmbiguousToken as exc:
            raise _unauthorized(str(exc)) from None
        if token is None:
            raise Reject(401, {"error": "a token is required"}, {"WWW-Authenticate": _CHALLENGE})
        try:
            claims = self._tokens.verify(token)
        except InvalidToken as exc:
            raise _unauthorized(str(exc)) from None
        return self._wait(claims) if isawaitable(claims) else self._sound(claims)

    async def _wait(self, claims: Awaitable[Claims]) -> Claims:
        try:
            return self._sound(await claims)
        except InvalidToken as exc:
            raise _unauthorized(str(exc)) from None
        except KeysUnavailable:
            retry = {"Retry-After": f"{MIN_INTERVAL_S:g}"}
            raise Reject(503, {"error": "tokens cannot be verified now"}, retry) from None

    def _sound(self, claims: Claims) -> Claims:
        """The claims of a connection's token, which others can be shown. Raises Reject."""
        if self.has_channels and "channel" in claims:
            raise _unauthorized(OF_CHANNEL)
        try:
            info_json(claims.get("info"))
        except ValueError as exc:
            raise _unauthorized(str(exc)) from None
        return claims

    def opened(self, conn: Connection, _: float | None = None) -> None:
        """A connection was upgraded that `authenticate` has let in: as `Dispatcher.opened`."""
        claims = conn.identity
        conn._info = info_json(claims.get("info"))
        self._dispatcher.opened(conn, expires_at(claims))

    # Messages.

    def refresh(self, ctx: MessageContext) -> Awaitable[None] | None:
        """The built-in event `auth_refresh`: go on with a newer token of the same user."""
        data = ctx.message.data
        token = data.get("token") if isinstance(data, dict) else None
        if not isinstance(token, str):
            is_there = isinstance(data, dict) and token is not None
            raise Refused("token must be text" if is_there else "token is missing")
        ctx.conn._turn.charge(TOKEN_FRAMES)
        try:
            claims = self._tokens.verify(token)
        except InvalidToken as exc:
            raise Refused(str(exc)) from None
        if isawaitable(claims):
            return self._renew_later(ctx, claims)
        self._renew(ctx, claims)
        return None

    async def _renew_later(self, ctx: MessageContext, claims: Awaitable[Claims]) -> None:
        try:
            found = await claims
        except InvalidToken as exc:
            raise Refused(str(exc)) from None
        except KeysUnavailable:
            raise Refused("tokens cannot be verified now") from None
        self._renew(ctx, found)

    def _renew(self, ctx: MessageContext, claims: Claims) -> None:
        conn = ctx.conn
        if self.has_channels and "channel" in claims:
            raise Refused(OF_CHANNEL)
        user = user_of(claims)
        if user is None or user != user_of(conn.identity):
            raise Refused("the token is not one of the same user")
        if not conn.is_open:
            return
        info = claims.get("info")
        if info != conn.identity.get("info"):  # else what the program has set meanwhile stays
            try:
                conn.info = info
            except ValueError as exc:
                raise Refused(str(exc)) from None
        conn.identity = claims
        ctx.hub.expire(conn, expires_at(claims))
        answer: dict[str, Any] = {"type": f"{REFRESH}_success"}
        if "exp" in claims:
            answer["expires"] = int(claims["exp"])
        ctx.reply_json(answer)


def _key_set(source: str, algorithms: tuple[str, ...]) -> KeySet:
    if is_url(source):
        return KeySet(lambda: fetch(source), algorithms)
    keys = KeySet(lambda: read_file(source), algorithms)
    try:
        keys.load(read_file(source))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"cannot use the keys of {source}: {exc}") from None
    return keys


def _unauthorized(reason: str) -> Reject:
    """RFC 6750 §3.1."""
    challenge = f'{_CHALLENGE}, error="invalid_token", error_description="{reason}"'
    return Reject(401, {"error": reason}, {"WWW-Authenticate": challenge})
