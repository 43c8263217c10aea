"""Which core, engine and loop a command runs with, and the line of `--version`."""

from __future__ import annotations

import os
import sys

import pytest

import glyph_fast
from glyph_fast import core
from glyph_fast.cli import Failure
from glyph_fast.cli.parts import Parts, choose_parts, load_core, version_line
from glyph_fast.errors import ConfigError
from glyph_fast.options.config import Config


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No options from outside; what a test sets is undone."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GLYPH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GLYPH_FAST_CORE", core.NAME)


def test_core_in_use_is_the_one_asked_for():
    assert load_core("auto") == load_core(core.NAME) == core.NAME


def test_another_core_than_the_one_in_use_is_refused(monkeypatch):
    other = {"compiled": "python", "python": "compiled"}[core.NAME]
    with pytest.raises(ConfigError, match=f"{other!r} was asked for"):
        load_core(other)
    assert os.environ["GLYPH_FAST_CORE"] == other  # glyph_fast.core would have found it there


def test_core_that_does_not_load_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "glyph_fast.core", None)
    with pytest.raises(Failure, match="^the compiled core does not load: "):
        load_core("auto")


def test_parts_follow_from_the_options():
    chosen = choose_parts(Config(engine="asyncio", loop="asyncio"))
    assert chosen == Parts(core.NAME, "asyncio", "asyncio")


def test_version_line_names_version_core_engine_loop_and_python(monkeypatch):
    monkeypatch.setenv("GLYPH_FAST_ENGINE", "asyncio")
    monkeypatch.setenv("GLYPH_FAST_LOOP", "asyncio")
    python = ".".join(map(str, sys.version_info[:3]))
    assert version_line() == (
        f"glyph-fast {glyph_fast.__version__} "
        f"(core: {core.NAME}, engine: asyncio, loop: asyncio, Python {python})"
    )


def test_version_line_knows_the_file_too(tmp_path):
    (tmp_path / "glyph-fast.toml").write_text('loop = "asyncio"')
    assert "loop: asyncio" in version_line()


def test_version_line_does_not_fail_for_a_bad_option_elsewhere(monkeypatch):
    monkeypatch.setenv("GLYPH_FAST_PORT", "abc")
    assert version_line().startswith("glyph-fast ")
