"""The judge of request heads, each case with its answer, whoever reads the fields."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph_fast import _core, _pure
from glyph_fast.errors import HandshakeError
from glyph_fast.http import parsers
from glyph_fast.http.head import parse_head, too_large
from glyph_fast.http.request import Request
from glyph_fast.wire import MAX_FIELDS, MAX_HEAD, MAX_REQUEST_LINE
from tests.http.reading import Unread, read, reading

GET = b"GET / HTTP/1.1\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
END = b"\r\n\r\n"


def get(*lines: bytes) -> bytes:
    """A sound GET with further header lines."""
    return b"\r\n".join([GET + b"Host: a", *lines]) + END


def post(*lines: bytes) -> bytes:
    """A POST with further header lines."""
    return POST + b"\r\n".join(lines) + END


def line(text: bytes) -> bytes:
    """A head with that request line and a Host."""
    return text + b"\r\nHost: a" + END


LONGEST = b"/" + b"x" * (MAX_REQUEST_LINE - len("GET / HTTP/1.1"))

REFUSED = [
    # Line ends and controls
    ("bare LF after the request line", b"GET / HTTP/1.1\nHost: a" + END, 400),
    ("bare LF after a field", GET + b"Host: a\nX: b" + END, 400),
    ("bare LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    ("bare LF in the blank line", GET + b"Host: a\r\n\n", 400),
    ("bare CR in a value", get(b"X: a\rb"), 400),
    ("bare CR and bare LF that look paired", get(b"X: a\rb\nY: c"), 400),
    ("CR before CRLF", get(b"X: a\r"), 400),
    ("NUL in a value", get(b"X: a\0b"), 400),
    ("NUL in a name", get(b"X\0: a"), 400),
    ("NUL in the target", line(b"GET /\0 HTTP/1.1"), 400),
    ("control character in a value", get(b"X: a\x01b"), 400),
    ("vertical tab in a value", get(b"X: a\x0bb"), 400),
    ("form feed in a value", get(b"X: a\x0cb"), 400),
    ("DEL in a value", get(b"X: a\x7fb"), 400),
    # Shape of fields
    ("folded by a space", get(b"X: a", b" b"), 400),
    ("folded by a tab", get(b"X: a", b"\tb"), 400),
    ("first field folded", GET + b" Host: a" + END, 400),
    ("space before the colon", get(b"X : a"), 400),
    ("tab before the colon", get(b"X\t: a"), 400),
    ("space in a name", get(b"X Y: a"), 400),
    ("no colon", get(b"X"), 400),
    ("no name", get(b": a"), 400),
    ("non-ASCII name", get(b"X\xe9: a"), 400),
    ("name in parentheses", get(b"(X): a"), 400),
    ("quoted name", get(b'"X": a'), 400),
    ("bytes after the blank line", get() + b"GET", 400),
    ("a second head after the blank line", get() + get(), 400),
    ("no blank line", GET + b"Host: a\r\n", 400),
    ("nothing", b"", 400),
    ("only blank lines", b"\r\n\r\n", 400),
    ("two blank lines first", b"\r\n\r\n" + get(), 400),
    # Request line
    ("lower-case method", line(b"get / HTTP/1.1"), 501),
    ("mixed-case method", line(b"Get / HTTP/1.1"), 501),
    ("unknown method", line(b"BREW / HTTP/1.1"), 501),
    ("CONNECT in authority form", line(b"CONNECT a:443 HTTP/1.1"), 501),
    ("TRACE", line(b"TRACE / HTTP/1.1"), 501),
    ("method that is no token", line(b"G@T / HTTP/1.1"), 400),
    ("no method", line(b" / HTTP/1.1"), 400),
    ("space before the method", line(b" GET / HTTP/1.1"), 400),
    ("no target", line(b"GET HTTP/1.1"), 400),
    ("two spaces", line(b"GET  / HTTP/1.1"), 400),
    ("tab instead of space", line(b"GET\t/\tHTTP/1.1"), 400),
    ("space in the target", line(b"GET /a b HTTP/1.1"), 400),
    ("space after the version", line(b"GET / HTTP/1.1 "), 400),
    ("no version", line(b"GET /"), 400),
    ("version without minor", line(b"GET / HTTP/1"), 400),
    ("version with two digits", line(b"GET / HTTP/1.10"), 400),
    ("lower-case HTTP", line(b"GET / http/1.1"), 400),
    ("another protocol", line(b"GET / RTSP/1.0"), 400),
    ("HTTP/0.9", line(b"GET / HTTP/0.9"), 505),
    ("HTTP/0.9", line(b"GET / HTTP/0.9"), 505),
    ("HTTP/3.1", line(b"GET / HTTP/3.1"), 505),
    ("HTTP/1.2 without Host", b"GET / HTTP/1.2" + END, 400),
    ("HTTP/2.0", line(b"GET / HTTP/2.0"), 505),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("TLS ClientHello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + END, 400),
    ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
    # Targets
    ("relative target", line(b"GET index.html HTTP/1.1"), 400),
    ("authority form with GET", line(b"GET a:80 HTTP/1.1"), 400),
    ("asterisk with GET", line(b"GET * HTTP/1.1"), 400),
    ("asterisk and more", line(b"OPTIONS *x HTTP/1.1"), 400),
    ("fragment", line(b"GET /#top HTTP/1.1"), 400),
    ("non-ASCII target", line("GET /é HTTP/1.1".encode()), 400),
    ("half an escape", line(b"GET /% HTTP/1.1"), 400),
    ("escape with one digit", line(b"GET /%4 HTTP/1.1"), 400),
    ("escape without digits", line(b"GET /%zz HTTP/1.1"), 400),
    ("escape of broken UTF-8", line(b"GET /%ff HTTP/1.1"), 400),
    ("escape of a surrogate", line(b"GET /%ed%a0%80 HTTP/1.1"), 400),
    ("overlong escape", line(b"GET /%c0%af HTTP/1.1"), 400),
    ("endless codings", get(b"Transfer-Encoding: " + b"," * 60_000), 400),
    ("absolute target of another scheme", line(b"GET ftp://a/ HTTP/1.1"), 400),
    ("absolute target without host", line(b"GET http:///x HTTP/1.1"), 400),
    ("absolute target with a password", line(b"GET http://u:p@a/ HTTP/1.1"), 400),
    ("absolute target with a bad port", line(b"GET http://a:b/ HTTP/1.1"), 400),
    # Host
    ("no Host", GET + b"X: a" + END, 400),
    ("no field at all", b"GET / HTTP/1.1" + END, 400),
    ("no Host, absolute target", b"GET http://a/ HTTP/1.1\r\nX: a" + END, 400),
    ("two Hosts", get(b"Host: b"), 400),
    ("the same Host twice", get(b"host: a"), 400),
    ("Host with a space", GET + b"Host: a b" + END, 400),
    ("Host with a path", GET + b"Host: a/b" + END, 400),
    ("Host with a user", GET + b"Host: u@a" + END, 400),
    ("Host list", GET + b"Host: a, b" + END, 400),
    ("Host with a bad port", GET + b"Host: a:http" + END, 400),
    ("non-ASCII Host", GET + b"Host: \xe9" + END, 400),
    ("two Hosts in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b" + END, 400),
    # Framing
    ("two lengths that differ", post(b"Content-Length: 5", b"Content-Length: 6"), 400),
    ("two lengths alike", post(b"Content-Length: 5", b"Content-Length: 5"), 400),
    ("list of lengths", post(b"Content-Length: 5, 5"), 400),
    ("negative length", post(b"Content-Length: -5"), 400),
    ("signed length", post(b"Content-Length: +5"), 400),
    ("hexadecimal length", post(b"Content-Length: 0x5"), 400),
    ("length with an underscore", post(b"Content-Length: 1_0"), 400),
    ("fractional length", post(b"Content-Length: 5.0"), 400),
    ("empty length", post(b"Content-Length:"), 400),
    ("absurd length", post(b"Content-Length: " + b"9" * 19), 413),
    ("length and coding", post(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
    ("coding and length", post(b"Transfer-Encoding: chunked", b"Content-Length: 5"), 400),
    ("unknown coding", post(b"Transfer-Encoding: br"), 501),
    ("coding before chunked", post(b"Transfer-Encoding: gzip, chunked"), 501),
    ("coding after chunked", post(b"Transfer-Encoding: chunked, gzip"), 501),
    ("coding that only looks chunked", post(b"Transfer-Encoding: xchunked"), 501),
    ("chunked with a parameter", post(b"Transfer-Encoding: chunked;q=1"), 501),
    ("identity", post(b"Transfer-Encoding: identity"), 501),
    ("chunked twice", post(b"Transfer-Encoding: chunked, chunked"), 400),
    (
        "chunked in two fields",
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        400,
    ),
    ("empty coding", post(b"Transfer-Encoding:"), 400),
    ("no coding", post(b"Transfer-Encoding:"), 400),
    ("no coding but commas", post(b"Transfer-Encoding: , ,"), 400),
    ("two lengths in one field", post(b"Content-Length: 5, 5"), 400),
    ("length and nothing", post(b"Content-Length: 5,"), 400),
    ("tab in a length", post(b"Content-Length: 5\t5"), 400),
    ("space before the colon", post(b"Content-Length : 5\t"), 400),
    ("form feed behind a length", post(b"Content-Length: 5\x0c"), 400),
    ("empty coding and a length", post(b"Transfer-Encoding: , chunked", b"Content-Length: 5"), 400),
    ("empty coding in HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: ,chunked" + END, 400),
    ("vertical tab before chunked", post(b"Transfer-Encoding: \x0bchunked"), 400),
    ("chunked in HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked" + END, 400),
    # Sizes
    ("request line one byte too long", line(b"GET " + LONGEST + b"x HTTP/1.1"), 414),
    ("endless request line", b"GET /" + b"x" * MAX_HEAD, 414),
    ("head too large", get(*[b"X%d: " % i + b"x" * 1000 for i in range(70)]), 431),
    ("too many fields", get(*[b"X%d: x" % i for i in range(MAX_FIELDS)]), 431),
]

ACCEPTED: list[tuple[str, bytes, dict[str, Any]]] = [
    ("origin form", line(b"GET /a/b?c=d HTTP/1.1"), {"path": "/a/b", "query_string": "c=d"}),
    ("blank line first", b"\r\n" + get(), {"path": "/", "host": "a"}),
    (
        "longest request line",
        line(b"GET " + LONGEST + b" HTTP/1.1"),
        {"raw_path": LONGEST.decode()},
    ),
    ("most fields", get(*[b"X%d: x" % i for i in range(MAX_FIELDS - 1)]), {"host": "a"}),
    ("escapes", line(b"GET /a%20b/%C3%A9 HTTP/1.1"), {"path": "/a b/é"}),
    ("escapes decoded once", line(b"GET /%2541 HTTP/1.1"), {"path": "/%41"}),
    ("escape in the query", line(b"GET /?a=%C3%A9+b HTTP/1.1"), {"query": {"a": "é b"}}),
    ("percent sign in the query", line(b"GET /?q=50% HTTP/1.1"), {"query": {"q": "50%"}}),
    (
        "percent signs in the query",
        line(b"GET /?a=%g0&b=%4&c=%41% HTTP/1.1"),
        {"query": {"a": "%g0", "b": "%4", "c": "A%"}},
    ),
    ("broken UTF-8 in the query", line(b"GET /?a=%ff HTTP/1.1"), {"query": {"a": "\ufffd"}}),
    ("plus in the path", line(b"GET /a+b HTTP/1.1"), {"path": "/a+b"}),
    ("empty query", line(b"GET /? HTTP/1.1"), {"path": "/", "query": {}}),
    ("question mark in the query", line(b"GET /?a=b?c HTTP/1.1"), {"query": {"a": "b?c"}}),
    ("unwise characters", line(b'GET /{|}^`"<>\\ HTTP/1.1'), {"path": '/{|}^`"<>\\'}),
    ("two slashes", line(b"GET //b/c HTTP/1.1"), {"path": "//b/c", "host": "a"}),
    ("dots are left alone", line(b"GET /../x HTTP/1.1"), {"path": "/../x"}),
    ("absolute form", line(b"GET http://b:81/x?y HTTP/1.1"), {"path": "/x", "host": "b:81"}),
    ("absolute form without path", line(b"GET http://b HTTP/1.1"), {"path": "/", "host": "b"}),
    ("absolute form, only query", line(b"GET http://b?y=1 HTTP/1.1"), {"query": {"y": "1"}}),
    ("absolute form, capitals", line(b"GET HTTPS://B/ HTTP/1.1"), {"host": "B"}),
    ("absolute form, ws", line(b"GET ws://b/x HTTP/1.1"), {"path": "/x", "host": "b"}),
    ("absolute form, IPv6", line(b"GET http://[::1]:80/ HTTP/1.1"), {"host": "[::1]:80"}),
    ("asterisk form", line(b"OPTIONS * HTTP/1.1"), {"path": "*", "method": "OPTIONS"}),
    ("HTTP/1.0 without Host", b"GET / HTTP/1.0" + END, {"http_version": "1.0", "host": ""}),
    ("HTTP/1.0 closes", b"GET / HTTP/1.0" + END, {"_keep_alive": False}),
    ("HTTP/1.0 kept", b"GET / HTTP/1.0\r\nConnection: Keep-Alive" + END, {"_keep_alive": True}),
    ("HTTP/1.1 is kept", get(), {"_keep_alive": True}),
    ("HTTP/1.1 closed", get(b"Connection: x, Close"), {"_keep_alive": False}),
    (
        "close in a second field",
        get(b"Connection: x", b"Connection: close"),
        {"_keep_alive": False},
    ),
    ("empty Host", GET + b"Host:" + END, {"host": ""}),
    ("IPv6 Host", GET + b"Host: [2001:db8::1]:8080" + END, {"host": "[2001:db8::1]:8080"}),
    ("no space after the colon", GET + b"Host:a" + END, {"host": "a"}),
    ("white space around a value", GET + b"Host: \t a \t" + END, {"host": "a"}),
    ("length", post(b"Content-Length: 5"), {"_content_length": 5, "_has_body": True}),
    ("length zero", post(b"Content-Length: 0"), {"_content_length": 0, "_has_body": False}),
    ("length with zeros", post(b"Content-Length: 005"), {"_content_length": 5}),
    ("no length", post(b"X: a"), {"_content_length": None, "_has_body": False}),
    (
        "chunked",
        post(b"Transfer-Encoding: Chunked"),
        {"_is_chunked": True, "_content_length": None},
    ),
    *[
        (f"chunked, written {value!r}", post(b"Transfer-Encoding:" + value), {"_is_chunked": True})
        for value in (b" , chunked", b"chunked,", b" chunked\t", b"\tchunked \t", b", ,chunked ,\t")
    ],
    *[
        (f"a length, written {value!r}", post(b"Content-Length:" + value), {"_content_length": 5})
        for value in (b" 5\t", b"\t5", b"5 \t ", b"  5  ", b"5")
    ],
    ("HTTP/1.2", line(b"GET /a HTTP/1.2"), {"http_version": "1.1", "path": "/a"}),
    ("HTTP/1.9", line(b"GET / HTTP/1.9"), {"http_version": "1.1", "_keep_alive": True}),
    ("body of a GET", get(b"Content-Length: 5"), {"_content_length": 5}),
    ("upgrade with a body", get(b"Upgrade: x", b"Connection: upgrade"), {"path": "/"}),
    ("upgrade to HTTP/2", get(b"Upgrade: h2c", b"Connection: upgrade"), {"path": "/"}),
    ("every method letter", line(b"DELETE / HTTP/1.1"), {"method": "DELETE"}),
    ("HEAD", line(b"HEAD / HTTP/1.1"), {"method": "HEAD"}),
    ("PATCH", line(b"PATCH / HTTP/1.1"), {"method": "PATCH"}),
]


def names(cases: list[Any]) -> list[str]:
    return [case[0] for case in cases]


@pytest.mark.parametrize(("name", "head", "status"), REFUSED, ids=names(REFUSED))
def test_a_bad_head_is_refused_with_its_status(
    name: str, head: bytes, status: int, parser: str
) -> None:
    with pytest.raises(HandshakeError) as caught:
        parse_head(head)
    assert caught.value.status == status, caught.value.reason
    assert caught.value.reason


@pytest.mark.parametrize(("name", "head", "wanted"), ACCEPTED, ids=names(ACCEPTED))
def test_a_sound_head_says_what_it_says(
    name: str, head: bytes, wanted: dict[str, Any], parser: str
) -> None:
    request = parse_head(head, "192.0.2.1")
    found = {key: getattr(request, key) for key in wanted}
    assert {key: dict(v) if key == "query" else v for key, v in found.items()} == wanted
    assert request.remote == "192.0.2.1"


VALUES = [
    ("plain", b"X: a", "a"),
    ("empty", b"X:", ""),
    ("empty but for a space", b"X: ", ""),
    ("space and tab inside", b"X: a \tb", "a \tb"),
    ("non-ASCII", b"X: \xc3\xa9", "Ã©"),
    ("colons", b"X: a:b::c", "a:b::c"),
    ("quotes", b'X: "a, b"', '"a, b"'),
    ("long", b"X: " + b"y" * 20_000, "y" * 20_000),
]


@pytest.mark.parametrize(("name", "field", "value"), VALUES, ids=names(VALUES))
def test_a_field_value_comes_without_white_space_around(
    name: str, field: bytes, value: str, parser: str
) -> None:
    request = parse_head(get(field, b"Y: z"))
    assert request.headers["x"] == value
    assert request.headers["y"] == "z"


@pytest.mark.parametrize("hello", [b"\x16\x03\x01" + END, b"\x16\x03\x01\x02", b"\x16"])
def test_a_refusal_of_tls_says_so(parser: str, hello: bytes) -> None:
    with pytest.raises(HandshakeError, match="does not speak TLS"):
        parse_head(hello)


def test_a_head_without_end_is_blamed_on_its_line_or_on_its_fields() -> None:
    assert too_large(b"GET /" + b"x" * MAX_REQUEST_LINE).status == 414
    assert too_large(GET + b"X: " + b"x" * MAX_HEAD).status == 431
    at_limit = b"GET " + LONGEST + b" HTTP/1.1\r\n"
    assert too_large(at_limit + b"X: " + b"x" * MAX_HEAD).status == 431


PIECES = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b"\0", b"\xff", b"%", b"#", b"?", b'"', b"\\"]
    + [
        b"\r\n ",
        b"\r\n\r\n",
        b"chunked",
        b"Host: b\r\n",
        b"Content-Length: 5\r\n",
        b"//",
        b"[",
        b"@",
    ]
    + [b"Transfer-Encoding: chunked\r\n", b"Connection: upgrade\r\n", b"Upgrade: x\r\n", b"5", b""]
    + [b"Origin: a\r\n", b"Sec-WebSocket-Version: 13\r\n", b"Cookie: a\r\n", b"=", b"keep-alive, "]
)
UPGRADE = get(
    b"Upgrade: websocket", b"Connection: Upgrade", b"Origin: http://a",
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Protocol: chat, v2", b"Sec-WebSocket-Extensions: permessage-deflate",
)  # fmt: skip
BASES = st.sampled_from(
    [head for _, head, _ in ACCEPTED if len(head) < 500] + [head for _, head, _ in REFUSED[:100]]
)


def outcome(head: bytes, library: parsers.FieldReader, twin: Any) -> object:
    """The status of a refusal, or everything the request says; h11 lower-cases codings."""
    with reading(library, twin):
        request, upgrade = read(head)
        if isinstance(request, int):
            return request
        fields = [(name, value.lower()) for name, value in request.headers.fields]
        first = list(request.headers.items())
        line = request.method, request.target, request.http_version, request.host
        return line, fields, first, upgrade


HTTPTOOLS, H11 = parsers.httptools_reader(), parsers.h11_reader()


@given(st.just(UPGRADE) | BASES, PIECES, st.floats(0, 1), st.integers(0, 6))
def test_all_readers_give_one_answer_to_a_damaged_head(
    base: bytes, piece: bytes, where: float, removed: int
) -> None:
    position = int(where * len(base))
    head = base[:position] + piece + base[position + removed :]
    expected = outcome(head, HTTPTOOLS, Unread)
    assert outcome(head, H11, Unread) == expected
    for twin in (_core, _pure):
        assert outcome(head, HTTPTOOLS, twin) == expected


def test_a_head_of_a_later_version_is_kept_as_one_of_ours(parser: str) -> None:
    """What is kept of a connection is read again without the judge."""
    request = parse_head(b"GET /a HTTP/1.3\r\nHost: a\r\nContent-Length: 0\t\r\n\r\n")
    again = Request._from_head(request._kept)
    assert (again.http_version, again.path, again.host) == ("1.1", "/a", "a")
    assert again.headers["content-length"] == "0"
