"""Where a token is looked for."""

from __future__ import annotations

import pytest

from glyph_fast.auth.bearer import AmbiguousToken, find_token
from tests.auth.signing import request

AUTHORIZATION = "Authorization: Bearer by-field"
COOKIE = "Cookie: theme=dark; access_token=by-cookie"
SUBPROTOCOL = "Sec-WebSocket-Protocol: chat.v1, bearer, by-subprotocol, chat.v2"
QUERY = "/ws?a=1&access_token=by-query"


@pytest.mark.parametrize(
    ("fields", "target", "token"),
    [
        ([], "/ws", None),
        ([AUTHORIZATION, COOKIE, SUBPROTOCOL], QUERY, "by-field"),
        ([COOKIE, SUBPROTOCOL], QUERY, "by-cookie"),
        ([SUBPROTOCOL], QUERY, "by-subprotocol"),
        ([], QUERY, "by-query"),
        (["Authorization: bearer   spaces  "], "/ws", "spaces"),
        (["Authorization: Basic YTpi", COOKIE], "/ws", "by-cookie"),
        (["Cookie: access_token="], QUERY, "by-query"),
        (['Cookie: access_token="quoted"'], "/ws", "quoted"),
        (["Sec-WebSocket-Protocol: bearer", "Sec-WebSocket-Protocol: next"], "/", "next"),
        (["Sec-WebSocket-Protocol: Bearer, x"], "/ws", None),  # names of subprotocols tell case
        ([], "/ws?access_token=", None),
        ([], "/ws?access_token=first&access_token=second", "first"),
    ],
)  # fmt: skip
def test_the_first_place_that_holds_a_token_counts(fields, target, token):
    assert find_token(request(*fields, target=target)) == token


@pytest.mark.parametrize(
    "fields",
    [
        [AUTHORIZATION, AUTHORIZATION],
        [AUTHORIZATION, "Authorization: Basic YTpi"],
        ["Authorization: Bearer"],
        ["Authorization: Bearer  "],
        ["Sec-WebSocket-Protocol: chat.v1, bearer"],
        ["Sec-WebSocket-Protocol: bearer, "],
    ],
)
def test_what_is_not_exactly_one_token_is_refused(fields):
    with pytest.raises(AmbiguousToken):
        find_token(request(*fields, target=QUERY))
