"""Frames and their bytes, once: encoding, decoding and both cores are tested against them."""

from __future__ import annotations

from typing import NamedTuple

from glyph_fast.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

KEY = bytes.fromhex("37fa213d")  # of the masked examples in RFC 6455 §5.7


class FrameVector(NamedTuple):
    """One frame: its fields and its bytes, unmasked and masked with KEY."""

    name: str
    opcode: int
    fin: bool
    payload: bytes
    plain: bytes
    masked: bytes


def vector(name: str, opcode: int, fin: bool, payload: bytes, header: str) -> FrameVector:
    """A frame whose unmasked header is `header`, in hex; the masked one follows from the rule."""
    head = bytes.fromhex(header)
    masked_head = bytes((head[0], head[1] | 0x80)) + head[2:] + KEY
    masked = bytes(byte ^ KEY[i % 4] for i, byte in enumerate(payload))
    return FrameVector(name, opcode, fin, payload, head + payload, masked_head + masked)


FRAMES = [
    # RFC 6455 §5.7, in its order.
    vector("hello", TEXT, True, b"Hello", "8105"),
    vector("first fragment", TEXT, False, b"Hel", "0103"),
    vector("last fragment", CONTINUATION, True, b"lo", "8002"),
    vector("ping", PING, True, b"Hello", "8905"),
    vector("pong", PONG, True, b"Hello", "8a05"),
    vector("256 bytes", BINARY, True, bytes(range(256)), "827e0100"),
    vector("64 KiB", BINARY, True, bytes(range(256)) * 256, "827f0000000000010000"),
    # The edges of the three forms of the length.
    vector("empty", BINARY, True, b"", "8200"),
    vector("125 bytes", BINARY, True, b"x" * 125, "827d"),
    vector("126 bytes", BINARY, True, b"x" * 126, "827e007e"),
    vector("65535 bytes", BINARY, True, b"x" * 65535, "827effff"),
    vector("65536 bytes", BINARY, True, b"x" * 65536, "827f0000000000010000"),
    vector("close 1000", CLOSE, True, b"\x03\xe8", "8802"),
]

# RFC 6455 §5.7 prints this one in full: the check on `vector` itself.
MASKED_HELLO = bytes.fromhex("818537fa213d7f9f4d5158")


class Violation(NamedTuple):
    """Bytes of a client that break the protocol, and the close code they earn."""

    name: str
    data: bytes
    code: int


def client(first: int, payload: bytes = b"", *, size: int | None = None) -> bytes:
    """A masked frame with any first byte; `size` lies about the length, in the short form."""
    length = len(payload) if size is None else size
    masked = bytes(byte ^ KEY[i % 4] for i, byte in enumerate(payload))
    if length > 125:
        return bytes((first, 0xFE)) + length.to_bytes(2, "big") + KEY + masked
    return bytes((first, 0x80 | length)) + KEY + masked


VIOLATIONS = [
    Violation("RSV1 without an extension", client(0xC1, b"x"), 1002),
    Violation("RSV2", client(0xA1, b"x"), 1002),
    Violation("RSV3", client(0x91, b"x"), 1002),
    *(
        Violation(f"opcode {code}", client(0x80 | code), 1002)
        for code in (*range(3, 8), 11, 12, 15)
    ),
    Violation("not masked", b"\x81\x05Hello", 1002),
    Violation("fragmented ping", client(0x09), 1002),
    Violation("fragmented close", client(0x08), 1002),
    Violation("ping of 126 bytes", client(0x89, b"x" * 126), 1002),
    Violation("continuation of nothing", client(0x80, b"x"), 1002),
    Violation("text inside a text", client(0x01, b"a") + client(0x81, b"b"), 1002),
    Violation("binary inside a text", client(0x01, b"a") + client(0x02, b"b"), 1002),
    Violation("125 in the 2-byte form", b"\x82\xfe\x00\x7d" + KEY, 1002),
    Violation("65535 in the 8-byte form", b"\x82\xff" + (65535).to_bytes(8, "big") + KEY, 1002),
    Violation("highest bit of the length", b"\x82\xff\x80" + bytes(6) + b"\x01" + KEY, 1002),
    Violation("announced larger than allowed", b"\x82\xff" + (1 << 40).to_bytes(8, "big"), 1009),
    Violation("invalid byte", client(0x81, b"a\xff"), 1007),
    Violation("overlong", client(0x81, b"\xc0\xaf"), 1007),
    Violation("overlong of three bytes", client(0x81, b"\xe0\x80\xaf"), 1007),
    Violation("surrogate", client(0x81, b"\xed\xa0\x80"), 1007),
    Violation("above U+10FFFF", client(0x81, b"\xf4\x90\x80\x80"), 1007),
    Violation("cut character", client(0x81, b"\xe2\x82"), 1007),
    Violation("cut across fragments", client(0x01, b"\xe2") + client(0x80, b"\x82"), 1007),
    Violation("bad text before its last fragment", client(0x01, b"\xff"), 1007),
    Violation("surrogate before its last byte", client(0x01, b"\xed\xa0"), 1007),
    Violation("overlong before its last byte", client(0x01, b"\xe0\x80"), 1007),
    Violation("too large before its last byte", client(0x01, b"\xf4\x90"), 1007),
    Violation("close with half a code", client(0x88, b"\x03"), 1002),
    Violation("close reason not UTF-8", client(0x88, b"\x03\xe8\xff"), 1007),
    *(
        Violation(f"close code {code}", client(0x88, code.to_bytes(2, "big")), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ),
]

# Codes a close frame may carry (RFC 6455 §7.4 and the IANA registry).
GOOD_CLOSE_CODES = [
    1000,
    1001,
    1002,
    1003,
    1007,
    1008,
    1009,
    1010,
    1011,
    1012,
    1013,
    1014,
    3000,
    4999,
]
