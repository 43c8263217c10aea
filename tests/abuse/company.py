"""What somebody well-behaved would send in the place of an attack: as many bytes, plainly.

No server answers at once while it reads half a megabyte of anything. So a client beside an attack
is compared with one beside good company, too: the same bytes as one ordinary head, body, message
of JSON, or as messages of 1,000 bytes.
"""

from __future__ import annotations

from glyph_fast.wire import BINARY, TEXT
from tests.abuse.attacks import LAST, framed, head, talk

ITEM = b'{"id":17,"name":"Ann","text":"hello, world","is_read":true,"at":1764460800.5},'
COMPANY = "company: "  # before the name of an attack: what stands in its place
SMALL = 1000  # bytes of an ordinary message


def plain_json(size: int) -> bytes:
    """So many bytes of an ordinary list."""
    items = ITEM * ((size - 2) // len(ITEM))
    return b"[" + items[:-1].ljust(size - 2) + b"]"


def plain_head(size: int) -> bytes:
    """A request whose head has so many bytes."""
    least = len(head("GET /page", ("X-Text", "")))
    return head("GET /page", ("X-Text", "a" * (size - least)))


def plain_body(size: int, path: str, body: bytes) -> bytes:
    """A request with so many bytes of a body."""
    return head(f"POST {path}", ("Content-Length", str(size))) + body


def company_of(name: str, data: bytes) -> tuple[str, bytes]:
    """The name and the bytes of what stands beside an attack; one name means the same bytes."""
    size = max(len(data) // 1000, 1) * 1000  # so that it serves for several
    if name.startswith("head: "):
        return f"a head of {size} bytes", plain_head(size) + LAST
    if name.startswith("JSON body: "):
        body = plain_json(size)
        return f"a JSON body of {size} bytes", plain_body(size, "/json", body) + LAST
    if name.startswith("JSON: "):
        return f"a JSON message of {size} bytes", talk(framed(TEXT, plain_json(size)))
    if name.startswith(("chunks", "trailers", "empty lines", "requests")):
        return f"a body of {size} bytes", plain_body(size, "/body", bytes(size)) + LAST
    messages = framed(BINARY, bytes(SMALL)) * max(size // SMALL, 1)
    return f"messages of 1,000 bytes, {size} bytes", talk(messages)
