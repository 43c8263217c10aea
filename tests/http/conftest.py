"""Both readers of header fields, one after the other."""

from __future__ import annotations

import pytest

from glyph_fast.http import parsers

READERS = {"httptools": parsers.httptools_reader, "h11": parsers.h11_reader}


@pytest.fixture(params=list(READERS))
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the library that reads header fields during the test."""
    monkeypatch.setattr(parsers, "read_fields", READERS[request.param]())
    name: str = request.param
    return name
