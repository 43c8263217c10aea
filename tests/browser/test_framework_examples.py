"""The pages of the examples of other frameworks, served by two workers."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.serving import ROOT, serving

pytestmark = pytest.mark.browser
TWO = ("--workers", "2")


def test_an_order_is_seen_on_every_page(open_page: Any) -> None:
    with serving("main:server", *TWO, cwd=ROOT / "examples/fastapi") as server:
        pages = [open_page(server.url) for _ in range(4)]
        for page in pages:
            expect(page.get_by_role("status")).to_have_text("Live")
            expect(page.locator("#people")).to_have_text("4 watching")
        pages[0].get_by_label("Dish").select_option("curry")
        pages[0].get_by_role("button", name="Order").click()
        for page in pages:
            expect(page.get_by_role("listitem")).to_have_text("1 × curry, garden (Ada)")
        late = open_page(server.url)  # one that comes later sees it too
        expect(late.get_by_role("listitem")).to_have_text("1 × curry, garden (Ada)")
        for page in (*pages, late):
            page.context.close()


def test_a_note_is_seen_on_every_page_of_its_board(open_page: Any) -> None:
    with serving("serve:server", *TWO, cwd=ROOT / "examples/django") as server:
        pages = [open_page(f"{server.url}/boards/kitchen") for _ in range(4)]
        other = open_page(f"{server.url}/boards/hall")
        for page in (*pages, other):
            expect(page.get_by_role("status")).to_have_text("Live")
        pages[0].get_by_label("Note").fill("milk")
        expect(pages[1].get_by_role("status")).to_have_text("Somebody writes…")
        pages[0].get_by_role("button", name="Pin").click()
        for page in pages:
            expect(page.get_by_role("listitem")).to_have_text("milk")
        expect(other.get_by_role("listitem")).to_have_count(0)
        for page in (*pages, other):
            page.context.close()
