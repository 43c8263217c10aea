"""One process as the operators' port sees it. Several: `test_workers`."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast.admin.calls import CallError
from glyph_fast.admin.operated import OneProcess, seen
from glyph_fast.hub.hub import Hub
from glyph_fast.logs import ErrorLog


def test_metadata_that_is_no_json_is_shown_by_its_repr() -> None:
    hub = Hub()
    hub.get_room_manager().get_or_create_room("blue").set_metadata("lock", {1, 2})
    shown = seen(hub, "blue")
    assert shown is not None and shown.metadata == {"lock": "{1, 2}"}
    assert seen(hub, "red") is None


def test_a_room_is_made_for_what_is_noted_and_goes_without() -> None:
    hub = Hub()
    one = OneProcess(hub, ErrorLog())

    async def main() -> None:
        assert not await one.describe_room("blue", {})
        assert await one.describe_room("blue", {"topic": "tea"})
        assert await one.rooms() == {"blue": 0}
        assert await one.describe_room("blue", {})
        assert await one.rooms() == {}
        with pytest.raises(ValueError):
            await one.describe_room("", {"topic": "tea"})

    asyncio.run(main())
    assert one.workers() is None  # type: ignore[func-returns-value]


def test_a_call_is_checked() -> None:
    one = OneProcess(Hub(), ErrorLog())
    with pytest.raises(CallError):
        asyncio.run(one.act("publish", {"room": 1}))
