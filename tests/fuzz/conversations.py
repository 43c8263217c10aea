"""Random conversations of a client: sound, broken, and sound ones that were tampered with.

Everything follows from a `random.Random`, so a seed is a test case.
"""

from __future__ import annotations

import zlib
from random import Random

from glyph_fast.core import encode_frame
from glyph_fast.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

TEXTS = [
    "",
    "a",
    "hello",
    "grüße",
    "你好",
    "🎉",
    "\ufeff",
    "\x00",
    "\U0010ffff",
    "x" * 125,
    "y" * 126,
]
BAD_UTF8 = [
    b"\xff",
    b"\xc0\x80",
    b"\xc3",
    b"\xe2\x82",
    b"\xe0\x80\x80",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x8e",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"ok\x80",
]
CODES = [0, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1011, 1012, 1014, 1015, 1016]
CODES += [1099, 1999, 2999, 3000, 3999, 4000, 4999, 5000, 65535]
LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, 70000]


def key(random: Random) -> bytes:
    return random.randbytes(4) if random.random() < 0.9 else bytes(4)


def payload(random: Random) -> bytes:
    kind = random.random()
    if kind < 0.5:
        return random.choice(TEXTS).encode()
    if kind < 0.65:
        return random.randbytes(random.randrange(40))
    if kind < 0.75:
        return b"z" * random.choice(LENGTHS)
    if kind < 0.85:
        return random.choice(TEXTS).encode() + random.choice(BAD_UTF8)
    return "".join(random.choices(TEXTS[:9], k=random.randrange(20))).encode()


class Talk:
    """Makes the pieces of one conversation; with `deflate`, some messages are compressed."""

    def __init__(self, random: Random, *, deflate: bool) -> None:
        self.random = random
        self.deflate = deflate

    def frame(self, opcode: int, data: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
        return encode_frame(opcode, data, fin=fin, rsv1=rsv1, key=key(self.random))

    def message(self) -> bytes:
        random = self.random
        opcode = random.choice([TEXT, TEXT, BINARY])
        data = payload(random)
        packed = self.deflate and random.random() < 0.6
        if packed:
            data = deflated(random, data)
        cuts = sorted(random.choices(range(len(data) + 1), k=random.choice([0, 0, 0, 1, 2, 5])))
        parts = [data[i:j] for i, j in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        out = b""
        for i, part in enumerate(parts):
            is_last = i == len(parts) - 1
            out += self.frame(
                CONTINUATION if i else opcode, part, fin=is_last, rsv1=packed and i == 0
            )
            if not is_last and random.random() < 0.3:
                out += self.control()
        return out

    def control(self) -> bytes:
        data = self.random.randbytes(self.random.choice([0, 0, 1, 4, 10, 125]))
        return self.frame(self.random.choice([PING, PING, PONG]), data)

    def close(self) -> bytes:
        random = self.random
        kind = random.random()
        if kind < 0.15:
            return self.frame(CLOSE, b"")
        if kind < 0.2:
            return self.frame(CLOSE, b"\x03")
        code = random.choice(CODES).to_bytes(2, "big")
        reason = random.choice(
            [b"", b"", b"bye", "adiós".encode(), b"r" * 123, b"\xff", b"\xe2\x82"]
        )
        return self.frame(CLOSE, code + reason)

    def broken(self) -> bytes:
        """A frame whose header breaks a rule, most of the time."""
        random = self.random
        first = random.randrange(256)
        data = random.randbytes(random.randrange(8))
        kind = random.random()
        if kind < 0.4:
            masked = encode_frame(first & 15 & ~8, data, key=key(random))
            return bytes((first,)) + masked[1:]
        if kind < 0.5:
            return encode_frame(first & 1 or 2, data)  # not masked
        if kind < 0.55:
            return bytes((random.choice([0x88, 0x89, 0x8A]), 0xFE)) + (126).to_bytes(2, "big")
        if kind < 0.7:
            size = random.choice(LENGTHS)
            form = random.choice([126, 127])
            width = 2 if form == 126 else 8
            size = min(size, 65535) if width == 2 else size
            return bytes((0x82, 0x80 | form)) + size.to_bytes(width, "big") + key(random)
        if kind < 0.8:
            return bytes((0x82, 0xFF)) + random.randbytes(8) + key(random)
        return random.randbytes(random.randrange(1, 20))

    def whole(self) -> bytes:
        random = self.random
        makers = [self.message] * 8 + [self.control] * 3 + [self.close, self.broken]
        data = b"".join(random.choice(makers)() for _ in range(random.randrange(1, 8)))
        if random.random() < 0.3:
            data = tampered(random, data)
        return data


def deflated_by(data: bytes, level: int = 6) -> bytes:
    """A compressed payload as a sender makes it (RFC 7692 §7.2.1)."""
    deflater = zlib.compressobj(level, zlib.DEFLATED, -15)
    return (deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def deflated(random: Random, data: bytes) -> bytes:
    """A compressed payload, now and then not quite one."""
    level = random.randrange(10)
    if random.random() < 0.9:
        out = deflated_by(data, level)
    else:  # with a final block (RFC 7692 §7.2.3.4)
        out = zlib.compress(data, level, -15) + b"\x00"
    return tampered(random, out) if random.random() < 0.1 else out


def tampered(random: Random, data: bytes) -> bytes:
    """`data` with a few bytes changed, dropped, doubled or put in."""
    out = bytearray(data)
    for _ in range(random.randrange(1, 4)):
        if not out:
            break
        at = random.randrange(len(out))
        kind = random.randrange(4)
        if kind == 0:
            out[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            del out[at : at + random.randrange(1, 6)]
        elif kind == 2:
            out[at:at] = random.randbytes(random.randrange(1, 6))
        else:
            out[at:at] = out[at : at + random.randrange(1, 20)]
    return bytes(out)


def conversation(seed: int, *, deflate: bool) -> tuple[bytes, list[bytes]]:
    """A conversation, whole and in the pieces in which it comes."""
    random = Random(seed)
    data = Talk(random, deflate=deflate).whole()
    return data, pieces(random, data)


def pieces(random: Random, data: bytes) -> list[bytes]:
    kind = random.random()
    if kind < 0.3:
        return [data]
    if kind < 0.4 and len(data) < 2000:
        return [data[i : i + 1] for i in range(len(data))]
    cuts = sorted(random.choices(range(len(data) + 1), k=random.randrange(1, 12)))
    return [data[i:j] for i, j in zip([0, *cuts], [*cuts, len(data)], strict=True)]
