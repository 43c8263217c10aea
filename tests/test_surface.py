"""What completion shows of the public classes is what docs/python.md names, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import glyph_fast

PAGE = (Path(__file__).parents[1] / "docs/python.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+)` \| (`.*`) \|$", PAGE.split("## Every name")[1], re.MULTILINE))

# What a class inherits from another of the table.
PARENTS = {"GlyphServer": "Server"}


def named(kind: str) -> set[str]:
    own = set(re.findall(r"`(\w+)`", ROWS[kind]))
    return own | named(PARENTS[kind]) if kind in PARENTS else own


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
