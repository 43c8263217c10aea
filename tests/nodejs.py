"""What drives the JavaScript client: Node, Bun and Deno, as `ci/javascript` installs them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.serving import ROOT

LIBRARY = ROOT / "clients" / "javascript"
BINARIES = LIBRARY / "node_modules" / ".bin"
MODULE = ROOT / "glyph_fast" / "javascript" / "glyph-fast.mjs"
WITHIN_S = 120.0


def program(name: str) -> str:
    """The path of `node`, or of what npm installs for the library; a missing one fails the test."""
    found = (
        shutil.which(name) if name in ("node", "npm") else shutil.which(name, path=str(BINARIES))
    )
    if found is None:
        pytest.fail(f"no {name}: run ci/javascript", pytrace=False)
    return found


def runtime(name: str) -> list[str]:
    """The command that runs a module in `node`, `bun` or `deno`."""
    flags = {"node": ["--experimental-websocket", "--no-warnings"], "deno": ["run", "--allow-all"]}
    return [program(name), *flags.get(name, [])]


def run(*command: str | Path, cwd: Path = LIBRARY, timeout: float = WITHIN_S) -> str:
    """What a command writes; it has to end with status 0."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout
