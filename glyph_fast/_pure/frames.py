"""Frames (RFC 6455 §5): masking, writing, and what is shared by all who receive one."""

from __future__ import annotations

import sys
from typing import Any

from ..wire import (
    BINARY,
    MAX_CLOSE_REASON,
    MAX_CONTROL_PAYLOAD,
    NO_STATUS,
    TEXT,
)


def apply_mask(buffer: bytearray | memoryview, key: bytes, phase: int = 0) -> None:
    """Mask or unmask a writable buffer in place (RFC 6455 §5.3).

    `key` is four bytes; `phase` says how many bytes of the payload came before this buffer.
    Raises ValueError for a key of another length.
    """
    if len(key) != 4:
        raise ValueError(f"a masking key has 4 bytes, not {len(key)}")
    size = len(buffer)
    if size:
        buffer[:] = _masked(bytes(buffer), key, phase)


def _masked(data: bytes, key: bytes, phase: int = 0) -> bytes:
    phase &= 3
    size = len(data)
    pattern = (key[phase:] + key[:phase]) * (size // 4 + 1)
    number = int.from_bytes(data, sys.byteorder) ^ int.from_bytes(pattern[:size], sys.byteorder)
    return number.to_bytes(size, sys.byteorder)


def encode_frame(
    opcode: int,
    payload: bytes | str,
    *,
    fin: bool = True,
    rsv1: bool = False,
    key: bytes | None = None,
) -> bytes:
    """Return one frame (RFC 6455 §5.2), masked when `key` (four bytes) is given.

    A str payload is encoded as UTF-8. Raises ValueError for a control frame that is fragmented or
    longer than 125 bytes, and for an opcode outside 0 to 15.
    """
    data = payload.encode() if isinstance(payload, str) else bytes(payload)
    if not 0 <= opcode <= 15:
        raise ValueError(f"an opcode is between 0 and 15, not {opcode}")
    size = len(data)
    if opcode & 8 and (size > MAX_CONTROL_PAYLOAD or not fin):
        raise ValueError("a control frame has at most 125 bytes and is not fragmented")
    first = (0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode
    masked = 0x80 if key is not None else 0
    if size < 126:
        header = bytes((first, masked | size))
    elif size < 65536:
        header = bytes((first, masked | 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((first, masked | 127)) + size.to_bytes(8, "big")
    if key is None:
        return header + data
    if len(key) != 4:
        raise ValueError(f"a masking key has 4 bytes, not {len(key)}")
    return header + key + _masked(data, key)


def _close_payload(code: int, reason: str) -> bytes:
    """The payload of a close frame; a reason longer than 123 bytes is cut at a character."""
    if code == NO_STATUS:
        return b""
    text = reason.encode()[:MAX_CLOSE_REASON].decode(errors="ignore").encode()
    return code.to_bytes(2, "big") + text


class Frame:
    """One message, encoded once and shared by reference by everyone who receives it.

    `message` is str (a text frame), bytes (binary) or an object with `to_json() -> bytes` (text).
    Raises TypeError for anything else. `variants` is for codecs that keep their own encoding
    here; one that `is_final` they never get: it is sent as it is.
    """

    __slots__ = ("data", "is_final", "opcode", "payload", "variants")

    def __init__(self, message: Any) -> None:
        self.opcode, self.payload = _opcode_and_payload(message)
        self.data = encode_frame(self.opcode, self.payload)
        self.variants: dict[Any, bytes] | None = None
        self.is_final = False


def _opcode_and_payload(message: Any) -> tuple[int, bytes]:
    if isinstance(message, str):
        return TEXT, message.encode()
    if isinstance(message, bytes | bytearray | memoryview):
        return BINARY, bytes(message)
    if hasattr(message, "to_json"):
        return TEXT, message.to_json()
    raise TypeError(
        f"a message is str, bytes or Message, not {type(message).__name__}: "
        "send_json and broadcast_json take values"
    )
