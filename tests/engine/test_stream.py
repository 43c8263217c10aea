"""What a stream gives its transport; the rest of it is tested with sockets, in test_sockets."""

from __future__ import annotations

import pytest

from glyph_fast.engine.stream import WRITE_SIZE, pieces


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([0], []),
        ([5], [5]),
        ([1, 2, 3], [6]),
        ([WRITE_SIZE], [WRITE_SIZE]),
        ([WRITE_SIZE, 1], [WRITE_SIZE, 1]),
        ([1, WRITE_SIZE], [WRITE_SIZE, 1]),
        ([10, 3 * WRITE_SIZE, 10], [WRITE_SIZE] * 3 + [20]),
    ],
)
def test_what_a_transport_gets_at_a_time_is_bounded(sizes, expected):
    buffers = [bytes([65 + index]) * size for index, size in enumerate(sizes)]
    given = list(pieces(buffers))
    assert [len(piece) for piece in given] == expected
    assert b"".join(given) == b"".join(buffers)
