"""Two servers that share a broker, and a page on each: one chat, in all that people see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.broker_servers import RedisServer, redis_for_processes
from tests.browser.chat_page import bubbles, connected, people, say
from tests.serving import ServeProcess, serving

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", autouse=True)  # before Playwright's loop runs
def redis() -> Iterator[RedisServer]:
    with redis_for_processes() as started:
        yield started


def enter(open_page: Callable[..., Page], server: ServeProcess, name: str) -> Page:
    page = open_page(f"{server.url}/#lobby")
    page.get_by_role("textbox", name="Your name").fill(name)
    page.get_by_role("button", name="Start chatting").click()
    connected(page)
    return page


def test_the_bundled_chat_is_one_with_a_page_on_each_of_two_nodes(
    redis: RedisServer, open_page: Any
) -> None:
    with ExitStack() as stack:
        env = {"GLYPH_FAST_BROKER": redis.url}
        one, other = (stack.enter_context(serving(env=env)) for _ in range(2))
        ada, bob = enter(open_page, one, "Ada"), enter(open_page, other, "Bob")
        say(ada, "Good morning, Bob.")
        expect(bubbles(bob)).to_have_text(["Good morning, Bob."])
        say(bob, "Good morning, Ada!")
        for page in (ada, bob):
            expect(bubbles(page)).to_have_text(["Good morning, Bob.", "Good morning, Ada!"])
            expect(people(page)).to_have_count(2)
        expect(ada.locator(".entry.pending")).to_have_count(0)
        other.kill()  # its people are gone, and what they said is not
        expect(people(ada)).to_have_count(1)
        expect(bubbles(ada)).to_have_count(2)
