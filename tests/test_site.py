"""The documentation as a site, which `ci/docs` builds in CI."""

from __future__ import annotations

import re

from tests.serving import ROOT


def test_the_pages_in_its_lists_are_there() -> None:
    listed = re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text())
    assert len(listed) > 30
    assert [each for each in listed if not (ROOT / each).exists()] == []


def test_ci_builds_it() -> None:
    assert "\nci/docs\n" in (ROOT / ".ci/run").read_text()
