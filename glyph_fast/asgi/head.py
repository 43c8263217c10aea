# cython: annotation_typing=False
"""The head of an application's answer: from pairs of bytes to the lines on the wire.

Applications repeat a few names of fields in every answer, so what a name means is looked up; the
lines are checked as one text, once. It is compiled where the core is, with types in `head.pxd`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus

from ..http.headers import TOKEN
from ..http.response import http_date, phrase

_PLAIN, _LENGTH, _CONNECTION, _DATE, _OURS = range(5)  # what a name means here
_MEANINGS = {
    b"content-length": _LENGTH,
    b"connection": _CONNECTION,
    b"date": _DATE,
    b"transfer-encoding": _OURS,
    b"keep-alive": _OURS,
}
MAX_NAMES = 1024  # remembered: an application may make up names for ever
MAX_LENGTH_DIGITS = 18  # as of a request: what a number of 64 bits holds
_TOKEN = re.compile(TOKEN.pattern.encode())
_names = dict(_MEANINGS)

Fields = Iterable[tuple[bytes, bytes]]


def _meaning(name: bytes) -> int:
    """Judge a name that was not seen before. ValueError for one that is none."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"bad header name {name!r}")
    meaning = _MEANINGS.get(name.lower(), _PLAIN)
    if len(_names) < MAX_NAMES:
        _names[bytes(name)] = meaning
    return meaning


@lru_cache(maxsize=128)
def status_line(status: int) -> bytes:
    """The first line."""
    return f"HTTP/1.1 {status} {phrase(status)}\r\n".encode("ascii")


@lru_cache(maxsize=1)  # of this second
def _date_line(second: int) -> bytes:
    return f"date: {http_date(second)}\r\n".encode("ascii")


class Head:
    """The head of one answer. ValueError for a status or a field that cannot be sent.

    `length` is the announced size of the body in bytes, -1 where the application announces none.
    `has_body` is whether answers of the status have one.
    """

    __slots__ = ("_lines", "has_body", "is_chunked", "length", "status", "wants_close")

    def __init__(self, status: int, fields: Fields) -> None:
        if status.__class__ is not int:
            status = _as_status(status)
        if not 200 <= status <= 999:
            raise ValueError(f"a status is from 200 to 999, not {status!r}")
        self.status = status
        self.has_body = status != 204 and status != 304
        self.length = -1
        self.wants_close = self.is_chunked = has_date = False
        parts = [status_line(status)]
        count = 1  # lines
        names = _names
        for name, value in fields:
            meaning = names.get(name)
            if meaning is None:
                meaning = _meaning(name)
            if meaning is not _PLAIN:
                if meaning is _LENGTH:
                    self.length = _as_length(value, self.length)
                    continue
                if meaning is _CONNECTION:
                    self.wants_close = self.wants_close or b"close" in value.lower()
                    continue
                if meaning is _OURS:  # where the answer ends is the server's
                    continue
                has_date = True
            parts += (name, b": ", value, b"\r\n")
            count += 1
        if not has_date:
            parts.append(_date_line(int(time.time())))
            count += 1
        lines = b"".join(parts)
        if lines.count(b"\n") != count or lines.count(b"\r") != count or b"\0" in lines:
            raise ValueError("a header field breaks out of its line")
        self._lines = lines

    def add(self, fields: Iterable[tuple[str, str]]) -> None:
        """Add fields of the server's."""
        for name, value in fields:
            self._lines += f"{name}: {value}\r\n".encode("latin-1")

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The fields as text."""
        lines = self._lines.decode("latin-1").split("\r\n")
        pairs = (line.partition(": ") for line in lines[1 : len(lines) - 1])
        return [(name, value) for name, _, value in pairs]

    def encode(self, version: str, is_head: bool, keep_alive: bool, body: bytes = b"") -> bytes:
        """The bytes of the head, once `length` is settled, and `body` behind them.

        With no length the body is chunked. To HTTP/1.0, which has no chunks, it ends with the
        connection: `keep_alive` is False then.
        """
        framing, connection = b"", b""
        if self.length >= 0:
            if self.has_body:
                framing = b"content-length: %d\r\n" % self.length
        elif self.has_body and not is_head and version == "1.1":
            self.is_chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        if not keep_alive:
            connection = b"connection: close\r\n"
        elif version == "1.0":
            connection = b"connection: keep-alive\r\n"
        return b"".join((self._lines, framing, connection, b"\r\n", body))


def encode_hints(links: Iterable[bytes]) -> bytes:
    """A 103 with Link fields (RFC 8297). ValueError for one that breaks out of its line."""
    lines = [b"HTTP/1.1 103 Early Hints", *(b"link: %b" % bytes(link) for link in links)]
    text = b"".join(lines)
    if b"\n" in text or b"\r" in text or b"\0" in text:
        raise ValueError("a link breaks out of its line")
    return b"\r\n".join([*lines, b"\r\n"])


def encode_trailers(fields: Fields) -> bytes:
    """The end of a chunked body with trailer fields (RFC 9112 §7.1.2). ValueError as for a head."""
    lines = []
    for name, value in fields:
        if _names.get(name, _PLAIN) != _PLAIN or _meaning(name) != _PLAIN:
            raise ValueError(f"the field {name!r} cannot be a trailer")
        lines.append(b"%b: %b" % (name, value))
    text = b"".join(lines)
    if b"\n" in text or b"\r" in text or b"\0" in text:
        raise ValueError("a trailer field breaks out of its line")
    return b"\r\n".join([b"0", *lines, b"\r\n"])


def _as_status(status: object) -> int:
    if isinstance(status, HTTPStatus) or (isinstance(status, int) and not isinstance(status, bool)):
        return int(status)
    raise TypeError(f"a status is an int, not {type(status).__name__}")


def _as_length(value: bytes, before: int) -> int:
    if not value.isdigit() or len(value) > MAX_LENGTH_DIGITS:
        raise ValueError(f"a content-length is a number of bytes, not {value!r}")
    length = int(value)
    if before not in (-1, length):
        raise ValueError("two content-lengths that differ")
    return length


__all__ = ["Head", "encode_hints", "encode_trailers", "status_line"]
