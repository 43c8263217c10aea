"""The pages that promise name tests, and these exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ["security.md", "conformance.md"]


def named(page: str) -> set[tuple[str, str]]:
    """Paths of tests and commands, each with the function named behind it, if any."""
    text = (ROOT / "docs" / page).read_text()
    return set(re.findall(r"`((?:tests|ci)/[\w./]*\w)(?:::(\w+))?", text))


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_exists(page: str) -> None:
    found = named(page)
    assert len(found) > 5
    for path, name in found:
        assert (ROOT / path).exists(), path
        if name:
            assert re.search(rf"^ *def {name}\(", (ROOT / path).read_text(), re.M), (path, name)
