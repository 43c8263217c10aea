"""Answers: from what a handler returned to the bytes on the wire (RFC 9112 §4)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from copy import copy
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from .. import json
from ..errors import HandshakeError, Reject
from .headers import TOKEN

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_VALUE = re.compile(r"[\t -~\x80-\xff]*")  # RFC 9110 §5.5: no controls, and in ISO 8859-1
# Fields that say where the answer ends and what becomes of the connection: never a handler's.
_FRAMING_FIELDS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})

HeaderItems = Mapping[str, str] | Iterable[tuple[str, str]]


class Response:
    """An HTTP answer.

    `body` may be bytes (application/octet-stream), str (text/plain; charset=utf-8), None (nothing)
    or any JSON value (application/json); a Content-Type among `headers` takes precedence. Repeat a
    field by giving `headers` as pairs. ValueError for a status outside 200–599 and for names or
    values that would break out of their line; TypeError for a body that is not a JSON value.
    """

    __slots__ = ("status", "headers", "content")

    def __init__(
        self, body: object = None, status: int = 200, headers: HeaderItems | None = None
    ) -> None:
        if not 200 <= status <= 599:
            raise ValueError(f"status must be from 200 to 599, not {status}")
        self.status = status
        self.headers = checked_fields(headers)
        self.content, content_type = _encode_body(body)
        if content_type and self.header("content-type") is None:
            self.headers.append(("Content-Type", content_type))

    def header(self, name: str) -> str | None:
        """The first value of a field, None when it is absent."""
        name = name.lower()
        return next((value for key, value in self.headers if key.lower() == name), None)

    def with_missing(self, fields: Mapping[str, str]) -> Response:
        """This answer, and those of `fields` that it does not have itself."""
        answer = copy(self)  # for it may be one that is given again and again
        missing = [pair for pair in fields.items() if self.header(pair[0]) is None]
        answer.headers = [*self.headers, *missing]
        return answer

    @property
    def wants_close(self) -> bool:
        """Whether the handler asked for the connection to be closed after this answer."""
        connection = self.header("connection") or ""
        return "close" in (token.strip() for token in connection.lower().split(","))

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.content)} bytes>"


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
    status, content = response.status, response.content
    lines = [f"HTTP/1.1 {status} {phrase(status)}"]
    if response.header("date") is None:
        lines.append(f"Date: {date or http_date()}")
    lines += [f"{k}: {v}" for k, v in response.headers if k.lower() not in _FRAMING_FIELDS]
    if status in (204, 304):
        content = b""  # RFC 9110 §15.3.5, §15.4.5; and no length, RFC 9110 §8.6
    else:
        lines.append(f"Content-Length: {len(content)}")
    # RFC 9110 §7.8: who sends Upgrade names it in Connection.
    options = ["upgrade"] if response.header("upgrade") is not None else []
    options.append("keep-alive" if keep_alive else "close")
    lines.append(f"Connection: {', '.join(options)}")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    if not head.count(b"\r") == head.count(b"\n") == len(lines) + 1:
        raise ValueError(f"a header field breaks out of its line: {response.headers!r}")
    return head if head_only else head + content


def phrase(status: int) -> str:
    """The reason phrase of a status, `Unknown` for one that has none."""
    return _PHRASES.get(status, "Unknown")


def http_date(timestamp: float | None = None) -> str:
    """A time in seconds since the epoch, by default now, as in a Date field (RFC 9110 §5.6.7)."""
    return _date_of(int(time.time() if timestamp is None else timestamp))


@lru_cache(maxsize=1)  # one text serves all answers of a second
def _date_of(second: int) -> str:
    return formatdate(second, usegmt=True)


def _encode_body(body: object) -> tuple[bytes, str]:
    if body is None:
        return b"", ""
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body), "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return json.dumps(body), "application/json"


def checked_fields(fields: HeaderItems | None) -> list[tuple[str, str]]:
    """The fields as pairs; ValueError for one that would break out of its line, or be garbled."""
    pairs = list(fields.items() if isinstance(fields, Mapping) else fields or ())
    for name, value in pairs:
        if not TOKEN.fullmatch(name):
            raise ValueError(f"bad header name {name!r}")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"bad value of header {name!r}: {value!r}")
    return pairs
