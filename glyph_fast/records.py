"""TLS records of a peer, counted by their headers as they come.

OpenSSL takes 100 KiB of certificates from whoever connects, and looks at each before it knows
whether it trusts one: that takes 30 to 120 ms, where other handshakes take 1. So hands are shaken
within some bytes, and what is longer counts as more steps of its turn.

OpenSSL does not tell of records without data. Keys are changed by such, once in gigabytes where a
peer means well; each change takes as long as some messages, and 10,000 fit in one reading.
"""

from __future__ import annotations

import ssl

HEADER = 5  # bytes: what it is, a version, and how long it is (RFC 8446 §5.1)
MAX_IDLE = 32  # records of one reading in which there is no data
MAX_SILENT = 3 * 16 * 1024  # bytes of ciphertext without data, once hands are shaken


MAX_HANDSHAKE = 20 * 1024  # bytes of a peer's; a chain of three has 6 KiB, without RSA up to 17
SHAKE_BYTES = 1024  # of a handshake so far, that make a step of it count as one more


class Records:
    """The records that a peer has sent so far."""

    __slots__ = ("_ahead", "_begun")

    def __init__(self) -> None:
        self._ahead = 0  # bytes of the latest that are to come
        self._begun = b""  # the beginning of a header

    def count(self, data: bytes | memoryview) -> int:
        """Return how many begin in what comes next."""
        if self._begun:
            data, self._begun = self._begun + data, b""
        found, at, size = 0, self._ahead, len(data)
        while at + HEADER <= size:
            at += HEADER + (data[at + 3] << 8 | data[at + 4])
            found += 1
        self._ahead = max(at - size, 0)
        if at < size:
            self._begun = bytes(data[at:])
        return found


def silent() -> ssl.SSLError:
    """The error of a peer whose records change keys, and hold no data."""
    failure = ssl.SSLError(1, "too many records without data")
    failure.reason = "TOO_MANY_RECORDS_WITHOUT_DATA"
    return failure


def long_handshake() -> ssl.SSLError:
    """The error of a peer that sends more before hands are shaken than anybody needs."""
    failure = ssl.SSLError(1, "handshake too long")
    failure.reason = "HANDSHAKE_TOO_LONG"
    return failure
