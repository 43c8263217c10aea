"""The rules that do not keep a program from being served are none of errors."""

from __future__ import annotations

from glyph_fast.glyph.syntax.milder_rules import MILDER_RULES
from glyph_fast.glyph.syntax.rules import RULES


def test_they_are_among_the_rules_and_are_no_errors() -> None:
    assert {rule.severity for rule in MILDER_RULES} == {"unsupported", "warning"}
    assert [RULES[rule.code] for rule in MILDER_RULES] == MILDER_RULES


def test_all_others_are_errors() -> None:
    others = [rule for rule in RULES.values() if rule not in MILDER_RULES]
    assert {rule.severity for rule in others} == {"error"}
