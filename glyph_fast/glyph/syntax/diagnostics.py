"""Every error and warning of the language, as data.

A `Rule` is what can be said: a code, a message with named gaps, a hint, and two bad snippets that
must cause it (`▲` stands before the character it has to be reported at). A `Diagnostic` is a rule
said about one place. The rules are in `rules.py`; the tests walk the list.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from .source import Position, Source, excerpt

Severity = Literal["error", "unsupported", "warning"]

MARK = "▲"
_LONGEST = 300  # characters of a message that quotes what is longer
_MAX_ERRORS = 50  # per file; beyond that more help is no help


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong with a program."""

    code: str
    severity: Severity
    message: str
    hint: str
    bad: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A rule applied to a place in a file."""

    code: str
    severity: Severity
    message: str
    hint: str
    file: str
    line: int
    column: int
    length: int
    source_line: str

    def as_warning(self) -> Diagnostic:
        """The same, for those who are served nevertheless."""
        return replace(self, severity="warning", hint="")

    def headline(self) -> str:
        """`file:line:column: message`, with `warning:` before the message of a warning."""
        kind = "warning: " if self.severity == "warning" else ""
        return f"{self.file}:{self.line}:{self.column}: {kind}{_cut(self.message)}"

    def render(self) -> str:
        """The headline, the source line with carets below, and the hint: what a terminal shows."""
        shown, carets = excerpt(self.source_line, Position(self.line, self.column, self.length))
        number = f"{self.line:>5}"
        text = [self.headline(), f"{number} | {shown}", f"{' ' * len(number)} | {carets}"]
        if self.hint:
            text.append(f"{' ' * len(number)} = hint: {_cut(self.hint)}")
        return "\n".join(text)

    def as_json(self) -> dict[str, str | int]:
        """The fields an editor needs; `end_column` is the column behind the last character."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "end_column": self.column + self.length,
            "severity": "warning" if self.severity == "warning" else "error",
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class Problem(Exception):
    """Unwinds a parse to the place where it can go on; the diagnostic is already in the report."""


class Report:
    """Collects what is wrong with one file, in the order of its text."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._found: list[Diagnostic] = []
        self._places: set[tuple[str, int, int]] = set()
        self.lost: set[str] = set()  # names that something broken was to declare

    def add(
        self, code: str, position: Position, *, hint: str | None = None, **gaps: object
    ) -> None:
        """Note that rule `code` is broken at `position`; `gaps` fill the message and the hint.

        One place is reported once per rule, and a file at most fifty times.
        """
        from .rules import RULES

        rule = RULES[code]
        place = (code, position.line, position.column)
        if place in self._places or len(self._found) >= _MAX_ERRORS:
            return
        self._places.add(place)
        self._found.append(
            Diagnostic(
                code=rule.code,
                severity=rule.severity,
                message=rule.message.format_map(gaps),
                hint=rule.hint.format_map(gaps) if hint is None else hint,
                file=self.source.name,
                line=position.line,
                column=position.column,
                length=max(1, position.length),
                source_line=self.source.line(position.line),
            )
        )

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Take over diagnostics another step found."""
        self._found.extend(diagnostics)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """All diagnostics, by place."""
        return sorted(self._found, key=lambda found: (found.line, found.column))

    @property
    def unsupported(self) -> list[str]:
        """Return what is not supported, in the order in which it was found."""
        return [found.message for found in self._found if found.severity == "unsupported"]

    @property
    def has_errors(self) -> bool:
        """Return whether anything worse than a warning was found."""
        return any(found.severity != "warning" for found in self._found)


def did_you_mean(
    name: str, known: Iterable[str], quoted: str = "`{}`", *, close: float = 0.6
) -> str:
    """A hint naming the known name closest to `name`, or nothing when none is as `close`."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=close)
    return f"did you mean {quoted.format(found[0])}?" if found else ""
