"""What a client can send to make one turn long: the worst that was found for each parser.

Each attack is what one connection sends; it ends with a request, or a frame, behind which the
server closes. The tests watch somebody else being served meanwhile, and count the work.
"""

from __future__ import annotations

import zlib

from glyph_fast.core import encode_frame
from glyph_fast.wire import BINARY, CLOSE, CONTINUATION, PING, TEXT

SIZE = 60_000  # bytes of a field that takes most of a head
KEY = b"\x11\x22\x33\x44"
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}


def fill(unit: str, size: int = SIZE) -> str:
    """`unit` as often as fits."""
    return unit * (size // len(unit))


def head(line: str, *fields: tuple[str, str]) -> bytes:
    """The bytes of a request head."""
    lines = [f"{line} HTTP/1.1", "Host: 127.0.0.1", *(f"{k}: {v}" for k, v in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def upgrade(*fields: tuple[str, str], path: str = "/ws") -> bytes:
    """The same, of a request for a WebSocket; a field replaces that of the same name."""
    return head(f"GET {path}", *({**UPGRADE, **dict(fields)}.items()))


# Heads, by what they are hard on.
HEADS: dict[str, bytes] = {
    "Forwarded, semicolons": upgrade(("Forwarded", fill(";"))),
    "Forwarded, commas": upgrade(("Forwarded", fill(","))),
    "Forwarded, pairs": upgrade(("Forwarded", fill("for=1.2.3.4;by=x,"))),
    "Forwarded, escapes": upgrade(("Forwarded", 'x="' + fill("\\a") + '"')),
    "X-Forwarded-For, commas": upgrade(("X-Forwarded-For", fill("a,"))),
    "X-Forwarded-For, addresses": upgrade(("X-Forwarded-For", fill("127.0.0.1,"))),
    "X-Forwarded-For, colons": upgrade(("X-Forwarded-For", fill(":"))),
    "X-Forwarded-Proto": upgrade(("X-Forwarded-Proto", fill("http,"))),
    "X-Forwarded-Host": upgrade(("X-Forwarded-Host", fill("a,"))),
    "extensions, names": upgrade(("Sec-WebSocket-Extensions", fill("a,"))),
    "extensions, commas": upgrade(("Sec-WebSocket-Extensions", fill(","))),
    "extensions, parameters": upgrade(("Sec-WebSocket-Extensions", "a" + fill(";b"))),
    "extensions, escapes": upgrade(("Sec-WebSocket-Extensions", 'a;b="' + fill("\\a") + '"')),
    "extensions, quotes": upgrade(("Sec-WebSocket-Extensions", fill('"'))),
    "subprotocols": upgrade(("Sec-WebSocket-Protocol", fill("a,"))),
    "cookies": upgrade(("Cookie", fill("a=b;"))),
    "cookies, semicolons": upgrade(("Cookie", fill(";"))),
    "Connection": upgrade(("Connection", fill("a,") + "upgrade")),
    "Upgrade": upgrade(("Upgrade", fill("a,") + "websocket")),
    "Connection of a request": head("GET /page", ("Connection", fill(","))),
    "Expect": head("POST /body", ("Expect", fill("a,")), ("Content-Length", "1")),
    "Transfer-Encoding": head("POST /body", ("Transfer-Encoding", fill(","))),
    "If-None-Match": head("GET /files/app.py", ("If-None-Match", fill('"a",'))),
    "If-Match": head("GET /files/app.py", ("If-Match", fill('"a",'))),
    "If-Modified-Since": head("GET /files/app.py", ("If-Modified-Since", fill("1 "))),
    "Range": head("GET /files/app.py", ("Range", "bytes=" + fill("0-0,"))),
    "Accept": head("GET /page", ("Accept", fill("*/*,")), ("Accept-Encoding", "gzip")),
    "Accept-Encoding": head("GET /page", ("Accept-Encoding", fill("gzip,"))),
    "Origin": upgrade(("Origin", "http://" + fill("a."))),
    "Authorization": upgrade(("Authorization", "Bearer " + fill("a."))),
    "query": upgrade(path="/ws?" + fill("a&", 8000)),
    "query of a request": head("GET /query?" + fill("%61=%62&", 8000)),
    "path": head("GET " + fill("/", 8000)),
    "path, escapes": head("GET /" + fill("%61/", 8000)),
    "fields": head("GET /page", *((f"X-{n}", "a" * 230) for n in range(250))),
    "fields, repeated": upgrade(("Cookie", "a=b")).replace(
        b"Cookie", b"Cookie: a=b\r\n" * 249 + b"C"
    ),
}


def framed(opcode: int, payload: bytes, **options: bool) -> bytes:
    """A masked frame."""
    return encode_frame(opcode, payload, key=KEY, **options)


MESSAGE = 500_000  # bytes of JSON, within the usual limit
INTEGER = b"123456789012345678901"  # beyond 64 bits

# Texts that are JSON, or nearly.
TEXTS: dict[str, bytes] = {
    "a large integer": b"[" + b"1," * (MESSAGE // 2) + INTEGER + b"]",
    "large integers": b"[" + (INTEGER + b",") * (MESSAGE // 22) + b"1]",
    "integers of 4,000 digits": b"[" + (b"1" * 4000 + b",") * (MESSAGE // 4001) + b"1]",
    "long fractions": b"[" + b"0.1234567890123456789012," * (MESSAGE // 25) + b"1]",
    "no end": b"[" + b"1," * (MESSAGE // 2),
    "half a surrogate pair": b'["\\ud800",' + b"1," * (MESSAGE // 2) + b"1]",
    "NaN": b"[NaN," + b"1," * (MESSAGE // 2) + b"1]",
    "depth": b"[" * (MESSAGE // 2) + b"]" * (MESSAGE // 2),
    "a large integer in a string": b'["%b"' % INTEGER + b',""' * (MESSAGE // 3) + b"]",
    "lists": b"[" + b"[]," * (MESSAGE // 3) + b"[]]",
    "a large integer in 60 KB": b"[" + b"1," * 30_000 + INTEGER + b"]",
}


def bomb(size: int) -> bytes:
    """So many zeros in one compressed message."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -12)
    return (deflater.compress(bytes(size)) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


CHUNKED = head("POST /body", ("Transfer-Encoding", "chunked"))
LAST = head("GET /page", ("Connection", "close"))
OFFER = ("Sec-WebSocket-Extensions", "permessage-deflate; client_no_context_takeover")
PROXY = b"\r\n\r\n\x00\r\nQUIT\n"  # how a header of the second version begins
EXTRA = 4096  # bytes behind that and the four that follow, the most that are read
DATA = 250_000  # bytes, as many as one read takes


def talk(*frames: bytes, offer: tuple[str, str] | None = None) -> bytes:
    """A WebSocket's whole life."""
    fields = [offer] if offer else []
    return upgrade(*fields) + b"".join(frames) + framed(CLOSE, b"\x03\xe8")


def attacks() -> dict[str, bytes]:
    """All of them, by name: what one connection sends."""
    found = {f"head: {name}": data + LAST for name, data in HEADS.items()}
    for name, text in TEXTS.items():
        found[f"JSON: {name}"] = talk(framed(TEXT, text))
        sized = head("POST /json", ("Content-Length", str(len(text)))) + text
        found[f"JSON body: {name}"] = sized + LAST
    for name, chunk in {
        "of 3 bytes": b"3\r\nabc\r\n",
        "of 5 bytes": b"5\r\nabcde\r\n",
        "with extensions": b"8;a=b;c=d\r\nabcdefgh\r\n",
    }.items():
        found[f"chunks {name}"] = CHUNKED + chunk * (DATA // 10) + b"0\r\n\r\n" + LAST
    found["trailers"] = CHUNKED + b"0\r\n" + b"a:\r\n" * 2000 + b"\r\n" + LAST
    found["empty lines"] = b"\r\n" * (DATA // 2) + LAST
    found["requests"] = head("GET /page") * 2000 + LAST
    found["requests with chunks"] = (CHUNKED + b"2\r\n{}\r\n0\r\n\r\n") * 2000 + LAST
    expecting = head("POST /body", ("Expect", "100-continue"), ("Content-Length", "2")) + b"{}"
    found["requests that expect"] = expecting * 2000 + LAST
    parts = framed(CONTINUATION, b"x", fin=False) * 30_000
    found["fragments of a byte"] = talk(
        framed(TEXT, b"x", fin=False), parts, framed(CONTINUATION, b"x")
    )
    found["frames of a byte"] = talk(framed(BINARY, b"x") * 20_000)
    found["pings"] = talk(framed(PING, b"x") * 20_000)
    found["small bombs"] = talk(framed(BINARY, bomb(500_000), rsv1=True) * 20, offer=OFFER)
    return found


def proxied() -> dict[str, bytes]:
    """The same where every connection begins with a header of the PROXY protocol."""
    ends = b"\x7f\x00\x00\x01" * 2 + b"\x00\x01" * 2
    room = EXTRA - len(ends)
    extras = {
        "empty values": b"\x04\x00\x00" * (room // 3),
        "a checksum": b"\x04"
        + (room - 10).to_bytes(2, "big")
        + bytes(room - 10)
        + b"\x03\x00\x04"
        + bytes(4),
        "checksums": b"\x03\x00\x04" + bytes(4) + b"\x03\x00\x04" * (room // 7),
        "a value beyond the end": b"\x04\x00\x00" * 1000 + b"\x04\xff\xff",
    }
    found = {"PROXY, a line without end": b"PROXY TCP4 " + b"1" * DATA}
    for name, extra in extras.items():
        size = (len(ends) + len(extra)).to_bytes(2, "big")
        found[f"PROXY, {name}"] = PROXY + b"\x21\x11" + size + ends + extra + LAST
    return found
