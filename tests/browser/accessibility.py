"""axe-core in a page: what keeps people with other ways of reading and pointing out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

AXE = Path(__file__).with_name("node_modules") / "axe-core" / "axe.min.js"

_RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.flatMap(
  ({id, help, nodes}) => nodes.map(({target}) => `${id} (${help}): ${target.join(" ")}`))"""


def violations(page: Page) -> list[str]:
    """What axe has against the page as it stands: rule, help and selector of each place."""
    if not AXE.exists():
        pytest.fail(f"there is no {AXE}: run ci/browser", pytrace=False)
    page.evaluate(AXE.read_text(encoding="utf-8"))  # past the page's policy, as the console is
    found: list[str] = page.evaluate(_RUN)
    return found
