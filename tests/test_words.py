"""What `ci/words` counts, and that the pages for readers are written as it asks."""

from __future__ import annotations

import inspect
import runpy

import pytest

import glyph_fast.client
import glyph_fast.publisher
import glyph_fast.testing
from tests.serving import ROOT

WORDS = runpy.run_path(str(ROOT / "ci/words"))

PAGE = """# Of a heading

What begins so counts. Whatever begins so does not. You write `what` and you read
[Who is there](who.md).

- Of an item, too.

| What | in a table |
|---|---|

    What is code

```python
# What is code too
```
"""


def test_prose_is_counted_and_nothing_else() -> None:
    figures = WORDS["count"](PAGE)
    assert figures.backward == ["What begins so counts.", "Of an item, too."]
    assert (figures.sentences, figures.you) == (4, 2)


@pytest.mark.parametrize("name", WORDS["pages"]())
def test_a_page_addresses_its_reader_and_begins_with_its_subject(name: str) -> None:
    figures = WORDS["count"]((ROOT / name).read_text(encoding="utf-8"))
    assert WORDS["faults"](WORDS["pages"]()[name], figures) == []


def docstrings() -> dict[str, str]:
    """Those of every public name, and of the public members of public classes."""
    found = {}
    for module in (glyph_fast, glyph_fast.client, glyph_fast.publisher, glyph_fast.testing):
        for name in getattr(module, "__all__", ["AsyncPublisher", "Publisher"]):
            thing = getattr(module, name)
            members = [each for each in dir(thing) if not each.startswith("_")]
            named = {name: thing} | {
                f"{name}.{each}": getattr(thing, each) for each in members if inspect.isclass(thing)
            }
            found.update({key: inspect.getdoc(each) or "" for key, each in named.items()})
    return found


def test_docstrings_begin_with_their_subject() -> None:
    found = docstrings()
    assert len(found) > 300
    backward = [
        f"{name}: {each}"
        for name, text in found.items()
        for each in WORDS["sentences"](" ".join(text.split()))
        if WORDS["BACKWARD"].match(each)
    ]
    assert backward == []
