"""docs/events.md, behind proxies as they come: nothing is set for events but where the server is.

nginx keeps its buffering and speaks HTTP/1.0 to the server, Caddy compresses. Their read time-outs
are short, so that comments must keep streams open.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.listening import listening, say
from tests.serving import ServeProcess, serving

Run = Callable[..., Any]
START_S = 30.0
TIMEOUT_S = 3  # of the proxies, for a server that says nothing
PATH = "/events?room=news"

PROGRAM = """
from glyph_fast import Server

server = Server()
server.room("news", history_size=100, client_join=True)
server.events("/events")


@server.on_event("publish")
async def publish(ctx):
    await server.hub.publish("news", ctx.message.data)


@server.get("/count")
def count(request):
    return {"count": len(server.hub)}
"""

NGINX = """
daemon off;
pid {folder}/nginx.pid;
worker_processes 1;
events {{}}
http {{
    access_log off;
    gzip on;
    {paths}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{server};
            proxy_read_timeout {timeout}s;
            client_body_buffer_size 1m;  # a file would need rights that differ by user
        }}
    }}
}}
"""

CADDY = """
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    encode gzip
    reverse_proxy 127.0.0.1:{server} {{
        transport http {{
            read_timeout {timeout}s
        }}
    }}
}}
"""

HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client {timeout}s
    timeout server {timeout}s
frontend all
    bind 127.0.0.1:{port}
    default_backend glyph
backend glyph
    server one 127.0.0.1:{server}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def until_listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{process.args} does not listen\n{log.read_text()}", pytrace=False)
            time.sleep(0.01)


@contextmanager
def proxy(kind: str, folder: Path, server: ServeProcess) -> Iterator[str]:
    """A proxy before the server; its URL."""
    port = free_port()
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{each}_temp_path {folder}/nginx-{each};" for each in temporary)
    text, command = {
        "nginx": (NGINX, ["nginx", "-e", f"{folder}/log", "-c"]),
        "caddy": (CADDY, ["caddy", "run", "--adapter", "caddyfile", "--config"]),
        "haproxy": (HAPROXY, ["haproxy", "-db", "-f"]),
    }[kind]
    config, log = folder / f"{kind}.conf", folder / f"{kind}.log"
    config.write_text(
        text.format(folder=folder, port=port, server=server.port, paths=paths, timeout=TIMEOUT_S)
    )
    home = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, str(config)], stdout=output, stderr=output, cwd=folder,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin", **home},
        )  # fmt: skip
    try:
        until_listening(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_S)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    folder = tmp_path_factory.mktemp("news")
    (folder / "news.py").write_text(PROGRAM)
    with serving("news:server", "--ping-interval", "1s", cwd=folder) as started:
        yield started


@pytest.fixture(scope="module", params=["nginx", "caddy", "haproxy"])
def url(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    server: ServeProcess,
) -> Iterator[str]:
    with proxy(request.param, tmp_path_factory.mktemp(request.param), server) as found:
        yield found


async def publish(url: str, session: str, data: str) -> None:
    status, _, body = await say(url, "/events", session, {"event": "publish", "data": data})
    assert status == 204, body


def test_each_event_comes_before_the_next_is_made(url: str, run: Run) -> None:
    async def main() -> None:
        async with listening(url, PATH, Accept_Encoding="gzip") as stream:
            assert "content-encoding" not in stream.headers
            for n in range(5):
                await publish(url, stream.session, f"{n}")
                assert (await stream.data())["data"] == f"{n}"
            await publish(url, stream.session, "x" * 200_000)
            assert len((await stream.data())["data"]) == 200_000

    run(main(), deadline=60)


def test_comments_keep_the_connection(url: str, run: Run) -> None:
    async def main() -> None:
        async with listening(url, PATH) as stream:
            for _ in range(TIMEOUT_S + 2):  # a second or more for each
                while (await stream.next(comments=True)).id:
                    pass
            await publish(url, stream.session, "still here")
            assert (await stream.data())["data"] == "still here"

    run(main(), deadline=60)


def test_a_client_that_goes_is_noticed_and_resumes(
    url: str, server: ServeProcess, run: Run
) -> None:
    async def main() -> None:
        async with listening(url, PATH) as stream:
            await publish(url, stream.session, "heard")
            assert (await stream.data())["data"] == "heard"
        async with asyncio.timeout(20):
            while (await say(server.url, "/events", stream.session, {}))[0] != 404:
                await asyncio.sleep(0.02)
        async with listening(server.url, PATH) as other:
            await publish(server.url, other.session, "missed")
            async with listening(url, PATH, Last_Event_ID=stream.last_id) as again:
                assert (await again.data())["data"] == "missed"

    run(main(), deadline=60)


def test_a_refusal_passes(url: str, run: Run) -> None:
    async def main() -> None:
        async with listening(url, "/events?room=other", is_open=False) as stream:
            assert stream.status == 403
            assert "error" in await stream.body()

    run(main())
