"""Readers of single options."""

from __future__ import annotations

import pytest

from glyph_fast.options.readers import function, path_prefix


@pytest.mark.parametrize(
    ("text", "prefix"), [("", ""), ("/", ""), ("/app", "/app"), ("/app/v1/", "/app/v1")]
)
def test_prefixes(text, prefix):
    assert path_prefix(text) == prefix


@pytest.mark.parametrize("text", ["app", "/a b", "/a?b", "//a", "http://a", None, 7])
def test_what_is_none(text):
    with pytest.raises(ValueError, match="a path such as /app"):
        path_prefix(text)


def test_functions():
    assert function(None) is None and function(len) is len
    with pytest.raises(ValueError, match="a function"):
        function(7)
