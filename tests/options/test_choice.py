"""Which core, engine and loop are chosen."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvloop

from glyph_fast.errors import ConfigError
from glyph_fast.options import choice
from glyph_fast.options.choice import (
    check_core,
    choose_engine,
    choose_loop,
    doubts,
    new_event_loop,
    why_not_compiled,
)
from glyph_fast.options.config import Config


@pytest.fixture
def without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "uvloop" else find(name)
    )


@pytest.mark.parametrize(
    ("wanted", "core_name", "platform", "engine"),
    [
        ("auto", "compiled", "linux", "native"),
        ("auto", "python", "linux", "asyncio"),
        ("auto", "compiled", "darwin", "asyncio"),
        ("auto", "compiled", "win32", "asyncio"),
        ("native", "python", "linux", "native"),
        ("native", "compiled", "linux", "native"),
        ("asyncio", "compiled", "linux", "asyncio"),
    ],
)
def test_engine_is_native_where_it_is_fast_or_asked_for(wanted, core_name, platform, engine):
    assert choose_engine(Config(engine=wanted), core_name, platform) == engine


def test_tls_takes_the_native_engine_too(tmp_path: Path):
    cert = tmp_path / "cert.pem"
    cert.touch()
    assert choose_engine(Config(tls_cert=cert), "compiled", "linux") == "native"


def test_unix_socket_takes_the_native_engine():
    assert choose_engine(Config(uds="/tmp/s"), "compiled", "linux") == "native"


@pytest.mark.parametrize("wanted", ["auto", "uvloop"])
def test_uvloop_is_preferred(wanted):
    assert choose_loop(wanted) == "uvloop"
    loop = new_event_loop(wanted)
    assert isinstance(loop, uvloop.Loop)
    loop.close()


@pytest.mark.parametrize("wanted", ["auto", "asyncio"])
def test_asyncio_serves_without_uvloop(wanted, without_uvloop):
    assert choose_loop(wanted) == "asyncio"
    loop = new_event_loop(wanted)
    assert isinstance(loop, asyncio.BaseEventLoop)
    loop.close()


def test_asyncio_is_taken_when_asked_for():
    assert choose_loop("asyncio") == "asyncio"


@pytest.mark.parametrize("choose", [choose_loop, new_event_loop])
def test_uvloop_demanded_but_absent_is_an_error(choose, without_uvloop):
    with pytest.raises(ConfigError, match="^loop 'uvloop' is not installed"):
        choose("uvloop")


@pytest.mark.parametrize(
    ("wanted", "loaded"),
    [("auto", "compiled"), ("auto", "python"), ("python", "python"), ("compiled", "compiled")],
)
def test_core_that_fits_is_accepted(wanted, loaded):
    check_core(wanted, loaded)


def test_another_core_than_the_one_in_use_is_refused():
    with pytest.raises(ConfigError, match="'python' was asked for, but 'compiled' is in use"):
        check_core("python", "compiled")


def test_who_gets_the_pure_core_without_asking_is_told(monkeypatch, tmp_path):
    slow = "the pure Python core serves, which is slow:"
    monkeypatch.setattr(choice, "CHECKOUT", tmp_path)
    installed = why_not_compiled("auto", "python", {})
    assert installed == f"{slow} this installation of glyph-fast has no compiled one"
    (tmp_path / "setup.py").touch()
    checkout = why_not_compiled("auto", "python", {"GLYPH_FAST_CORE": "auto"})
    assert checkout == f"{slow} the checkout {tmp_path} was imported, where none is compiled"
    monkeypatch.setattr("sys.frozen", True, raising=False)
    packed = why_not_compiled("auto", "python", {})
    assert packed == f"{slow} this program was packed without the module glyph_fast._core"


def test_who_asked_for_the_pure_core_or_has_the_other_is_told_nothing():
    assert why_not_compiled("auto", "compiled", {}) is None
    assert why_not_compiled("python", "python", {}) is None
    assert why_not_compiled("auto", "python", {"GLYPH_FAST_CORE": "python"}) is None


def test_where_no_compiled_core_can_be_nothing_is_told(monkeypatch):
    monkeypatch.setattr("sys.implementation", SimpleNamespace(name="pypy"))
    assert why_not_compiled("auto", "python", {}) is None


def test_a_checkout_where_nothing_is_compiled_says_so_when_it_serves(tmp_path):
    """Started beside an installation with a compiled core, it would be taken for that one."""
    package = Path(choice.__file__).parents[1]
    shutil.copytree(package, tmp_path / "glyph_fast", ignore=shutil.ignore_patterns("*.so"))
    (tmp_path / "setup.py").touch()
    program = (
        "import asyncio, glyph_fast\n"
        "server = glyph_fast.Server()\n"
        "stop = lambda line: asyncio.get_running_loop().create_task(server.shutdown())\n"
        "server.run(port=0, announce=stop)\n"
    )
    environ = {k: v for k, v in os.environ.items() if k != "GLYPH_FAST_CORE"}
    environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), sysconfig.get_path("platlib")])
    done = subprocess.run(  # -S: an editable installation would lend its compiled core
        [sys.executable, "-S", "-c", program],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"the checkout {tmp_path} was imported, where none is compiled" in done.stderr


def test_who_starts_in_development_mode_is_told():
    mode = "development mode is on: clients are told what goes wrong in handlers"
    assert list(doubts(Config(), "compiled")) == []
    assert list(doubts(Config(dev=True), "compiled")) == [mode]
    assert list(doubts(Config(reload=True), "compiled")) == [mode]
    assert list(doubts(Config(dev=True, uds="/tmp/s"), "compiled")) == [mode]
    assert list(doubts(Config(reload=True, dev=False), "compiled")) == []
    there = list(doubts(Config(dev=True, host="0.0.0.0"), "compiled"))
    assert there == [f"{mode}, and other machines can be clients"]
