"""The chooser: what `GLYPH_FAST_CORE` picks, also where the extension is absent or broken.

Each case is a process of its own, because the choice is made once per process. Absence and breakage
are simulated by a finder that stands before all others.
"""

from __future__ import annotations

import os
import subprocess
import sys

import glyph_fast.core

BREAK = """
import importlib.abc, sys
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            raise {error}
sys.meta_path.insert(0, Finder())
"""
ABSENT = BREAK.format(
    name="glyph_fast._core",
    error="ModuleNotFoundError('No module named glyph_fast._core', name='glyph_fast._core')",
)
BROKEN = BREAK.format(name="glyph_fast._core", error="ImportError('undefined symbol: foo')")
LACKING = BREAK.format(  # what an extension raises that itself imports something absent
    name="glyph_fast._core", error="ModuleNotFoundError('No module named bar', name='bar')"
)
NAME = "import glyph_fast.core; print(glyph_fast.core.NAME)"


def choose(wanted: str | None, before: str = "") -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != "GLYPH_FAST_CORE"}
    if wanted is not None:
        env["GLYPH_FAST_CORE"] = wanted
    command = [sys.executable, "-c", before + NAME]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)


def last_line(process: subprocess.CompletedProcess[str]) -> str:
    assert process.returncode == 1
    return process.stderr.splitlines()[-1]


def test_auto_takes_the_compiled_core_when_it_is_installed() -> None:
    for wanted in (None, "", "auto"):
        assert choose(wanted).stdout == "compiled\n"


def test_python_takes_the_twin_and_leaves_the_extension_alone() -> None:
    assert choose("python", BROKEN).stdout == "python\n"


def test_auto_falls_back_when_the_extension_is_absent() -> None:
    assert choose("auto", ABSENT).stdout == "python\n"


def test_auto_does_not_hide_a_broken_extension() -> None:
    assert last_line(choose("auto", BROKEN)) == "ImportError: undefined symbol: foo"
    assert last_line(choose("auto", LACKING)) == "ModuleNotFoundError: No module named bar"


def test_compiled_without_the_extension_is_a_config_error() -> None:
    words = "glyph_fast.errors.ConfigError: core 'compiled' is not in this installation"
    assert last_line(choose("compiled", ABSENT)).startswith(words)


def test_an_unknown_core_is_a_config_error() -> None:
    words = "GLYPH_FAST_CORE is 'fast', expected auto, compiled or python"
    assert last_line(choose("fast")) == f"glyph_fast.errors.ConfigError: {words}"


def test_hands_out_every_name_of_the_chosen_core() -> None:
    module = "_core" if glyph_fast.core.NAME == "compiled" else "_pure"
    chosen = sys.modules[f"glyph_fast.{module}"]
    for name in set(glyph_fast.core.__all__) - {"NAME"}:
        assert getattr(glyph_fast.core, name) is getattr(chosen, name)
