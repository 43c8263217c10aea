"""Every rule is broken by its two snippets, at the marked character."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from glyph_fast.glyph.serving.load import GlyphLoadError, load_program
from glyph_fast.glyph.syntax.diagnostics import MARK, Diagnostic, Rule
from glyph_fast.glyph.syntax.rules import RULES

SOURCES = Path(__file__).parents[3] / "glyph_fast" / "glyph"
OTHER = "const HALF = 0.5\n! half(n: float): float {\n  > n * HALF\n}\n"
BROKEN = "! f( {\n"


def found_in(text: str, folder: Path) -> list[Diagnostic]:
    (folder / "other.glyph").write_text(OTHER)
    (folder / "broken.glyph").write_text(BROKEN)
    main = folder / "main.glyph"
    main.write_bytes(text.encode("utf-8", "surrogateescape"))
    try:
        return load_program(main).warnings
    except GlyphLoadError as error:
        return error.diagnostics


def place_of_mark(snippet: str) -> tuple[int, int]:
    before = snippet[: snippet.index(MARK)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLYPH_JWT_SECRET", raising=False)
    monkeypatch.delenv("GLYPH_API_KEYS", raising=False)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
def test_snippet_breaks_its_rule_where_it_is_marked(
    rule: Rule, number: int, tmp_path: Path
) -> None:
    snippet = rule.bad[number]
    assert snippet.count(MARK) == 1
    found = found_in(snippet.replace(MARK, ""), tmp_path)
    places = [(each.line, each.column) for each in found if each.code == rule.code]
    assert places == [place_of_mark(snippet)], [each.headline() for each in found]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
def test_snippet_breaks_no_other_rule_of_its_severity(
    rule: Rule, number: int, tmp_path: Path
) -> None:
    found = found_in(rule.bad[number].replace(MARK, ""), tmp_path)
    same = {each.code for each in found if each.severity == rule.severity}
    assert same - ALSO_BROKEN.get(rule.code, set()) == {rule.code}


# Where one mistake is two: a module that has errors reports them itself.
ALSO_BROKEN = {
    "import-failed": {"expected"},
    "import-not-found": set(),
    "ignored-argument": {"auth-not-configured"},
}


def test_every_code_in_the_sources_is_a_rule_and_every_rule_is_used() -> None:
    calls = re.compile(r'\b(?:add|error|refuse|stop_at_unsupported)\(\s*"([a-z0-9-]+)"')
    used = {code for path in SOURCES.rglob("*.py") for code in calls.findall(path.read_text())}
    lexer = (SOURCES / "syntax" / "lexer.py").read_text()
    used |= {code for code in RULES if f'"{code}"' in lexer}
    assert used == set(RULES)


def test_messages_and_hints_are_written_as_the_style_asks() -> None:
    for rule in RULES.values():
        assert not rule.message.endswith("."), rule.code
        assert not rule.message[0].isupper(), rule.code
        assert not rule.hint.endswith("."), rule.code
