"""The page of options: it is as the declarations are."""

from __future__ import annotations

from pathlib import Path

from glyph_fast.options.page import markdown, options_page
from tests.options.declaring import option


def test_markdown_groups_options_and_escapes_bars():
    page = markdown(
        [
            option(group="One", metavar="a|b", help="of sizes"),
            option(group="Two", name="later"),
            option(group="One", name="words", flag="--word", repeat=True, default=()),
        ],
        not_yet={"later"},
    )
    assert page == (
        "## One\n\n| option | default | meaning |\n|---|---|---|\n"
        "| `--some-size a\\|b` | `1KiB` | of sizes |\n"
        "| `--word` (repeat) | – |  |\n"
    )


def test_documentation_of_options_is_up_to_date():
    page = Path(__file__).parents[2] / "docs" / "options.md"
    assert page.read_text(encoding="utf-8") == options_page(), (
        "run: python -m glyph_fast.options.page > docs/options.md"
    )
