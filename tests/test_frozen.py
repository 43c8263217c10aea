"""A program packed by PyInstaller: it finds our hook, and serves on the compiled core."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import glyph_fast
from glyph_fast._pyinstaller import hook_dirs

# What only the environment of tests has: PyInstaller would pack it, and take minutes.
OF_TESTS = ("Cython", "django", "hypothesis", "mypy", "opentelemetry", "pytest", "setuptools")

PROGRAM = """
import asyncio
from glyph_fast import GlyphServer, Server

server = Server()


def announce(line):
    print(line, flush=True)
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: loop.create_task(server.shutdown()))


server.run(port=0, announce=announce)
"""


def test_pyinstaller_finds_the_hook():
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    module, _, function = project["project"]["entry-points"]["pyinstaller40"][
        "hook-dirs"
    ].partition(":")
    folders = getattr(importlib.import_module(module), function)()
    assert folders == hook_dirs()
    assert [Path(folder, "hook-glyph_fast.py").is_file() for folder in folders] == [True]


@pytest.mark.slow
def test_a_packed_program_serves_on_the_compiled_core(tmp_path):
    # Where PyInstaller is missing this fails; the `test` extra has it.
    (tmp_path / "app.py").write_text(PROGRAM)
    package = str(Path(glyph_fast.__file__).parent.parent)
    environ = {k: v for k, v in os.environ.items() if k != "GLYPH_FAST_CORE"}
    packing = [sys.executable, "-m", "PyInstaller", "--onedir", "--noconfirm", "--paths", package]
    hooks = [part for folder in hook_dirs() for part in ("--additional-hooks-dir", folder)]
    without = [part for module in OF_TESTS for part in ("--exclude-module", module)]
    done = subprocess.run(
        [*packing, *hooks, *without, "app.py"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    ran = subprocess.run(
        [tmp_path / "dist/app/app"], env=environ, capture_output=True, text=True, timeout=60
    )
    assert ran.stdout.startswith("glyph-fast listening on http://127.0.0.1:")
    assert "core=compiled" in ran.stderr and "warning" not in ran.stderr, ran.stderr
