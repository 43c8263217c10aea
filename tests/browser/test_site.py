"""The documentation as a site, built by `ci/docs`: a reader finds a page by a word."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.serving import ROOT

pytestmark = pytest.mark.browser


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """The test's output is not for access lines."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    done = subprocess.run(
        [sys.executable, ROOT / "ci/docs"],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.rsplit(": ", 1)[1].strip())
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_word_leads_to_its_page(open_page: Any, site: str) -> None:
    page = open_page(f"{site}/index.html")
    page.get_by_role("textbox", name="Search").first.click()
    page.keyboard.type("history_size")
    results = page.locator(".md-search-result__item h1")
    expect(results.filter(has_text="Rooms that remember")).to_have_count(1)
    results.filter(has_text="Rooms that remember").click()
    expect(page.get_by_role("heading", name="Rooms that remember")).to_be_visible()
    page.context.close()


def test_nothing_is_fetched_from_elsewhere(open_page: Any, site: str) -> None:
    page = open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site}/docs/tutorial.html", wait_until="networkidle")
    assert asked and [url for url in asked if not url.startswith(site)] == []
    page.context.close()
