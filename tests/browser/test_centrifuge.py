"""A page with Centrifugo's own JavaScript library and a page with ours talk in one room.

The scripts of docs/centrifuge-streams.md are run as they stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.serving import ROOT, ServeProcess, serving

pytestmark = [pytest.mark.application, pytest.mark.browser]

LIBRARY = ROOT / "tests/browser/node_modules/centrifuge/dist"
PROGRAM = """
from glyph_fast import Response, Server
server = Server()
server.centrifuge()
for rooms in ("chat:*", "news"):
    server.room(rooms, client_join=True, history_size=100, presence=True)
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


STREAMS = (ROOT / "docs/centrifuge-streams.md").read_text()
WITH_LIBRARY, WITHOUT_LIBRARY = re.findall(r"^```js\n(.*?)^```", STREAMS, re.MULTILINE | re.DOTALL)
LISTENS = """
  window.heard = [];
  const room = client.newSubscription("chat:lobby");
  room.on("publication", ({ data, offset }) => heard.push([data, offset]));
  room.subscribe();
  client.connect();
  window.room = room;
  return room.ready(15000);
"""


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


@pytest.mark.parametrize("closed", [["websocket"], ["websocket", "http_stream"]])
def test_a_library_without_websockets_takes_the_next_way_of_the_page(
    browser: Browser, server: ServeProcess, closed: list[str]
) -> None:
    page = page_of(browser, server, "/js/centrifuge.js")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.split("?")[0].rsplit("/", 1)[-1]))
    script = re.sub(r"(wss|https)://example\.com", server.url, WITH_LIBRARY)
    for each in closed:
        page.route(f"**/connection/{each}*", lambda route: route.abort())
        script = script.replace(f"/connection/{each}", f"/nowhere/connection/{each}")
    page.evaluate(f"() => {{ {script} {LISTENS} }}")
    page.evaluate("room.publish('hello')")
    assert heard(page, 1) == [["hello", 1]]
    page.evaluate("room.publish('again')")
    assert heard(page, 2)[1] == ["again", 2]
    way = "http_stream" if len(closed) == 1 else "sse"
    assert asked.count(way) == 1
    assert "emulation" in asked
    page.context.close()


def test_a_page_with_no_library_listens_as_the_page_says(
    browser: Browser, server: ServeProcess
) -> None:
    theirs = page_of(browser, server, "/js/centrifuge.js")
    theirs.evaluate(THEIRS.replace("chat:lobby", "news"), False)
    page = page_of(browser, server, "/glyph-fast.js")
    page.evaluate("() => { window.heard = []; console.log = (push) => heard.push(push); }")
    page.evaluate(f"() => {{ {WITHOUT_LIBRARY} }}")
    assert "client" in heard(page, 1)[0]["connect"]
    theirs.evaluate("room.publish('hello')")
    page.wait_for_function("heard.some((push) => push.pub)", timeout=15_000)
    push = page.evaluate("heard.find((push) => push.pub)")
    assert (push["channel"], push["pub"]["data"]) == ("news", "hello")
    for each in (theirs, page):
        each.context.close()
