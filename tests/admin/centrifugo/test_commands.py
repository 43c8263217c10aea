"""The commands, on a server that is one process without a port."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from glyph_fast import Config
from glyph_fast.admin.calls import CallError
from glyph_fast.admin.centrifugo.commands import ELSEWHERE, Commands
from glyph_fast.admin.centrifugo.errors import ApiError
from glyph_fast.admin.operated import OneProcess
from glyph_fast.errors import BrokerUnavailable
from glyph_fast.hub.hub import Hub
from glyph_fast.logs import ErrorLog

ROOMS = {"kept*": {"history_size": 10}, "here*": {"presence": True}}


def commands() -> Commands:
    return Commands(OneProcess(Hub(Config(rooms=ROOMS)), ErrorLog()), 1000)


def do(on: Commands, method: str, **body: Any) -> Any:
    return asyncio.run(on.do(method, body))


def refused(on: Commands, method: str, **body: Any) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        do(on, method, **body)
    return caught.value.code, caught.value.message


def test_a_key_publishes_once_in_each_channel() -> None:
    on = commands()
    first = do(on, "publish", channel="kept", data=1, idempotency_key="k")
    assert first["offset"] == 1
    assert do(on, "publish", channel="kept", data=2, idempotency_key="k") == first
    assert do(on, "publish", channel="kept2", data=2, idempotency_key="k")["offset"] == 1
    assert do(on, "publish", channel="kept", data=2)["offset"] == 2
    assert do(on, "publish", channel="plain", data=1) == {}


def test_a_broadcast_answers_for_each_channel() -> None:
    on = commands()
    answer = do(on, "broadcast", channels=["kept", "", "plain", "\x01", "kept2"], data=1)
    first, nameless, plain, bad, second = answer["responses"]
    assert first["result"]["offset"] == second["result"]["offset"] == 1
    assert plain == {"result": {}}
    assert nameless["error"]["code"] == bad["error"]["code"] == 107
    assert refused(on, "broadcast", channels=[], data=1) == (107, "channels are missing")
    assert refused(on, "broadcast", channels=["a"]) == (107, "data is missing")


def test_skipping_history_is_possible_where_there_is_none() -> None:
    on = commands()
    assert do(on, "publish", channel="plain", data=1, skip_history=True, delta=True) == {}
    code, message = refused(on, "publish", channel="kept", data=1, skip_history=True)
    assert code == 108 and "skip_history" in message


def test_history_is_read_and_removed() -> None:
    on = commands()
    for n in range(3):
        do(on, "publish", channel="kept", data=n)
    answer = do(on, "history", channel="kept", limit=2, reverse=True)
    assert [each["data"] for each in answer["publications"]] == [2, 1]
    assert answer["offset"] == 3
    position = do(on, "history", channel="kept")
    assert position == {"publications": [], "offset": 3, "epoch": answer["epoch"]}
    assert do(on, "history_remove", channel="kept") == {}
    assert do(on, "history", channel="kept", limit=-1) == position
    for method in ("history", "history_remove"):
        assert refused(on, method, channel="plain") == (108, "this channel has no history")


def test_presence_is_of_channels_that_have_it() -> None:
    on = commands()
    assert do(on, "presence", channel="here") == {"presence": {}}
    assert do(on, "presence_stats", channel="here") == {"num_clients": 0, "num_users": 0}
    for method in ("presence", "presence_stats"):
        assert refused(on, method, channel="kept") == (108, "this channel has no presence")


def test_a_name_that_no_room_may_have_is_refused() -> None:
    on = commands()
    for method in ("publish", "subscribe", "presence", "history", "unsubscribe"):
        for channel in ("a\x01", "x" * 129):
            code, message = refused(on, method, channel=channel)
            assert code == 107 and message.startswith("channel: ")


def test_what_is_not_here_is_told_from_what_is_nowhere() -> None:
    on = commands()
    assert "rpc" in ELSEWHERE and "map_publish" in ELSEWHERE
    for method in ELSEWHERE:
        assert refused(on, method, anything=1) == (108, f"{method} is not available")
    assert refused(on, "publisch") == (104, "no such command")


def test_info_that_others_see_has_its_limit() -> None:
    code, message = refused(commands(), "refresh", user="ada", info="x" * 5000)
    assert code == 107 and "at most" in message


def test_a_batch_has_an_answer_in_each_place() -> None:
    on = commands()
    body = {
        "commands": [
            {"publish": {"channel": "kept", "data": 1}},
            {"publish": {"channel": ""}},
            {"rpc": {}},
            {},
            None,
            {"info": {}, "channels": {}},
            {"channels": {"pattern": "*"}},
            {"batch": {"commands": []}},
            {"history": {"channel": "kept", "limit": 1}},
        ],
        "parallel": True,
    }
    replies = asyncio.run(on.batch(body))
    assert [each.get("error", {}).get("code") for each in replies] == [
        None, 107, 108, 107, 107, 107, None, 104, None,
    ]  # fmt: skip
    assert replies[0]["publish"]["offset"] == 1
    assert replies[6] == {"channels": {"channels": {}}}
    assert replies[8]["history"]["publications"][0]["data"] == 1
    assert asyncio.run(on.batch({})) == []
    with pytest.raises(ApiError, match="at most 1000"):
        asyncio.run(on.batch({"commands": [{}] * 1001}))


@pytest.mark.parametrize("error", [BrokerUnavailable("lost"), CallError(503, "try again")])
def test_a_broker_that_is_away_is_an_internal_error(error: Exception) -> None:
    on = commands()

    async def fail(*args: Any) -> None:
        raise error

    on._operated.publish = fail  # type: ignore[method-assign, assignment]
    code, message = refused(on, "publish", channel="c", data=1)
    assert code == 100 and "try again" in message
