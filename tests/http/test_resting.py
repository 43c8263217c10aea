"""Turns for others amid long work."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast.http import resting


@pytest.mark.parametrize(("turn_s", "rests"), [(0.0, True), (3600.0, False)])
def test_it_rests_once_the_work_has_taken_its_time(turn_s, rests, monkeypatch):
    monkeypatch.setattr(resting, "TURN_S", turn_s)
    heard = []

    async def main():
        asyncio.get_running_loop().call_soon(heard.append, "other")
        work = resting.Resting()
        await work.rest()
        return list(heard)

    assert asyncio.run(main()) == (["other"] if rests else [])
