"""The small programs of `examples/` and the same by hand: in front of people they are one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.clients.cutting import Cutter
from tests.serving import ROOT, ServeProcess, serving

WAYS: dict[str, tuple[str, ...]] = {
    "": (),
    "workers": ("--workers", "2"),
    "by_hand": ("--workers", "1"),  # what they remember is in variables
}

pytestmark = [
    pytest.mark.application,
    pytest.mark.browser,
    pytest.mark.parametrize("version", WAYS),
]


@contextmanager
def example(name: str, version: str) -> Iterator[ServeProcess]:
    folder = ROOT / "examples" / name / ("by_hand" if version == "by_hand" else "")
    secret = {"CHAT_SECRET": "s" * 32}  # which several workers must share
    with serving(f"{name}:server", *WAYS[version], cwd=folder, env=secret) as server:
        yield server


@contextmanager
def cutting(server: ServeProcess) -> Iterator[Cutter]:
    with Cutter(server.port, seed=1) as cutter:
        cutter.calm()
        yield cutter


def is_live(page: Page) -> None:
    expect(page.locator("p[role=status]")).to_have_text("open")


def close(*pages: Page) -> None:
    for page in pages:
        page.context.close()


def test_a_ticker_misses_no_tick_and_answers(open_page: Any, version: str) -> None:
    def numbers(page: Page) -> list[int]:
        lines = page.get_by_role("listitem").all_text_contents()
        return [int(line.split()[0]) for line in reversed(lines)]

    def has(page: Page, number: int) -> None:
        tick = re.compile(rf"^{number} ")
        expect(page.get_by_role("listitem").filter(has_text=tick)).to_have_count(1)

    with example("ticker", version) as server, cutting(server) as cutter:
        one, away = open_page(server.url), open_page(f"http://127.0.0.1:{cutter.port}/")
        for page in (one, away):
            is_live(page)
            expect(page.locator("#watchers")).to_have_text("2 watching")
        cutter.refuse()
        expect(away.locator("p[role=status]")).not_to_have_text("open")
        expect(one.locator("#watchers")).to_have_text("1 watching")
        missed = numbers(one)[-1] + 1
        has(one, missed + 2)
        cutter.admit()
        is_live(away)
        has(away, missed + 2)
        seen = numbers(away)
        assert seen == list(range(seen[0], seen[0] + len(seen)))
        assert missed in seen

        one.get_by_role("button", name="Average").click()
        expect(one.locator("output")).to_contain_text(".")
        assert 2.0 < float(one.locator("output").text_content()) < 5.0
        one.get_by_label("Symbol").fill("GOLD")
        one.get_by_role("button", name="Average").click()
        expect(one.locator("output")).to_contain_text("data.symbol: invalid enum value")
        one.get_by_label("Symbol").fill("TEA")
        one.get_by_label("Prices").fill("1000")
        one.get_by_role("button", name="Average").click()
        expect(one.locator("output")).to_contain_text("data.last: expected")
        close(one, away)


def draw(page: Page, *points: tuple[float, float]) -> None:
    box = page.locator("svg").bounding_box()
    assert box is not None
    for number, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if number == 0:
            page.mouse.down()
    page.mouse.up()


def test_a_whiteboard_is_one_for_all(open_page: Any, version: str) -> None:
    def strokes(page: Page, count: int) -> None:
        expect(page.locator("polyline")).to_have_count(count)

    with example("whiteboard", version) as server, cutting(server) as cutter:
        ada, bob = open_page(server.url), open_page(f"http://127.0.0.1:{cutter.port}/")
        for page in (ada, bob):
            is_live(page)
            expect(page.locator("#people")).to_have_text("2 drawing")
        draw(ada, (0.2, 0.2), (0.5, 0.6))
        for page in (ada, bob):
            strokes(page, 1)
        cutter.refuse()
        expect(bob.locator("p[role=status]")).not_to_have_text("open")
        ada.get_by_label("Colour").select_option("crimson")
        draw(ada, (0.6, 0.2), (0.7, 0.7))
        strokes(ada, 2)
        cutter.admit()
        strokes(bob, 2)  # once each
        assert "crimson" in (bob.locator("polyline").last.get_attribute("style") or "")
        late = open_page(server.url)
        strokes(late, 2)
        assert late.locator("polyline").first.get_attribute("points") == ada.locator(
            "polyline"
        ).first.get_attribute("points")
        ada.evaluate("document.forms[0].color.add(new Option('gold', 'gold', true, true))")
        draw(ada, (0.1, 0.1), (0.2, 0.2))
        expect(ada.locator("output")).to_contain_text("data.color: invalid enum value")
        late.get_by_role("button", name="Clear").click()
        for page in (ada, bob, late):
            strokes(page, 0)
        close(ada, bob, late)


def enter(page: Page, name: str) -> Page:
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Sign in").click()
    is_live(page)
    return page


def say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.keyboard.press("Enter")


def test_a_chat_says_everything_once_and_in_order(open_page: Any, version: str) -> None:
    def shows(page: Page, *lines: str) -> None:
        expect(page.get_by_role("listitem")).to_have_text(list(lines))

    with example("chat", version) as server, cutting(server) as cutter:
        ada = enter(open_page(f"{server.url}/#tea"), "Ada")
        bob = enter(open_page(f"http://127.0.0.1:{cutter.port}/#tea"), "Bob")
        for page in (ada, bob):
            expect(page.locator("#people")).to_have_text("Ada, Bob")
        bob.get_by_label("Message").press_sequentially("h")
        expect(ada.locator("#people")).to_have_text("Ada, Bob (typing)")
        say(bob, "hello")
        shows(ada, "Bob: hello")
        expect(ada.locator("#people")).to_have_text("Ada, Bob")
        cutter.refuse()
        expect(bob.locator("p[role=status]")).not_to_have_text("open")
        expect(ada.locator("#people")).to_have_text("Ada")
        say(ada, "<b>are you there?</b>")
        say(bob, "from the tunnel")
        shows(bob, "Bob: hello", "Bob: from the tunnel")
        cutter.admit()
        shows(ada, "Bob: hello", "Ada: <b>are you there?</b>", "Bob: from the tunnel")
        shows(bob, "Bob: hello", "Bob: from the tunnel", "Ada: <b>are you there?</b>")
        late = enter(open_page(f"{server.url}/#tea"), "Cyd")
        shows(late, "Bob: hello", "Ada: <b>are you there?</b>", "Bob: from the tunnel")
        other = enter(open_page(f"{server.url}/#milk"), "Dan")
        shows(other)
        close(ada, bob, late, other)


def test_a_chat_lets_nobody_in_without_a_token(
    open_page: Any, complaints: list[str], version: str
) -> None:
    with example("chat", version) as server:
        page = open_page(server.url)
        page.evaluate("find('#login').user.required = false")
        page.get_by_label("Your name").fill("x" * 33)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("output")).to_contain_text("body.name: expected")
        assert "422" in complaints.pop()  # Chromium's own remark
        path = "/chat/tea" if version == "by_hand" else "/ws"
        code = page.evaluate(
            """(path) => new Promise((resolve) => {
              const socket = new WebSocket("ws://" + location.host + path, "glyph-fast");
              socket.onclose = ({ code }) => resolve(code);
            })""",
            path,
        )
        assert code == 4401
        close(page)
