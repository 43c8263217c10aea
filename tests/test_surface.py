"""What completion shows of the public classes is what docs/python.md names, and nothing else."""

from __future__ import annotations

import pytest

import glyph_fast
from tests.surface import ROWS, named


@pytest.mark.parametrize("kind", ROWS)
def test_dir_shows_what_the_page_names(kind: str) -> None:
    value = getattr(glyph_fast, kind)
    shown = set(dir(value))
    if kind in ("Server", "Router", "GlyphServer", "Hub", "Response", "RoomManager"):
        shown |= set(dir(value()))  # with what `__init__` sets
    assert {name for name in shown if not name.startswith("_")} == named(kind)


def test_the_page_names_each_class_with_members() -> None:
    kinds = {
        "Server", "Router", "GlyphServer", "Hub", "Room", "RoomManager", "Connection",
        "MessageContext", "Message", "Request", "Response", "FormData", "UploadFile",
    }  # fmt: skip
    assert set(ROWS) == kinds
