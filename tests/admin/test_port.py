"""The operators' port: where it is, who may use it, and how long it answers."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import ExitStack

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from glyph_fast import Config, Server
from glyph_fast.errors import ConfigError
from tests.admin.operated import BEARER, TOKEN, operated
from tests.serving import serving

READING = ["/metrics", "/stats", "/openapi.json", "/api/info", "/api/rooms", "/api/rooms/x"]
OPEN = ["/healthz", "/readyz", "/dashboard", "/dashboard/uplot.js"]
ACTING = [
    ("POST", f"/api/{call}")
    for call in ("publish", "broadcast", "send", "disconnect", "close-room", "batch")
] + [("PUT", "/api/rooms/x/metadata")]


def test_the_second_line_on_stdout_is_its_url():
    with serving("--admin", "127.0.0.1:0", "--log-level", "warning") as server:
        assert server.process.stdout is not None
        line = server.process.stdout.readline().decode()
        assert line.startswith("glyph-fast admin on http://127.0.0.1:")
        url = line.split()[-1]
        assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
        assert "glyph_fast_connections 0.0" in httpx.get(f"{url}/metrics").text


def test_an_address_others_can_reach_needs_a_token():
    with pytest.raises(ConfigError, match="admin_token"):
        Config(admin="0.0.0.0:0")
    Config(admin="0.0.0.0:0", admin_token="x")


def test_a_taken_port_is_said_by_name_and_status_3(backend, run):
    async def main():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(OSError) as caught:
                from glyph_fast import Server

                await Server(Config(port=0, engine=backend.engine, admin=address)).serve()
            assert caught.value.filename == address

    run(main())


def test_with_a_token_reading_needs_it(backend, run):
    async def main():
        async with operated(backend) as site, httpx.AsyncClient(base_url=site.admin) as bare:
            for path in READING:
                answer = await bare.get(path)
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"] == "Bearer"
                assert "token" in answer.json()["error"]
                wrong = {"Authorization": f"Bearer {TOKEN}x"}
                assert (await bare.get(path, headers=wrong)).status_code == 401
                assert (await bare.get(path, headers=BEARER)).status_code != 401
            for path in OPEN:
                assert (await bare.get(path)).status_code == 200, path
            for method, path in ACTING:
                assert (await bare.request(method, path, json={})).status_code == 401, path

    run(main())


def test_the_address_that_is_printed_leads_to_the_dashboard(backend, run):
    async def main():
        async with operated(backend) as site, httpx.AsyncClient(base_url=site.admin) as bare:
            for path, location in [("/", "./dashboard"), ("/dashboard/", "../dashboard")]:
                answer = await bare.get(path)
                assert (answer.status_code, answer.headers["location"]) == (302, location)

    run(main())


@pytest.mark.parametrize("name", ["index.html", "inde%78.html"])
def test_the_dashboard_s_page_has_its_policy_under_its_file_s_name_too(name, backend, run):
    async def main():
        async with operated(backend) as site, httpx.AsyncClient(base_url=site.admin) as bare:
            page, file = [await bare.get(f"/dashboard{path}") for path in ("", f"/{name}")]
            assert (file.status_code, file.content) == (200, page.content)
            policy = "content-security-policy"
            assert file.headers[policy] == page.headers[policy]

    run(main())


def test_no_other_spelling_of_a_path_is_served(backend, run):
    async def main():
        async with operated(backend, None) as site, httpx.AsyncClient(base_url=site.admin) as bare:
            for path in ["/metrics/", f"{site.admin}//metrics", "/api//info", "/healthz/"]:
                assert (await bare.get(path)).status_code == 404, path

    run(main())


def test_a_body_is_not_read_before_the_token_was_seen(backend, run):
    """In chunks of three bytes it would be work, for the loop that serves everybody."""

    async def main():
        async with operated(backend) as site:
            host = site.admin.partition("//")[2]
            reader, writer = await asyncio.open_connection(*host.split(":"))
            head = "POST /api/publish HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(head.format(host).encode())
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            assert answer.startswith(b"HTTP/1.1 401 ") and b"Connection: close" in answer
            writer.close()

    run(main())


def test_without_a_token_reading_is_open_and_acting_refused(backend, run):
    async def main():
        async with operated(backend, None) as site, httpx.AsyncClient(base_url=site.admin) as bare:
            for path in [*READING[:-1], *OPEN]:
                assert (await bare.get(path)).status_code == 200, path
            for method, path in ACTING:
                answer = await bare.request(method, path, json={}, headers=BEARER)
                assert answer.status_code == 403, path
                assert "--admin-token" in answer.json()["error"]

    run(main())


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_host_header_of_another_name_is_refused(backend, run, token):
    async def main():
        async with operated(backend, token) as site:
            port = site.admin.rpartition(":")[2]
            for path in ["/healthz", "/dashboard", *READING]:
                for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example"):
                    answer = await site.http.get(path, headers={"Host": host})
                    assert answer.status_code == 403, (path, host)
                for host in (f"localhost:{port}", "localhost:1", "127.0.0.1"):  # a tunnel's
                    good = await site.http.get(path, headers={"Host": host})
                    assert good.status_code in (200, 404), (path, host)
            url = site.admin.replace("http", "ws") + "/live"
            with pytest.raises(InvalidStatus) as caught:
                await connect(url, additional_headers={"Host": "evil.example"}, proxy=None)
            assert caught.value.response.status_code in (400, 403)

    run(main())


def test_the_live_figures_come_after_the_token(backend, run):
    async def main():
        async with operated(backend) as site:
            url = site.admin.replace("http", "ws") + "/live"
            async with connect(url, proxy=None) as watcher:
                await watcher.send(json.dumps({"token": TOKEN}))
                first = json.loads(await watcher.recv())
                assert first["connections"] == 0
                await site.connect()
                while json.loads(await watcher.recv())["connections"] != 1:
                    pass
            for wrong in ('{"token": "no"}', "no json", '{"token": null}', "[]"):
                async with connect(url, proxy=None) as stranger:
                    await stranger.send(wrong)
                    with pytest.raises(ConnectionClosed):
                        await stranger.recv()
                    assert stranger.close_code == 1008

    run(main())


def test_without_a_token_the_live_figures_come_at_once(backend, run):
    async def main():
        async with operated(backend, None) as site:
            async with connect(site.admin.replace("http", "ws") + "/live", proxy=None) as watcher:
                first = json.loads(await watcher.recv())
                assert "history" in first
                deadline = asyncio.get_running_loop().time() + 30
                while "point" not in (now := json.loads(await watcher.recv())):
                    assert asyncio.get_running_loop().time() < deadline
                assert now["point"]["connections"] == 0
                async with connect(
                    site.admin.replace("http", "ws") + "/live", proxy=None
                ) as another:  # who opens the page now sees what was before
                    history = json.loads(await another.recv())["history"]
                    assert history["at"][-1] == now["point"]["at"]
                assert (await site.http.get("/api/timeline")).json() == history

    run(main())


def test_it_answers_until_the_last_connection_is_closed(backend, run):
    async def main():
        async with operated(backend, drain_timeout=5, drain_delay=0) as site:
            blocked = asyncio.Event()
            states: list[object] = []

            @site.server.on_disconnect
            async def ask(conn, code, reason):
                states.append((await site.http.get("/readyz")).status_code)
                health = await site.http.get("/healthz")
                states.extend((health.status_code, health.json()))
                states.append((await site.http.get("/metrics")).status_code)
                blocked.set()

            assert (await site.http.get("/readyz")).status_code == 200
            client = await site.connect()
            closing = asyncio.create_task(site.server.shutdown())
            await client.socket.wait_closed()
            assert client.socket.close_code == 1001
            await blocked.wait()
            assert states == [503, 503, {"status": "draining"}, 200]
            await closing

    run(main())


def test_until_it_serves_it_says_that_it_is_starting(backend, run):
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]

    async def main():
        server = Server(Config(port=0, engine=backend.engine, admin=f"127.0.0.1:{port}"))
        seen = []

        @server.on_startup
        async def ask():
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                for path in ("/healthz", "/readyz"):
                    answer = await http.get(path)
                    seen.append((answer.status_code, answer.json()))
            raise LookupError("seen enough")

        with pytest.raises(LookupError):
            await server.serve(announce=lambda line: None)
        assert seen == [(503, {"status": "starting"})] * 2

    run(main())


def test_a_token_without_a_port_is_said_to_be_of_no_use(backend, run, caplog):
    async def main():
        server = Server(Config(port=0, engine=backend.engine, admin_token="t"))

        @server.on_startup
        def end():
            raise LookupError("that is enough")

        with pytest.raises(LookupError):
            await server.serve(announce=lambda line: None)

    with caplog.at_level("WARNING", "glyph_fast"):
        run(main())
    assert "--admin-token has no effect without --admin" in caplog.text


def is_gone(sock):
    try:
        return not sock.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_one_address_takes_neither_all_descriptors_nor_all_places(backend, run):
    """Who has no token may connect: with 130 there were no places left for those who watch."""

    async def open_watching(url, many, address):
        opened = []
        for _ in range(many):
            try:
                opened.append(await connect(url, local_addr=(address, 0)))
            except InvalidStatus as refused:
                assert refused.response.status_code == 429
        return opened

    async def main():
        async with operated(backend) as site:
            url = site.admin.replace("http", "ws") + "/live"
            host, port = url.split("/")[2].rsplit(":", 1)
            watching = await open_watching(url, 60, "127.0.0.1")
            others = await open_watching(url, 5, "127.0.0.2")
            assert (len(watching), len(others)) == (50, 5)
            with ExitStack() as stack:
                silent = [
                    stack.enter_context(socket.create_connection((host, int(port))))
                    for _ in range(130)
                ]
                for each in silent:
                    each.setblocking(False)
                while (gone := sum(map(is_gone, silent))) < 80:
                    await asyncio.sleep(0.01)
                assert gone < 120  # before the time that each has for its head
                for each in (*watching, *others):
                    await each.close()

    run(main())
