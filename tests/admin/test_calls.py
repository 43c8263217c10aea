"""The calls of the server API by themselves. What they do to real connections: `test_api`."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from glyph_fast.admin.calls import CALLS, CallError, batch
from glyph_fast.admin.centrifugo.commands import Commands
from glyph_fast.http import resting
from glyph_fast.hub.hub import Hub
from glyph_fast.wire import NOWHERE


def test_a_close_code_may_be_written_as_any_json_number():
    for code in (1000, 1000.0, 4999):
        assert CALLS["disconnect"](Hub(), {"user": "ada", "code": code}) == {"closed": 0}
    for code in (1000.5, 1006, 999, "1000"):
        with pytest.raises(CallError):
            CALLS["disconnect"](Hub(), {"user": "ada", "code": code})


def test_a_call_names_no_more_than_is_done_in_one_piece():
    names = [str(number) for number in range(10_000)]
    assert CALLS["publish"](Hub(), {"rooms": names, "data": 1})["sent"] == 0
    for more in ({"rooms": [*names, "x"]}, {"room": "x", "exclude": [*names, "x"]}):
        with pytest.raises(CallError, match="at most 10000"):
            CALLS["publish"](Hub(), {**more, "data": 1})


@pytest.mark.parametrize("whose", ["ours", "Centrifugo's", "its broadcast"])
def test_others_have_their_turn_in_a_batch(whose, monkeypatch):
    monkeypatch.setattr(resting, "TURN_S", 0.0)
    done = []

    async def act(method, params, key=""):
        done.append("call")
        return {}

    async def publish(*args):
        done.append("call")
        return NOWHERE

    async def main():
        commands = Commands(SimpleNamespace(publish=publish, check_name=len), 100)
        asyncio.get_running_loop().call_soon(done.append, "other")
        if whose == "ours":
            calls = [{"method": "broadcast", "params": {"data": 1}}] * 3
            await batch(act, {"calls": calls}, lambda *told: None)
        elif whose == "its broadcast":
            await commands.do("broadcast", {"channels": ["a", "b", "c"], "data": 1})
        else:
            made = [{"publish": {"channel": "a", "data": 1}}] * 3
            await commands.batch({"commands": made})

    asyncio.run(main())
    assert sorted(done) == ["call", "call", "call", "other"]
    assert done[-1] == "call"
