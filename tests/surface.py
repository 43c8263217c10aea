"""The names that docs/python.md says each public class has."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs/python.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+)` \| (`.*`) \|$", PAGE.split("## Every name")[1], re.MULTILINE))

# What a class inherits from another of the table.
PARENTS = {"GlyphServer": "Server"}


def named(kind: str) -> set[str]:
    """The names of a class."""
    own = set(re.findall(r"`(\w+)`", ROWS[kind]))
    return own | named(PARENTS[kind]) if kind in PARENTS else own
