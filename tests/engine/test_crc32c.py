"""CRC-32C against the vectors of its specification."""

from __future__ import annotations

import pytest

from glyph_fast.engine.crc32c import crc32c


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        # RFC 3720 §B.4; its octets are in the order of the wire, lowest first.
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_it_is_that_of_the_specification(data: bytes, checksum: int) -> None:
    assert crc32c(data) == checksum
