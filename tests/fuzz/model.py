"""RFC 6455 and 7692 as plainly as they can be said: the judge of the cores and of the oracles.

It reads a whole conversation at once, frame by frame, without a thought for speed, and says what an
application must notice, and at which byte the peer broke which rule. A rule is broken at the first
byte from which no continuation could be sound.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from glyph_fast.wire import NO_STATUS, is_sendable_code
from tests.fuzz.oracles import MAX_MESSAGE, Heard


class Violation(Exception):
    """A rule was broken by the byte before `at`."""

    def __init__(self, rule: str, code: int, at: int) -> None:
        super().__init__(rule)
        self.rule = rule
        self.code = code
        self.at = at


class Judgement(NamedTuple):
    """What came of a conversation, and why it ended."""

    heard: Heard
    rule: str  # that was broken; "" when none was
    at: int  # bytes up to and including the one that broke it
    in_message: bool  # it ended within a message
    in_packed: bool  # which was compressed
    is_interleaved: bool  # a control frame came within a compressed message


class Incomplete(Exception):
    """The conversation ends in the middle of a frame."""


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if len(self.data) - self.at < size:
            raise Incomplete
        self.at += size
        return self.data[self.at - size : self.at]


class Model:
    """One conversation."""

    def __init__(self, data: bytes, *, deflate: bool) -> None:
        self.reader = Reader(data)
        self.deflate = deflate
        self.messages: list[str | bytes] = []
        self.pongs: list[bytes] = []
        self.close: int | None = None
        self.opcode = 0  # of the message that has begun
        self.is_packed = False
        self.payload = b""  # of that message
        self.is_interleaved = False

    def judge(self) -> Judgement:
        rule, at = "", len(self.reader.data)
        try:
            while self.close is None:
                self.frame()
        except Incomplete:
            pass
        except Violation as violation:
            rule, self.close, at = violation.rule, violation.code, violation.at
        return Judgement(
            Heard(tuple(self.messages), tuple(self.pongs), self.close),
            rule,
            at,
            bool(self.opcode),
            bool(self.opcode) and self.is_packed,
            self.is_interleaved,
        )

    def fail(self, rule: str, code: int, at: int | None = None) -> None:
        raise Violation(rule, code, self.reader.at if at is None else at)

    def frame(self) -> None:
        opcode, fin, rsv1, size = self.header()
        is_control = opcode >= 8
        if not is_control:
            self.check_size(size, rsv1)
        key = self.reader.take(4)
        if is_control:
            self.is_interleaved |= bool(self.opcode) and self.is_packed
            self.control(opcode, unmasked(self.reader.take(size), key))
            return
        if opcode:
            self.opcode, self.is_packed, self.payload = opcode, rsv1, b""
        start = self.reader.at
        there = self.reader.data[start : start + size]
        payload = unmasked(there, key)
        if self.opcode == 1 and not self.is_packed:
            self.check_text(payload, start, is_last=fin and len(there) == size)
        self.reader.take(size)
        self.payload += payload
        if fin:
            self.message()

    def header(self) -> tuple[int, bool, bool, int]:
        (first,) = self.reader.take(1)
        fin, rsv1, opcode = first >= 128, first & 64 > 0, first & 15
        if first & 48 or (rsv1 and not (self.deflate and opcode in (1, 2))):
            self.fail("reserved bits", 1002)  # §5.2; RFC 7692 §6.1: on first frames only
        if opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
            self.fail("opcode", 1002)  # §5.2
        if opcode >= 8 and not fin:
            self.fail("fragmented control frame", 1002)  # §5.5
        if opcode == 0 and not self.opcode:
            self.fail("continuation of nothing", 1002)  # §5.4
        if opcode in (1, 2) and self.opcode:
            self.fail("message inside a message", 1002)  # §5.4
        (second,) = self.reader.take(1)
        size = second & 127
        if second < 128:
            self.fail("not masked", 1002)  # §5.1
        if opcode >= 8 and size > 125:
            self.fail("long control frame", 1002)  # §5.5
        if size == 126:
            size = int.from_bytes(self.reader.take(2), "big")
            if size < 126:
                self.fail("length form", 1002)  # §5.2: the minimal number of bytes
        elif size == 127:
            size = int.from_bytes(self.reader.take(8), "big")
            if size < 65536:
                self.fail("length form", 1002)
            if size >= 1 << 63:
                self.fail("length sign", 1002)  # §5.2: the most significant bit must be 0
        return opcode, fin, rsv1, size

    def check_size(self, size: int, rsv1: bool) -> None:
        limit = MAX_MESSAGE
        if rsv1 or self.opcode and self.is_packed:
            limit += (limit >> 8) + 64
        if size + (len(self.payload) if self.opcode else 0) > limit:
            self.fail("size", 1009)

    def check_text(self, payload: bytes, start: int, *, is_last: bool) -> None:
        text = self.payload + payload
        try:
            text.decode()
        except UnicodeDecodeError as exc:
            if exc.reason == "unexpected end of data":
                if is_last:  # §8.1; it shows when the frame is complete
                    self.fail("utf-8", 1007, start + len(payload))
                return
            for end in range(len(payload) + 1):  # the first byte from which it cannot be any more
                if not may_become_utf8(self.payload + payload[:end]):
                    self.fail("utf-8", 1007, start + end)

    def message(self) -> None:
        data = self.inflated(self.payload) if self.is_packed else self.payload
        if self.opcode == 2:
            self.messages.append(data)
        else:
            try:
                self.messages.append(data.decode())
            except UnicodeDecodeError:
                self.fail("utf-8 in compressed text", 1007)
        self.opcode, self.payload = 0, b""

    def inflated(self, data: bytes) -> bytes:
        """RFC 7692 §7.2.2, without context takeover."""
        if not data:
            return b""  # §7.2.3.6 makes it one byte; no byte at all leaves no doubt either
        inflater = zlib.decompressobj(-15)
        try:
            out = inflater.decompress(data, MAX_MESSAGE + 1)
            if len(out) > MAX_MESSAGE:
                self.fail("size", 1009)
            if inflater.decompress(b"\0\0\xff\xff"):
                self.fail("deflate", 1007)  # the end of an empty block has no content
        except zlib.error:
            self.fail("deflate", 1007)
        return out

    def control(self, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self.pongs.append(payload)  # §5.5.2
        elif opcode == 8:
            self.close_frame(payload)

    def close_frame(self, payload: bytes) -> None:
        if not payload:
            self.close = NO_STATUS
            return
        if len(payload) == 1:
            self.fail("half a close code", 1002)  # §5.5.1
        code = int.from_bytes(payload[:2], "big")
        if not is_sendable_code(code):
            self.fail("close code", 1002)  # §7.4
        try:
            payload[2:].decode()
        except UnicodeDecodeError:
            self.fail("close reason", 1007)  # §5.5.1
        self.close = code


def may_become_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as exc:
        return exc.reason == "unexpected end of data" and could_go_on(data[exc.start :])
    return True


def could_go_on(cut: bytes) -> bool:
    """Whether some bytes make a character of a cut one (Python does not always look ahead)."""
    tails = [b"\x80" * n for n in (1, 2, 3)] + [b"\xbf" * n for n in (1, 2, 3)]
    tails += [b"\x9f" + b"\x80" * n for n in (0, 1, 2)] + [b"\x8f" + b"\x80" * n for n in (0, 1, 2)]
    return any(is_utf8(cut + tail) for tail in tails)


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def unmasked(data: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


def judge(data: bytes, *, deflate: bool = False) -> Judgement:
    """What the RFCs say about a conversation."""
    return Model(data, deflate=deflate).judge()
