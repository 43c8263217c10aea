"""Lines, columns and excerpts."""

from __future__ import annotations

import pytest

from glyph_fast.glyph.syntax.source import Position, Source, UndecodableSource, excerpt


def test_lines_and_positions_count_from_one() -> None:
    source = Source("a", "ab\ncd\n")
    assert [source.line(n) for n in (0, 1, 2, 3, 4)] == ["", "ab", "cd", "", ""]
    assert source.position(0) == (1, 1, 1)
    assert source.position(4) == (2, 2, 1)


def test_only_line_feeds_end_lines() -> None:
    source = Source("a", "a\r\nb\u2028c\x0cd\n")
    assert source.line(1) == "a\r"
    assert source.line(2) == "b\u2028c\x0cd"


def test_byte_order_mark_is_dropped() -> None:
    assert Source.from_bytes("a", b"\xef\xbb\xbfx").text == "x"


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"\xff", (1, 1, 1)),
        (b"ab\n\xc3\xa9\xfe", (2, 2, 1)),
        (b"\xef\xbb\xbfab\xff", (1, 3, 1)),
        (b"\xc3", (1, 1, 1)),
    ],
)
def test_first_bad_byte_is_named(data: bytes, place: tuple[int, int, int]) -> None:
    with pytest.raises(UndecodableSource) as caught:
        Source.from_bytes("a", data)
    assert caught.value.position == place


def test_excerpt_keeps_tabs_so_that_carets_align() -> None:
    assert excerpt("\tab cd", Position(1, 5, 2)) == ("\tab cd", "\t   ^^")


def test_excerpt_commands_no_terminal_and_keeps_its_columns() -> None:
    assert excerpt("a\x1b[2J\x07b\u202ec", Position(1, 7, 1)) == (
        "a\ufffd[2J\ufffdb\ufffdc",
        "      ^",
    )


def test_excerpt_of_a_very_long_line_is_cut_around_the_place() -> None:
    line = "x" * 5000 + "HERE" + "y" * 5000
    shown, carets = excerpt(line, Position(1, 5001, 4))
    assert len(shown) == 100
    assert shown[carets.index("^") : carets.index("^") + 4] == "HERE"


def test_carets_do_not_run_beyond_the_line() -> None:
    assert excerpt("ab", Position(1, 2, 50)) == ("ab", " ^")
    assert excerpt("ab", Position(1, 9, 1)) == ("ab", "        ^")
