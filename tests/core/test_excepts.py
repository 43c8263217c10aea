"""What is compiled leaves no `except` in the middle."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import glyph_fast

HERE = Path(glyph_fast.__file__).parent
COMPILED = [HERE / name for name in ("_core.pyx", "_numbers.pyx", "headroom.py")]
COMPILED += [HERE / name for name in ("quick_json.py", "handlers/typed.py")]
COMPILED += sorted((HERE / "_c").glob("*.pxi"))


def left(lines: list[str]) -> list[int]:
    """The lines of statements that leave an `except`."""
    found, inside = [], -1
    for number, line in enumerate(lines, 1):
        depth = len(line) - len(line.lstrip())
        if line.strip() and depth <= inside:
            inside = -1
        if inside < 0 and re.match(r"\s*except\b.*:", line):
            inside = depth
        elif inside >= 0 and re.match(r"\s*(return|break|continue)\b", line):
            found.append(number)
    return found


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: path.name)
def test_no_except_is_left_in_the_middle(path):
    """Cython then gives back a traceback, which is NULL where there was no memory for one."""
    assert left(path.read_text().splitlines()) == []


def test_such_a_statement_is_seen():
    assert left(["try:", "    f()", "except E as e:", "    if e:", "        return 1", "x"]) == [5]
