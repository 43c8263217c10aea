"""Everybody who reads header fields, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from glyph_fast import _core, _pure
from glyph_fast.http import parsers
from tests.http.reading import Unread, reading

READERS = {
    "httptools": (parsers.httptools_reader(), Unread),
    "h11": (parsers.h11_reader(), Unread),
    "compiled": (parsers.read_fields, _core),
    "python": (parsers.read_fields, _pure),
}


@pytest.fixture(params=READERS)
def parser(request: pytest.FixtureRequest) -> Iterator[str]:
    """Who reads header fields during the test: a library, or first a core where they are plain."""
    name: str = request.param
    with reading(*READERS[name]):
        yield name
