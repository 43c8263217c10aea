"""The bytes of an answer of ours as heads and pieces, which another server sends in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_LEFT_OUT = frozenset(
    (b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"date",
     b"sec-websocket-accept", b"sec-websocket-protocol")
)  # fmt: skip
_HEAD, _LENGTH, _CHUNK_HEAD, _CHUNK, _TRAILERS, _UNTIL_END, _OVER = range(7)


class Head:
    """Status and fields of an answer, without what is between two servers."""

    def __init__(self, data: bytes) -> None:
        line, *fields = data.split(b"\r\n")
        self.status = int(line[9:12])
        self.length = -1
        self.is_chunked = False
        self.subprotocol: str | None = None
        self.fields: list[tuple[bytes, bytes]] = []
        for field in fields:
            name, _, value = field.partition(b":")
            name, value = name.lower(), value.strip()
            if name == b"content-length":
                self.length = int(value)
            elif name == b"transfer-encoding":
                self.is_chunked = True
            elif name == b"sec-websocket-protocol":
                self.subprotocol = value.decode()
            if name not in _LEFT_OUT:
                self.fields.append((name, value))


class AnswerReader:
    """Reads one answer: `feed` gives its head, then the pieces of its body."""

    def __init__(self, *, is_head: bool = False) -> None:
        self._is_head = is_head
        self._data = bytearray()
        self._state = _HEAD
        self._left = 0  # bytes of the body, or of the chunk
        self.upgraded = b""  # what came behind a 101

    @property
    def is_whole(self) -> bool:
        """Return whether the answer is at its end."""
        return self._state == _OVER

    @property
    def ends_with_the_connection(self) -> bool:
        """Return whether only the end of the connection tells where its body ends."""
        return self._state == _UNTIL_END

    def feed(self, data: bytes) -> Iterator[Any]:
        """Heads and pieces of bodies as they are whole."""
        self._data += data
        while self._state != _OVER:
            found = self._next()
            if found is None:
                return
            if found:
                yield found

    def _next(self) -> Any:
        """The next thing; None: more must come first; an empty one says nothing."""
        if self._state == _HEAD:
            return self._read_head()
        if self._state == _UNTIL_END:
            return self._take(len(self._data)) if self._data else None
        if self._state in (_LENGTH, _CHUNK):
            if not self._data:
                return None
            piece = self._take(min(self._left, len(self._data)))
            self._left -= len(piece)
            if not self._left:
                self._state = _OVER if self._state == _LENGTH else _CHUNK_HEAD
            return piece
        return self._read_line()

    def _read_head(self) -> Any:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = Head(self._take(end + 4)[:-4])
        if head.status == 101:
            self.upgraded = self._take(len(self._data))
            self._state = _OVER
        elif head.status < 200:
            return b""  # a 100, a 103: the server around us has its own
        elif self._is_head or head.status in (204, 304) or head.length == 0:
            self._state = _OVER
        elif head.is_chunked:
            self._state = _CHUNK_HEAD
        elif head.length > 0:
            self._state, self._left = _LENGTH, head.length
        else:
            self._state = _UNTIL_END
        return head

    def _read_line(self) -> Any:
        """The head of a chunk, the empty line behind one, or a trailer."""
        end = self._data.find(b"\r\n")
        if end < 0:
            return None
        line = self._take(end + 2)[:-2]
        if self._state == _TRAILERS:
            if not line:
                self._state = _OVER
        elif line:
            self._left = int(line.partition(b";")[0], 16)
            self._state = _CHUNK if self._left else _TRAILERS
        return b""

    def _take(self, size: int) -> bytes:
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken


__all__ = ["AnswerReader", "Head"]
