"""Which core, engine and loop serve, once it is known what this machine has.

`auto` takes the fastest part that is there; a part that was asked for by name and is not there is
an error, never another part.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Literal

from .config import Config
from .errors import ConfigError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

EngineName = Literal["native", "asyncio"]
LoopName = Literal["uvloop", "asyncio"]


def check_core(wanted: str, loaded: str) -> None:
    """Raise ConfigError if the core in use is not the one an option asks for.

    The core is chosen when it is first imported, so an option that is read later (in a program
    that makes its own `Config`) can only be compared.
    """
    if wanted not in ("auto", loaded):
        raise ConfigError(
            f"core {wanted!r} was asked for, but {loaded!r} is in use; "
            f"set GLYPH_FAST_CORE={wanted} before glyph_fast is imported"
        )


def choose_engine(config: Config, core: str, platform: str = sys.platform) -> EngineName:
    """The engine for `config` with that core: native for plain sockets on Linux when compiled.

    The native engine with the Python core is correct but slow, so it must be asked for.
    """
    if config.engine != "auto":
        return config.engine
    fits = platform == "linux" and core == "compiled" and not config.is_tls
    return "native" if fits else "asyncio"


def choose_loop(wanted: str) -> LoopName:
    """The loop that "auto", "uvloop" or "asyncio" stands for here. Imports nothing.

    Raises ConfigError when uvloop is asked for and not installed.
    """
    if wanted == "asyncio":
        return "asyncio"
    if importlib.util.find_spec("uvloop") is not None:
        return "uvloop"
    if wanted == "uvloop":
        raise ConfigError("loop 'uvloop' is not installed; 'asyncio' or 'auto' would serve")
    return "asyncio"


def new_event_loop(wanted: str) -> AbstractEventLoop:
    """A new loop of the kind `choose_loop` names."""
    if choose_loop(wanted) == "asyncio":
        import asyncio

        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()
