"""WebSocket frames as a client writes and reads them, within one process.

A client masks what it sends (RFC 6455 §5.3) against caches between the two; there are none here, so
the mask is zero and the payload as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ...wire import CLOSE, CONTINUATION

_MASK = bytes(4)
_SHORT, _LONG = 126, 127  # in place of a length: 16 bits of it follow, or 64


def masked(opcode: int, payload: bytes) -> bytes:
    """A whole message, or a control frame."""
    size = len(payload)
    if size < _SHORT:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 2**16:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | _SHORT, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | _LONG, size)
    return b"".join((head, _MASK, payload))


def close_payload(code: int | None, reason: str) -> bytes:
    """Return the payload of a close frame; nothing without a code."""
    return b"" if code is None else struct.pack("!H", code) + reason.encode()[:123]


class FrameReader:
    """Reads what the server sends: whole messages and control frames, as opcode and payload."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._parts: list[bytes] = []  # of a message in fragments
        self._opcode = 0  # of that message

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the frames that are whole."""
        self._data += data
        at = 0
        while (head := self._head(at)) is not None:
            start, end = head
            if end > len(self._data):
                break
            first, payload = self._data[at], bytes(self._data[start:end])
            at = end
            if (found := self._joined(first, payload)) is not None:
                yield found
        del self._data[:at]

    def _head(self, at: int) -> tuple[int, int] | None:
        """Where the payload of the frame there begins and ends."""
        data = self._data
        if len(data) < at + 2:
            return None
        size, start = data[at + 1], at + 2
        if size >= _SHORT:
            width = 2 if size == _SHORT else 8
            if len(data) < start + width:
                return None
            size = int.from_bytes(data[start : start + width], "big")
            start += width
        return start, start + size

    def _joined(self, first: int, payload: bytes) -> tuple[int, bytes] | None:
        opcode, is_last = first & 0x0F, first & 0x80
        if opcode >= CLOSE or (is_last and opcode != CONTINUATION):
            return opcode, payload
        self._parts.append(payload)
        if opcode != CONTINUATION:
            self._opcode = opcode
        if not is_last:
            return None
        whole, self._parts = b"".join(self._parts), []
        return self._opcode, whole


__all__ = ["FrameReader", "close_payload", "masked"]
