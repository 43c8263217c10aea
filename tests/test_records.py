"""Records of TLS, counted as they come."""

from __future__ import annotations

import random

import pytest

from glyph_fast.records import Records, silent


def record(size: int) -> bytes:
    return b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes(size)


def test_each_counts_where_its_header_is_whole() -> None:
    records = Records()
    assert records.count(record(22) * 3) == 3
    assert records.count(record(300)[:4]) == 0
    assert records.count(memoryview(record(300))[4:100]) == 1
    assert records.count(record(300)[100:]) == 0
    assert records.count(record(0) + record(0)[:5]) == 2


@pytest.mark.parametrize("seed", range(10))
def test_they_count_alike_wherever_they_are_cut(seed: int) -> None:
    dice = random.Random(seed)
    data = b"".join(record(dice.choice((0, 1, 22, 300))) for _ in range(100))
    records, found, at = Records(), 0, 0
    while at < len(data):
        size = dice.choice((1, 2, 3, 5, 50, 1000))
        found += records.count(memoryview(data)[at : at + size])
        at += size
    assert found == 100


def test_the_error_says_why() -> None:
    assert silent().reason == "TOO_MANY_RECORDS_WITHOUT_DATA"
    assert str(silent()) == "too many records without data"
