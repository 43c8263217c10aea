"""The nodes of the top level."""

from __future__ import annotations

from glyph_fast.glyph.syntax.declarations import Path
from glyph_fast.glyph.syntax.source import Position

AT = Position(1, 1)


def test_path_knows_its_pattern_and_parameters() -> None:
    path = Path(["a", ":b", "c-d", ":e"], at=AT)
    assert path.pattern == "/a/:b/c-d/:e"
    assert path.parameters == ["b", "e"]
    assert Path([], at=AT).pattern == "/"
