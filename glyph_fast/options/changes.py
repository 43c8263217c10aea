"""Options that know which of them somebody has set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any, NoReturn, Self


class Given:
    """A frozen dataclass of options, whose `_sources` says under which names they came."""

    _given: frozenset[str]

    def __new__(cls, names: Iterable[str] = ()) -> Self:
        self = super().__new__(cls)
        object.__setattr__(self, "_given", frozenset(names))
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuse it for subclasses, too: of these, a dataclass guards no more than its fields."""
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    # A dataclass would write these three as code and compile it, field by field, at each start.

    def __repr__(self) -> str:
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)  # type: ignore[arg-type]
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, each.name) for each in fields(self))  # type: ignore[arg-type]

    def _with(self, changes: Mapping[str, Any], sources: Mapping[str, str] | None = None) -> Self:
        """A copy with some options changed, which are given from now on."""
        changed: Self = replace(self, **changes, _sources=sources)  # type: ignore[type-var]
        object.__setattr__(changed, "_given", self._given | changes.keys())
        return changed

    def is_given(self, name: str) -> bool:
        """Return whether somebody has set an option, be it to its default."""
        return name in self._given


__all__ = ["Given"]
