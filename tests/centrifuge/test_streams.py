"""The protocol by HTTP streams, and unidirectional clients: what no library of theirs shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from glyph_fast.centrifuge.streams import STREAMS
from tests.admin.operated import TOKEN
from tests.serving import ROOT, ServeProcess, serving

APP = Path(__file__).parent / "app"
WITHIN_S = 20.0

pytestmark = pytest.mark.both_cores


class Site:
    """A server with what is done to it."""

    def __init__(self, serve: ServeProcess) -> None:
        assert serve.process.stdout is not None
        self.api = serve.process.stdout.readline().decode().split()[-1]
        self.serve = serve
        self.url = f"{serve.url}/connection"

    def do(self, command: str, **body: Any) -> Any:
        answer = httpx.post(
            f"{self.api}/api/{command}", json=body, headers={"X-API-Key": TOKEN}, timeout=WITHIN_S
        )
        return answer.json()["result"]

    @contextmanager
    def stream(self, name: str, first: Any = None, method: str = "POST") -> Iterator[Any]:
        """The messages of a stream, one after the other, and its response."""
        text = "" if first is None else json.dumps(first)
        options = {"content": text} if method == "POST" else {"params": {"cf_connect": text}}
        with httpx.stream(method, f"{self.url}/{name}", **options, timeout=WITHIN_S) as response:
            lines = response.iter_lines()
            yield response, (json.loads(each.removeprefix("data: ")) for each in lines if each)

    def emulate(self, **body: Any) -> int:
        answer = httpx.post(f"{self.serve.url}/emulation", json=body, timeout=WITHIN_S)
        return answer.status_code


@pytest.fixture(scope="module", params=[1, 2], ids=["alone", "workers"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    options = ["--workers", "2"] if request.param > 1 else []
    options += ["--admin", "127.0.0.1:0", "--admin-token", TOKEN]
    with serving("program:opened", *options, cwd=APP) as started:
        yield Site(started)


@pytest.mark.parametrize(
    ("name", "method"), [("uni_sse", "GET"), ("uni_sse", "POST"), ("uni_http_stream", "POST")]
)
def test_a_unidirectional_stream_is_of_pushes(site: Site, name: str, method: str) -> None:
    room = f"uni_{name}_{method}"
    with site.stream(name, {"subs": {room: {}}}, method) as (response, messages):
        assert response.headers["x-accel-buffering"] == "no"
        is_events = response.headers["content-type"].startswith("text/event-stream")
        assert is_events == (name == "uni_sse")
        connected = next(messages)["connect"]
        assert connected["client"] and room in connected["subs"]
        assert "pong" not in connected and connected["ping"] > 0
        joined = next(messages)
        assert joined["join"]["info"]["client"] == connected["client"]
        site.do("publish", channel=room, data={"n": 1})
        heard = next(messages)
        assert (heard["channel"], heard["pub"]["data"]) == (room, {"n": 1})
        site.do("disconnect", disconnect={"code": 3503, "reason": "bye"})
        assert next(messages) == {"disconnect": {"code": 3503, "reason": "bye"}}
        assert list(messages) == []


def test_tags_and_refreshes_of_the_http_api_reach_clients(site: Site) -> None:
    tags = {"event": "move", "lang": "de"}
    with site.stream("uni_sse", {"subs": {"tagged": {}}}) as (_, messages):
        assert "connect" in next(messages) and "join" in next(messages)
        site.do("publish", channel="tagged", data=1, tags=tags)
        assert next(messages)["pub"]["tags"] == tags
        site.do("refresh", expire_at=int(time.time()) + 900)
        told = next(messages)["refresh"]
        assert told["expires"] is True and 800 < told["ttl"] <= 901
        site.do("refresh")
        assert next(messages) == {"refresh": {}}


def test_a_unidirectional_websocket_is_too(site: Site) -> None:
    url = site.serve.ws("/connection/uni_websocket")
    with connect(url) as client:
        client.send(json.dumps({"subs": {"uni_ws": {}}}))
        assert "uni_ws" in json.loads(client.recv(timeout=WITHIN_S))["connect"]["subs"]
        assert "join" in json.loads(client.recv(timeout=WITHIN_S))
        site.do("publish", channel="uni_ws", data=1)
        assert json.loads(client.recv(timeout=WITHIN_S))["pub"]["data"] == 1
    with connect(f"{url}?cf_connect=%7B%7D") as client:
        assert json.loads(client.recv(timeout=WITHIN_S))["connect"]["client"]
    with connect(url) as client:
        client.send("no JSON")
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=WITHIN_S)
        assert client.close_code == 3501


def test_a_stream_recovers_where_it_was(site: Site) -> None:
    room = "uni_again"
    site.do("publish", channel=room, data=1)
    with site.stream("uni_sse", {"subs": {room: {}}}) as (_, messages):
        told = next(messages)["connect"]["subs"][room]
    site.do("publish", channel=room, data=2)
    since = {"recover": True, "epoch": told["epoch"], "offset": told["offset"]}
    with site.stream("uni_sse", {"subs": {room: since}}) as (_, messages):
        found = next(messages)["connect"]["subs"][room]
        assert found["recovered"] is True
        assert [each["data"] for each in found["publications"]] == [2]


def test_what_a_client_says_comes_by_any_worker(site: Site) -> None:
    with site.stream("http_stream", {"id": 1, "connect": {}}) as (_, messages):
        told = next(messages)["connect"]
        who = {"session": told["session"], "node": told["node"]}
        for n in range(2, 12):  # each on a connection of its own
            command = json.dumps({"id": n, "rpc": {"method": "none"}})
            assert site.emulate(**who, data=command) == 204
            assert next(messages)["error"]["code"] == 108
        assert site.emulate(**who, data="no command") == 204
        assert next(messages)["push"]["disconnect"]["code"] == 3501
        assert list(messages) == []
    assert site.emulate(**who, data="{}") == 404


def test_a_message_by_a_request_has_the_size_of_any_other(site: Site) -> None:
    most = 524_288
    with site.stream("http_stream", {"id": 1, "connect": {}}) as (_, messages):
        told = next(messages)["connect"]
        who = {"session": told["session"], "node": told["node"]}
        assert site.emulate(**who, data='"' + " " * most) == 413
        assert site.emulate(**who, data="{}", more=[0] * 2 * most) == 413  # is not even read
        command = '{"id":2,"rpc":{"data":"%s"}}'
        quotes = '\\"' * (most // 2 - 20)  # which a string of JSON has twice as long
        assert site.emulate(**who, data=command % quotes) == 204
        assert next(messages)["error"]["code"] == 108


def test_what_is_no_request_of_theirs_is_refused(site: Site) -> None:
    emulation = f"{site.serve.url}/emulation"
    for body, status in [
        (b"{", 400), (b"[]", 400), (b'{"session":1}', 400), (b'{"session":"x"}', 400),
        (b'{"session":"x","data":{}}', 400), (b'{"session":"0.x","data":"{}"}', 404),
        (b"\xff", 400),
    ]:  # fmt: skip
        answer = httpx.post(emulation, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status, body
    assert httpx.post(emulation, content=b"{}").status_code == 415
    assert httpx.get(emulation).status_code == 405
    assert httpx.get(f"{site.url}/sse").status_code == 400
    assert httpx.post(f"{site.url}/http_stream").status_code == 400
    assert httpx.post(f"{site.url}/http_stream", content=b"x" * 70_000).status_code == 413
    for name in ("sse", "http_stream"):
        foreign = {"Origin": "https://evil.example"}
        answer = httpx.post(f"{site.url}/{name}", content=b"{}", headers=foreign)
        assert answer.status_code == 403


@pytest.mark.parametrize("first", [b"{", b"\xff", b"[]", b'{"id":1,"rpc":{}}', b'{"connect":1}'])
def test_a_stream_that_begins_with_anything_else_ends(site: Site, first: bytes) -> None:
    answer = httpx.post(f"{site.url}/http_stream", content=first, timeout=WITHIN_S)
    assert answer.status_code == 200
    assert json.loads(answer.text)["push"]["disconnect"]["code"] == 3501


@pytest.mark.parametrize("first", [b"{", b"\xff", b"[]", b'{"token":1}', b'{"subs":{"":{}}}'])
def test_a_unidirectional_one_does_too(site: Site, first: bytes) -> None:
    answer = httpx.post(f"{site.url}/uni_sse", content=first, timeout=WITHIN_S)
    end = json.loads(answer.text.strip().removeprefix("data: "))["disconnect"]
    assert end["code"] == (3507 if b"subs" in first else 3501)


def test_the_lines_of_the_page_listen(site: Site) -> None:
    page = (ROOT / "docs/centrifuge-streams.md").read_text()
    (line,) = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    environment = {**os.environ, "SERVER": site.serve.url}
    done = subprocess.Popen(["sh", "-c", f"exec {line}"], env=environment, stdout=subprocess.PIPE)
    try:
        assert done.stdout is not None
        assert "news" in json.loads(done.stdout.readline())["connect"]["subs"]
        assert "join" in json.loads(done.stdout.readline())
        site.do("publish", channel="news", data="hello")
        assert json.loads(done.stdout.readline())["pub"]["data"] == "hello"
    finally:
        done.kill()
        done.communicate()
    paths = set(re.findall(r"^\| `(/\S+)`", page, re.MULTILINE))
    names = {f"/connection/{each.name}" for each in STREAMS}
    assert paths == names | {"/emulation", "/connection/uni_websocket"}
