"""What the tests do on a page of the chat, and where they look."""

from __future__ import annotations

from typing import Any, Protocol

from playwright.sync_api import Locator, Page, expect

from tests.serving import ROOT

ARTIFACTS = ROOT / "artifacts"


class Enter(Protocol):
    """Opens the chat for somebody; options go to the browser context."""

    def __call__(
        self, name: str, *, room: str = "", rooms: list[str] | None = None, **options: Any
    ) -> Page: ...


def connected(page: Page) -> None:
    """Wait until the room in view is connected."""
    expect(page.locator("#RoomState")).to_have_attribute("data-state", "open")


def say(page: Page, text: str) -> None:
    """Send a message to the room in view."""
    page.get_by_role("textbox", name="Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def bubbles(page: Page) -> Locator:
    """The messages of the room in view."""
    return page.locator(".scroller:not([hidden]) .bubble")


def people(page: Page) -> Locator:
    """The names in the list of people of the room in view."""
    return page.locator("#PeopleList .person span:nth-child(2)")


def screenshot(page: Page, name: str) -> None:
    """Keep a picture as an artefact of the run."""
    page.screenshot(path=ARTIFACTS / f"{name}.png", animations="disabled")


def open_room(page: Page, room: str) -> None:
    """Choose a room from the list, or join it when it is not there."""
    link = page.locator(f'.room[data-room="{room}"] a')
    if link.count():
        link.click()
    else:
        page.get_by_role("textbox", name="Join another room").fill(room)
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(room)


def leave_room(page: Page, room: str) -> None:
    """Leave a room by its button in the list."""
    page.locator(f'.room[data-room="{room}"]').hover()
    page.get_by_role("button", name=f"Leave {room}").click()


def unread(page: Page, room: str) -> Locator:
    """The badge of a room in the list."""
    return page.locator(f'.room[data-room="{room}"] .badge')


def notices(page: Page) -> Locator:
    """Who came and went, in the room in view."""
    return page.locator(".scroller:not([hidden]) .notice")
