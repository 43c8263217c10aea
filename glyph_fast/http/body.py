"""Reading a request's body: bytes in, the whole body out (RFC 9112 §6, §7.1).

The reader takes no byte beyond the end of its body, so what a pipelining client sent after it stays
with the caller. Everything it holds is bounded: the body by the limit, the lines around chunks by
sizes far beyond what honest clients send.
"""

from __future__ import annotations

import re

from ..errors import HandshakeError
from ..wire import MAX_BODY
from .request import Request

MAX_CHUNK_LINE = 1024  # bytes of one chunk-size line, extensions included
MAX_TRAILERS = 8 * 1024  # bytes of all trailer lines together
MAX_LINES = 32  # of those that one call of `feed` reads; each costs far more than its bytes
MAX_OVERHEAD = 64 * 1024  # bytes around the chunks beyond the bytes in them

BY_OPTION = -1  # the largest body of a route that has no limit of its own

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb"\"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*\""
_CHUNK_LINE = re.compile(  # RFC 9112 §7.1, §7.1.1
    rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[ \t]*%(t)s(?:[ \t]*=[ \t]*(?:%(t)s|%(q)s))?)*"
    % {b"t": _TCHAR, b"q": _QUOTED}
)
_TRAILER = re.compile(_TCHAR + rb":[\t -~\x80-\xff]*")


class BodyReader:
    """Collects the body of one request.

    HandshakeError, here or in `feed`, says how to refuse it: 413 above `limit` bytes, 417 for an
    expectation other than 100-continue, 400 for chunks that are none. The connection cannot be used
    after one, for nobody knows where the next request begins.
    """

    def __init__(self, request: Request, limit: int | None = MAX_BODY) -> None:
        self._limit = limit
        self._data = bytearray()
        self._given = 0  # bytes that `take` gave
        self._line = b""  # the beginning of a line that has not ended
        self._chunked = request._is_chunked
        self._in_trailers = False
        self._needs_crlf = False  # after the data of a chunk
        self._missing = request._content_length or 0  # bytes of the body, or of the current chunk
        self._overhead = 0
        self._trailer_size = 0
        self.announced = request._content_length  # None: the head does not say
        self.is_complete = not self._chunked and not self._missing
        self._expects_continue = _expects_continue(request) and not self.is_complete
        self._check_size(self._missing)

    @property
    def needs_continue(self) -> bool:
        """Return whether the client waits for `CONTINUE` before it sends; no longer once it sent a
        byte or `continue_sent` was called (RFC 9110 §10.1.1).
        """
        return self._expects_continue

    def continue_sent(self) -> None:
        """Note that `CONTINUE` is on its way."""
        self._expects_continue = False

    @property
    def held(self) -> int:
        """Bytes that were read and not taken."""
        return len(self._data)

    def take(self) -> bytes:
        """What has been collected since the last call; the whole body once `is_complete`, where
        this is the first."""
        data, self._data = bytes(self._data), bytearray()
        self._given += len(data)
        return data

    def feed(self, data: bytes | bytearray | memoryview) -> int:
        """Take what belongs to the body and return its size in bytes; the rest is the caller's.

        Where the body is not complete, the rest is to be given again in another turn: tiny chunks
        are many in one read, and others wait for them.
        """
        data = bytes(data)
        position = lines = 0
        while position < len(data) and not self.is_complete:
            self._expects_continue = False
            if self._missing:
                position = self._take_data(data, position)
            elif lines == MAX_LINES:
                break
            else:
                position = self._take_line(data, position)
                lines += 1
        return position

    def _take_data(self, data: bytes, position: int) -> int:
        piece = data[position : position + self._missing]
        self._data += piece
        self._missing -= len(piece)
        if not self._missing:
            self.is_complete = not self._chunked
            self._needs_crlf = self._chunked
        return position + len(piece)

    def _take_line(self, data: bytes, position: int) -> int:
        """Add to the current line up to its LF, and act on the line when it is whole."""
        room = (MAX_TRAILERS if self._in_trailers else MAX_CHUNK_LINE) - len(self._line)
        end = data.find(b"\n", position, position + room) + 1
        if not end:
            self._line += data[position:]
            if len(data) - position >= room:
                raise HandshakeError(400, "line in a chunked body is too long")
            return len(data)
        line = self._line + data[position:end]
        if not line.endswith(b"\r\n"):
            raise HandshakeError(400, "bare line feed in a chunked body")
        self._line = b""
        self._end_line(line[:-2])
        return end

    def _end_line(self, line: bytes) -> None:
        if self._needs_crlf:
            if line:
                raise HandshakeError(400, "chunk is longer than its size")
            self._needs_crlf = False
        elif self._in_trailers:
            self._end_trailer(line)
        else:
            self._begin_chunk(line)

    def _begin_chunk(self, line: bytes) -> None:
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise HandshakeError(400, "malformed chunk size")
        self._missing = int(match.group(1), 16)
        self._check_size(self._given + len(self._data) + self._missing)
        self._in_trailers = not self._missing
        # Tiny chunks, or long lines, would cost much and carry little.
        self._overhead = max(0, self._overhead + len(line) + 4 - self._missing)
        if self._overhead > MAX_OVERHEAD:
            raise HandshakeError(400, "chunks carry too little data")

    def _end_trailer(self, line: bytes) -> None:
        if not line:
            self.is_complete = True
            return
        self._trailer_size += len(line)
        if not _TRAILER.fullmatch(line) or self._trailer_size > MAX_TRAILERS:
            raise HandshakeError(400, "malformed or too many trailer fields")

    def _check_size(self, size: int) -> None:
        if self._limit is not None and size > self._limit:
            raise HandshakeError(413, f"request body is larger than {self._limit} bytes")


def _expects_continue(request: Request) -> bool:
    expectations = request.headers.tokens("expect")
    if any(expectation != "100-continue" for expectation in expectations):
        raise HandshakeError(417, "only the expectation 100-continue can be met")
    return bool(expectations) and request.http_version == "1.1"  # RFC 9110 §10.1.1
