"""The server that serves."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast import Server, current_server
from tests.running import running


def test_there_is_none_where_none_serves():
    with pytest.raises(RuntimeError, match="no server serves"):
        current_server()


def test_handlers_tasks_and_threads_find_their_own(backend, run):
    async def main():
        found = {}
        first, second = Server(), Server()

        def told(name):
            async def answer(request):
                found[name] = [
                    current_server(),
                    await asyncio.to_thread(current_server),
                    await asyncio.create_task(later()),
                ]
                return "ok"

            return answer

        async def later():
            return current_server()

        first.get("/")(told("first"))
        second.get("/")(told("second"))
        async with running(first, backend) as one, running(second, backend) as two:
            await one.get("/")
            await two.get("/")
        assert found == {"first": [first] * 3, "second": [second] * 3}
        with pytest.raises(RuntimeError):
            current_server()

    run(main())


def test_code_of_nobodys_finds_the_latest(backend, run):
    async def main():
        async def outside():
            return current_server()

        server = Server()
        context_of_the_test = asyncio.create_task(asyncio.sleep(0))
        await context_of_the_test
        async with running(server, backend):
            assert await outside() is server

    run(main())
