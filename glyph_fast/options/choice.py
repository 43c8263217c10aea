"""Which core, engine and loop serve, once it is known what this machine has.

`auto` takes the fastest part that is there; a part that was asked for by name and is not there is
an error, never another part.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import ConfigError
from .config import Config
from .values import Address

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

EngineName = Literal["native", "asyncio"]
LoopName = Literal["uvloop", "asyncio"]

PACKAGE = __name__.partition(".")[0]
CHECKOUT = Path(__file__).resolve().parents[2]  # the folder of the package: site-packages, or


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


def why_not_compiled(
    wanted: str, loaded: str, environ: Mapping[str, str] = os.environ
) -> str | None:
    """Return a hint for somebody who gets the pure core without having asked for it.

    Where no compiled one can be (PyPy, say), there is nothing to tell.
    """
    asked = wanted == "python" or environ.get("GLYPH_FAST_CORE") == "python"
    if loaded != "python" or asked or sys.implementation.name != "cpython":
        return None
    found = "the pure Python core serves, which is slow:"
    if getattr(sys, "frozen", False):  # as PyInstaller, cx_Freeze and Nuitka mark a program
        return f"{found} this program was packed without the module {PACKAGE}._core"
    if (CHECKOUT / "setup.py").is_file():
        return f"{found} the checkout {CHECKOUT} was imported, where none is compiled"
    return f"{found} this installation of glyph-fast has no compiled one"


def doubts(config: Config, loaded: str) -> Iterator[str]:
    """Yield a line for each thing that may not be meant, with these options and that core."""
    if problem := why_not_compiled(config.core, loaded):
        yield problem
    if config.is_development:
        mode = "development mode is on: clients are told what goes wrong in handlers"
        hosts = () if config.uds is not None else config.hosts
        if all(Address(each, config.port).is_loopback for each in hosts):
            yield mode
        else:
            yield f"{mode}, and other machines can be clients"


def choose_engine(config: Config, core: str, platform: str = sys.platform) -> EngineName:
    """The engine for `config` with that core: native on Linux when it is the compiled one.

    The native engine with the Python core is correct but slow, so it must be asked for.
    """
    if config.engine != "auto":
        return config.engine
    fits = platform == "linux" and core == "compiled"
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
