"""What a program keeps at its server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from glyph_fast import Request, Router, Server, current_server
from glyph_fast.testing import TestClient


def test_what_a_hook_opened_is_there_for_every_handler() -> None:
    router = Router()

    @router.get("/count")
    def count(request: Request) -> Any:
        state = current_server().state
        state.count += 1
        return state.count

    async def main() -> None:
        server = Server()
        server.include(router)

        @server.on_startup
        def begin() -> None:
            server.state.count = 10

        async with TestClient(server) as client:
            assert [(await client.get("/count")).json() for _ in range(2)] == [11, 12]

    asyncio.run(main())


def test_each_server_has_its_own() -> None:
    one, two = Server(), Server()
    one.state.name = "one"
    assert one.state.name == "one"
    with pytest.raises(AttributeError, match="server.state has no 'name': set it before"):
        _ = two.state.name
