"""Everybody who reads header fields, one after the other."""

from __future__ import annotations

import pytest

from glyph_fast import _core, _fallback, core
from glyph_fast.http import parsers

READERS = {"httptools": parsers.httptools_reader, "h11": parsers.h11_reader}
TWINS = {"compiled": _core, "python": _fallback}


@pytest.fixture(params=[*READERS, *TWINS])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who reads header fields during the test: a library, or first a core where they are plain."""
    name: str = request.param
    if name in READERS:
        monkeypatch.setattr(parsers, "read_fields", READERS[name]())
        monkeypatch.setattr(core, "read_plain_head", lambda head: None)
    else:
        monkeypatch.setattr(core, "read_plain_head", TWINS[name].read_plain_head)
    return name
