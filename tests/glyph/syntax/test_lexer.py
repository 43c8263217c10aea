"""Text to tokens."""

from __future__ import annotations

import pytest

from glyph_fast.glyph.syntax.diagnostics import Report
from glyph_fast.glyph.syntax.lexer import Token, tokenize
from glyph_fast.glyph.syntax.source import Source


def lex(text: str) -> tuple[list[Token], list[str]]:
    source = Source("a", text)
    report = Report(source)
    tokens = tokenize(source, report)
    assert tokens[-1].kind == "end"
    return tokens[:-1], [found.code for found in report.diagnostics]


def kinds(text: str) -> list[str]:
    return [token.kind for token in lex(text)[0]]


def values(text: str) -> list[object]:
    tokens, errors = lex(text)
    assert errors == []
    return [token.value for token in tokens]


def test_operators_are_taken_as_long_as_possible() -> None:
    text = "|> || | => == = >= > -> - ... . && & != !"
    assert kinds(text) == text.split()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12 0 007", [12, 0, 7]),
        ("1.5 0.25", [1.5, 0.25]),
        ("9223372036854775807", [9223372036854775807]),
        ("1e3", [1, None]),
        ("1.x", [1, None, None]),
    ],
)
def test_numbers(text: str, found: list[object]) -> None:
    assert values(text) == found


def test_number_of_a_million_digits_is_an_error_and_no_wait() -> None:
    tokens, errors = lex("9" * 1_000_000)
    assert errors == ["number-too-large"]
    assert len(tokens) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a"', "a"),
        ("'it\\'s'", "it's"),
        ('"\\n\\t\\r\\"\\\\\\0\\a\\b\\f\\v"', '\n\t\r"\\\0\a\b\f\v'),
        ('"\\xe9\\u20ac"', "é€"),
        ('"\\ud83d\\ude00"', "😀"),
        ('"# no // comment"', "# no // comment"),
        ('"größer 😀"', "größer 😀"),
    ],
)
def test_strings(text: str, value: str) -> None:
    assert values(text) == [value]


def test_comments_end_with_their_line() -> None:
    assert kinds("a # b\nc // d\ne") == ["word", "newline", "word", "newline", "word"]


def test_comments_are_kept_for_the_formatter() -> None:
    source = Source("a", "(a # b  \n)")
    tokens = tokenize(source, Report(source), comments=True)
    assert [token.text for token in tokens] == ["(", "a", "# b", "\n", ")", ""]


def test_newlines_count_in_braces_but_not_in_round_and_square_brackets() -> None:
    assert kinds("(\n)\n[\n]\n{\n}") == "( ) newline [ ] newline { newline }".split()
    assert kinds("(\n{\n}\n)") == "( { newline } )".split()


def test_closing_brace_closes_what_was_forgotten_inside_it() -> None:
    assert kinds("{ ( [ \n }\n") == ["{", "(", "[", "}", "newline"]


def test_depth_is_the_number_of_brackets_around() -> None:
    tokens, _ = lex("a { b ( c ) d } e")
    assert [token.depth for token in tokens] == [0, 0, 1, 1, 2, 1, 1, 0, 0]


def test_carriage_returns_are_blanks() -> None:
    assert kinds("a\r\nb") == ["word", "newline", "word"]


@pytest.mark.parametrize("path", ["/", "/a", "/a/:b/c-d", "/2fa", "/a.json", "/const/~x", "/a//b/"])
def test_path_behind_a_directive_is_raw_text(path: str) -> None:
    tokens, errors = lex(f"@ GET {path} {{")
    assert errors == []
    assert [token.text for token in tokens] == ["@", "GET", path, "{"]


def test_path_ends_at_blanks_brackets_and_arrows() -> None:
    assert [t.text for t in lex("@ GET /a->T{")[0]] == ["@", "GET", "/a", "->", "T", "{"]
    assert [t.text for t in lex("@route /a[POST]")[0]][:4] == ["@", "route", "/a", "["]


def test_slash_elsewhere_divides() -> None:
    assert kinds("a /b") == ["word", "/", "word"]
    assert kinds("a @ b\n/c") == ["word", "@", "word", "newline", "/", "word"]


def test_unexpected_characters_are_skipped_and_reported() -> None:
    tokens, errors = lex("a § b \x00 é")
    assert [token.text for token in tokens] == ["a", "b"]
    assert errors == ["unexpected-character"] * 3


@pytest.mark.parametrize("text", ['"' + "a" * 1_000_000, '"' + "\\x" * 500_000, "/" * 1_000_000])
def test_megabyte_lines_are_read_at_once(text: str) -> None:
    lex(text)
    lex("@ GET " + text)
