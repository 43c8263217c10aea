"""The documentation as a site, which `ci/docs` builds in CI."""

from __future__ import annotations

import re

from tests.serving import ROOT


def test_every_page_is_in_the_list_of_the_site() -> None:
    listed = set(re.findall(r"docs/[\w-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    assert listed == {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")}


def test_ci_builds_it() -> None:
    assert "\nci/docs\n" in (ROOT / ".ci/run").read_text()
