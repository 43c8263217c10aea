"""The command `check`: every error of files, for people and for editors."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ..checks.modules import read_source
from ..syntax.diagnostics import Diagnostic
from .load import diagnose


def check_file(path: str | Path, *, skip_unsupported: bool = False) -> list[Diagnostic]:
    """Everything that is wrong with a program and the modules it imports.

    With `skip_unsupported`, what is not supported is a warning. Raises OSError when the file cannot
    be read.
    """
    source = read_source(Path(path), str(path))
    if isinstance(source, Diagnostic):
        return [source]
    return diagnose(source, skip_unsupported=skip_unsupported)


def check_files(
    paths: Iterable[str | Path], *, skip_unsupported: bool = False
) -> tuple[list[Diagnostic], list[OSError]]:
    """The same for several files, and why some could not be read.

    What several of them import is reported once.
    """
    found: dict[Diagnostic, None] = {}
    unread = []
    for path in paths:
        try:
            found.update(dict.fromkeys(check_file(path, skip_unsupported=skip_unsupported)))
        except OSError as exc:
            unread.append(exc)
    return list(found), unread


def has_errors(found: Iterable[Diagnostic]) -> bool:
    """Return whether anything is worse than a warning."""
    return any(diagnostic.severity != "warning" for diagnostic in found)


def as_text(found: Iterable[Diagnostic]) -> str:
    """Diagnostics for a terminal: place, message, line, caret, hint."""
    return "\n".join(diagnostic.render() for diagnostic in found)


def as_json(found: Iterable[Diagnostic]) -> str:
    """Diagnostics for an editor: a JSON array of objects.

    Each has `file`, `line`, `column`, `end_column` (from 1, behind the last character), `severity`
    (`error` or `warning`), `code`, `message` and `hint`.
    """
    return json.dumps([diagnostic.as_json() for diagnostic in found], ensure_ascii=False, indent=2)


def summary(found: Iterable[Diagnostic]) -> str:
    """Count what is wrong, in words: `2 errors, 1 warning`, or `no problems`."""
    warnings = errors = 0
    for diagnostic in found:
        if diagnostic.severity == "warning":
            warnings += 1
        else:
            errors += 1
    parts = [_counted(errors, "error"), _counted(warnings, "warning")]
    return ", ".join(filter(None, parts)) or "no problems"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}" if count else ""
