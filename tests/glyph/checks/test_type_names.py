"""A type that nobody has declared would check nothing, so it is an error wherever it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from glyph_fast.glyph.serving.load import GlyphLoadError, load_program
from tests.glyph.harness import headlines

USER = ": User {\n  name: str!\n}\n"


@pytest.mark.parametrize(
    "declared",
    ["Usr", "Usr[]", "[Usr]", "Usr?", "List[Usr]", "Map[str, Usr]", "int | Usr", "List<[Usr?]>"],
)
@pytest.mark.parametrize(
    "place",
    [
        "@ POST /x {{\n  < input: {}\n  > 1\n}}\n",
        "@ GET /x -> {} {{ > null }}\n",
        ": T {{\n  a: {}\n}}\n@ GET /x {{ > 1 }}\n",
        "! f(a: {}) {{ > 1 }}\n@ GET /x {{ > f(1) }}\n",
        "! f(): {} {{ > null }}\n@ GET /x {{ > f() }}\n",
        "const A: {} = null\n@ GET /x {{ > A }}\n",
        "@ GET /x {{\n  $ a: {} = null\n  > a\n}}\n",
        "@ ws /x {{ on message {{ if true {{ $ a: {} = null\n ws.send(a) }} }} }}\n",
    ],
)
def test_a_slip_is_an_error_in_every_place(place: str, declared: str) -> None:
    found = headlines(USER + place.format(declared))
    assert [line.partition(": ")[2] for line in found] == ["unknown type `Usr`"]


@pytest.mark.parametrize(
    "text",
    [
        "! f(a: str, b: List[Map[str, any]], c: timestamp?, d: object): User | int { > 1 }\n",
        "! first<T>(a: T, b: T[]): T { > a }\n",
        ": Pair<A, B> {\n  a: A\n  b: B\n}\n! f(p: Pair[int, str], q: Pair) { > 1 }\n",
        "! f(d: Database, r: Redis) { > 1 }\n",
        "! f(c: (int) -> str) { > 1 }\n",
        ": Tree {\n  left: Tree\n  right: Tree?\n}\n",
        "contract Store { }\n! f(s: Store) { > 1 }\n",
    ],
)
def test_what_is_a_type_is_accepted(text: str) -> None:
    found = headlines(USER + text + "@ GET /x -> User { > null }\n")
    assert [line for line in found if "not run" not in line] == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("number", "did you mean `int` or `float`?"),
        ("String", "did you mean `str`?"),
        ("Usr", "did you mean `User`?"),
        ("void", "a function that returns nothing has no result type"),
        ("other.User", '`import "./other"` makes a module known'),
    ],
)
def test_the_hint_says_what_may_be_meant(name: str, hint: str, tmp_path: Path) -> None:
    file = tmp_path / "app.glyph"
    file.write_text(f"{USER}! f(): {name} {{ > null }}\n@ GET /x {{ > f() }}\n")
    with pytest.raises(GlyphLoadError) as caught:
        load_program(file)
    assert [found.hint for found in caught.value.diagnostics] == [hint]


def test_types_of_other_modules_are_looked_for_there(tmp_path: Path) -> None:
    (tmp_path / "other.glyph").write_text(USER)
    file = tmp_path / "app.glyph"
    file.write_text('import "./other"\n@ POST /x {\n  < input: other.User\n  > 1\n}\n')
    assert load_program(file).warnings == []
    file.write_text('import "./other"\n@ POST /x {\n  < input: other.Usr\n  > 1\n}\n')
    with pytest.raises(GlyphLoadError, match="the module `other` has no `Usr`"):
        load_program(file)


def test_an_answer_may_have_a_type_that_stands_nowhere_else() -> None:
    assert headlines(USER + "@ GET /x -> User | NotFound { > null }\n") == [
        "app.glyph:4:20: warning: unknown type `NotFound`: the answer is not checked by it"
    ]
