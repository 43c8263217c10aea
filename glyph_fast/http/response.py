"""Answers: from what a handler returned to the bytes on the wire (RFC 9112 §4)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import cast
from urllib.parse import quote

from .. import json
from ..errors import HandshakeError, Reject
from .cookies import date_text, set_cookie_field
from .headers import TOKEN
from .pieces import FilePieces, IteratedPieces, Pieces, is_iterated

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
REDIRECTS = (301, 302, 303, 307, 308)  # RFC 9110 §15.4, those that lead elsewhere
_URL = ":/%#?=@[]!$&'()*+,;~"  # of a Location, left as it is (RFC 3986 §2)
_VALUE = re.compile(r"[\t -~\x80-\xff]*")  # RFC 9110 §5.5: no controls, and in ISO 8859-1
# Fields that say where the answer ends and what becomes of the connection: never a handler's.
_FRAMING_FIELDS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})

HeaderItems = Mapping[str, str] | Iterable[tuple[str, str]]


class Response:
    """An HTTP answer.

    `body` may be bytes (application/octet-stream), str (text/plain; charset=utf-8), None (nothing)
    or any JSON value (application/json); a Content-Type among `headers` takes precedence. Repeat a
    field by giving `headers` as pairs. ValueError for a status outside 200–599 and for names or
    values that would break out of their line. JSON is written when the answer leaves, by the rules
    of the server; a body that is not a JSON value makes it a 500.

    An iterator of str or bytes, or an asynchronous one, is sent as it gives, at the pace of who
    reads it, and closed when the client goes. A Content-Length among `headers` is kept to.
    """

    __slots__ = ("status", "headers", "_content", "_pieces", "_value")

    status: int
    """The status, 200 to 599."""
    headers: list[tuple[str, str]]
    """The fields as pairs of name and value, to which you may add."""

    def __init__(
        self, body: object = None, status: int = 200, headers: HeaderItems | None = None
    ) -> None:
        if not isinstance(status, int):
            raise TypeError(f"a status is a whole number, not {status!r}")
        if not 200 <= status <= 599:
            raise ValueError(f"status must be from 200 to 599, not {status}")
        self.status = status
        self.headers = checked_fields(headers)
        self._pieces = self._pieces_of(body)  # of an answer that leaves in more than one
        self._content, content_type = _encode_body(body if self._pieces is None else None)
        self._value = body if self._content is None else None  # of JSON, until it is written
        if content_type and self.header("content-type") is None:
            self.headers.append(("Content-Type", content_type))

    @classmethod
    def html(cls, text: str, status: int = 200, headers: HeaderItems | None = None) -> Response:
        """An answer of HTML: `text` as it is, so escape what users wrote by `html.escape`."""
        if not isinstance(text, str):
            raise TypeError(f"HTML is text, not {type(text).__name__}")
        fields = checked_fields(headers)
        if not any(name.lower() == "content-type" for name, _ in fields):
            fields.append(("Content-Type", "text/html; charset=utf-8"))
        return cls(text, status, fields)

    @classmethod
    def redirect(cls, url: str, status: int = 307, headers: HeaderItems | None = None) -> Response:
        """An answer that leads to another address, which may be relative to that of the request.

        307 and 308 keep method and body. After a form give 303, so that the browser asks by GET.
        ValueError for another status than 301, 302, 303, 307 and 308. An address that a client
        named can lead anywhere: check it first.
        """
        if status not in REDIRECTS:
            raise ValueError(f"a redirect has one of the statuses {REDIRECTS}, not {status}")
        response = cls(None, status, headers)
        response.headers.append(("Location", quote(str(url), safe=_URL)))
        return response

    def set_cookie(
        self,
        name: str,
        value: str = "",
        *,
        max_age: int | None = None,
        expires: datetime | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Have the client keep a cookie: for `max_age` seconds, or until it ends its session.

        `samesite` is lax, strict, none or None. ValueError for what a browser would not keep: a
        value with blanks, quotes, commas, semicolons or letters beyond ASCII, more than 4096 bytes,
        `samesite="none"` or a name with a prefix without what it demands.
        """
        field = set_cookie_field(
            name,
            value,
            max_age=max_age,
            expires=expires,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
            partitioned=partitioned,
        )
        self.headers.append(("Set-Cookie", field))

    def delete_cookie(
        self,
        name: str,
        *,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = "lax",
    ) -> None:
        """Have the client forget a cookie; `path` and `domain` are those it was set with."""
        self.set_cookie(
            name,
            max_age=0,
            expires=datetime(1970, 1, 1, tzinfo=UTC),
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
        )

    def _pieces_of(self, body: object) -> Pieces | None:
        if isinstance(body, FilePieces):
            return body
        if not is_iterated(body):
            return None
        size = self.header("content-length")
        if size is not None and not (size.isascii() and size.isdigit()):
            raise ValueError(f"a Content-Length is a number of bytes, not {size!r}")
        return IteratedPieces(cast("Iterator[object]", body), None if size is None else int(size))

    @property
    def content(self) -> bytes:
        """The body as bytes, where it does not leave in pieces."""
        return self._encoded(json.dumps)

    def _encoded(self, dumps: Callable[[object], bytes]) -> bytes:
        """The body as bytes. JSON is written by `dumps`, the first time, and then kept."""
        if self._content is None:
            self._content, self._value = dumps(self._value), None
        return self._content

    def header(self, name: str) -> str | None:
        """The first value of a field, None when it is absent."""
        name = name.lower()
        return next((value for key, value in self.headers if key.lower() == name), None)

    def _with_missing(self, fields: Mapping[str, str]) -> Response:
        """This answer, and those of `fields` that it does not have itself."""
        answer = copy(self)  # for it may be one that is given again and again
        missing = [pair for pair in fields.items() if self.header(pair[0]) is None]
        answer.headers = [*self.headers, *missing]
        return answer

    @property
    def _wants_close(self) -> bool:
        """Return whether the handler asked for the connection to be closed after this answer."""
        connection = self.header("connection") or ""
        return "close" in (token.strip() for token in connection.lower().split(","))

    def __repr__(self) -> str:
        if self._content is None:
            return f"<Response {self.status}, JSON>"
        size = len(self._content) if self._pieces is None else self._pieces.size
        return f"<Response {self.status}, {'a stream' if size is None else f'{size} bytes'}>"


def to_response(value: object) -> Response:
    """The answer meant by what an HTTP handler returned; None means 204."""
    if isinstance(value, Response):
        return value
    return Response(status=204) if value is None else Response(value)


def error_response(status: int, reason: str = "", headers: HeaderItems | None = None) -> Response:
    """A refusal as `{"error": reason}`; without a reason, the phrase of the status."""
    return Response({"error": reason or phrase(status)}, status, headers)


def refusal_response(error: HandshakeError | Reject) -> Response:
    """The answer an exception stands for: a bad request, or an application's `Reject`."""
    if isinstance(error, HandshakeError):
        return error_response(error.status, error.reason, error.headers)
    if error.body == "":
        return error_response(error.status, headers=error.headers)
    return Response(error.body, error.status, error.headers)


def encode_response(
    response: Response, *, keep_alive: bool, head_only: bool = False, date: str | None = None
) -> bytes:
    """The bytes of an answer. `head_only` (a HEAD request) leaves the body out but not its size;
    `date` is the text of `http_date`, by default of now. ValueError when a field that was added
    since the answer was made breaks out of its line.
    """
    content = response.content if has_body(response.status) else b""
    framing = f"Content-Length: {len(content)}"
    head = encode_head(response, framing, keep_alive=keep_alive, date=date)
    return head if head_only else head + content


def encode_head(
    response: Response, framing: str, *, keep_alive: bool, date: str | None = None
) -> bytes:
    """The head of an answer. `framing` is the field that says where it ends; "": the connection's
    end does. Otherwise as `encode_response`.
    """
    lines = [f"HTTP/1.1 {response.status} {phrase(response.status)}"]
    if response.header("date") is None:
        lines.append(f"Date: {date or http_date()}")
    lines += [f"{k}: {v}" for k, v in response.headers if k.lower() not in _FRAMING_FIELDS]
    if framing and has_body(response.status):  # else no length either, RFC 9110 §8.6
        lines.append(framing)
    # RFC 9110 §7.8: who sends Upgrade names it in Connection.
    options = ["upgrade"] if response.header("upgrade") is not None else []
    options.append("keep-alive" if keep_alive else "close")
    lines.append(f"Connection: {', '.join(options)}")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    if not head.count(b"\r") == head.count(b"\n") == len(lines) + 1:
        raise ValueError(f"a header field breaks out of its line: {response.headers!r}")
    return head


def has_body(status: int) -> bool:
    """Return whether an answer of that status may have a body (RFC 9110 §15.3.5, §15.4.5)."""
    return status not in (204, 304)


def phrase(status: int) -> str:
    """The reason phrase of a status, `Unknown` for one that has none."""
    return _PHRASES.get(status, "Unknown")


def http_date(timestamp: float | None = None) -> str:
    """A time in seconds since the epoch, by default now, as in a Date field (RFC 9110 §5.6.7)."""
    return _date_of(int(time.time() if timestamp is None else timestamp))


@lru_cache(maxsize=1)  # one text serves all answers of a second
def _date_of(second: int) -> str:
    return date_text(datetime.fromtimestamp(second, UTC))


def _encode_body(body: object) -> tuple[bytes | None, str]:
    """The bytes and their Content-Type; None for what is JSON."""
    if body is None:
        return b"", ""
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body), "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return None, "application/json"


def checked_fields(fields: HeaderItems | None) -> list[tuple[str, str]]:
    """The fields as pairs; ValueError for one that would break out of its line, or be garbled."""
    pairs = list(fields.items() if isinstance(fields, Mapping) else fields or ())
    if bad := [pair for pair in pairs if not isinstance(pair, tuple | list) or len(pair) != 2]:
        raise TypeError(f"headers are a mapping or pairs of name and value, not {bad[0]!r}")
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, str):
            kind = type(value if isinstance(name, str) else name).__name__
            raise TypeError(f"header {name!r}: names and values are text, not {kind}")
        if not TOKEN.fullmatch(name):
            raise ValueError(f"bad header name {name!r}")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"bad value of header {name!r}: {value!r}")
    return pairs
