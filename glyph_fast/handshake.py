"""The opening handshake (RFC 6455 §4), both sides, as pure functions.

A request goes in, an answer or a refusal comes out. Nothing here waits, routes, or knows a socket.
"""

from __future__ import annotations

import hashlib
import os
import re
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple

from .errors import HandshakeError
from .http.headers import TOKEN, Headers
from .http.request import Request
from .http.response import checked_fields, encode_response, error_response
from .wire import ACCEPT_GUID, KEY, VERSION

_VERSION = str(VERSION).encode()
_SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?\r\n")

ExtensionParam = tuple[str, str | None]
Extension = tuple[str, list[ExtensionParam]]


class Upgrade(NamedTuple):
    """A sound request for an upgrade: what the rest of the handshake is decided by."""

    host: str
    key: str
    origin: str | None
    subprotocols: list[str]  # values of Sec-WebSocket-Protocol, for `choose_subprotocol`
    extensions: list[str]  # values of Sec-WebSocket-Extensions, for `parse_extensions`


def is_upgrade(request: Request) -> bool:
    """Whether the client means to open a WebSocket, soundly or not."""
    if request._plain_upgrade is not None:
        return True
    headers = request.headers
    if headers.raw(b"sec-websocket-key") is not None:
        return True
    return headers.raw(b"upgrade") is not None and "websocket" in headers.tokens("upgrade")


def check_upgrade(request: Request) -> Upgrade:
    """The upgrade a request asks for, judged by RFC 6455 §4.2.1.

    HandshakeError for an unsound one: 405 unless it is a GET, 426 for another version, else 400.
    """
    if request._plain_upgrade is not None:
        return tuple.__new__(Upgrade, request._plain_upgrade)  # half the price of Upgrade(*…)
    headers = request.headers
    only = _only_of(headers) if headers.is_repeated else headers.raw
    if request.method != "GET":
        raise HandshakeError(405, "a WebSocket is opened by GET", {"Allow": "GET"})
    if request.http_version != "1.1":
        raise HandshakeError(400, "a WebSocket is opened by HTTP/1.1")
    _require_token(headers, b"upgrade", b"websocket")
    _require_token(headers, b"connection", b"upgrade")
    if request.has_body:
        raise HandshakeError(400, "a request for a WebSocket has no body")
    if only(b"sec-websocket-version") != _VERSION:
        fields = {"Upgrade": "websocket", "Sec-WebSocket-Version": str(VERSION)}
        raise HandshakeError(426, f"WebSocket version {VERSION} is required", fields)
    key = only(b"sec-websocket-key")
    if key is None or not KEY.fullmatch(key):
        raise HandshakeError(400, "exactly one Sec-WebSocket-Key of 16 bytes is required")
    origin = only(b"origin")
    if origin is None and headers.raw(b"origin") is not None:
        raise HandshakeError(400, "more than one Origin field")
    return Upgrade(
        request.host,
        key.decode(),
        None if origin is None else origin.decode("latin-1"),
        _values(headers, b"sec-websocket-protocol"),
        _values(headers, b"sec-websocket-extensions"),
    )


def accept_key(key: str) -> str:
    """The value of Sec-WebSocket-Accept that answers `key` (RFC 6455 §4.2.2)."""
    return _accept_key(key).decode("ascii")


def _accept_key(key: str) -> bytes:
    digest = hashlib.sha1(key.encode("ascii") + ACCEPT_GUID, usedforsecurity=False).digest()
    return b2a_base64(digest, newline=False)


def accept_response(
    key: str,
    subprotocol: str | None = None,
    extensions: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> bytes:
    """The 101 that opens a WebSocket (RFC 6455 §4.2.2); ValueError for a field that cannot be."""
    fields = list(headers)
    if subprotocol is not None:
        fields.append(("Sec-WebSocket-Protocol", subprotocol))
    if extensions:
        fields.append(("Sec-WebSocket-Extensions", extensions))
    lines = _field_lines(fields).encode("latin-1") if fields else b""
    return _SWITCHING + _accept_key(key) + b"\r\n" + lines + b"\r\n"


def refusal(status: int, reason: str = "", headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """The answer to an upgrade that is refused, as JSON, closing the connection."""
    return encode_response(error_response(status, reason, headers), keep_alive=False)


def choose_subprotocol(values: Sequence[str], supported: Sequence[str]) -> str | None:
    """The first of `supported` that the client offers; None when it offers none of them.

    HandshakeError 400 for an offer that is not a list of distinct tokens (RFC 6455 §11.3.4).
    """
    if not values:
        return None
    offered = [name for value in values for name in _elements(value)]
    if not offered or not all(map(TOKEN.fullmatch, offered)) or len({*offered}) != len(offered):
        raise HandshakeError(400, "malformed or repeated Sec-WebSocket-Protocol")
    return next((name for name in supported if name in offered), None)


def parse_extensions(values: Sequence[str]) -> list[Extension]:
    """The extensions of Sec-WebSocket-Extensions fields, in order (RFC 6455 §9.1).

    Each is a name with its parameters as (name, value or None), repeated ones too: what may repeat
    is the extension's to judge. HandshakeError 400 where the grammar is broken.
    """
    if not values:
        return []
    extensions = [_read_extension(text) for value in values for text in _split_elements(value)]
    if not extensions:
        raise _bad_extensions()
    return extensions


# One parameter, or the name of the extension when it comes first. A quoted value must be a token
# once unquoted (RFC 6455 §9.1), so escapes are allowed but never needed.
_PIECE = re.compile(
    r"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*"
    r"(?:=[ \t]*(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|\"((?:[^\"\\]|\\.)*)\")[ \t]*)?(?:;|$)"
)
_ELEMENT = re.compile(r"((?:[^\",]|\"(?:[^\"\\]|\\.)*\")*)(?:,|$)")


def _split_elements(value: str) -> list[str]:
    """The elements of a list whose quoted strings may hold commas; empty ones do not count."""
    elements, position = [], 0
    while position < len(value):
        match = _ELEMENT.match(value, position)
        if match is None:
            raise _bad_extensions()
        if element := match.group(1).strip(" \t"):
            elements.append(element)
        position = match.end()
    return elements


def _read_extension(text: str) -> Extension:
    pieces: list[ExtensionParam] = []
    position = 0
    while position < len(text) or text.endswith(";"):
        match = _PIECE.match(text, position)
        if match is None:
            raise _bad_extensions()
        name, token, quoted = match.groups()
        if quoted is not None:
            token = re.sub(r"\\(.)", r"\1", quoted)
            if not TOKEN.fullmatch(token):
                raise _bad_extensions()
        pieces.append((name, token))
        position = match.end()
    (name, value), *params = pieces
    if value is not None:
        raise _bad_extensions()
    return name, params


def _bad_extensions() -> HandshakeError:
    return HandshakeError(400, "malformed Sec-WebSocket-Extensions")


def check_origin(origin: str | None, host: str, allowed: Sequence[str], scheme: str) -> bool:
    """Whether a page of `origin` may open a WebSocket here (RFC 6455 §10.2).

    Without `allowed`: when its host and port are those of `host` (the Host field), defaults filled
    in, `scheme` ("http" or "https") being how the request came. A page that came by https while the
    request did not has met a proxy in front that speaks TLS, so its default port is the one meant.
    With `allowed`: when that lists it, as an exact origin, as `https://*.example.com` (any
    subdomain, not the domain itself), or as `*`. No origin at all means no browser, and is allowed.
    ValueError for a bad entry of `allowed`.
    """
    if origin is None:
        return True
    if allowed:
        return any(_origin_matches(origin, rule) for rule in allowed)
    if origin == f"{scheme}://{host}" and host:
        return True  # nearly always, and at a tenth of the price
    page = _split_origin(origin)
    if page is not None and page[0] == "https":
        scheme = "https"
    server = _split_origin(f"{scheme}://{host}")
    return page is not None and server is not None and page[1:] == server[1:]


def check_allowed_origin(rule: str) -> str:
    """`rule` itself when `check_origin` understands it, ValueError otherwise."""
    _read_rule(rule)
    return rule


Origin = tuple[str, str, int]  # scheme, host, port

_ORIGIN = re.compile(
    r"([a-z][a-z0-9+.\-]*)://(\[[0-9a-f:.]+\]|[^\x00-\x20\x7f/?#@\[\]:]+)(?::(\d{0,5}))?"
)
_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def _split_origin(text: str) -> Origin | None:
    """The parts of an origin with its default port filled in (RFC 6454 §4), None if it is none."""
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        return None
    scheme, host, port = match.groups()
    if host.startswith("["):
        try:
            host = IPv6Address(host[1:-1]).compressed  # one address has many spellings
        except ValueError:
            return None
    number = int(port) if port else _DEFAULT_PORTS.get(scheme, 0)
    return (scheme, host, number) if number < 65536 else None


@lru_cache(maxsize=256)  # the rules are the operator's: few, and the same for every handshake
def _read_rule(rule: str) -> Origin | None:
    if rule in ("*", "null"):
        return None
    parts = _split_origin(rule.removesuffix("/"))
    if parts is None or "*" in parts[1].removeprefix("*."):
        raise ValueError(
            f"bad origin {rule!r}: expected https://example.com or https://*.example.com"
        )
    return parts


def _origin_matches(origin: str, rule: str) -> bool:
    wanted = _read_rule(rule)
    if wanted is None:
        return rule == "*" or origin == rule
    given = _split_origin(origin)
    if given is None or given[0] != wanted[0] or given[2] != wanted[2]:
        return False
    if wanted[1].startswith("*."):
        suffix = wanted[1][1:]
        return given[1].endswith(suffix) and len(given[1]) > len(suffix)
    return given[1] == wanted[1]


def new_key() -> str:
    """A fresh key for `client_request` (RFC 6455 §4.1)."""
    return b2a_base64(os.urandom(16), newline=False).decode("ascii")


def client_request(
    host: str,
    path: str,
    key: str,
    *,
    subprotocols: Sequence[str] = (),
    extensions: str | None = None,
    origin: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> bytes:
    """The request that opens a WebSocket (RFC 6455 §4.1).

    `host` is as in the Host field, `path` with query and already escaped. ValueError for a field
    or a path that cannot be sent.
    """
    if not re.fullmatch(r"/[!-~]*", path):
        raise ValueError(f"bad request target {path!r}")
    fields = [("Host", host), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
    fields += [("Sec-WebSocket-Key", key), ("Sec-WebSocket-Version", str(VERSION))]
    if origin is not None:
        fields.append(("Origin", origin))
    if subprotocols:
        fields.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
    if extensions:
        fields.append(("Sec-WebSocket-Extensions", extensions))
    fields.extend(headers)
    return f"GET {path} HTTP/1.1\r\n{_field_lines(fields)}\r\n".encode("latin-1")


class Accepted(NamedTuple):
    """What a server agreed to."""

    subprotocol: str | None
    extensions: list[Extension]
    headers: Headers


def check_accept(head: bytes, key: str) -> Accepted:
    """What a server's complete answer to `key` agrees to (RFC 6455 §4.1, the client's checks).

    HandshakeError with the answer's status when it is not a 101, with status 400 when it is an
    unsound one. Whether the subprotocol and the extensions had been offered is the caller's check.
    """
    match = _STATUS_LINE.match(head)
    if match is None or not head.endswith(b"\r\n\r\n"):
        raise HandshakeError(400, "malformed answer to the handshake")
    fields = []
    for line in head[match.end() : -4].split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if line and (not colon or not TOKEN.fullmatch(name.decode("latin-1"))):
            raise HandshakeError(400, "malformed header field in the answer")
        if line:
            fields.append((name, value.strip(b" \t")))
    headers = Headers(fields)
    status = int(match.group(1))
    if status != 101:
        phrase = (match.group(2) or b"").decode("latin-1")
        raise HandshakeError(status, phrase, dict(headers))
    _require_token(headers, b"upgrade", b"websocket")
    _require_token(headers, b"connection", b"upgrade")
    if _only_of(headers)(b"sec-websocket-accept") != accept_key(key).encode():
        raise HandshakeError(400, "Sec-WebSocket-Accept does not answer the key")
    names = headers.getlist("sec-websocket-protocol")
    if len(names) > 1:
        raise HandshakeError(400, "more than one subprotocol in the answer")
    extensions = parse_extensions(headers.getlist("sec-websocket-extensions"))
    return Accepted(names[0] if names else None, extensions, headers)


def _elements(value: str) -> list[str]:
    """The elements of a comma-separated list; empty ones do not count (RFC 9110 §5.6.1)."""
    return [element for part in value.split(",") if (element := part.strip(" \t"))]


def _only_of(headers: Headers) -> Callable[[bytes], bytes | None]:
    """A look-up of fields that stand there exactly once; of others it says None."""

    def only(name: bytes) -> bytes | None:
        return headers.raw(name) if len(headers.getlist(name.decode())) == 1 else None

    return only


def _values(headers: Headers, name: bytes) -> list[str]:
    """All values of a field that is mostly absent."""
    return [] if headers.raw(name) is None else headers.getlist(name.decode())


def _require_token(headers: Headers, name: bytes, token: bytes) -> None:
    value = headers.raw(name)
    if value is None or value.lower() != token:  # a list, perhaps
        if token.decode() not in headers.tokens(name.decode()):
            raise HandshakeError(400, f"missing '{name.decode().title()}: {token.decode()}'")


def _field_lines(fields: Iterable[tuple[str, str]]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in checked_fields(fields)])
