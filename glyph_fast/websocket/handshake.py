"""The opening handshake (RFC 6455 §4), both sides, as pure functions.

A request goes in, an answer or a refusal comes out. Nothing here waits, routes, or knows a socket.
"""

from __future__ import annotations

import hashlib
import os
import re
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ..errors import HandshakeError
from ..http.headers import TOKEN, Headers, unescape
from ..http.request import Request
from ..http.response import HeaderItems, checked_fields, encode_response, error_response
from ..wire import ACCEPT_GUID, KEY, VERSION

_OWN_FIELDS = {"connection", "content-length", "transfer-encoding", "upgrade"}
_VERSION = str(VERSION).encode()
_SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?\r\n")

MAX_OFFERS = 64  # of subprotocols, or of extensions with their parameters, in one request
MAX_OFFERED = 4096  # bytes of Sec-WebSocket-Extensions

ExtensionParam = tuple[str, str | None]
Extension = tuple[str, list[ExtensionParam]]


class Accept:
    """Returned by an authenticator: the client comes in as `identity`, and the 101 has `headers`.

    ValueError for a field that breaks out of its line, or that the handshake itself decides.
    """

    __slots__ = ("headers", "identity")

    def __init__(self, identity: Any = None, headers: HeaderItems | None = None) -> None:
        self.identity = identity
        self.headers = checked_fields(headers)
        for name, _ in self.headers:
            if name.lower() in _OWN_FIELDS or name.lower().startswith("sec-websocket-"):
                raise ValueError(f"the handshake itself decides the field {name!r}")

    def __repr__(self) -> str:
        return f"Accept({self.identity!r})"  # no fields: they may hold a session


_NO_FIELDS: tuple[tuple[()]] = ((),)  # the last member of an Upgrade


class Upgrade(NamedTuple):
    """A sound request for an upgrade: what the rest of the handshake is decided by."""

    host: str
    key: str
    origin: str | None
    subprotocols: list[str]  # values of Sec-WebSocket-Protocol, for `choose_subprotocol`
    extensions: list[str]  # values of Sec-WebSocket-Extensions, for `parse_extensions`
    fields: Sequence[tuple[str, str]] = ()  # what a handler puts on the 101


def is_upgrade(request: Request) -> bool:
    """Return whether the client means to open a WebSocket, soundly or not."""
    if request._plain_upgrade is not None:
        return True
    headers = request._headers
    if headers is None:
        headers = request.headers
    if headers.raw(b"sec-websocket-key") is not None:
        return True
    return headers.raw(b"upgrade") is not None and "websocket" in headers.tokens("upgrade")


def check_upgrade(request: Request) -> Upgrade:
    """The upgrade a request asks for, judged by RFC 6455 §4.2.1.

    HandshakeError for an unsound one: 405 unless it is a GET, 426 for another version, else 400.
    """
    if request._plain_upgrade is not None:
        # Half the price of Upgrade(*…).
        return tuple.__new__(Upgrade, request._plain_upgrade + _NO_FIELDS)
    headers = request.headers
    only = _only_of(headers) if headers.is_repeated else headers.raw
    if request.method != "GET":
        raise HandshakeError(405, "a WebSocket is opened by GET", {"Allow": "GET"})
    if request.http_version != "1.1":
        raise HandshakeError(400, "a WebSocket is opened by HTTP/1.1")
    _require_token(headers, b"upgrade", b"websocket")
    _require_token(headers, b"connection", b"upgrade")
    if request._has_body:
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


def check_number(values: Sequence[str]) -> None:
    """HandshakeError 400 for an offer of more than `MAX_OFFERS` subprotocols."""
    if sum(value.count(",") + 1 for value in values) > MAX_OFFERS:
        raise HandshakeError(400, f"more than {MAX_OFFERS} subprotocols")


def choose_subprotocol(values: Sequence[str], supported: Sequence[str]) -> str | None:
    """The first of `supported` that the client offers; None when it offers none of them.

    A field without a value is like none, as some clients send it and other servers take it.
    HandshakeError 400 for an offer that is not a list of distinct tokens (RFC 6455 §11.3.4), or of
    more than `MAX_OFFERS`.
    """
    check_number(values)
    offered = [name for value in values for name in _elements(value)]
    if not all(map(TOKEN.fullmatch, offered)) or len({*offered}) != len(offered):
        raise HandshakeError(400, "malformed or repeated Sec-WebSocket-Protocol")
    return next((name for name in supported if name in offered), None)


def parse_extensions(values: Sequence[str]) -> list[Extension]:
    """The extensions of Sec-WebSocket-Extensions fields, in order (RFC 6455 §9.1).

    Each is a name with its parameters as (name, value or None), repeated ones too: what may repeat
    is the extension's to judge. A field without a value is like none. HandshakeError 400 where the
    grammar is broken, and for more than `MAX_OFFERS` extensions and parameters together.
    """
    # Before anything is read: each costs far more than the bytes it takes.
    if sum(value.count(",") + value.count(";") + 1 for value in values) > MAX_OFFERS:
        raise HandshakeError(400, f"more than {MAX_OFFERS} extensions and parameters")
    if sum(map(len, values)) > MAX_OFFERED:
        raise HandshakeError(400, f"Sec-WebSocket-Extensions is longer than {MAX_OFFERED} bytes")
    return [_read_extension(text) for value in values for text in _split_elements(value)]


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
            token = unescape(quoted)
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
    """The terms that a server agreed to."""

    subprotocol: str | None
    extensions: list[Extension]
    headers: Headers


def check_accept(head: bytes, key: str) -> Accepted:
    """Check a server's complete answer to `key`, and return what it agrees to (RFC 6455 §4.1).

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
