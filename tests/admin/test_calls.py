"""The calls of the server API by themselves. What they do to real connections: `test_api`."""

from __future__ import annotations

import pytest

from glyph_fast.admin.calls import CALLS, CallError
from glyph_fast.hub.hub import Hub


def test_a_close_code_may_be_written_as_any_json_number():
    for code in (1000, 1000.0, 4999):
        assert CALLS["disconnect"](Hub(), {"user": "ada", "code": code}) == {"closed": 0}
    for code in (1000.5, 1006, 999, "1000"):
        with pytest.raises(CallError):
            CALLS["disconnect"](Hub(), {"user": "ada", "code": code})
