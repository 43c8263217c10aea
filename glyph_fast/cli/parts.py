"""The parts that serve: which core, engine and loop an option stands for on this machine."""

from __future__ import annotations

import os
import platform
from typing import NamedTuple

from .. import __version__
from ..errors import ConfigError
from ..options.choice import check_core, choose_engine, choose_loop
from ..options.config import Config
from ..options.sources import load_config
from . import PROGRAM, Failure


class Parts(NamedTuple):
    """The parts that run: core, engine, loop."""

    core: str
    engine: str
    loop: str


def load_core(wanted: str) -> str:
    """Load the core an option asks for, before anything else does, and return its name.

    Raises ConfigError when it is absent or another one is in use, Failure when it is broken.
    """
    if wanted != "auto":
        os.environ["GLYPH_FAST_CORE"] = wanted  # where glyph_fast.core looks
    try:
        from ..core import NAME
    except ImportError as exc:
        raise Failure(f"the compiled core does not load: {exc}") from exc
    check_core(wanted, NAME)
    return NAME


def choose_parts(config: Config) -> Parts:
    """The parts `config` leads to; loads the core. Raises like `load_core`, and ConfigError."""
    loop = choose_loop(config.loop)
    core = load_core(config.core)
    return Parts(core, choose_engine(config, core), loop)


def version_line() -> str:
    """The version, and the parts `serve` would use here.

    A configuration that is wrong elsewhere does not matter: the version is wanted most when
    something is wrong.
    """
    try:
        config = load_config({}, os.environ)
    except ConfigError:
        config = Config()
    core, engine, loop = choose_parts(config)
    python = platform.python_implementation().replace("CPython", "Python")
    return (
        f"{PROGRAM} {__version__} (core: {core}, engine: {engine}, loop: {loop}, "
        f"{python} {platform.python_version()})"
    )
