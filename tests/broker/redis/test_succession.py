"""A process that succeeds another has what rooms remember from Redis."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.broker.redis.nodes import ROOM
from tests.broker_servers import redis_server
from tests.following_streams import REMEMBERING, Crowd
from tests.serving import ROOT
from tests.succession import succession

assert ROOM == "kept:chat"


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one process", "workers"])
def test_nobody_loses_anything_while_a_process_is_replaced(run, tmp_path, workers: Any) -> None:
    program = REMEMBERING.partition("@server.on_shutdown")[0]
    (tmp_path / "app.py").write_text(program)

    async def main() -> None:
        async with redis_server() as redis:
            env = {"GLYPH_FAST_BROKER": redis.url, "PYTHONPATH": str(ROOT)}
            service = succession("app:server", *workers, cwd=tmp_path, env=env)
            served = await asyncio.to_thread(service.__enter__)
            try:
                crowd = Crowd(served.ws("/ws"), publishers=3)
                await crowd.start()
                await crowd.more(20)
                await asyncio.to_thread(served.restart)
                await crowd.more(20)
                await crowd.end()
                assert all(len(each.epochs) == 1 for each in crowd.readers)
                assert "ERROR" not in served.log(), served.log()
            finally:
                await asyncio.to_thread(service.__exit__, None, None, None)

    run(main())
