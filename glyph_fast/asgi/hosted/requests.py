"""A scope as the bytes of a request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

# What is between the client and the server around us; the last four are made anew for a WebSocket.
_HOP = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer",
        b"transfer-encoding", b"upgrade", b"expect", b"sec-websocket-key",
        b"sec-websocket-version", b"sec-websocket-protocol", b"sec-websocket-extensions",
    )
)  # fmt: skip
_BREAKS = re.compile(rb"[\r\n\0]")
_TARGET = re.compile(rb"[!-~]+")
_SAFE = "/:@!$&'()*+,;=~-._"
_KEY = b"AAAAAAAAAAAAAAAAAAAAAA=="  # nobody checks what is made of it


class BadScope(ValueError):
    """The scope is none that could have come over HTTP."""


def http_head(scope: Any) -> tuple[bytes, bool]:
    """The head of a request, and whether its body is to be sent in chunks."""
    lines, is_chunked = [_line(scope.get("method", "GET").encode(), scope)], False
    has_length, has_host = False, scope.get("http_version") != "1.0"
    for name, value in scope["headers"]:
        name = bytes(name).lower()
        is_chunked = is_chunked or name == b"transfer-encoding"
        has_length = has_length or name == b"content-length"
        has_host = has_host or name == b"host"
        if name not in _HOP:
            lines.append(b"%b: %b" % (name, value))
    is_chunked = is_chunked and not has_length
    if not has_host:  # which HTTP/1.0 does not ask for, and 1.1 does (RFC 9112 §3.2)
        lines.append(b"host:")
    if is_chunked:
        lines.append(b"transfer-encoding: chunked")
    lines.append(b"connection: close")
    return _joined(lines), is_chunked


def upgrade_head(scope: Any) -> bytes:
    """The head of a request for a WebSocket."""
    lines = [_line(b"GET", scope)]
    lines += [b"%b: %b" % (name, value) for name, value in _fields(scope)]
    lines += [
        b"connection: upgrade",
        b"upgrade: websocket",
        b"sec-websocket-version: 13",
        b"sec-websocket-key: " + _KEY,
    ]
    if scope.get("subprotocols"):
        lines.append(b"sec-websocket-protocol: " + ", ".join(scope["subprotocols"]).encode())
    return _joined(lines)


def chunk(data: bytes) -> bytes:
    """One chunk of a body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _fields(scope: Any) -> Iterator[tuple[bytes, bytes]]:
    for name, value in scope["headers"]:
        name = bytes(name).lower()
        if name not in _HOP and name != b"content-length":
            yield name, value


def _line(method: bytes, scope: Any) -> bytes:
    target = _path(scope)
    if query := scope.get("query_string", b""):
        target += b"?" + query
    if not _TARGET.fullmatch(target):
        raise BadScope(f"no target of a request: {target!r}")
    return b"%b %b HTTP/1.1" % (method, target)


def _path(scope: Any) -> bytes:
    """The path below `root_path`, as it was sent where that is known."""
    root, path = scope.get("root_path", "").rstrip("/"), scope["path"]
    raw = (scope.get("raw_path") or b"").partition(b"?")[0]
    if not root:
        return raw or quote(path, safe=_SAFE).encode()
    if path != root and not path.startswith(root + "/"):
        return raw or quote(path, safe=_SAFE).encode()
    before = quote(root, safe=_SAFE).encode()
    if raw == before or raw.startswith(before + b"/"):
        return raw[len(before) :] or b"/"
    return quote(path[len(root) :], safe=_SAFE).encode() or b"/"


def _joined(lines: list[bytes]) -> bytes:
    if any(_BREAKS.search(line) for line in lines):
        raise BadScope("a header field breaks out of its line")
    return b"\r\n".join([*lines, b"", b""])


__all__ = ["BadScope", "chunk", "http_head", "upgrade_head"]
