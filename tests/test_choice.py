"""Which core, engine and loop are chosen."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest
import uvloop

from glyph_fast.choice import check_core, choose_engine, choose_loop, new_event_loop
from glyph_fast.config import Config
from glyph_fast.errors import ConfigError


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


def test_tls_takes_the_asyncio_engine(tmp_path: Path):
    cert = tmp_path / "cert.pem"
    cert.touch()
    assert choose_engine(Config(tls_cert=cert), "compiled", "linux") == "asyncio"


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
