"""Errors and the statuses that stand for them."""

from __future__ import annotations

import pytest

from glyph_fast.admin.centrifugo.errors import ApiError


@pytest.mark.parametrize(
    ("code", "status"), [(100, 500), (104, 404), (106, 409), (107, 400), (108, 400), (112, 416)]
)
def test_each_code_has_a_status(code: int, status: int) -> None:
    error = ApiError(code, "why")
    assert (error.status, error.as_json()) == (status, {"code": code, "message": "why"})
