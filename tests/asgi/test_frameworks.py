"""Applications of six frameworks, served by `glyph-fast serve` as they are."""

from __future__ import annotations

import asyncio
import http.client
import json
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.serving import serving

FOLDER = Path(__file__).parent / "frameworks"
# Each with what it says to HEAD for a route that has only GET.
FRAMEWORKS = {
    "fastapi": 405, "starlette": 200, "django": 200, "quart": 200, "litestar": 405,
    "blacksheep": 200,
}  # fmt: skip
WAYS = {"native": [], "asyncio": ["--core", "python", "--engine", "asyncio"]}
UPLOAD = 50 * 1024 * 1024
PAGE = "https://page.example"


@pytest.fixture(scope="module", params=FRAMEWORKS)
def framework(request):
    return request.param


@pytest.fixture(scope="module", params=WAYS)
def server(request, framework):
    with serving(f"{framework}_app:app", *WAYS[request.param], cwd=FOLDER) as server:
        yield server


def ask(server, method, path, body=None, headers=None):
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    client.request(method, path, body, headers or {})
    answer = client.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    client.close()
    return found


def test_a_healthz_of_its_own(server):
    status, _, body = ask(server, "GET", "/healthz")
    assert (status, json.loads(body)) == (200, {"status": "own"})


def test_what_is_not_there_is_its_own_404(server):
    status, _, body = ask(server, "GET", "/nowhere")
    assert status == 404 and b"Route not found" not in body


def test_a_view_that_is_no_coroutine(server):
    status, _, body = ask(server, "GET", "/sync")
    assert (status, json.loads(body)) == (200, {"thread": True})


def test_head(server, framework):
    status, _, body = ask(server, "HEAD", "/healthz")
    assert (status, body) == (FRAMEWORKS[framework], b"")


def test_cors_is_its_own(server):
    status, headers, _ = ask(server, "GET", "/healthz", headers={"Origin": PAGE})
    found = {name.lower(): value for name, value in headers.items()}
    assert status == 200 and found["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_upload_of_50_mib(server, is_chunked):
    block = bytes(1024 * 1024)
    body = (block for _ in range(50)) if is_chunked else block * 50
    status, _, answer = ask(server, "POST", "/upload", body)
    assert (status, json.loads(answer)) == (200, {"size": UPLOAD})


def test_a_websocket_from_a_foreign_origin(server):
    async def main():
        async with connect(server.ws("/socket"), origin="https://foreign.example") as client:
            for text in ("hello", "é" * 1000):
                await client.send(text)
                assert await client.recv() == text

    asyncio.run(asyncio.wait_for(main(), 20))


def test_many_requests_at_a_time(server):
    async def one():
        return await asyncio.to_thread(ask, server, "GET", "/healthz")

    async def main():
        answers = await asyncio.gather(*(one() for _ in range(40)))
        assert {status for status, _, _ in answers} == {200}

    asyncio.run(main())


def test_nothing_went_wrong_meanwhile(server):
    assert "Traceback" not in server.log()
