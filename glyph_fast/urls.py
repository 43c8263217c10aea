"""URLs that users give."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_PORTS = {"ws": 80, "wss": 443}


def is_sound_url(url: str, schemes: Collection[str]) -> bool:
    """Return whether a URL has one of the schemes, a host, and no port that cannot be."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is none
        return False


class WebSocketUrl(NamedTuple):
    """A WebSocket URL taken apart, as a client needs it."""

    text: str  # as it may be shown: without a password
    is_secure: bool
    host: str  # to connect to; an IPv6 address without its brackets
    port: int
    host_field: str  # for the field `Host`
    target: str  # path and query, escaped
    authorization: str | None  # for the field of that name, from `user:password@`

    @property
    def server_name(self) -> str:
        """The name that a certificate must be for."""
        return self.host.partition("%")[0]


def websocket_url(url: str) -> WebSocketUrl:
    """Take a URL apart. Raises ValueError, which says what was expected, for one that is none."""
    if not url.isprintable() or " " in url:
        raise ValueError(f"expected a URL without blanks and control characters, found {url!r}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:  # brackets that do not match, a port that is none
        raise ValueError(f"expected a URL, found {url!r}: {exc}") from None
    if parts.scheme not in _PORTS:
        raise ValueError(f"expected a URL that begins with ws:// or wss://, found {url!r}")
    if not parts.hostname or port == 0:
        raise ValueError(f"expected a host and a port from 1 to 65535, found {url!r}")
    if parts.fragment:
        raise ValueError(f"a WebSocket URL has no fragment (RFC 6455 §3), found {url!r}")
    host = _host(parts.hostname)
    named = f"[{host.partition('%')[0]}]" if ":" in host else host
    default = _PORTS[parts.scheme]
    target = quote(parts.path or "/", _VISIBLE)
    if parts.query:
        target += f"?{quote(parts.query, _VISIBLE)}"
    return WebSocketUrl(
        text=parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
        is_secure=parts.scheme == "wss",
        host=host,
        port=port or default,
        host_field=named if port in (None, default) else f"{named}:{port}",
        target=target,
        authorization=_basic(parts),
    )


def _host(name: str) -> str:
    """The name as it stands in DNS. Raises ValueError for one that cannot."""
    if ":" in name:
        return name
    try:
        ascii_name = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        ascii_name = ""
    if not re.fullmatch(r"[\w.~!$&'()*+,;=-]{1,253}", ascii_name, re.ASCII):
        raise ValueError(f"expected the name or the address of a host, found {name!r}")
    return ascii_name


def _basic(parts: SplitResult) -> str | None:
    """RFC 7617, as browsers and curl have it for a URL with a user."""
    if parts.username is None:
        return None
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {b64encode(user.encode()).decode()}"
