"""TARGET: the program a command is about.

FILE.glyph           a program in the Glyph language
module:attribute     a Server made in Python, or an ASGI application, which is served alone; the
                     working directory is searched first
module:function()    a function that makes one
(nothing)            the bundled chat
"""

from __future__ import annotations

import importlib
import inspect
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

from ..asgi.detect import is_asgi
from ..errors import GlyphFastError, GlyphSyntaxError
from ..logs import is_of_a_library
from ..options.config import Config
from ..process.process import loading
from . import Failure, say

_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_OWN_FOLDER = os.path.dirname(__file__)
_ON_THE_WAY = (
    os.path.join(os.path.dirname(_OWN_FOLDER), ""),
    os.path.join(os.path.dirname(os.__file__), "asyncio", ""),
    "uvloop/",  # as compiled code names its source
)


class Servable(Protocol):
    """The server that a target turns out to be: a Server or a GlyphServer."""

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
    found = re.fullmatch(rf"({_DOTTED}):({_DOTTED})(\(\))?", target)
    if found is None or found[1].endswith(".py"):
        expected = "expected FILE.glyph, module:attribute or module:function()"
        raise click.UsageError(f"{target}: {expected}{_hint(target)}")
    return _python_server(found[1], found[2], config, is_made=found[3] is not None)


def _hint(target: str) -> str:
    path, _, attribute = target.partition(":")
    stem, ending = os.path.splitext(target)
    from difflib import get_close_matches  # for a mistake

    if get_close_matches(ending.lower(), [".glyph"]):
        return f"; did you mean {stem}.glyph?"
    module = ".".join(Path(path.removesuffix(".py")).parts)
    meant = f"{module}:{attribute or 'server'}"
    if re.fullmatch(rf"{_DOTTED}:{_DOTTED}(\(\))?", meant):
        return f"; did you mean {meant}?"
    return ""


def _chat(config: Config) -> Servable:
    try:
        from ..chat import create_server
    except ModuleNotFoundError as exc:
        raise Failure(f"the bundled chat cannot be served: {_text(exc)}") from exc
    return cast(Servable, create_server(config))


def _glyph_program(file: str, config: Config) -> Servable:
    try:
        from ..glyph.serving.server import GlyphServer
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
            say(diagnostic.render())
        n_errors = sum(each.severity != "warning" for each in diagnostics)
        errors = "1 error" if n_errors == 1 else f"{n_errors} errors"
        raise Failure(f"{file} does not load: {errors}") from exc
    except (GlyphFastError, UnicodeDecodeError) as exc:
        raise Failure(f"could not load {file}: {exc}") from exc
    except OSError as exc:
        raise Failure(f"could not read {file}: {(exc.strerror or str(exc)).lower()}") from exc
    return cast(Servable, server)


def _python_server(module_name: str, attribute: str, config: Config, *, is_made: bool) -> Servable:
    module = _import(module_name)
    value: object = module
    for name in attribute.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            raise Failure(
                f"{module_name} has no attribute {attribute!r}{_servers_of(module)}"
            ) from None
    name = f"{module_name}:{attribute}"
    if is_made:
        value, name = _made_by(value, name), f"what {name}() returned"
    if is_asgi(value):
        return _server_of_application(value, config)
    if not _is_server(value):
        hint = _servers_of(module)
        if not hint and not is_made and _is_function(value):
            hint = f"; if it makes one, write {name}()"
        raise Failure(f"{name} is {_kind(value)}, not a Server or an ASGI application{hint}")
    return cast(Servable, value)


def _server_of_application(app: Any, config: Config) -> Servable:
    """A server with nothing of its own beside the application."""
    from ..server.server import Server

    server = Server(config)
    server.mount("/", app)
    return cast(Servable, server)


def _made_by(factory: object, name: str) -> object:
    """Return what the program's function returns."""
    if not callable(factory):
        raise Failure(f"{name} is {_kind(factory)}, not a function that makes a Server")
    try:
        with loading(name):
            made: object = factory()
    except SystemExit as exc:
        raise Failure(f"{name}() ended the interpreter (status {exc.code})") from exc
    except Exception as exc:
        raise failure_of(exc, f"could not call {name}()") from exc
    if inspect.iscoroutine(made):
        made.close()
        raise Failure(f"{name} is an `async def`: a function that makes a Server cannot wait")
    return made


def _import(name: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        with loading(name):
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
    say("".join(_user_traceback(exc)).rstrip())
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
        if isinstance(exc, (TypeError, ValueError, GlyphFastError)):  # a call that cannot be right
            theirs = _until_the_call(theirs)
        part.stack = traceback.StackSummary.from_list(theirs or frames)
        part = part.__cause__ or part.__context__
    return list(report.format())


def _until_the_call(frames: list[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """The frames up to the program's own line: those of ours behind it tell a user nothing."""
    theirs = [i for i, frame in enumerate(frames) if not is_of_a_library(frame.filename)]
    end = theirs[-1] + 1 if theirs else len(frames)
    return frames[:end] if any(_is_servers(each.filename) for each in frames[end:]) else frames


def _has_user_frames(exc: BaseException) -> bool:
    return any(_is_users(frame.filename) for frame in traceback.extract_tb(exc.__traceback__))


def _is_users(filename: str) -> bool:
    internal = filename.startswith("<frozen importlib") or filename == importlib.__file__
    return not internal and os.path.dirname(filename) != _OWN_FOLDER


def _is_servers(filename: str) -> bool:
    """Return whether the server or its loop is on the way to the program's own code there."""
    return filename.startswith(_ON_THE_WAY)


def _is_server(value: object) -> bool:
    """Return whether it behaves as one: `Server` itself is not loaded for the question."""
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


def _is_function(value: object) -> bool:
    return callable(value) and not isinstance(value, type)


def _servers_of(module: ModuleType) -> str:
    names = [name for name, value in vars(module).items() if _is_server(value)]
    return f"; did you mean {module.__name__}:{names[0]}?" if names else ""


def _text(exc: BaseException) -> str:
    return "".join(traceback.format_exception_only(exc)[-1:]).strip()
