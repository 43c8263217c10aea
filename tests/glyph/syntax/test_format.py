"""The one layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from glyph_fast.glyph.syntax.format import CannotFormat, format_source
from glyph_fast.glyph.syntax.source import Source

CASES = sorted((Path(__file__).parents[1] / "cases").glob("*.glyph"))


def formatted(text: str) -> str:
    once = format_source(Source("a", text))
    assert format_source(Source("a", once)) == once
    return once


def line(text: str) -> str:
    """A statement of a route, laid out."""
    return formatted("@ POST /:id {\n" + text + "\n}\n").splitlines()[1].removeprefix("  ")


@pytest.mark.parametrize(
    ("text", "neat"),
    [
        ("$a=1", "$ a = 1"),
        ("let   a :int=1", "let a: int = 1"),
        (">a+b*-2", "> a + b * -2"),
        ("> - 1", "> -1"),
        (">a :: 201", "> a :: 201"),
        (">1:: 201", "> 1 :: 201"),
        ("?a!=1::404 'no'", "? a != 1 :: 404 'no'"),
        ("? check ( id )", "? check(id)"),
        ("if(a<1)&&! b||(c>=2){break}", "if (a < 1) && !b || (c >= 2) { break }"),
        ("for  i , v  in [1,2] { }", "for i, v in [1, 2] { }"),
        ("> {a:1,'b c':[ ] ,d:{ }}", "> {a: 1, 'b c': [], d: {}}"),
        ("> {:a=1,:b = 2}", "> {:a = 1, :b = 2}"),
        ("> a . b [ 0 ] . c ( 1 )", "> a.b[0].c(1)"),
        ("> a|>f |>g( 1 )", "> a |> f |> g(1)"),
        ("> match a{{x,y:[p,... r]}when p>-1=>p _=>0}",
         "> match a { {x, y: [p, ...r]} when p > -1 => p _ => 0 }"),
        ("$ f=async{>await g}", "$ f = async { > await g }"),
        ("+auth( jwt,role:admin )", "+ auth(jwt, role: admin)"),
        ("+ ratelimit(100 / min)", "+ ratelimit(100/min)"),
        ("<input:User", "< input: User"),
        ("?tags:str[]", "? tags: str[]"),
        ("> a#why", "> a  #why"),
        ("$ a[0].b=-a[1]", "$ a[0].b = -a[1]"),
        ("> a / b", "> a / b"),
        ("> [-1, - 2]", "> [-1, -2]"),
        ("return  [1]", "return [1]"),
    ],
)  # fmt: skip
def test_blanks_between_tokens(text: str, neat: str) -> None:
    assert line(text) == neat


def test_indentation_follows_brackets_and_long_expressions() -> None:
    text = "@ GET / {\nif a {\n> f({\na: [\n1\n]\n})\n}\n> 1 +\n2\n}\n"
    assert formatted(text) == (
        "@ GET / {\n  if a {\n    > f({\n      a: [\n        1\n      ]\n    })\n  }\n"
        "  > 1 +\n    2\n}\n"
    )


def test_empty_lines_are_at_most_one_and_none_beside_braces() -> None:
    text = "\n\n\n@ GET / {\n\n\n  $ a = 1\n\n\n\n  > a\n\n}\n\n\n"
    assert formatted(text) == "@ GET / {\n  $ a = 1\n\n  > a\n}\n"


def test_comments_are_kept_and_indented() -> None:
    text = "# top\n@ GET / { // head\n# in\n  > 1\n      # last\n}\n// end"
    assert formatted(text) == ("# top\n@ GET / {  // head\n  # in\n  > 1\n  # last\n}\n// end\n")


def test_what_is_not_run_keeps_the_blanks_between_its_tokens() -> None:
    text = "! hello  name: str! --loud: bool = false {\n    if a<b { > c }\n}\n"
    assert formatted(text) == "! hello name: str! --loud: bool = false {\n  if a<b { > c }\n}\n"


def test_declarations() -> None:
    text = (
        "const   X:int=5\n:  T<A,B>   impl  C{\nname:str!  @min( 2 ) = 'a'\n}\n"
        "!f<T>( a:T! ):T{>a}\nimport  './x'  as y\n"
    )
    assert formatted(text) == (
        "const X: int = 5\n: T<A, B> impl C {\n  name: str! @min(2) = 'a'\n}\n"
        "! f<T>(a: T!): T { > a }\nimport './x' as y\n"
    )


def test_windows_line_ends_and_byte_order_mark_go() -> None:
    source = Source.from_bytes("a", b"\xef\xbb\xbf@ GET / {\r\n> 1\r\n}\r\n")
    assert format_source(source) == "@ GET / {\n  > 1\n}\n"


def test_empty_program_stays_empty() -> None:
    assert formatted("\n\n") == ""


@pytest.mark.parametrize("text", ["@ GET / {", "> 1", "@ GET / { > §1 }"])
def test_programs_with_syntax_errors_are_refused(text: str) -> None:
    with pytest.raises(CannotFormat) as caught:
        format_source(Source("a", text))
    assert caught.value.diagnostics


def test_unsupported_and_unresolved_programs_are_laid_out() -> None:
    text = "@ GET /a {\n  % db: Database\n  > db.users.all() + nope\n}\n"
    assert formatted(text) == text


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_samples_keep_their_meaning(path: Path) -> None:
    if path.stem != "refused-syntax":
        formatted(path.read_text())
