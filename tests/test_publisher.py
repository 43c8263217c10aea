"""Publishing from another process, through a real operators' port."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any

import pytest

from glyph_fast import publisher as module
from glyph_fast.publisher import AsyncPublisher, Publisher, PublishError
from tests.admin.operated import TOKEN, operated


def test_a_program_without_a_loop_publishes(backend, run):
    async def main():
        async with operated(backend) as site:
            ada = await site.connect("?room=blue&room=red&user=ada")

            def program() -> list[object]:
                with Publisher(site.admin, TOKEN) as publisher:
                    return [
                        publisher.publish("blue", {"n": 1}),
                        publisher.publish(["blue", "red"], 2),
                        publisher.publish("blue", 3, exclude=[ada.id]),
                        publisher.broadcast("all"),
                        publisher.send("you", user="ada"),
                        publisher.rooms(),
                        publisher.room("blue")["members"],
                        publisher.batch([("send", {"user": "eve", "data": 1})])[0]["status"],
                        publisher.set_metadata("blue", {"topic": "tea"}),
                        publisher.room("blue")["metadata"],
                        publisher.info()["connections"],
                        publisher.close_room("blue", code=4000, reason="enough"),
                        publisher.disconnect(connection="nobody"),
                    ]

            one, none = (1, 0, 0), (0, 0, 0)
            assert await asyncio.to_thread(program) == [
                one, one, none, one, one, {"blue": 1, "red": 1}, [ada.id], 404, None,
                {"topic": "tea"}, 1, 1, 0,
            ]  # fmt: skip
            assert [await ada.json() for _ in range(4)] == [{"n": 1}, 2, "all", "you"]
            await ada.socket.wait_closed()
            assert (ada.socket.close_code, ada.socket.close_reason) == (4000, "enough")

    run(main())


def test_coroutines_publish_too(backend, run):
    async def main():
        async with operated(backend) as site, AsyncPublisher(site.admin, TOKEN) as publisher:
            ada = await site.connect("?room=blue/1&user=ada")
            assert await publisher.publish("blue/1", [1]) == (1, 0, 0)
            assert await publisher.broadcast(None) == (1, 0, 0)
            assert await publisher.send("x", connection=ada.id) == (1, 0, 0)
            assert await publisher.rooms() == {"blue/1": 1}
            assert (await publisher.room("blue/1"))["size"] == 1
            assert await publisher.batch([("broadcast", {"data": 1})]) == [
                {"sent": 1, "queued": 0, "dropped": 0}
            ]
            await publisher.set_metadata("blue/1", {"topic": "tea"})
            assert (await publisher.room("blue/1"))["metadata"] == {"topic": "tea"}
            assert (await publisher.info())["rooms"] == 1
            bob = await site.connect("?room=red")
            assert await publisher.close_room("red", code=4000) == 1
            await bob.socket.wait_closed()
            assert await publisher.disconnect(user="ada") == 1

    run(main())


def test_a_refusal_says_why(backend, run):
    async def main():
        async with operated(backend) as site:
            async with AsyncPublisher(site.admin, "wrong") as stranger:
                with pytest.raises(PublishError) as caught:
                    await stranger.broadcast(1)
                assert caught.value.status == 401
            async with AsyncPublisher(site.admin, TOKEN) as publisher:
                with pytest.raises(PublishError, match="no such connection") as caught:
                    await publisher.send(1, user="nobody")
                assert caught.value.status == 404
                with pytest.raises(TypeError, match="name one of connection, user"):
                    await publisher.send(1)

    run(main())


def test_no_server_is_an_error_of_ours() -> None:
    with Publisher("http://127.0.0.1:1", "x") as publisher:
        with pytest.raises(PublishError, match="no answer from the server") as caught:
            publisher.broadcast(1)
        assert caught.value.status is None


def test_without_httpx_it_says_what_to_install():
    program = "import sys; sys.modules['httpx'] = None; import glyph_fast.publisher"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: glyph_fast.publisher needs httpx: pip install 'glyph-fast[publisher]'"
    )


# --- processes and loops of their own


class Echo(BaseHTTPRequestHandler):
    """Answers a `broadcast` of N with N as the number sent, over connections that stay open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"sent": asked["data"], "queued": 0, "dropped": 0}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[str]:
    """The URL of a server of another make."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


FORKING = """
import asyncio, os, sys
from glyph_fast.publisher import AsyncPublisher, Publisher

N_CHILDREN, N_CALLS = 4, 100
publisher, both = Publisher(sys.argv[1], "x"), AsyncPublisher(sys.argv[1], "x")

async def later(first):
    return [await both.broadcast(n) for n in range(first, first + N_CALLS)]

def check(first):
    expected = [(n, 0, 0) for n in range(first, first + N_CALLS)]
    assert [publisher.broadcast(n) for n in range(first, first + N_CALLS)] == expected
    assert asyncio.run(later(first)) == expected

check(0)  # so that there are connections to share
children = []
for child in range(1, N_CHILDREN + 1):
    pid = os.fork()
    if not pid:
        check(child * 1000)
        os._exit(0)
    children.append(pid)
check(0)
statuses = [os.waitpid(pid, 0)[1] for pid in children]
assert statuses == [0] * N_CHILDREN, statuses
"""


def test_forked_processes_get_their_own_answers(echo):
    command = [sys.executable, "-c", FORKING, echo]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_coroutines_publish_in_one_loop_after_the_other(echo):
    publisher = AsyncPublisher(echo, "x")

    async def once(n: int) -> object:
        return await publisher.broadcast(n)

    for n in range(3):
        with asyncio.Runner() as runner:  # as `asyncio.run`, in a thread that has a loop or not
            assert runner.run(once(n)) == (n, 0, 0)
            runner.run(publisher.close())


# --- servers that are not ours

CALLS: dict[str, Callable[[Any], Any]] = {
    "publish": lambda p: p.publish("r", 1),
    "broadcast": lambda p: p.broadcast(1),
    "send": lambda p: p.send(1, user="u"),
    "disconnect": lambda p: p.disconnect(user="u"),
    "close_room": lambda p: p.close_room("r"),
    "set_metadata": lambda p: p.set_metadata("r", {}),
    "info": lambda p: p.info(),
    "batch": lambda p: p.batch([("broadcast", {"data": 1})]),
    "rooms": lambda p: p.rooms(),
    "room": lambda p: p.room("r"),
}


def answer(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


ANSWERS = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half a body": answer(b"{}").replace(b"Content-Length: 2", b"Content-Length: 20"),
    "a head without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000,
    "two lengths": answer(b"{}", "Content-Length: 3"),
    "an unknown coding": answer(b"{}", "Transfer-Encoding: gzip"),
    "broken chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "no JSON": answer(b"<html>"),
    "empty": answer(b""),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "another charset": answer(b'"\xff\xfe"'),
    "deep": answer(b"[" * 100_000),
    "broken gzip": answer(b"\x1f\x8b broken", "Content-Encoding: gzip"),
    "gzip": answer(gzip.compress(b"{}"), "Content-Encoding: gzip"),
    "null": answer(b"null"),
    "a number": answer(b"7"),
    "a list": answer(b"[1]"),
    "an object": answer(b"{}"),
    "null members": answer(
        b'{"sent":null,"queued":null,"dropped":null,"closed":null,"results":null,"rooms":null}'
    ),
    "members of other types": answer(
        b'{"sent":"1","queued":[],"dropped":{},"closed":"1","results":[1],"rooms":[{"name":1}]}'
    ),
    "yes and no": answer(b'{"sent":true,"queued":false,"dropped":1,"closed":true}'),
    "a redirect": answer(b"{}", "Location: http://127.0.0.1:1/", status="302 Found"),
    "a redirect to nowhere": answer(b"{}", "Location: http://[", status="302 Found"),
    "an error that is no text": answer(b'{"error": {"code": 7}}', status="500 Oops"),
    "an error that is a list": answer(b"[1]", status="400 Bad Request"),
    "an error without a word": answer(b"{}", status="599 "),
}
# What any JSON object answers well enough.
FREE = {"info", "room", "set_metadata"}
OBJECTS = {"an object", "null members", "members of other types", "yes and no"}
ANYTHING = {"null", "a number", "a list"}  # does for `set_metadata`, which only waits


def is_fine(call: str, name: str) -> bool:
    return (call in FREE and name in OBJECTS) or (call == "set_metadata" and name in ANYTHING)


@pytest.fixture
def stranger(request) -> Iterator[str]:
    """The URL of a server that answers each connection with some bytes, and closes it."""

    class Bytes(BaseHTTPRequestHandler):
        def handle(self) -> None:
            self.connection.recv(65536)
            try:
                self.connection.sendall(request.param)
            except OSError:
                pass  # enough was seen of it

    with ThreadingHTTPServer(("127.0.0.1", 0), Bytes) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("name", "stranger"), list(ANSWERS.items()), ids=list(ANSWERS), indirect=["stranger"]
)
def test_whatever_a_server_answers_is_an_error_of_ours(name, stranger):
    async def coroutines() -> dict[str, str]:
        async with AsyncPublisher(stranger, "x") as publisher:
            return {call: await said_to(CALLS[call](publisher)) for call in CALLS}

    async def said_to(waiting: Any) -> str:
        try:
            await waiting
        except PublishError as exc:
            return str(exc)
        return ""

    with Publisher(stranger, "x") as publisher:
        for name_of_call, call in CALLS.items():
            if is_fine(name_of_call, name):
                call(publisher)
                continue
            with pytest.raises(PublishError) as caught:
                call(publisher)
            assert "\n" not in str(caught.value)
    said = asyncio.run(coroutines())
    assert {call for call in said if not said[call]} == {
        call for call in CALLS if is_fine(call, name)
    }


@pytest.mark.parametrize(
    "stranger",
    [answer(json.dumps({"error": "\x1b[2Jgone\r\nINFO fine"}).encode(), status="400 x")],
    indirect=True,
)
def test_a_reason_cannot_write_on_a_terminal_or_into_a_log(stranger):
    with Publisher(stranger, "x") as publisher, pytest.raises(PublishError) as caught:
        publisher.info()
    assert str(caught.value) == " [2Jgone  INFO fine (HTTP 400)"


@pytest.mark.parametrize("stranger", [answer(b"1" * 5000)], indirect=True)
def test_an_answer_of_any_size_is_not_taken(stranger, monkeypatch):
    monkeypatch.setattr(module, "MAX_ANSWER", 4000)
    with Publisher(stranger, "x") as publisher:
        with pytest.raises(PublishError, match="does not end"):
            publisher.info()


def body_without_end(sends: Callable[[bytes], object]) -> Iterator[None]:
    sends(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        yield sends(b" ")


def head_without_end(sends: Callable[[bytes], object]) -> Iterator[None]:
    sends(b"HTTP/1.1 200 OK\r\n")
    while True:
        yield sends(b"a: b\r\n")


def early_answers_without_end(sends: Callable[[bytes], object]) -> Iterator[None]:
    while True:
        yield sends(b"HTTP/1.1 103 Early Hints\r\n\r\n")


@pytest.mark.parametrize("trickle", [body_without_end, head_without_end, early_answers_without_end])
def test_an_answer_that_trickles_ends_with_the_time(trickle):
    is_over = threading.Event()

    class Trickle(BaseHTTPRequestHandler):
        """Sends a little now and then, for longer than anybody waits."""

        def handle(self) -> None:
            self.connection.recv(65536)
            with suppress(OSError):
                for _ in islice(trickle(self.connection.sendall), 1000):
                    if is_over.wait(0.01):
                        return

    async def coroutine() -> None:
        async with AsyncPublisher(url, "x", timeout=0.2) as publisher:
            await publisher.info()

    with ThreadingHTTPServer(("127.0.0.1", 0), Trickle) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            with Publisher(url, "x", timeout=0.2) as publisher:
                with pytest.raises(PublishError, match="timed out|ReadTimeout"):
                    publisher.info()
            with pytest.raises(PublishError, match="timed out|ReadTimeout"):
                asyncio.run(coroutine())
        finally:
            is_over.set()
            server.shutdown()
            thread.join()
