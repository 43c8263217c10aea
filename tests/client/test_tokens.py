"""What a token says of its end."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from glyph_fast.client.tokens import LONGEST, claims, renewal_after


def jwt(claims: Any) -> str:
    return f"h.{urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.s"


@pytest.mark.parametrize(
    "token", [None, "", "opaque", "a.b.c", "a.!!!.c", "a..c", jwt([1]), jwt(7)]
)
def test_of_any_other_token_nothing_is_known(token: str | None) -> None:
    assert claims(token) == {}
    assert renewal_after(token) is None


@pytest.mark.parametrize("found", [{}, {"exp": None}, {"exp": "1"}, {"exp": True}, {"exp": 0}])
def test_a_token_without_an_end_is_not_replaced(found: dict[str, Any]) -> None:
    assert renewal_after(jwt(found)) is None


def test_it_is_replaced_after_three_quarters_of_what_is_left() -> None:
    now = time.time()
    assert renewal_after(jwt({"exp": now + 100})) == pytest.approx(75, abs=5)
    assert renewal_after(jwt({"exp": now + 100, "iat": now})) == pytest.approx(75, abs=5)
    assert renewal_after(jwt({"exp": now - 100})) == 0.75  # its end may be our clock's
    assert renewal_after(jwt({"exp": now + 10**12})) == LONGEST
