"""HTTP in memory: what a request becomes, and what an answer is."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast import Response, Server
from glyph_fast.testing import TestClient

pytestmark = pytest.mark.both_cores


def test_requests_and_answers(run):
    server = Server()

    @server.post("/echo/:name")
    async def echo(request):
        await asyncio.sleep(0)
        return {
            "name": request.path_params["name"],
            "query": dict(request.query),
            "host": request.host,
            "type": request.headers.get("content-type"),
            "remote": request.remote,
            "body": (await request.body()).decode(),
        }

    for method in ("get", "put", "patch", "delete"):
        getattr(server, method)("/method")(lambda request: Response(request.method, 202))

    async def main():
        async with TestClient(server) as client:
            answer = await client.post("/echo/a%20b?x=1", json={"k": 1}, remote="203.0.113.1")
            assert answer.status == 200
            assert answer.json() == {
                "name": "a b",
                "query": {"x": "1"},
                "host": "testserver",
                "type": "application/json",
                "remote": "203.0.113.1",
                "body": '{"k":1}',
            }
            given = await client.post("/echo/b", body="é", headers=[("host", "h"), ("X", "1")])
            assert (given.json()["host"], given.json()["body"]) == ("h", "é")
            for method in ("get", "put", "patch", "delete"):
                answer = await getattr(client, method)("/method")
                assert (answer.status, answer.text) == (202, method.upper())
            head = await client.request("HEAD", "/method")
            assert (head.status, head.body) == (202, b"")
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            assert (await client.get("/nowhere")).status == 404

    run(main())


def test_a_handler_that_fails_is_a_500_and_an_error_of_the_test(run):
    server = Server()

    @server.get("/fail")
    def fail(request):
        raise ValueError("as asked")

    async def main():
        async with TestClient(server) as client:
            assert (await client.get("/fail")).status == 500
            assert str(client.errors.pop()) == "as asked"

    run(main())


def test_a_handler_that_never_answers_is_named(run):
    server = Server()
    never = asyncio.Event()

    @server.get("/never")
    async def wait(request):
        await never.wait()

    async def main():
        async with TestClient(server) as client:
            with pytest.raises(TimeoutError, match="no answer to GET /never within 0.05 s"):
                await client.get("/never", timeout=0.05)
            never.set()

    run(main())
