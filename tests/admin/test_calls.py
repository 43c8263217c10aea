"""The calls of the server API by themselves. What they do to real connections: `test_api`."""

from __future__ import annotations

import pytest

from glyph_fast.admin.calls import CALLS, CallError, user_of
from glyph_fast.hub import Hub


@pytest.mark.parametrize(
    ("identity", "user"),
    [(None, None), ("ada", "ada"), (7, "7"), ({"sub": "ada"}, "ada"), ({"id": 7}, "7"), ({}, None)],
)
def test_a_user_is_known_by_the_identity(identity, user):
    assert user_of(identity) == user


def test_a_close_code_may_be_written_as_any_json_number():
    for code in (1000, 1000.0, 4999):
        assert CALLS["disconnect"](Hub(), {"user": "ada", "code": code}) == {"closed": 0}
    for code in (1000.5, 1006, 999, "1000"):
        with pytest.raises(CallError):
            CALLS["disconnect"](Hub(), {"user": "ada", "code": code})
