"""The programs of docs/typed.md run, and pass a strict type checker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/typed.md").read_text()


@pytest.mark.parametrize(
    "tool", [["pytest", "-q", "-p", "no:cacheprovider"], ["mypy", "--strict", "board.py"]]
)
def test_its_programs_pass(tool: list[str], tmp_path: Path) -> None:
    found = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in found] == ["board.py", "test_board.py"]
    for name, text in found:
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", *tool],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_commands_write_the_documents(tmp_path: Path) -> None:
    program = re.search(r"^```python\n# board.py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert program is not None
    (tmp_path / "board.py").write_text(program[1])
    commands = re.findall(r"^    glyph-fast (asyncapi .*) > (\S+)$", PAGE, re.MULTILINE)
    assert len(commands) == 3
    for words, name in commands:
        command = [sys.executable, "-m", "glyph_fast", *words.split()]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (tmp_path / name).open("w") as output:
            subprocess.run(
                command, cwd=tmp_path, env=environment, stdout=output, check=True, timeout=60
            )
    assert '"asyncapi": "3.0.0"' in (tmp_path / "asyncapi.json").read_text()
    assert '"openapi": "3.1.1"' in (tmp_path / "openapi.json").read_text()
    assert "move(data: Move): Place;" in (tmp_path / "events.ts").read_text()
