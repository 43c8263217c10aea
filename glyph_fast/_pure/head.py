"""Request heads in which there is nothing to judge, read without the libraries."""

from __future__ import annotations

import re

from ..wire import (
    KEY,
    MAX_FIELDS,
    MAX_HEAD,
    MAX_REQUEST_LINE,
)

_PLAIN_HEAD = re.compile(
    rb"GET (/[!\"$&-~]*+) HTTP/1\.1\r\n((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[ -~]*+\r\n)*+)\r\n"
)

_PLAIN_FIELD = re.compile(rb"([^:]++): *+([^\r]*+)\r\n")

_PLAIN_AUTHORITY = re.compile(rb"[A-Za-z0-9\-.]+(?::[0-9]{0,5})?")  # RFC 3986 §3.2.2

_CONNECTIONS = (b"upgrade", b"keep-alive, upgrade")  # the latter is Firefox's

_DECIDING = {  # the fields that decide whether and how a WebSocket is opened
    b"host", b"upgrade", b"connection", b"sec-websocket-key", b"sec-websocket-version", b"origin",
    b"sec-websocket-protocol", b"sec-websocket-extensions", b"content-length", b"transfer-encoding",
}  # fmt: skip


def read_plain_head(
    head: bytes,
) -> tuple[str, list[tuple[bytes, bytes]], dict[bytes, bytes]] | None:
    """Target, fields as sent, and values by name in lower case of a plain request head, else None.

    Plain is a whole head of a GET in HTTP/1.1 whose target is a path in visible ASCII without
    escapes, whose fields are in printable ASCII, and in which no name stands twice (RFC 9112 §3,
    §5). It says nothing about what the fields mean. Other heads are not bad: nobody has read them.
    """
    plain = _plain_fields(head)
    if plain is None:
        return None
    target, fields = plain
    values = {name.lower(): value for name, value in fields}
    return (target, fields, values) if len(values) == len(fields) else None


def read_plain_upgrade(
    head: bytes,
) -> tuple[str, str, str, tuple[str, str, str | None, list[str], list[str]]] | None:
    """What a request says that asks soundly for a WebSocket, as nearly all clients do; else None.

    It says target, path and query, and in a tuple host, key, origin (None where no browser asks)
    and the values, none or one, of Sec-WebSocket-Protocol and Sec-WebSocket-Extensions; what those
    mean, nobody has looked at. The head is plain as for `read_plain_head`, but that fields which
    decide nothing may repeat; it is what RFC 6455 §4.2.1 asks for, and has no body. Other requests
    may be sound as well.
    """
    if b"websocket" not in bytes.lower(head):  # other requests are read by `read_plain_head`, once
        return None
    plain = _plain_fields(head)
    if plain is None or len(plain[1]) > MAX_FIELDS:
        return None
    target, fields = plain
    deciding = [(low, value) for name, value in fields if (low := name.lower()) in _DECIDING]
    values = dict(deciding)
    said = values.get
    host, key, origin = said(b"host"), said(b"sec-websocket-key"), said(b"origin")
    if (
        len(values) != len(deciding)
        or b"content-length" in values
        or b"transfer-encoding" in values
        or said(b"upgrade", b"").lower() != b"websocket"
        or said(b"sec-websocket-version") != b"13"
        or said(b"connection", b"").lower() not in _CONNECTIONS
        or host is None
        or not _PLAIN_AUTHORITY.fullmatch(host)
        or key is None
        or not KEY.fullmatch(key)
    ):
        return None
    path, _, query = target.partition("?")
    asked = (
        host.decode("ascii"),
        key.decode("ascii"),
        None if origin is None else origin.decode("ascii"),
        _texts(said(b"sec-websocket-protocol")),
        _texts(said(b"sec-websocket-extensions")),
    )
    return target, path, query, asked


def _texts(value: bytes | None) -> list[str]:
    return [] if value is None else [value.decode("ascii")]


def _plain_fields(head: bytes) -> tuple[str, list[tuple[bytes, bytes]]] | None:
    match = _PLAIN_HEAD.fullmatch(head) if len(head) <= MAX_HEAD else None
    if match is None or match.start(2) > MAX_REQUEST_LINE + 2:
        return None
    fields = [(name, value.rstrip(b" ")) for name, value in _PLAIN_FIELD.findall(match[2])]
    return match[1].decode("ascii"), fields
