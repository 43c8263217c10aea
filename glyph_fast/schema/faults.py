"""Faults of a value that does not fit the type declared for it: where, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

MAX_FAULTS = 10  # that are told of one value


class Fault(NamedTuple):
    """One place where a value does not fit."""

    path: Path  # from the value down
    reason: str  # for people: "expected int, got str"
    kind: str  # for programs: "missing"


class Mismatch(ValueError):
    """A value does not fit; the text names every place and the reason.

    `subject` is what the value is called: "data", "body", "query", "answer".
    """

    def __init__(self, subject: str, faults: Sequence[Fault]) -> None:
        self.subject = subject
        self.faults = tuple(faults[:MAX_FAULTS])
        super().__init__(
            "; ".join(f"{self._place(each.path)}: {each.reason}" for each in self.faults)
        )

    def _place(self, path: Path) -> str:
        """Write a path as a program would: `data.points[2].x`."""
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
        return self.subject + "".join(steps)
