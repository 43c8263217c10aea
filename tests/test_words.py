"""What `ci/words` counts, and that the pages for readers are written as it asks."""

from __future__ import annotations

import runpy

import pytest

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
