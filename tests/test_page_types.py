"""Every program of the pages, and every example, passes `mypy --strict` and pyright.

A program is a block of Python whose first line names its file. The programs of one page are in one
folder, as their reader would have them, where no settings of ours count.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT

pytestmark = pytest.mark.slow

WITHOUT_TYPES = {
    "coming-from-channels": {"signed_in.py"},  # Django has none
    "frameworks": {"serve.py", "shop.py"},  # nor here, and a2wsgi's do not fit Flask's
}


def programs(page: Path) -> dict[str, str]:
    """The programs of a page, but its tests, which use fixtures as pytest gives them."""
    found = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", page.read_text(), re.M | re.S)
    missing = WITHOUT_TYPES.get(page.stem, set())
    return {
        name: text
        for name, text in found
        if not name.startswith(("test_", "conftest")) and name not in missing
    }


PAGES = [
    page for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))] if programs(page)
]
EXAMPLES = [
    path
    for pattern in ("examples/*/*.py", "examples/*/by_hand/*.py")
    for path in sorted(ROOT.glob(pattern))
    if path.parts[-2] != "django"  # which has no types
]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_programs_of_a_page_pass_mypy(page: Path, tmp_path: Path, cache: Path) -> None:
    for name, text in programs(page).items():
        (tmp_path / name).write_text(text)
    options = ["--strict", "--follow-imports=silent", f"--cache-dir={cache}"]
    done = run(tmp_path, "mypy", *options, *programs(page))
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_programs_pass_pyright(tmp_path: Path) -> None:
    folders: dict[str, dict[str, str]] = {page.stem: programs(page) for page in PAGES}
    for path in EXAMPLES:
        name = path.parent.relative_to(ROOT).as_posix().replace("/", "_")
        folders.setdefault(name, {})[path.name] = path.read_text()
    for folder, files in folders.items():
        (tmp_path / folder).mkdir()
        for name, text in files.items():
            (tmp_path / folder / name).write_text(text)
    settings = {
        "typeCheckingMode": "standard",
        "pythonVersion": "3.11",
        "executionEnvironments": [
            {"root": folder, "extraPaths": [str(ROOT)]} for folder in folders
        ],
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = run(tmp_path, "pyright", "--pythonpath", sys.executable, "--outputjson")
    told = json.loads(done.stdout)
    faults = [
        f"{each['file']}:{each['range']['start']['line'] + 1}: {each['message']}"
        for each in told["generalDiagnostics"]
        if each["severity"] == "error"
    ]
    assert not faults, "\n".join(faults)
    assert told["summary"]["filesAnalyzed"] == sum(map(len, folders.values()))
