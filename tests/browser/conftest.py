"""A headless Chromium, the system's own, and people who sit before it.

`chat` is a running server, `person("Ada")` a page of its own browser profile that has entered the
chat. Whatever a page writes to its console as an error fails the test, except what is expected
while a server is away. A test that starts a server itself closes the contexts of its pages before:
a stopping server waits for its connections.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.chat_page import ARTIFACTS, Enter, connected
from tests.serving import ServeProcess, serving

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    "--headless",
    "--no-sandbox",  # a container's root user has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WITHIN_MS = 15_000

# What Chromium itself reports when a server is gone; the page cannot prevent it.
_SERVER_AWAY = re.compile(r"WebSocket connection to .* failed|net::ERR_")

expect.set_options(timeout=WITHIN_MS)


@pytest.fixture(scope="module")  # not longer: Playwright runs an event loop of its own meanwhile
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(
            f"no browser at {CHROMIUM}: run ci/browser, or `apt-get install chromium`, or name "
            "another in the environment variable CHROMIUM",
            pytrace=False,
        )
    ARTIFACTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def chat() -> Iterator[ServeProcess]:
    """The bundled chat on a port of its own."""
    with serving() as server:
        yield server
        print(server.log())  # shown with a failure


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the pages of a test complained about: there must be nothing."""
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture
def open_page(browser: Browser, complaints: list[str]) -> Iterator[Any]:
    """Opens a URL in a fresh profile: `open_page(url, color_scheme="dark")`."""
    contexts = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _SERVER_AWAY.search(message.text):
            complaints.append(f"{message.type}: {message.text}")

    def open_page(url: str, *, storage: dict[str, object] | None = None, **options: Any) -> Page:
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **options}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WITHIN_MS)
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        for key, value in (storage or {}).items():
            name, text = json.dumps(key), json.dumps(json.dumps(value))
            page.add_init_script(f"localStorage[{name}] ??= {text}")
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def person(chat: ServeProcess, open_page: Any) -> Enter:
    """Somebody with a page of the chat, connected; `rooms` replaces the default ones."""

    def person(
        name: str, *, room: str = "", rooms: list[str] | None = None, **options: Any
    ) -> Page:
        storage = {"glyph-fast.rooms": rooms} if rooms else None
        page: Page = open_page(f"{chat.url}/#{room}", storage=storage, **options)
        page.get_by_role("textbox", name="Your name").fill(name)
        page.get_by_role("button", name="Start chatting").click()
        connected(page)
        return page

    return person
