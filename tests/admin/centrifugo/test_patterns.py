"""Patterns of channels."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyph_fast.admin.centrifugo.errors import ApiError
from glyph_fast.admin.centrifugo.patterns import matcher

NAMES = ["chat:1", "chat:2", "chat:10", "news", "ne*s", "a{b,c}", "ab", "ac", "x\ny"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", NAMES),
        ("*", NAMES),
        ("chat:*", ["chat:1", "chat:2", "chat:10"]),
        ("chat:?", ["chat:1", "chat:2"]),
        ("chat:[12]", ["chat:1", "chat:2"]),
        ("chat:[!1]", ["chat:2"]),
        ("chat:[2-9]", ["chat:2"]),
        ("**:1*", ["chat:1", "chat:10"]),
        ("{news,chat:1}", ["chat:1", "news"]),
        ("a{b,c}", ["ab", "ac"]),
        (r"ne\*s", ["ne*s"]),
        (r"a\{b,c\}", ["a{b,c}"]),
        ("chat", []),
        ("x?y", ["x\ny"]),
        ("a.", []),
        ("[z-a]", []),
        ("[", []),
    ],
)
def test_names_that_match(pattern: str, found: list[str]) -> None:
    matches = matcher(pattern)
    assert [name for name in NAMES if matches(name)] == found


@pytest.mark.parametrize("pattern", ["a{b", "{a,b}" * 7, "{" + "," * 64 + "}"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ApiError, match="pattern: "):
        matcher(pattern)("name")


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not matcher("*a" * 300 + "b")("a" * 10_000)


@settings(max_examples=200, deadline=None)
@given(st.text("a*?[]!-{},\\^&|~", max_size=40))
def test_whatever_is_asked_is_a_pattern_or_refused(pattern: str) -> None:
    try:
        matcher(pattern)("a-b")
    except ApiError:
        pass
