"""The client's half of the opening handshake (RFC 6455 §4.1)."""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import sha1

from ..errors import HandshakeError
from ..websocket.deflate import ClientCodec, accept
from ..websocket.handshake import check_accept
from ..wire import ACCEPT_GUID

# What a desktop browser adds, by kind and length: about 800 bytes with the rest.
_BROWSER = (
    "Pragma: no-cache\r\n"
    "Cache-Control: no-cache\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/130.0.0.0 Safari/537.36\r\n"
    "Origin: http://{host}\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en;q=0.9,de-DE;q=0.8,de;q=0.7,fr-FR;q=0.6,fr;q=0.5\r\n"
    "Cookie: session=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08;"
    " theme=dark; consent=necessary-analytics; visitor=2c26b46b68ffc68ff99b453c1d304134\r\n"
    "Sec-Fetch-Dest: websocket\r\n"
    "Sec-Fetch-Mode: websocket\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
)


class OpeningFailed(Exception):
    """The server did not answer 101, or not as RFC 6455 demands."""


def new_key() -> bytes:
    """A fresh value for Sec-WebSocket-Key: 16 random bytes in base64."""
    return b64encode(os.urandom(16))


def request_head(
    target: str,
    host: str,
    key: bytes,
    *,
    browser: bool = False,
    extensions: str = "",
    authorization: str | None = None,
) -> bytes:
    """The request that asks for the upgrade; `browser` makes it as long as a browser's."""
    extra = _BROWSER.format(host=host) if browser else ""
    if extensions:
        extra += f"Sec-WebSocket-Extensions: {extensions}\r\n"
    if authorization:
        extra += f"Authorization: {authorization}\r\n"
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"{extra}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    ).encode("ascii") + (key + b"\r\n\r\n")


def check_answer(head: bytes, key: bytes) -> None:
    """Raise OpeningFailed unless `head` accepts the request that was sent with `key`."""
    status, _, fields = head.partition(b"\r\n")
    if not status.startswith(b"HTTP/1.1 101"):
        raise OpeningFailed(f"the server answered {status.decode('latin-1')!r}, expected 101")
    expected = b64encode(sha1(key + ACCEPT_GUID, usedforsecurity=False).digest())
    for field in fields.split(b"\r\n"):
        name, _, value = field.partition(b":")
        if name.lower() == b"sec-websocket-accept":
            if value.strip() == expected:
                return
            break
    raise OpeningFailed("the server's Sec-WebSocket-Accept does not match the key")


def compression_of(head: bytes, key: bytes) -> ClientCodec:
    """Return the codec of what `head` agrees to; OpeningFailed when it declines."""
    try:
        parameters = accept(check_accept(head, key.decode()).extensions)
    except HandshakeError as exc:
        raise OpeningFailed(f"the server's answer: {exc}") from None
    if parameters is None:
        raise OpeningFailed("the server declined permessage-deflate")
    return ClientCodec(parameters)
