"""Subjects and keys at a broker, whatever names clients choose."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph_fast.broker.nodes.subjects import ALL, LONGEST, ROOM, USER, Subjects, encode

NAMES = [
    "",
    ".",
    "*",
    ">",
    "a.b",
    "a b",
    "{x}",
    "}{",
    "\r\nPUB x 1",
    "é",
    "\ud800",
    "\0",
    "x" * 500,
]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_breaks_out_of_its_place(name: str) -> None:
    subject = Subjects().of(ROOM, name)
    assert re.fullmatch(rb"glyph\.1\.r\.\{[A-Za-z0-9_-]+\}", subject)


@given(st.text(), st.text())
def test_different_names_have_different_subjects(one: str, other: str) -> None:
    assert (encode(one) == encode(other)) == (one == other)


def test_a_long_name_has_a_subject_of_bounded_length() -> None:
    subjects = {Subjects().of(ROOM, "x" * n) for n in range(LONGEST - 2, LONGEST + 3)}
    assert len(subjects) == 5
    assert max(map(len, subjects)) < 200
    assert len(encode("x" * 60_000)) < 50


def test_kinds_and_prefixes_are_apart() -> None:
    assert len({Subjects(p).of(k, "x") for p in ("glyph", "other") for k in (ROOM, USER, ALL)}) == 6


def test_a_text_and_its_bytes_are_the_same_name() -> None:
    assert encode("é") == encode("é".encode())


@pytest.mark.parametrize("prefix", ["", "a.b", "*", "a b", "x" * 65, "{a}"])
def test_a_prefix_is_a_plain_word(prefix: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        Subjects(prefix)
