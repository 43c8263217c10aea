"""The pages have nothing that axe objects to, in either colour scheme, wide and narrow."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from glyph_fast.load import Options, Report
from glyph_fast.load.comparison import Comparison
from glyph_fast.load.histogram import Histogram
from glyph_fast.load.meter import Usage
from glyph_fast.load.page import render_page
from tests.browser.accessibility import violations
from tests.browser.chat_page import Enter, bubbles, connected, open_room, say, screenshot
from tests.serving import ROOT, ServeProcess, serving

pytestmark = [pytest.mark.application, pytest.mark.browser]

LOOKS = pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]
)


def looks(scheme: str, width: int) -> dict[str, Any]:
    return {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}


@LOOKS
def test_the_chat(person: Enter, open_page: Any, chat: ServeProcess, scheme: str, width: int):
    fresh = open_page(chat.url, **looks(scheme, width))
    assert violations(fresh) == []  # the question for a name
    fresh.context.close()
    ada, bob = person("Ada", **looks(scheme, width)), person("Bob")
    assert violations(ada) == []  # nothing said yet
    open_room(bob, "random")
    connected(bob)
    say(bob, "unread")
    open_room(bob, "lobby")
    say(ada, "Hello https://example.com/ there")
    say(bob, "Hi")
    expect(bubbles(ada)).to_have_count(2)
    bob.get_by_role("textbox", name="Message", exact=True).press_sequentially("wa")
    expect(ada.locator("#Typing")).to_have_text("Bob is typing")
    assert violations(ada) == []
    if width < 720:
        ada.get_by_role("button", name="Rooms").click()
        assert violations(ada) == []
    screenshot(ada, f"chat-{width}-{scheme}")


@LOOKS
def test_the_chat_without_its_server(open_page: Any, scheme: str, width: int) -> None:
    with serving() as server:
        page = open_page(server.url, **looks(scheme, width))
        page.get_by_role("textbox", name="Your name").fill("Ada")
        page.get_by_role("button", name="Start chatting").click()
        connected(page)
        os.kill(server.process.pid, signal.SIGSTOP)
        page.locator("#Draft").fill("lost")
        page.keyboard.press("Enter")
        server.kill()
        expect(page.get_by_text("Perhaps not delivered.")).to_be_in_viewport()
        expect(page.locator("#Banner")).to_be_visible()
        assert violations(page) == []
        screenshot(page, f"chat-lost-{width}-{scheme}")


@LOOKS
def test_the_dashboard_of_the_example(open_page: Any, scheme: str, width: int) -> None:
    with serving("dashboard:server", cwd=ROOT / "examples" / "dashboard") as server:
        page = open_page(server.url, **looks(scheme, width))
        expect(page.get_by_role("status")).to_have_text("Live")
        expect(page.locator('[data-figure="connections"] p')).to_have_text("1")
        assert violations(page) == []
        page.context.close()


@LOOKS
def test_the_operators_dashboard(open_page: Any, scheme: str, width: int) -> None:
    with serving("--admin", "127.0.0.1:0", "--admin-token", "let-me-in") as server:
        assert server.process.stdout is not None
        url = server.process.stdout.readline().decode().split()[-1]
        page = open_page(f"{url}/dashboard", **looks(scheme, width))
        assert violations(page) == []
        for role in ("banner", "main", "form"):  # the question for the token has landmarks
            expect(page.get_by_role(role)).to_have_count(1)
        page.get_by_label("Token").fill("let-me-in")
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_role("status")).to_have_text("live")
        chat = open_page(server.url)
        chat.get_by_role("textbox", name="Your name").fill("Ada")
        chat.get_by_role("button", name="Start chatting").click()
        assert violations(page) == []  # folded, where it is narrow
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        expect(page.locator("#rooms tbody tr").first).to_be_visible()
        assert violations(page) == []
        screenshot(page, f"operators-{width}-{scheme}")
        for opened in (page, chat):
            opened.context.close()


@LOOKS
def test_the_report_of_a_run(open_page: Any, tmp_path: Path, scheme: str, width: int) -> None:
    latency = Histogram()
    for each in range(1000, 900_000, 100):
        latency.record(each)
    series = [(n / 10, n % 7 + 100) for n in range(1, 30)]
    busy: list[tuple[float, float, float | None]] = [(at, 0.4, 0.9) for at, _ in series]
    options = Options(url="ws://127.0.0.1:1/ws")
    usage = Usage(10**9, 10**9, 10**9)
    report = Report(options, "message", 99, usage, latency, series=series, busy=busy)
    earlier = Comparison(json.loads(json.dumps(report.to_dict())))
    file = tmp_path / "report.html"
    file.write_text(render_page(report, earlier))
    page = open_page(file.as_uri(), **looks(scheme, width))
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sizes = (
        "[...document.querySelectorAll('svg text')].map((e) => e.getBoundingClientRect().height)"
    )
    assert min(page.evaluate(sizes)) > 9  # of a line, at whatever width
    screenshot(page, f"bench-{width}-{scheme}")
