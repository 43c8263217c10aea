"""The whole server under uvicorn, hypercorn and granian."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.asgi.hosted.around import COMMANDS, Around, around
from tests.serving import ROOT

WITHIN_S = 20.0
# What a server tells of a client's close with 4002 and "mine".
TOLD = {"hypercorn": [1006, ""], "granian": [4002, ""]}


@pytest.fixture(scope="module", params=COMMANDS)
def server(request: Any) -> Iterator[Around]:
    with around(request.param) as started:
        started.name = request.param
        yield started


def get(server: Around, path: str, **fields: str) -> Any:
    status, body = server.fetch(path, **fields)
    assert status == 200, body
    return json.loads(body)


async def heard(client: ClientConnection) -> Any:
    async with asyncio.timeout(WITHIN_S):
        return json.loads(await client.recv())


async def ask(client: ClientConnection, message: Any) -> Any:
    """The answer to an envelope with an id; what comes meanwhile is left out."""
    await client.send(json.dumps({**message, "id": "asked"}))
    while (answer := await heard(client)).get("id") != "asked":
        pass
    return answer


async def join(client: ClientConnection, room: str, **more: Any) -> Any:
    return (await ask(client, {"type": "join_room", "room": room, **more}))["data"]


def eventually(is_so: Any) -> None:
    end = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


# HTTP.


def test_a_route(server: Around) -> None:
    found = get(server, "/hello/a%2Fb%20%C3%A9?x=1&y=%20", X_A="1")
    assert found == {
        "name": "a/b é", "query": "x=1&y=%20", "own": True, "remote": "127.0.0.1",
        "scheme": "http", "header": "1",
    }  # fmt: skip


def test_what_is_not_there_and_what_fails(server: Around) -> None:
    assert server.fetch("/nowhere")[0] == 404
    assert server.fetch("/publish")[0] == 405
    assert server.fetch("/fails")[0] == 500
    assert get(server, "/healthz") == {"status": "ok"}
    assert get(server, "/hello/a")["name"] == "a"


def test_head(server: Around) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WITHIN_S)
    client.request("HEAD", "/hello/a")
    answer = client.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    client.request("GET", "/hello/a")
    assert json.loads(client.getresponse().read())["name"] == "a"
    client.close()


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_large_body(server: Around, is_chunked: bool) -> None:
    block = bytes(2**20)
    body = (block for _ in range(20)) if is_chunked else block * 20
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    client.request("POST", "/size", body)
    assert json.loads(client.getresponse().read()) == {"size": 20 * 2**20}
    client.close()


def test_a_body_beyond_the_limit(server: Around) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WITHIN_S)
    client.putrequest("POST", "/publish")
    client.putheader("Content-Length", str(11 * 2**20))
    client.endheaders()  # the announcement is enough
    assert client.getresponse().status == 413
    client.close()


def test_a_stream(server: Around) -> None:
    assert server.fetch("/stream") == (200, b"0,1,2,")


def test_a_stream_that_breaks_is_cut(server: Around) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WITHIN_S)
    client.request("GET", "/broken")
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        client.getresponse().read()
    client.close()


def test_a_client_that_leaves_ends_its_stream(server: Around) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WITHIN_S)
    client.request("GET", "/endless")
    answer = client.getresponse()
    assert answer.read(10) == b"x" * 10
    answer.close()
    client.close()
    eventually(lambda: "endless is over" in get(server, "/seen"))


def test_a_request_of_http_1_0_without_a_host(server: Around) -> None:
    with socket.create_connection(("127.0.0.1", server.port), WITHIN_S) as client:
        client.sendall(b"GET /hello/a HTTP/1.0\r\n\r\n")
        with client.makefile("rb") as file:
            assert b" 200 " in file.readline()


# WebSocket.


def test_messages_of_all_kinds(server: Around) -> None:
    async def main() -> None:
        async with connect(server.ws("/plain"), max_size=None) as client:
            assert await heard(client) == {"remote": "127.0.0.1", "path": "/plain"}
            for message in ("a", "é" * 70_000, "x" * 126, b"", b"\0\xff" * 200, b"x" * 70_000, ""):
                await client.send(message)
                assert await client.recv() == message

    asyncio.run(asyncio.wait_for(main(), WITHIN_S))


def test_closes_of_either_side(server: Around) -> None:
    async def main() -> None:
        async with connect(server.ws("/plain")) as client:
            await heard(client)
            await client.send("close")
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (4001, "enough")
        async with connect(server.ws("/plain")) as client:
            await client.close(4002, "mine")
        async with connect(server.ws("/plain")) as client:
            await heard(client)
            await client.send("cut")
            with pytest.raises(ConnectionClosed):
                await client.recv()
        client = await connect(server.ws("/plain"))
        client.transport.abort()

    asyncio.run(asyncio.wait_for(main(), WITHIN_S))
    ends = ([4001, "enough"], TOLD.get(server.name, [4002, "mine"]))
    eventually(lambda: all(["left", "", *end] in get(server, "/seen") for end in ends))
    eventually(lambda: sum(each[0] == "left" for each in get(server, "/seen")) >= 4)


def test_a_refusal(server: Around) -> None:
    async def main() -> int:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(server.ws("/live?user=nobody")):
                pass
        with pytest.raises(InvalidStatus) as unknown:
            async with connect(server.ws("/nowhere")):
                pass
        return refused.value.response.status_code, unknown.value.response.status_code

    statuses = asyncio.run(asyncio.wait_for(main(), WITHIN_S))
    assert statuses == (403, 404)


def test_a_foreign_page_is_refused(server: Around) -> None:
    async def main() -> None:
        with pytest.raises(InvalidStatus):
            async with connect(server.ws("/live"), origin="https://evil.example"):
                pass
        async with connect(server.ws("/live"), origin=server.url):
            pass

    asyncio.run(asyncio.wait_for(main(), WITHIN_S))


def test_a_subprotocol_and_a_dialect(server: Around) -> None:
    async def main() -> None:
        async with connect(server.ws("/live"), subprotocols=["glyph-fast"]) as client:
            assert client.subprotocol == "glyph-fast"
            assert (await ask(client, {"event": "add", "data": [1, 2]}))["data"] == 3
            assert (await join(client, "secret"))["error"]

    asyncio.run(asyncio.wait_for(main(), WITHIN_S))


def test_rooms_of_many(server: Around) -> None:
    async def main() -> None:
        clients = [await connect(server.ws("/live")) for _ in range(20)]
        for each in clients:
            assert (await join(each, "chat"))["status"] == "joined"
        await clients[0].send('{"type": "broadcast", "room": "chat", "data": "hi"}')
        for each in clients[1:]:
            assert (await heard(each))["data"] == "hi"
        await asyncio.gather(*(each.close() for each in clients))

    asyncio.run(asyncio.wait_for(main(), WITHIN_S))


def test_a_client_resumes(server: Around) -> None:
    async def main() -> None:
        async with connect(server.ws("/live")) as client:
            since = await join(client, "kept")
        for n in range(5):
            await asyncio.to_thread(server.fetch, "/publish", json.dumps({"n": n}).encode())
        async with connect(server.ws("/live")) as client:
            place = {"epoch": since["epoch"], "offset": since["offset"]}
            resumed = await join(client, "kept", since=place)
            assert [each["data"] for each in resumed["messages"]] == [{"n": n} for n in range(5)]

    asyncio.run(asyncio.wait_for(main(), WITHIN_S))


def test_one_that_reads_late_loses_nothing_that_it_has_room_for(server: Around) -> None:
    async def main() -> None:
        async with connect(server.ws("/plain"), max_queue=1) as client:
            await heard(client)
            await client.send("flood")
            await asyncio.sleep(0.5)  # longer than pings are apart, whose answers go before
            got = [await client.recv() for _ in range(50)]
            assert [each[10_000:] for each in got] == [str(n) for n in range(50)]

    asyncio.run(asyncio.wait_for(main(), WITHIN_S))


def test_nothing_else_went_wrong(server: Around) -> None:
    assert get(server, "/seen")[0] == "startup"
    log = server.log()
    assert log.count("rooms and connections of its own") == 1
    assert "internal error" not in log and "never retrieved" not in log
    assert log.count("CutShort: ") <= 1  # of the stream that breaks, not of a client that leaves


# The start.


@pytest.mark.parametrize("name", ["uvicorn", "granian"])
def test_without_lifespan_the_first_request_starts_it(name: str) -> None:
    with around(name, lifespan=False) as server:
        assert get(server, "/seen") == ["startup"]
        assert get(server, "/hello/a")["own"] is True


def test_below_a_prefix_of_another_application() -> None:
    with around("uvicorn", "tests.asgi.hosted.mounted:app") as server:
        assert server.fetch("/") == (200, b"starlette")
        assert get(server, "/rooms/hello/a%2Fb")["name"] == "a/b"

        async def main() -> None:
            async with connect(server.ws("/rooms/plain")) as client:
                assert (await heard(client))["path"] == "/plain"

        asyncio.run(asyncio.wait_for(main(), WITHIN_S))


def test_behind_a_proxy_with_tls_the_scheme_is_https() -> None:
    with around("uvicorn") as server:
        assert get(server, "/hello/a", X_Forwarded_Proto="https")["scheme"] == "https"


BAD = """
from glyph_fast import Config, Server
app = Server(Config(port=9, trusted_proxies=["10.0.0.1"])).asgi
"""


def test_options_of_listening_are_refused(tmp_path: Any) -> None:
    (tmp_path / "bad.py").write_text(BAD)
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "bad:app", "--port", "0"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3
    assert "port, trusted_proxies: not for server.asgi" in done.stderr
