"""The page of the dashboard example."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.chat_page import screenshot
from tests.serving import ROOT, serving

pytestmark = [pytest.mark.application, pytest.mark.browser]


@pytest.mark.one_process  # which counts the messages of every page
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dashboard_shows_live_figures(open_page: Any, scheme: str) -> None:
    with serving("dashboard:server", cwd=ROOT / "examples" / "dashboard") as server:
        page = open_page(server.url, color_scheme=scheme)
        expect(page.get_by_role("status")).to_have_text("Live")
        connections = page.locator('[data-figure="connections"] p')
        expect(connections).to_have_text("1")
        page.get_by_role("button", name="Send 500 messages").click()
        messages = page.locator('[data-figure="messages_per_s"]')
        expect(messages.locator("footer")).to_contain_text("at most")
        expect(messages.locator("footer")).not_to_contain_text("at most 0 ")
        expect(page.locator('[data-figure="loop_delay_ms"] p')).not_to_have_text("–ms")
        second = open_page(server.url, color_scheme=scheme)
        expect(connections).to_have_text("2")
        expect(second.locator('[data-figure="connections"] p')).to_have_text("2")
        screenshot(page, f"dashboard-{scheme}")
        for opened in (page, second):
            opened.context.close()


def test_pages_of_two_workers_show_one_dashboard(open_page: Any) -> None:
    folder = ROOT / "examples" / "dashboard"
    with serving("dashboard:server", "--workers", "2", cwd=folder) as server:
        pages = [open_page(server.url) for _ in range(4)]
        for page in pages:
            expect(page.get_by_role("status")).to_have_text("Live")
            expect(page.locator('[data-figure="connections"] p')).to_have_text("4")
        for page in pages:
            page.context.close()


def test_the_dashboard_comes_back_with_its_server(open_page: Any) -> None:
    folder = ROOT / "examples" / "dashboard"
    with serving("dashboard:server", cwd=folder) as server:
        page = open_page(server.url)
        expect(page.get_by_role("status")).to_have_text("Live")
        server.kill()
        expect(page.get_by_role("status")).to_have_text("Reconnecting…")
        with serving("dashboard:server", cwd=folder, port=server.port):
            expect(page.get_by_role("status")).to_have_text("Live")
            expect(page.locator('[data-figure="connections"] p')).to_have_text("1")
            page.context.close()
