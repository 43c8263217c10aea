"""From a file to a program, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from ...errors import GlyphSyntaxError
from ..checks.checks import check_program
from ..checks.modules import LoadedModule, read_source
from ..syntax.diagnostics import Diagnostic, Report
from ..syntax.source import Position, Source
from .host import HostFunction
from .link import link
from .program import Program


class GlyphLoadError(GlyphSyntaxError):
    """A program that does not load. `diagnostics` are all that was found, warnings included."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = diagnostics
        first = next(found for found in diagnostics if found.severity != "warning")
        text = "\n".join(found.render() for found in diagnostics)
        super().__init__(text, first.line, first.column)


def load_program(
    path: str | Path, *, skip_unsupported: bool = False, host: Iterable[HostFunction] = ()
) -> Program:
    """Load a file and what it imports; `host` are Python functions it may call.

    With `skip_unsupported`, routes that use what is not supported are left out instead of being
    errors. Raises GlyphLoadError, and OSError when the file cannot be read.
    """
    source = read_source(Path(path), str(path))
    if isinstance(source, Diagnostic):
        raise GlyphLoadError([source])
    program = load_source(source, skip_unsupported=skip_unsupported, host=host)
    if not (program.http or program.sockets or program.statics or program.unsupported):
        report = Report(source)
        report.add("nothing-to-serve", Position(1, 1))
        raise GlyphLoadError([*report.diagnostics, *program.warnings])
    return program


def load_source(
    source: Source, *, skip_unsupported: bool = False, host: Iterable[HostFunction] = ()
) -> Program:
    """Load a program from its text. Raises GlyphLoadError."""
    offered = list(host)
    modules = check_program(source, [function.symbol for function in offered])
    fatal = _fatal(skip_unsupported)
    _raise_errors(modules, fatal)
    program = link(modules, offered)
    _raise_errors(modules, fatal)
    program.warnings = _diagnostics(modules)
    return program


def diagnose(source: Source, *, skip_unsupported: bool = False) -> list[Diagnostic]:
    """Everything that is wrong with a program, in the order of its files and lines.

    With `skip_unsupported`, what is not supported is a warning, as it is for whoever serves the
    rest.
    """
    modules = check_program(source)
    fatal = _fatal(skip_unsupported)
    if not any(found.severity in fatal for found in _diagnostics(modules)):
        link(modules)
    found = _diagnostics(modules)
    if skip_unsupported:
        found = [each.as_warning() if each.severity == "unsupported" else each for each in found]
    return found


def _fatal(skip_unsupported: bool) -> Collection[str]:
    return ("error",) if skip_unsupported else ("error", "unsupported")


def _diagnostics(modules: Iterable[LoadedModule]) -> list[Diagnostic]:
    return [found for module in modules for found in module.report.diagnostics]


def _raise_errors(modules: Iterable[LoadedModule], fatal: Collection[str]) -> None:
    found = _diagnostics(modules)
    if any(each.severity in fatal for each in found):
        raise GlyphLoadError(found)
