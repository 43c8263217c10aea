"""What type checkers tell whoever writes a program: mypy and pyright, both at their strictest."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GOOD = sorted((HERE / "good").glob("*.py"))
BAD = sorted((HERE / "bad").glob("*.py"))

Found = dict[str, set[int]]  # the lines with errors, by the name of the program


def run(folder: Path, *words: str) -> str:
    """What a checker writes; it ends with 1 when it has found something."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy(folder: Path, files: list[Path]) -> Found:
    names = [path.name for path in files]
    told = run(folder, "mypy", "--strict", "--no-pretty", "--follow-imports=silent", *names)
    found: Found = {name: set() for name in names}
    for name, line in re.findall(r"^([^:\n]+):(\d+): error:", told, re.MULTILINE):
        found[name].add(int(line))
    return found


def pyright(folder: Path, files: list[Path]) -> Found:
    settings = {
        "typeCheckingMode": "strict",
        "pythonVersion": f"{sys.version_info.major}.{sys.version_info.minor}",
        "extraPaths": [str(ROOT)],
        "include": [path.name for path in files],
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    told = json.loads(run(folder, "pyright", "--pythonpath", sys.executable, "--outputjson"))
    found: Found = {path.name: set() for path in files}
    for each in told["generalDiagnostics"]:
        if each["severity"] == "error":
            found[Path(each["file"]).name].add(each["range"]["start"]["line"] + 1)
    assert told["summary"]["filesAnalyzed"] == len(files)
    return found


def marked(path: Path) -> dict[int, int]:
    """The lines marked as refused, and of a decorator also that of its function: where it is."""
    lines = path.read_text().splitlines()
    marks: dict[int, int] = {}
    for number, line in enumerate(lines, 1):
        if "# refused: " in line:
            marks[number] = number
            if line.startswith("@"):  # some checkers name the function
                marks[number + 1] = number
    return marks


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[list[Path]], Path]:
    """A folder with copies of programs, so that no settings of ours count."""

    def copy(files: list[Path]) -> Path:
        for path in files:
            (tmp_path / path.name).write_text(path.read_text())
        return tmp_path

    return copy


@pytest.mark.slow
@pytest.mark.parametrize("check", [mypy, pyright])
def test_good_programs_are_accepted(
    check: Callable[[Path, list[Path]], Found], folder: Callable[[list[Path]], Path]
) -> None:
    assert check(folder(GOOD), GOOD) == {path.name: set() for path in GOOD}


@pytest.mark.slow
@pytest.mark.parametrize("check", [mypy, pyright])
def test_each_bad_line_is_refused_and_no_other(
    check: Callable[[Path, list[Path]], Found], folder: Callable[[list[Path]], Path]
) -> None:
    found = check(folder(BAD), BAD)
    for path in BAD:
        marks = marked(path)
        assert {marks.get(line, line) for line in found[path.name]} == set(marks.values()), path
