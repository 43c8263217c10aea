"""The floors: imports point one way, and every module has its tests.

`FLOORS` is the order of docs/architecture.md. An import written for the type checker counts as
well: whoever needs a type from the right has found a cut in the wrong place.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import glyph_fast

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "glyph_fast"

FLOORS = (
    "errors wire json logs | publisher loopwatch systemd handover"
    " | urls options jwtoptions config sources choice"
    " | interfaces _core _fallback core | http handshake deflate | metrics"
    " | message room users expiry connection hub | handlers engine"
    " | auth lifecycle process watcher admin application server | glyph | glyph_server | otel chat"
    " | load testing pytest_plugin cli"
)
ORDER = [name for name in FLOORS.split() if name != "|"]

# Modules of the standard library and floors to the left that a floor still must not know.
BANNED = {
    "_core": {"asyncio", "http", "json", "logging", "uvloop"},
    "_fallback": {"asyncio", "http", "json", "logging", "uvloop"},
    "engine": {"message", "room", "connection", "hub", "handlers"},
    "hub": {"socket"},
    "glyph": {"engine", "core"},
}

# Tested through something else, which is named.
TESTED_BY = {
    "_core.pyx": "core/test_parity.py",
    "_fallback.py": "core/test_parity.py",
    "__init__.py": "test_packaging.py",
    "__main__.py": "test_packaging.py",
    **dict.fromkeys(
        [
            f"load/{name}.py"
            for name in "churn connect echo fanout opening runner steady swarm".split()
        ],
        "load/test_modes.py",
    ),
    "load/live.py": "load/test_cli.py",
    "load/options.py": "load/test_cli.py",
    "load/meter.py": "load/test_process.py",
    "load/page.py": "load/test_report.py",
    "load/plot.py": "load/test_report.py",
}

SOURCES = sorted(path for suffix in ("py", "pyx") for path in PACKAGE.rglob(f"*.{suffix}"))
MODULES = [path for path in SOURCES if path != PACKAGE / "__init__.py"]


def floor(path: Path) -> str:
    """The floor a source file belongs to: its package below glyph_fast, else its own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(path.suffix).replace("__main__", "cli")


def imports(path: Path) -> Iterator[str]:
    """Dotted names a file imports, absolute: `glyph_fast.hub.Hub`, `asyncio`."""
    text = path.read_text()
    if path.suffix == ".pyx":  # Cython is no Python; its import lines are
        lines = re.findall(r"^\s*((?:from [\w.]+ )?c?import [\w.]+)", text, re.MULTILINE)
        text = "\n".join(line.replace("cimport", "import") for line in lines)
    package = ["glyph_fast", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = [*base, node.module] if node.module else base
            yield from (".".join([*start, alias.name]) for alias in node.names)


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_only_what_stands_to_its_left(path: Path) -> None:
    here = floor(path)
    assert here in ORDER, f"{here} has no place in FLOORS"
    for target in imports(path):
        top, *rest = target.split(".")
        if top == "glyph_fast" and rest[0] != "__version__":
            there = glyph_fast._MODULES.get(rest[0], rest[0]).split(".")[0]
            assert there in ORDER[: ORDER.index(here)] or there == here, f"{here} → {target}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_knows_nothing_it_must_not_know(path: Path) -> None:
    known = {target.removeprefix("glyph_fast.").split(".")[0] for target in imports(path)}
    assert not known & BANNED.get(floor(path), set())


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_has_its_test_file(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    if other := TESTED_BY.get(path.name) or TESTED_BY.get(relative.as_posix()):
        assert (ROOT / "tests" / other).exists()
    elif len(relative.parts) > 1:  # glyph_fast/http/router.py: tests/http/test_router.py
        assert (ROOT / "tests" / relative.parent / f"test_{path.stem}.py").exists()
    else:
        assert list((ROOT / "tests").rglob(f"test_{path.stem}.py"))
