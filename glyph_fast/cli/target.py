"""TARGET: the program a command is about.

FILE.glyph           a program in the Glyph language
module:attribute     a Server made in Python; the working directory is searched first
(nothing)            the bundled chat
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from itertools import dropwhile
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

import click

from ..config import Config
from ..errors import GlyphFastError, GlyphSyntaxError
from . import Failure

_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_OWN_FOLDER = os.path.dirname(__file__)
_ON_THE_WAY = (
    os.path.join(os.path.dirname(_OWN_FOLDER), ""),
    os.path.join(os.path.dirname(os.__file__), "asyncio", ""),
    "uvloop/",  # as compiled code names its source
)


class Servable(Protocol):
    """What a target turns out to be: a Server or a GlyphServer."""

    @property
    def config(self) -> Config:
        """The configuration it was made with."""

    def run(
        self, config: Config | None = None, *, announce: Callable[[str], None] | None = None
    ) -> None:
        """Serve until drained; `announce` gets each line meant for stdout.

        Raises ConfigError for options that cannot work, ListenError when it could not listen.
        """

    def routes(self) -> Sequence[Any]:
        """Its routes, as `routes.RouteInfo`."""


def load_target(target: str | None, config: Config) -> Servable:
    """The server that `target` names; one that is made here gets `config`.

    Raises click.UsageError when `target` is not written as one, Failure when it does not load.
    """
    if target is None:
        return _chat(config)
    if target.endswith(".glyph"):
        return _glyph_program(target, config)
    found = re.fullmatch(rf"({_DOTTED}):({_DOTTED})", target)
    if found is None or found[1].endswith(".py"):
        raise click.UsageError(f"{target}: expected FILE.glyph or module:attribute{_hint(target)}")
    return _python_server(found[1], found[2])


def _hint(target: str) -> str:
    path, _, attribute = target.partition(":")
    module = ".".join(Path(path.removesuffix(".py")).parts)
    if re.fullmatch(_DOTTED, module):
        return f"; did you mean {module}:{attribute or 'server'}?"
    return ""


def _chat(config: Config) -> Servable:
    try:
        from ..chat import create_server
    except ModuleNotFoundError as exc:
        raise Failure(f"the bundled chat cannot be served: {_text(exc)}") from exc
    return cast(Servable, create_server(config))


def _glyph_program(file: str, config: Config) -> Servable:
    try:
        from ..glyph_server import GlyphServer
    except ModuleNotFoundError as exc:
        raise Failure(f"Glyph programs cannot be served: {_text(exc)}") from exc
    server = GlyphServer(config)
    try:
        server.load(file)
    except GlyphSyntaxError as exc:
        diagnostics = getattr(exc, "diagnostics", ())  # all there are, not only the first
        if not diagnostics:
            raise Failure(f"{file}:{exc.line}:{exc.column}: {exc}") from exc
        for diagnostic in diagnostics:
            click.echo(diagnostic.render(), err=True)
        n_errors = sum(each.severity != "warning" for each in diagnostics)
        errors = "1 error" if n_errors == 1 else f"{n_errors} errors"
        raise Failure(f"{file} does not load: {errors}") from exc
    except (GlyphFastError, UnicodeDecodeError) as exc:
        raise Failure(f"could not load {file}: {exc}") from exc
    except OSError as exc:
        raise Failure(f"could not read {file}: {(exc.strerror or str(exc)).lower()}") from exc
    return cast(Servable, server)


def _python_server(module_name: str, attribute: str) -> Servable:
    module = _import(module_name)
    value: object = module
    for name in attribute.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            raise Failure(
                f"{module_name} has no attribute {attribute!r}{_servers_of(module)}"
            ) from None
    if not _is_server(value):
        raise Failure(
            f"{module_name}:{attribute} is {_kind(value)}, not a Server{_servers_of(module)}"
        )
    return cast(Servable, value)


def _import(name: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{name}.".startswith(f"{exc.name}.") or _has_user_frames(exc):
            raise _raised_in(name, exc) from exc
        raise Failure(f"no module named {exc.name!r} in {here} or on the path of Python") from exc
    except SystemExit as exc:
        raise Failure(
            f"{name} ended the interpreter while it was imported (status {exc.code})"
        ) from exc
    except Exception as exc:
        raise _raised_in(name, exc) from exc


def failure_of(exc: Exception, what: str) -> Failure:
    """The failure for an exception of the user's program, whose traceback is shown first."""
    click.echo("".join(_user_traceback(exc)).rstrip(), err=True)
    return Failure(f"{what}: {_text(exc)}")


def _raised_in(name: str, exc: Exception) -> Failure:
    return failure_of(exc, f"could not import {name}")


def _user_traceback(exc: Exception) -> list[str]:
    """The traceback without the frames of the import system and of this command."""
    if not _has_user_frames(exc):  # a SyntaxError, say
        return traceback.format_exception_only(exc)
    report = traceback.TracebackException.from_exception(exc)
    part: traceback.TracebackException | None = report
    while part is not None:
        frames = [frame for frame in part.stack if _is_users(frame.filename)]
        theirs = list(dropwhile(lambda frame: _is_servers(frame.filename), frames))
        part.stack = traceback.StackSummary.from_list(theirs or frames)
        part = part.__cause__ or part.__context__
    return list(report.format())


def _has_user_frames(exc: BaseException) -> bool:
    return any(_is_users(frame.filename) for frame in traceback.extract_tb(exc.__traceback__))


def _is_users(filename: str) -> bool:
    internal = filename.startswith("<frozen importlib") or filename == importlib.__file__
    return not internal and os.path.dirname(filename) != _OWN_FOLDER


def _is_servers(filename: str) -> bool:
    """Whether the server or its loop is on the way to the program's own code there."""
    return filename.startswith(_ON_THE_WAY)


def _is_server(value: object) -> bool:
    """Whether it behaves as one: `Server` itself is not loaded for the question."""
    has_config = isinstance(getattr(value, "config", None), Config)
    return has_config and all(callable(getattr(value, each, None)) for each in ("run", "routes"))


def _kind(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"the function {value.__qualname__}"
    if isinstance(value, ModuleType):
        return "a module"
    return f"of type {type(value).__qualname__}"


def _servers_of(module: ModuleType) -> str:
    names = [name for name, value in vars(module).items() if _is_server(value)]
    return f"; did you mean {module.__name__}:{names[0]}?" if names else ""


def _text(exc: BaseException) -> str:
    return "".join(traceback.format_exception_only(exc)[-1:]).strip()
