"""The JavaScript client in a real Chromium, under a strict policy."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Page

from glyph_fast.client import connect
from tests.auth.signing import SECRET, signed
from tests.clients.cutting import Cutter
from tests.clients.drive import app
from tests.serving import ROOT, ServeProcess, serving

pytestmark = [pytest.mark.application, pytest.mark.browser]

WITHIN_S = 60.0  # less than any test may take, so that one fails with a word

BEGIN = """() => {
  window.log = [];
  window.server = glyphFast.connect("/ws");
  server.on("state", (state, why) => log.push(`${state} ${why.code}`));
  window.room = server.join("chat:1", { history: 10 });
  window.heard = [];
  room.on("message", (data) => heard.push(data));
  for (const event of ["joined", "resumed", "reset"]) room.on(event, () => log.push(event));
}"""


def holds(page: Page, claim: str) -> None:
    """Wait until an expression is true. The page's policy forbids it to look by itself."""
    end = time.monotonic() + WITHIN_S
    while not page.evaluate(claim):
        if time.monotonic() > end:
            shown = page.evaluate("[window.server?.state, window.server?.why, window.log]")
            pytest.fail(f"never: {claim}; {shown}")
        page.wait_for_timeout(10)


@pytest.fixture
def server() -> Iterator[ServeProcess]:
    with app("--serve-client") as server:
        yield server
        print(server.log())


def begin(page: Page) -> Page:
    page.evaluate(BEGIN)
    holds(page, "room.isJoined && server.state == 'open'")
    return page


def publish(page: Page, value: object) -> Any:
    return page.evaluate("(value) => room.publish(value)", value)


def test_two_tabs_talk_and_one_that_is_closed_is_gone(open_page: Any, server: ServeProcess) -> None:
    one, two = begin(open_page(server.url)), begin(open_page(server.url))
    assert publish(one, "hello")["offset"] == 1
    holds(two, "heard.length == 1")
    assert publish(two, {"text": "hi"})["offset"] == 2
    holds(one, "heard.length == 1")
    assert one.evaluate("heard") == [{"text": "hi"}]
    two.close()
    assert publish(one, "alone")["offset"] == 3
    assert one.evaluate("log") == ["open 0", "joined"]
    one.evaluate("server.close()")
    assert one.evaluate("log.at(-1)") == "closed 1000"


def test_the_module_is_the_same_library(open_page: Any, server: ServeProcess) -> None:
    page = open_page(server.url)
    names = page.evaluate("import('/glyph-fast.mjs').then((module) => Object.keys(module))")
    assert sorted(names) == ["GlyphError", "connect"]


def test_a_killed_server_loses_no_publish(open_page: Any, server: ServeProcess) -> None:
    one, two = begin(open_page(server.url)), begin(open_page(server.url))
    server.kill()
    holds(one, "server.state == 'waiting'")
    one.evaluate("() => { window.later = room.publish('while it was away') }")
    with app("--serve-client", port=server.port):
        holds(two, "log.includes('reset')")
        assert one.evaluate("later")["offset"] == 1
        holds(two, "heard.length == 1")
        for page in (one, two):
            page.context.close()


def test_a_page_that_is_offline_waits_and_resumes(open_page: Any, server: ServeProcess) -> None:
    with Cutter(server.port, seed=1) as cutter:
        cutter.calm()
        one = begin(open_page(server.url))
        away = begin(open_page(f"http://127.0.0.1:{cutter.port}/"))
        away.context.set_offline(True)
        cutter.refuse()  # Chromium leaves open WebSockets as they are
        holds(away, "server.state == 'offline'")
        for number in range(5):
            publish(one, number)
        cutter.admit()
        assert away.evaluate("server.state") == "offline"
        away.context.set_offline(False)
        holds(away, "heard.length == 5")
        assert away.evaluate("heard") == [0, 1, 2, 3, 4]
        assert away.evaluate("log.slice(-3)") == ["open 1006", "resumed", "joined"]
        away.context.close()


def test_a_frozen_tab_catches_up(open_page: Any, server: ServeProcess) -> None:
    one, asleep = begin(open_page(server.url)), begin(open_page(server.url))
    session = asleep.context.new_cdp_session(asleep)
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    for number in range(20):
        publish(one, number)
    session.send("Page.setWebLifecycleState", {"state": "active"})
    holds(asleep, "heard.length == 20")
    assert asleep.evaluate("heard") == list(range(20))


def test_ten_thousand_messages_arrive_once_and_in_order(
    open_page: Any, server: ServeProcess
) -> None:
    one, two = begin(open_page(server.url)), begin(open_page(server.url))
    one.evaluate(
        """() => {
          const numbers = Array.from({ length: 10000 }, (_, n) => n);
          window.all = Promise.all(numbers.map((n) => room.publish(n)));
        }"""
    )
    holds(two, "heard.length == 10000")
    assert two.evaluate("heard.every((value, n) => value === n)")
    assert one.evaluate("all.then((places) => places.every(({ offset }, n) => offset == n + 1))")


@pytest.mark.one_process  # in which `/wait` hears of `go on`
def test_a_gap_is_filled_in_pieces(open_page: Any) -> None:
    """The page hears nothing for a while, so its queue overflows: 24 MB of the past are asked for.

    More than the sockets' buffers hold, and more than one answer does.
    """
    options = ("--queue-messages", "8", "--queue-policy", "drop_newest")
    with app("--serve-client", *options) as server:
        page = begin(open_page(server.url))
        page.evaluate(
            """() => {
              window.lengths = 0;
              room.on("message", (data) => (lengths += data.text.length));
              window.asked = [];
              const send = WebSocket.prototype.send;
              WebSocket.prototype.send = function (data) {
                if (data.includes('"type":"history"')) asked.push(JSON.parse(data));
                send.call(this, data);
              };
              setTimeout(() => {
                const request = new XMLHttpRequest();
                request.open("GET", "/wait", false); // until it is answered, nothing happens
                request.send();
              });
            }"""
        )

        # What the queue has dropped is noticed by what comes behind it, once there is room again.
        published = 0

        async def publish(count: int, *, and_go_on: bool = False) -> None:
            nonlocal published
            async with connect(server.ws("/ws")) as client:
                other = client.join("chat:1")
                for number in range(published, published + count):
                    await other.publish({"number": number, "text": "x" * 16_384})
                if and_go_on:
                    await client.call("go on")
            published += count

        # Playwright's loop runs in this thread.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, publish(1_500, and_go_on=True)).result(WITHIN_S)
            for _ in range(100):
                if page.evaluate("asked.length"):
                    break
                thread.submit(asyncio.run, publish(1)).result(WITHIN_S)
        holds(page, f"heard.length == {published}")
        assert page.evaluate("heard.every(({ number }, n) => number === n)")
        assert page.evaluate("lengths") == published * 16_384
        assert page.evaluate("asked.length") > 1
        assert page.evaluate("asked.every(({ since }) => since.offset > 0)")
        assert page.evaluate("log") == ["open 0", "joined"]
        page.context.close()


def test_a_token_is_replaced_before_it_ends(open_page: Any) -> None:
    with app("--serve-client", "--jwt-secret", SECRET) as server:
        page = open_page(server.url)

        def token() -> str:
            now = int(time.time())
            return signed(sub="ada", iat=now, exp=now + 4)

        page.expose_function("token", token)
        page.evaluate(
            """() => {
              window.asked = 0;
              window.log = [];
              window.server = glyphFast.connect("/ws", { token: () => (asked += 1, token()) });
              server.on("state", (state) => log.push(state));
            }"""
        )
        holds(page, "asked == 3")
        assert page.evaluate("server.call('double', 4)") == 8
        assert page.evaluate("log") == ["open"]
        page.context.close()


def test_a_page_sees_why_it_is_refused(open_page: Any) -> None:
    with app("--serve-client", "--jwt-secret", SECRET) as server:
        page = open_page(server.url)
        page.evaluate(
            "() => { window.server = glyphFast.connect('/ws', { token: () => 'a.b.c' }) }"
        )
        holds(page, "server.state == 'closed'")
        why = page.evaluate("server.why")
        assert (why["code"], why["reason"]) == (4401, "the token is malformed")
        page.context.close()


def test_the_ten_lines_of_the_documentation_talk(open_page: Any, tmp_path: Any) -> None:
    text = (ROOT / "docs" / "clients.md").read_text()
    (program,) = re.findall(r"```python\n(# app\.py\n.*?)```", text, re.DOTALL)
    (html,) = re.findall(r"```html\n(.*?)```", text, re.DOTALL)
    (tmp_path / "app.py").write_text(program)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text(html)
    (tmp_path / "page" / "favicon.ico").touch()
    with serving("app:server", "--serve-client", cwd=tmp_path) as server:
        one, two = open_page(server.url), open_page(server.url)
        one.get_by_role("textbox").fill("hello")
        one.keyboard.press("Enter")
        two.get_by_text("hello").wait_for()
        one.get_by_text("hello").wait_for()
        for page in (one, two):
            page.context.close()


def test_where_websockets_are_blocked_it_reads_events(open_page: Any, server: ServeProcess) -> None:
    with Cutter(server.port, seed=1, blocks_websockets=True) as cutter:
        cutter.calm()
        free = begin(open_page(server.url))
        blocked = begin(open_page(f"http://127.0.0.1:{cutter.port}/"))
        assert publish(free, "hello")["offset"] == 1
        holds(blocked, "heard.length == 1")
        assert publish(blocked, {"text": "hi"})["offset"] == 2
        holds(free, "heard.length == 1")
        assert blocked.evaluate("server.call('double', 21)") == 42
        cutter.refuse()
        holds(blocked, "server.state == 'waiting'")
        for number in range(3):
            publish(free, number)
        blocked.evaluate("() => { window.later = room.publish('from afar') }")
        cutter.admit()
        holds(blocked, "heard.length == 4")
        assert blocked.evaluate("heard") == ["hello", 0, 1, 2]
        assert blocked.evaluate("later.then(({ offset }) => offset)") == 6
        assert "resumed" in blocked.evaluate("log")
        blocked.evaluate("server.close()")
        holds(free, "heard.length == 2")
        blocked.context.close()


def test_event_source_gets_all_it_missed_once(open_page: Any, server: ServeProcess) -> None:
    with Cutter(server.port, seed=1) as cutter:
        cutter.calm()
        free = begin(open_page(server.url))
        page = open_page(f"http://127.0.0.1:{cutter.port}/")
        page.evaluate(
            """() => {
              window.ids = [];
              window.heard = [];
              window.events = new EventSource("/events?room=chat:1&room=plain:1");
              events.addEventListener("open", ({ data }) => data && ids.push(JSON.parse(data).id));
              events.onmessage = ({ data }) => heard.push(JSON.parse(data).data);
            }"""
        )
        holds(page, "ids.length == 1")
        publish(free, 0)
        holds(page, "heard.length == 1")
        for missed in (range(1, 4), range(4, 7)):
            cutter.refuse()
            holds(page, "events.readyState == EventSource.CONNECTING")
            for number in missed:
                publish(free, number)
            cutter.admit()
            holds(page, f"heard.length == {missed.stop}")
        assert page.evaluate("heard") == list(range(7))
        assert len(set(page.evaluate("ids"))) == 3
        page.context.close()
