"""Where a value does not fit, as people and programs read it."""

from __future__ import annotations

from glyph_fast.schema.faults import Fault, Mismatch


def test_the_text_names_each_place() -> None:
    mismatch = Mismatch("body", [Fault(("a", 0, "b"), "too small", "x"), Fault((), "odd", "y")])
    assert str(mismatch) == "body.a[0].b: too small; body: odd"
    assert mismatch.subject == "body"
