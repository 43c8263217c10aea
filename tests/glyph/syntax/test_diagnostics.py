"""How errors read."""

from __future__ import annotations

import pytest

from glyph_fast.errors import GlyphSyntaxError
from glyph_fast.glyph.serving.load import GlyphLoadError, load_source
from glyph_fast.glyph.syntax.diagnostics import Report, did_you_mean
from glyph_fast.glyph.syntax.source import Position, Source
from tests.glyph.harness import headlines, problems


def test_error_shows_place_line_caret_and_hint() -> None:
    (found,) = problems("@ ws /x {\n  on message { ws.brodcast_to_room(1, 2) }\n}\n")
    assert found.render() == (
        "app.glyph:2:19: unknown function `ws.brodcast_to_room`\n"
        "    2 |   on message { ws.brodcast_to_room(1, 2) }\n"
        "      |                   ^^^^^^^^^^^^^^^^\n"
        "      = hint: did you mean `ws.broadcast_to_room`?"
    )


def test_a_message_that_quotes_a_very_long_name_is_cut() -> None:
    (found,) = problems("@ GET /x {\n  > {a: nope" + "e" * 100_000 + "}\n}\n")
    lines = found.render().splitlines()
    assert lines[0].startswith("app.glyph:2:9: unknown name `nopeee") and lines[0].endswith("…")
    assert max(map(len, lines)) < 400


def test_all_independent_errors_are_reported_in_one_go_and_in_order() -> None:
    text = (
        "@ GET /a {\n  $ x =\n  > y\n}\n"
        "@ GET /b {\n  > )\n}\n"
        "@ ws /c {\n  on open { }\n  on message { break }\n}\n"
        ": T {\n  a str\n}\n"
    )
    assert [line.split(": ")[0] for line in headlines(text)] == [
        "app.glyph:2:8",
        "app.glyph:3:5",
        "app.glyph:6:5",
        "app.glyph:9:6",
        "app.glyph:10:16",
        "app.glyph:13:5",
    ]


def test_forgotten_brace_is_one_error_and_the_next_item_is_read() -> None:
    text = "@ GET /a {\n  if true {\n    > 1\n\n@ GET /b {\n  > nope\n}\n"
    assert headlines(text) == [
        "app.glyph:3:8: expected `}`, found `@`",
        "app.glyph:6:5: unknown name `nope`",
    ]


def test_forgotten_parenthesis_does_not_swallow_the_rest() -> None:
    text = '@ ws /c {\n  on connect {\n    ws.send("x"\n  }\n  on message { ws.send(nope) }\n}\n'
    assert headlines(text) == [
        "app.glyph:3:16: expected `,` or `)`, found `}`",
        "app.glyph:5:24: unknown name `nope`",
    ]


def test_object_without_a_comma_is_told_so() -> None:
    (found,) = problems("@ GET /a {\n  > {\n    a: 1\n    b: 2\n  }\n}\n")
    assert (found.line, found.column) == (3, 9)
    assert found.hint == "entries of an object are separated by commas"


def test_error_of_a_load_has_the_first_place_and_all_diagnostics() -> None:
    with pytest.raises(GlyphSyntaxError) as caught:
        load_source(Source("a.glyph", "@ GET /a {\n  > x\n  > y\n}\n"))
    error = caught.value
    assert isinstance(error, GlyphLoadError)
    assert (error.line, error.column) == (2, 5)
    assert len(error.diagnostics) == 2
    assert "a.glyph:3:5: unknown name `y`" in str(error)


def test_a_place_is_reported_once_for_a_rule_and_a_file_at_most_fifty_times() -> None:
    report = Report(Source("a", "x\n" * 100))
    for line in (1, 1, *range(1, 101)):
        report.add("unknown-name", Position(line, 1), name="x")
    assert len(report.diagnostics) == 50
    assert report.has_errors


def test_warnings_are_no_errors() -> None:
    report = Report(Source("a", "x"))
    report.add("not-run", Position(1, 1), what="a test")
    assert not report.has_errors
    assert report.diagnostics[0].headline() == "a:1:1: warning: a test is declared but not run"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("lenght", "did you mean `length`?"), ("zzz", ""), ("Length", "did you mean `length`?")],
)
def test_names_that_are_close_are_proposed(name: str, hint: str) -> None:
    assert did_you_mean(name, ["length", "upper"]) == hint


def test_a_semicolon_is_the_only_thing_wrong_with_its_line() -> None:
    assert headlines("@ GET / {\n  $ a = 1; $ b = 2;\n  $ c = b; > a + c\n}\n") == [
        "app.glyph:2:10: unexpected `;`",
        "app.glyph:2:19: unexpected `;`",
        "app.glyph:3:10: unexpected `;`",
    ]
