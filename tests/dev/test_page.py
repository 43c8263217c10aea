"""The page of development mode: where it is, and what it knows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from glyph_fast import Config, MessageContext, Server
from glyph_fast.dev.page import described
from glyph_fast.testing import SyncTestClient
from tests.documents.declared import server as declared

pytestmark = pytest.mark.both_cores


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"theirs"})


def mounted(server: Server, folder: Path) -> None:
    server.mount("/", application)


def routed(server: Server, folder: Path) -> None:
    server.get("/")(lambda request: "mine")


def with_files(server: Server, folder: Path) -> None:
    (folder / "index.html").write_text("<p>file</p>")
    server.static("/", folder)


def data_of(html: str) -> Any:
    found = re.search(r'<script type="application/json" id="program">(.*?)</script>', html)
    assert found
    return json.loads(found[1])


def test_it_is_at_the_root_where_nothing_else_is_and_in_development_alone() -> None:
    server = Server()
    server.on_message()(lambda ctx: None)
    with SyncTestClient(server, dev=True) as client:
        answer = client.get("/")
        assert answer.status == 200 and answer.headers["content-type"].startswith("text/html")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert data_of(answer.text)["routes"] == [{"path": "/ws", "parameters": []}]
        assert client.request("HEAD", "/").body == b""
        assert client.post("/").status == 404 and client.get("/other").status == 404
    with SyncTestClient(server) as client:
        assert client.get("/").status == 404


def test_a_websocket_at_the_root_leaves_the_page_to_plain_requests() -> None:
    server = Server(Config(dev=True))
    server.on_message(route="/")(lambda ctx: ctx.reply("text", "hi"))
    with SyncTestClient(server) as client:
        assert client.get("/").status == 200
        with client.connect("/") as ws:
            ws.send("x")
            assert ws.receive_text() == "hi"


@pytest.mark.parametrize("own", [mounted, routed, with_files])
def test_what_the_program_has_at_the_root_stays(own, tmp_path: Path) -> None:
    server = Server(Config(dev=True))
    own(server, tmp_path)
    with SyncTestClient(server) as client:
        assert "development mode" not in client.get("/").text


def test_files_without_an_index_leave_the_root_to_it(tmp_path: Path) -> None:
    server = Server(Config(dev=True))
    server.static("/", tmp_path)
    with SyncTestClient(server) as client:
        assert "development mode" in client.get("/").text


def test_it_knows_routes_parameters_events_and_an_example_of_what_they_take() -> None:
    known = described(declared)
    assert {"path": "/game/:room", "parameters": ["room"]} in known["routes"]
    events = {each["name"]: each for each in known["events"]}
    assert events["move"]["example"] == {"pieceId": "text", "at": [0, 0]}
    assert events["move"]["summary"] == "Move a piece."
    assert events["order placed"]["example"] == {"lines": [{"symbol": "text", "amount": 1}]}
    assert events["hello"]["takes"] is False
    assert {"method": "POST", "path": "/orders"} in known["http"]


def test_no_name_breaks_out_of_its_data() -> None:
    server = Server(Config(dev=True))

    @server.on_event("</script><b>")
    def event(ctx: MessageContext) -> None: ...

    with SyncTestClient(server) as client:
        html = client.get("/").text
    assert data_of(html)["events"][0]["name"] == "</script><b>"
    assert html.count("</script>") == 2
