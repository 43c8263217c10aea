"""The dashboard of the operators' port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from browser.chat_page import screenshot
from playwright.sync_api import Page, expect
from serving import ServeProcess, serving

pytestmark = pytest.mark.browser
TOKEN = "let-me-in"


class Operated(NamedTuple):
    server: ServeProcess
    url: str


@pytest.fixture
def operated() -> Iterator[Operated]:
    with serving("--admin", "127.0.0.1:0", "--admin-token", TOKEN) as server:
        assert server.process.stdout is not None
        yield Operated(server, server.process.stdout.readline().decode().split()[-1])
        print(server.log())


def unlock(page: Page) -> None:
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("status")).to_have_text("live")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 390)], ids=["desk", "phone"]
)
def test_it_shows_who_is_connected(operated, open_page: Any, scheme: str, width: int) -> None:
    page = open_page(
        f"{operated.url}/dashboard",
        color_scheme=scheme,
        viewport={"width": width, "height": 844},
    )
    unlock(page)
    expect(page.locator("#connections")).to_have_text("0")
    expect(page.get_by_text("There is no room.")).to_be_visible()
    chat = open_page(operated.server.url)
    chat.get_by_role("textbox", name="Your name").fill("Ada")
    chat.get_by_role("button", name="Start chatting").click()
    expect(page.locator("#connections")).not_to_have_text("0")
    expect(page.locator("#rooms tbody tr").first).to_be_visible()
    expect(page.locator("#chart-messages canvas")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    screenshot(page, f"operators-{scheme}")
    chat.context.close()
    expect(page.locator("#connections")).to_have_text("0")
    expect(page.get_by_text("closed with 1001")).to_be_visible()


def test_a_wrong_token_is_said_and_may_be_mended(operated, open_page: Any) -> None:
    page = open_page(f"{operated.url}/dashboard")
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    unlock(page)


def test_a_room_is_closed_by_its_button(operated, open_page: Any) -> None:
    chat = open_page(operated.server.url)
    chat.get_by_role("textbox", name="Your name").fill("Ada")
    chat.get_by_role("button", name="Start chatting").click()
    page = open_page(f"{operated.url}/dashboard")
    unlock(page)
    asked: list[str] = []

    def accept(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.on("dialog", accept)
    page.locator("#rooms").get_by_role("button", name="Close").first.click()
    expect(page.get_by_text("closed with 1000")).to_be_visible()
    assert asked[0].startswith("Close the connections of all in room")
    assert asked[1] == "closed: 1"
    assert "call=close-room" in operated.server.log()


def test_without_a_token_figures_are_shown_and_no_actions(open_page: Any) -> None:
    with serving("--admin", "127.0.0.1:0") as server:
        assert server.process.stdout is not None
        url = server.process.stdout.readline().decode().split()[-1]
        page = open_page(f"{url}/dashboard")
        expect(page.get_by_role("status")).to_have_text("live")
        expect(page.get_by_role("button", name="Send")).to_be_hidden()
        page.context.close()
