"""The page of development mode: it talks to the routes of the program it comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import violations
from tests.browser.chat_page import screenshot
from tests.serving import ROOT, ServeProcess, serving

pytestmark = pytest.mark.browser

MORE = """

import msgspec


class Move(msgspec.Struct):
    piece: str
    to: tuple[int, int]


@server.on_event("move", route="/game")
def move(ctx: MessageContext, data: Move) -> dict[str, str]:
    \"\"\"Move a piece.\"\"\"
    if data.piece == "king":
        raise ValueError("the king is in check")
    return {"moved": data.piece}


server.room("lobby", client_join=True, presence=True)
"""


def twenty_lines() -> str:
    """The program that the README begins with."""
    found = re.search(
        r"```python\n(# app\.py\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    assert found
    return found[1]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[ServeProcess]:
    (tmp_path / "app.py").write_text(twenty_lines() + MORE)
    with serving("app:server", "--dev", cwd=tmp_path) as server:
        yield server
        print(server.log())


def frames(page: Page, kind: str) -> Locator:
    """What the page shows of a kind: `in`, `out`, `note`, `error`."""
    return page.locator(f"#frames > .{kind} pre")


def connect(page: Page, route: str, **parameters: str) -> None:
    page.locator("#route").select_option(route)
    for name, value in parameters.items():
        page.locator(f"[data-parameter={name}]").fill(value)
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("connected")


def send(page: Page, text: str) -> None:
    page.locator("#data").fill(text)
    page.get_by_role("button", name="Send").click()


def test_it_talks_to_the_twenty_lines(open_page: Any, app: ServeProcess) -> None:
    one, two = open_page(app.url), open_page(app.url)
    for page in (one, two):
        connect(page, "/chat/:room", room="tea & cake")
        expect(frames(page, "in").first).to_contain_text('{"welcome":')
        expect(page.locator("#kind")).to_have_value("text")
    send(one, "hello")
    expect(frames(one, "out")).to_have_text(["hello"])
    expect(frames(two, "in").last).to_contain_text('"text":"hello"')
    expect(one.get_by_role("link", name="/status")).to_be_visible()


def test_events_come_with_an_example_and_errors_with_their_line(
    open_page: Any, app: ServeProcess
) -> None:
    page = open_page(app.url)
    connect(page, "/game")
    expect(page.locator("#event")).to_have_value("move")
    expect(page.locator("#summary")).to_have_text("Move a piece.")
    assert json.loads(page.locator("#data").input_value()) == {"piece": "text", "to": [0, 0]}
    page.get_by_role("button", name="Send").click()
    expect(frames(page, "in").last).to_contain_text('"data":{"moved":"text"}')
    expect(frames(page, "in").last).to_contain_text('"id":1')
    send(page, '{"piece": "king", "to": [0, 1]}')
    expect(frames(page, "error")).to_contain_text("ValueError: the king is in check")
    expect(frames(page, "error")).to_contain_text("app.py:")
    page.locator("#event").fill("mvoe")
    send(page, "")
    error = 'no handler for \\"event mvoe\\" on /game; there are move'
    expect(frames(page, "error").last).to_contain_text(error)
    send(page, "{")
    expect(page.get_by_role("alert")).to_contain_text("That is no JSON")


def test_rooms_show_who_is_there_and_come_back_with_the_connection(
    open_page: Any, app: ServeProcess
) -> None:
    one, two = open_page(app.url), open_page(app.url)
    for page in (one, two):
        connect(page, "/game")
        page.locator("#room").fill("lobby")
        page.get_by_role("button", name="Join").click()
        expect(page.locator("#rooms li")).to_contain_text(" here: ")
    expect(one.locator("#rooms li")).to_contain_text("2 here: ")
    two.get_by_role("button", name="Leave lobby").click()
    expect(two.locator("#rooms li")).to_have_count(0)
    expect(one.locator("#rooms li")).to_contain_text("1 here: ")
    one.evaluate("socket.close(4000)")  # as the server of a program that was changed would
    expect(frames(one, "note").last).to_contain_text("connected to /game")
    expect(one.locator("#rooms li")).to_contain_text("1 here: ")
    one.locator("#room").fill("secret")
    one.get_by_role("button", name="Join").click()
    expect(frames(one, "error")).to_have_count(1)
    one.get_by_role("button", name="Disconnect").click()
    expect(one.get_by_role("status")).to_have_text("not connected")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]
)
def test_it_can_be_read_by_everybody(
    open_page: Any, app: ServeProcess, scheme: str, width: int
) -> None:
    page = open_page(app.url, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert violations(page) == []
    connect(page, "/game")
    page.locator("#room").fill("lobby")
    page.get_by_role("button", name="Join").click()
    expect(page.locator("#rooms li")).to_contain_text("1 here: ")
    send(page, '{"piece": "king", "to": [0, 1]}')
    expect(frames(page, "error")).to_have_count(1)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    screenshot(page, f"development-{width}-{scheme}")
