"""What a value weighs, before it is written out."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast.glyph.runtime import weight
from glyph_fast.glyph.runtime.values import Headers, LimitReached, Result
from glyph_fast.glyph.runtime.weight import weighed


@pytest.mark.parametrize(
    ("value", "parts", "characters"),
    [
        ([], 0, 0),
        ([1, "ab", None], 3, 2),
        ({"key": "value"}, 1, 8),
        ([[1, 2], [3]], 5, 0),
        (Result(True, ["abc"]), 2, 3),
        (Headers({"A": "b"}), 1, 2),
        ([["ab"]] * 3, 6, 6),
    ],
)
def test_parts_and_characters_are_counted_as_often_as_they_would_be_written(
    value: Any, parts: int, characters: int
) -> None:
    assert weight._weigh(value, {}) == (parts, characters)


@pytest.mark.parametrize("value", [1, "x" * 100, None, [1] * 10, {"a": "b" * 20}])
def test_what_is_light_comes_back_as_it_is(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight, "MAX_PARTS", 10)
    monkeypatch.setattr(weight, "MAX_WRITTEN", 30)
    assert weighed(value) is value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1] * 11, "more than 10 parts"),
        (["x" * 16] * 2, "more than 30 characters"),
        ({"x" * 31: 1}, "more than 30 characters"),
        ([[["x"] * 4] * 2] * 2, "more than 10 parts"),
    ],
)
def test_what_is_too_heavy_is_refused(
    value: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight, "MAX_PARTS", 10)
    monkeypatch.setattr(weight, "MAX_WRITTEN", 30)
    with pytest.raises(LimitReached, match=text):
        weighed(value)
