"""Where a handler failed."""

from __future__ import annotations

import traceback

from glyph_fast.glyph.runtime.failures import ProgramFailure, located
from glyph_fast.glyph.runtime.values import Failure
from tests.glyph.harness import World


def failure(text: str) -> ProgramFailure:
    world = World(text)
    assert world.get("/").status == 500
    return world.failures[0]


def test_place_is_line_and_column_of_what_failed() -> None:
    found = failure("@ GET / {\n  $ a = [1]\n  $ b = a[0] +\n    a[5]\n  > b\n}\n")
    assert str(found) == "app.glyph:4:6: index 5 is outside the array's 1 elements"
    assert found.text == "index 5 is outside the array's 1 elements"


def test_traceback_holds_the_lines_of_the_program_only() -> None:
    found = failure(
        "! f(x: any) {\n  > g(x)\n}\n! g(x: any) {\n  > x.y\n}\n@ GET / {\n  > f(1)\n}\n"
    )
    frames = traceback.extract_tb(found.__traceback__)
    assert [(frame.filename, frame.lineno, frame.name) for frame in frames] == [
        ("app.glyph", 8, "GET /"),
        ("app.glyph", 2, "f"),
        ("app.glyph", 5, "g"),
    ]


def test_traceback_of_a_deep_recursion_is_cut() -> None:
    found = failure("! f(x: any) { > f(x) }\n@ GET / { > f(1) }\n")
    assert len(traceback.extract_tb(found.__traceback__)) == 20


def test_failures_outside_the_program_have_no_place() -> None:
    assert str(located(Failure("x"), {"app.glyph"})) == "x"
    assert str(located(RecursionError(), ())).startswith("too many calls")
    assert str(located(KeyError("k"), ())) == "internal error: KeyError: 'k'"
