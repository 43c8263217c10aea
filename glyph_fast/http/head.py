"""The judge of request heads: RFC 9112 read strictly, and the same answer under both parsers.

httptools and h11 each let something pass that the other refuses, and where two readers of a head
disagree, requests can be smuggled. So everything that decides what a request *is* (its line, the
shape of its lines, Host, and how its body is framed) is checked here, on the bytes; what is left to
the libraries is the grammar of a field. Nearly all heads are so plain that no reader could see
anything else in them; those the core reads, at a fraction of the price.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .. import core
from ..errors import HandshakeError
from ..wire import MAX_FIELDS, MAX_HEAD, MAX_REQUEST_LINE
from . import parsers
from .headers import Headers
from .request import Request, percent_decode

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_METHODS = {method.encode(): method for method in METHODS}
_LINE = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)"  # method: a token
    rb" ([!\"$-~]+)"  # target: visible ASCII without the #, for fragments are never sent
    rb" HTTP/([0-9]\.[0-9])\r\n"
)
_NOT_CONTROLS = bytes(byte for byte in range(256) if byte == 9 or byte > 31 and byte != 127)
_AUTHORITY = re.compile(  # RFC 3986 §3.2.2, without the userinfo
    rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=%]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?"
)
_FRAMING = re.compile(
    rb"\r\n(content-length|transfer-encoding|host)[ \t]*:[ \t]*([^\r]*)",
    re.IGNORECASE,
)
_FRAMING_FIELD = re.compile(
    rb"(\r\n(?:content-length|transfer-encoding):)([^\r]*)(?=\r\n)", re.IGNORECASE
)
_MAX_CODINGS = 16  # elements of Transfer-Encoding, empty ones too
_MAX_LENGTH_DIGITS = 18  # of a Content-Length; more is not a size but an attack


def parse_head(head: bytes, remote: str | None = None) -> Request:
    """The request of one complete head, blank line included.

    HandshakeError says how to answer a bad one: 400, 414, 431, 501 (a method or transfer coding we
    do not have) or 505 (a version that does not begin with 1). The connection is closed after it.
    """
    upgrade = core.read_plain_upgrade(head)
    if upgrade is not None:
        request = Request(head, remote)
        request.method = "GET"
        request.target, request.raw_path, request.query_string, request._plain_upgrade = upgrade
        request.http_version = "1.1"
        request._authority = None
        return request
    plain = core.read_plain_head(head)
    if plain is not None and _is_sound(plain[2]):
        target, fields, values = plain
        request = Request(head, remote)
        request.method, request.target, request.http_version = "GET", target, "1.1"
        request._authority = None  # the target is a path
        request.raw_path, _, request.query_string = target.partition("?")
        request._headers = Headers(fields, values)
        return request
    if head.startswith(b"\r\n"):
        head = head[2:]  # RFC 9112 §2.2: an empty line before the request line is ignored
    match = _LINE.match(head)
    if match is None or match.end() > MAX_REQUEST_LINE + 2 or len(head) > MAX_HEAD:
        raise _bad_start(head)
    method = _METHODS.get(match[1])
    if not match[3].startswith(b"1."):
        raise HandshakeError(505, f"HTTP version {match[3].decode()} is not supported")
    version = "1.0" if match[3] == b"1.0" else "1.1"
    if match[3] not in (b"1.0", b"1.1"):  # RFC 9110 §2.5: as the highest minor version we have
        head = head[: match.start(3)] + b"1.1" + head[match.end(3) :]
    if method is None:
        raise HandshakeError(501, f"method {match[1][:32].decode()} is not implemented")
    request = Request(head, remote)
    try:
        request._set_line(method, match[2].decode(), version)
    except ValueError as exc:
        raise HandshakeError(400, str(exc)) from None
    if not request.target.startswith("/") or "%" in request.target:
        _check_target(request)
    request._head, request._headers = _read_headers(head, version)
    return request


def _is_sound(values: Mapping[bytes, bytes]) -> bool:
    """Return whether the fields of a plain head say to whom it goes, and nothing about a body."""
    host = values.get(b"host")
    return (
        host is not None
        and _AUTHORITY.fullmatch(host) is not None
        and b"content-length" not in values
        and b"transfer-encoding" not in values
        and len(values) <= MAX_FIELDS
    )


def too_large(head: bytes) -> HandshakeError:
    """The error for a head that has not ended within the limits: 414 or 431."""
    if head.find(b"\n", 0, MAX_REQUEST_LINE + 2) < 0:
        return HandshakeError(414, f"request line is longer than {MAX_REQUEST_LINE} bytes")
    return HandshakeError(431, f"request head is larger than {MAX_HEAD} bytes")


def _bad_start(head: bytes) -> HandshakeError:
    if head.startswith(b"\x16"):  # a record of a handshake, RFC 8446 §5.1
        return HandshakeError(400, "this port does not speak TLS")
    line = head.partition(b"\n")[0].rstrip(b"\r")
    if len(line) > MAX_REQUEST_LINE or len(head) > MAX_HEAD:
        return too_large(head)
    return HandshakeError(400, "malformed request line")


def _check_target(request: Request) -> None:
    try:
        # Not the query: there a percent sign may stand for itself, as in the URL standard.
        percent_decode(request.raw_path)
    except ValueError as exc:
        raise HandshakeError(400, str(exc)) from None
    if request.target == "*" and request.method != "OPTIONS":
        raise HandshakeError(400, "malformed request target")
    authority = request._authority
    if authority is not None and not _AUTHORITY.fullmatch(authority.encode()):
        raise HandshakeError(400, "malformed authority in request target")


def _read_headers(head: bytes, version: str) -> tuple[bytes, Headers]:
    """The header fields, and the head as either library reads it."""
    # Of a sound head nothing but its line ends is left: no NUL, no bare LF. (A bare CR could hide
    # a bare LF from this check; both libraries refuse the CR.)
    controls = head.translate(None, _NOT_CONTROLS)
    nlines = len(controls) // 2
    if controls != b"\r\n" * nlines:
        raise HandshakeError(400, "control character or bare line end in request head")
    if head.find(b"\r\n\r\n") != len(head) - 4:
        raise HandshakeError(400, "request head does not end with its first blank line")
    nfields = nlines - 2  # all lines but the first and the blank one
    if nfields > MAX_FIELDS:
        raise HandshakeError(431, f"more than {MAX_FIELDS} header fields")
    try:
        headers = Headers(parsers.read_fields(head))
    except ValueError:
        _check_framing(head, version)  # has the better word, where it finds something
        # The libraries each refuse some sound spelling of what was just found sound.
        head = _FRAMING_FIELD.sub(_in_plain_spelling, head)
        try:
            headers = Headers(parsers.read_fields(head))
        except ValueError:
            raise HandshakeError(400, "malformed header field") from None
    raw = headers.raw
    host = raw(b"host")
    if (
        headers.is_repeated
        or host is None
        or raw(b"content-length") is not None
        or raw(b"transfer-encoding") is not None
        or not _AUTHORITY.fullmatch(host)
    ):
        _check_framing(head, version)
    # A line that continues the one before (RFC 9112 §5.2) leaves fewer fields than lines.
    if len(headers.fields) != nfields:
        raise HandshakeError(400, "malformed header field")
    return head, headers


def _in_plain_spelling(field: re.Match[bytes]) -> bytes:
    """A field without blanks and empty elements, which say nothing (RFC 9110 §5.5, §5.6.1)."""
    elements = [element.strip(b" \t") for element in field[2].split(b",")]
    return field[1] + b" " + b", ".join([element for element in elements if element])


def _check_framing(head: bytes, version: str) -> None:
    """Refuse what would leave it open where the request ends or to whom it goes.

    Reads the bytes themselves: h11 joins repeated lengths, httptools gives up at the first one.
    """
    values: dict[bytes, list[bytes]] = {}
    for name, value in _FRAMING.findall(head):
        values.setdefault(name.lower(), []).append(value.rstrip(b" \t"))
    hosts = values.get(b"host", [])
    if len(hosts) > 1 or not hosts and version == "1.1":  # RFC 9112 §3.2
        raise HandshakeError(400, "exactly one Host field is required")
    if hosts and not _AUTHORITY.fullmatch(hosts[0]):
        raise HandshakeError(400, "malformed Host field")
    lengths = values.get(b"content-length", [])
    codings = values.get(b"transfer-encoding", [])
    if codings:
        _check_codings(codings, version)
        if lengths:  # RFC 9112 §6.3: "ought to be handled as an error"
            raise HandshakeError(400, "both Content-Length and Transfer-Encoding")
    elif len(lengths) > 1 or lengths and not lengths[0].isdigit():
        raise HandshakeError(400, "malformed or repeated Content-Length")
    elif lengths and len(lengths[0]) > _MAX_LENGTH_DIGITS:
        raise HandshakeError(413, "request body is too large")


def _check_codings(values: list[bytes], version: str) -> None:
    if version == "1.0":  # RFC 9112 §6.1: framing is faulty
        raise HandshakeError(400, "Transfer-Encoding in HTTP/1.0")
    joined = b",".join(values)
    if joined.count(b",") > _MAX_CODINGS:
        raise HandshakeError(400, "malformed Transfer-Encoding")
    codings = [name for each in joined.split(b",") if (name := each.strip(b" \t").lower())]
    if any(coding != b"chunked" for coding in codings):
        raise HandshakeError(501, "transfer codings other than chunked are not implemented")
    if len(codings) != 1:
        raise HandshakeError(400, "malformed Transfer-Encoding")
