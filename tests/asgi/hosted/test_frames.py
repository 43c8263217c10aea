"""Frames of a client within one process."""

from __future__ import annotations

import pytest

from glyph_fast.asgi.hosted.frames import FrameReader, close_payload, masked

STREAM = (
    b"\x81\x02hi" + b"\x82\x7e\x00\x80" + b"x" * 128 + b"\x01\x01a" + b"\x89\x01p"
    b"\x00\x01b" + b"\x80\x01c" + b"\x82\x7f" + (70_000).to_bytes(8, "big") + b"y" * 70_000
    + b"\x88\x02\x03\xe8"
)  # fmt: skip
FOUND = [
    (1, b"hi"), (2, b"x" * 128), (9, b"p"), (1, b"abc"), (2, b"y" * 70_000), (8, b"\x03\xe8"),
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 3, 1000, 10**6])
def test_reading(size: int) -> None:
    reader = FrameReader()
    found = [
        each for at in range(0, len(STREAM), size) for each in reader.feed(STREAM[at : at + size])
    ]
    assert found == FOUND


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_writing(size: int) -> None:
    head = {0: b"\x81\x80", 125: b"\x81\xfd", 126: b"\x81\xfe\x00\x7e", 65_535: b"\x81\xfe\xff\xff"}
    made = masked(1, b"x" * size)
    expected = head.get(size, b"\x81\xff" + size.to_bytes(8, "big"))
    assert made == expected + bytes(4) + b"x" * size


def test_what_a_close_has() -> None:
    assert close_payload(None, "why") == b""
    assert close_payload(1000, "") == b"\x03\xe8"
    assert len(close_payload(1000, "x" * 200)) == 125
