"""Looking ahead, taking tokens, going on after errors."""

from __future__ import annotations

import pytest

from glyph_fast.glyph.syntax.cursor import Cursor
from glyph_fast.glyph.syntax.diagnostics import Problem, Report
from glyph_fast.glyph.syntax.lexer import tokenize
from glyph_fast.glyph.syntax.source import Source


def cursor(text: str) -> Cursor:
    source = Source("a", text)
    report = Report(source)
    return Cursor(tokenize(source, report), report)


def test_taking_tokens_stops_at_the_end() -> None:
    c = cursor("a b")
    assert [c.advance().text for _ in range(4)] == ["a", "b", "", ""]
    assert c.at("end") and c.peek(100).kind == "end"


def test_accept_and_expect() -> None:
    c = cursor("( let ) x")
    assert c.accept(")") is None
    assert c.accept("(") is not None
    assert c.accept_word("var") is None and c.accept_word("let") is not None
    c.expect(")")
    with pytest.raises(Problem):
        c.expect("}")
    assert c.report.diagnostics[0].message == "expected `}`, found `x`"


def test_glued_symbols_are_split() -> None:
    c = cursor("a!=1")
    c.advance()
    assert c.accept_glued("!") and c.accept("=") and c.at("int")


@pytest.mark.parametrize(
    ("text", "place"),
    [("a )", (1, 3)), ("a  # c\n)", (1, 2)), ("a", (1, 2)), ("\n\n)", (3, 1))],
)
def test_first_token_of_a_line_is_reported_behind_the_last_one(
    text: str, place: tuple[int, int]
) -> None:
    c = cursor(text)
    while not (c.at(")") or c.at("end")):
        c.advance()
    assert c.here()[:2] == place


def test_long_tokens_are_shortened_in_messages() -> None:
    assert cursor("x" * 1000).describe() == "`" + "x" * 30 + "…`"


def test_recovery_stops_behind_the_broken_statement() -> None:
    c = cursor("{ f(1 { \n } ) \n b }")
    c.advance()
    c.recover(1, 1)
    assert c.at("newline")
    c.advance()
    assert c.advance().text == "b"


def test_recovery_of_items_finds_the_next_one() -> None:
    c = cursor("junk ( {\n  more\n@ GET / { }")
    c.recover_item(0)
    assert c.at("@")
    c = cursor("junk\n  : indented\nconst A = 1")
    c.recover_item(0)
    assert c.at_word("const")


def test_balanced_groups_are_skipped_whole() -> None:
    c = cursor("{ a { b } [ ( ] } c")
    c.skip_balanced()
    assert c.at_word("c")


def test_first_reason_for_not_being_supported_is_kept() -> None:
    c = cursor("a")
    c.refuse("providers", c.current.position, name="db")
    c.refuse("macros", c.current.position)
    assert c.unsupported == "providers are not supported: `% db`"
