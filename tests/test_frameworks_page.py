"""The programs of docs/frameworks.md, served as the page says."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.asgi.hosted.around import around
from tests.serving import serving

pytestmark = pytest.mark.application

PAGE = (Path(__file__).parents[1] / "docs/frameworks.md").read_text()
PROGRAMS = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture
def folder(tmp_path):
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def fetch(url: str, data: bytes | None = None):
    with urllib.request.urlopen(url, data, timeout=10) as answer:
        return answer.read()


def commands() -> list[str]:
    return re.findall(r"^    glyph-fast serve ([\w:]+) --port 8000$", PAGE, re.MULTILINE)


def test_the_page_has_its_programs_and_commands():
    assert list(PROGRAMS) == [
        "main.py", "live.py", "status.py", "serve.py", "shop.py", "under.py",
    ]  # fmt: skip
    assert commands() == ["main:app", "live:server"]


def test_a_fastapi_application_alone(folder):
    async def talk(url):
        async with connect(url) as client:
            await client.send("hello")
            assert await client.recv() == "hello"

    with serving("main:app", cwd=folder) as server:
        assert json.loads(fetch(server.url)) == {"message": "hello"}
        asyncio.run(talk(server.ws("/echo")))


@pytest.mark.one_process  # whose members `sent` counts
def test_fastapi_with_rooms(folder):
    async def talk(server):
        async with connect(server.ws("/live/kitchen")) as client:
            url = f"{server.url}/orders/kitchen"
            answer = await asyncio.to_thread(fetch, url, b'{"soup": 2}')
            assert json.loads(answer) == {"sent": 1}
            assert json.loads(await client.recv()) == {"soup": 2}

    with serving("live:server", cwd=folder) as server:
        assert json.loads(fetch(server.url)) == {"message": "hello"}
        asyncio.run(talk(server))


def test_starlette_below_a_prefix(folder):
    with serving("status:server", cwd=folder) as server:
        assert json.loads(fetch(f"{server.url}/api/online")) == {"online": 0}


def test_a_django_project(folder):
    (folder / "static").mkdir()
    (folder / "static/a.css").write_text("a {}")
    (folder / "settings.py").write_text(
        "SECRET_KEY = 'x'\nROOT_URLCONF = 'urls'\nALLOWED_HOSTS = ['*']\nDEBUG = False\n"
    )
    (folder / "urls.py").write_text(
        "from django.http import HttpResponse\n"
        "from django.urls import path\n"
        "from glyph_fast import current_server\n"
        "def view(request):\n"
        "    return HttpResponse(str(current_server().hub.get_connection_count()))\n"
        "urlpatterns = [path('count', view)]\n"
    )
    with serving("serve:server", cwd=folder) as server:
        assert fetch(f"{server.url}/count") == b"0"
        assert fetch(f"{server.url}/static/a.css") == b"a {}"


def test_a_flask_application(folder):
    async def talk(server):
        async with connect(server.ws("/live")) as client:
            assert await asyncio.to_thread(fetch, f"{server.url}/sold/hat", b"") == b"ok"
            assert await client.recv() == "hat"

    with serving("shop:server", cwd=folder) as server:
        asyncio.run(talk(server))


def test_under_another_server(folder):
    async def talk(server):
        async with connect(server.ws("/rooms/live")) as client:
            await client.send('{"type": "join_room", "room": "news", "id": "1"}')
            assert json.loads(await client.recv())["data"]["status"] == "joined"
            answer = await asyncio.to_thread(server.fetch, "/news?text=hello", b"")
            assert answer == (200, b'{"number":1}')
            assert json.loads(await client.recv())["data"] == {"text": "hello"}

    with around("uvicorn", "under:app", cwd=folder) as server:
        asyncio.run(asyncio.wait_for(talk(server), 20))
