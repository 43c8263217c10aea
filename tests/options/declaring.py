"""Options that nobody has."""

from __future__ import annotations

from glyph_fast.options import readers as o
from glyph_fast.options.option import Option


def option(**changes: object) -> Option:
    """An option of a size, or what differs from it."""
    members = {"name": "some_size", "default": "1KiB", "read": o.size(), "help": "", "group": ""}
    return Option(**{**members, **changes})
