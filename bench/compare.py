"""Compare two results of `bench/rivals/run`: `python -m bench.compare BEFORE.json AFTER.json`.

A change counts only when the samples of both sides do not overlap; otherwise it is within the
spread, and a claim under the spread is no claim. The floor is run on both sides: where it moved as
much as the server, it was the machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from .rivals.table import number
from .rivals.works import FIGURES

Samples = Sequence[float]


def verdict(before: Samples, after: Samples) -> str:
    """`-12.3 %` where the samples stand apart, else `within the spread`."""
    if min(after) <= max(before) and min(before) <= max(after):
        return "within the spread"
    return f"{median(after) / median(before) - 1:+.1%}"


def rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Figure, server, both medians and the verdict, for all that both results have."""
    found: list[tuple[str, ...]] = []
    for name, figure in FIGURES.items():
        old, new = before["figures"].get(name, {}), after["figures"].get(name, {})
        for server in old:
            if server in new:
                medians = number(median(old[server])), number(median(new[server]))
                words = verdict(old[server], new[server])
                found.append((figure.title, server, *medians, words))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what changed from one result to the other."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=main.__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args(arguments)
    before, after = (json.loads(path.read_text()) for path in (options.before, options.after))
    if before["machine"]["processor"] != after["machine"]["processor"]:
        print("bench.compare: the results are of different processors", file=sys.stderr)
        return 1
    table = [("", "server", "before", "after", ""), *rows(before, after)]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    for row in table:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
