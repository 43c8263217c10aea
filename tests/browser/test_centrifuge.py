"""A page with Centrifugo's own JavaScript library and a page with ours talk in one room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.serving import ROOT, ServeProcess, serving

pytestmark = pytest.mark.browser

LIBRARY = ROOT / "tests/browser/node_modules/centrifuge/dist"
PROGRAM = """
from glyph_fast import Response, Server
server = Server()
server.centrifuge()
server.room("chat:*", client_join=True, history_size=100, presence=True)
server.static("/js", {library!r})

@server.get("/")
def page(request):
    return Response("<!doctype html><title>Room</title>", headers={{"Content-Type": "text/html"}})
"""

THEIRS = """(isProtobuf) => {
  window.heard = [];
  window.recovered = [];
  const options = isProtobuf ? { protocol: "protobuf" } : {};
  window.client = new Centrifuge(`ws://${location.host}/connection/websocket`, options);
  window.decoded = (data) => isProtobuf ? JSON.parse(new TextDecoder().decode(data)) : data;
  window.encoded = (data) => isProtobuf ? new TextEncoder().encode(JSON.stringify(data)) : data;
  window.room = client.newSubscription("chat:lobby");
  room.on("publication", (pub) => heard.push([decoded(pub.data), pub.offset]));
  room.on("subscribed", (ctx) => recovered.push([ctx.wasRecovering, ctx.recovered]));
  room.subscribe();
  client.connect();
  return room.ready(10000);
}"""

OURS = """() => {
  window.heard = [];
  window.resumed = 0;
  window.server = glyphFast.connect("/ws");
  window.room = server.join("chat:lobby");
  room.on("message", (data, meta) => heard.push([data, meta.offset]));
  room.on("resumed", () => resumed += 1);
  return new Promise((resolve) => room.on("joined", () => resolve()));
}"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServeProcess]:
    (tmp_path / "program.py").write_text(PROGRAM.format(library=str(LIBRARY)))
    with serving("program:server", "--serve-client", cwd=tmp_path) as started:
        yield started


def page_of(browser: Browser, server: ServeProcess, script: str) -> Page:
    page = browser.new_context().new_page()
    page.goto(f"{server.url}/")
    page.add_script_tag(url=script)
    return page


def heard(page: Page, count: int) -> Any:
    """What a page has heard, once it is so much."""
    page.wait_for_function(f"heard.length >= {count}", timeout=15_000)
    return page.evaluate("heard")


@pytest.mark.parametrize(
    ("script", "is_protobuf"),
    [("centrifuge.js", False), ("centrifuge.protobuf.js", True)],
    ids=["json", "protobuf"],
)
def test_both_hear_each_other_and_who_was_away_recovers(
    browser: Browser, server: ServeProcess, script: str, is_protobuf: bool
) -> None:
    theirs = page_of(browser, server, f"/js/{script}")
    ours = page_of(browser, server, "/glyph-fast.js")
    theirs.evaluate(THEIRS, is_protobuf)
    ours.evaluate(OURS)
    theirs.evaluate("room.publish(encoded({ text: 'hello' }))")
    ours.evaluate("room.publish({ text: 'hi' })")
    both = [[{"text": "hello"}, 1], [{"text": "hi"}, 2]]
    assert heard(theirs, 2) == both
    assert heard(ours, 1)[0] == both[0]
    theirs.evaluate("client.disconnect()")
    for n in range(3):
        ours.evaluate("(n) => room.publish(n)", n)
    theirs.evaluate("client.connect(); room.ready(10000)")
    assert heard(theirs, 5)[2:] == [[n, n + 3] for n in range(3)]
    assert theirs.evaluate("recovered") == [[False, False], [True, True]]
    ours.context.set_offline(True)
    ours.evaluate("window.dispatchEvent(new Event('offline'))")
    theirs.evaluate("room.publish(encoded('while away'))")
    assert heard(theirs, 6)[5] == ["while away", 6]
    ours.context.set_offline(False)
    ours.wait_for_function("heard.some(([data, offset]) => offset == 6)", timeout=15_000)
    for page in (theirs, ours):
        page.context.close()
