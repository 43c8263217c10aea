"""CRC-32C, the checksum of iSCSI (RFC 3720 §12.1), which the PROXY protocol's headers may carry.

The standard library has only the CRC of another polynomial. A table and a loop are enough for some
hundred bytes of each connection whose proxy asks for it.
"""

from __future__ import annotations

POLYNOMIAL = 0x82F63B78  # bit-reversed, as the bits come


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(_entry(byte) for byte in range(256))


def crc32c(data: bytes) -> int:
    """The checksum of `data`."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
