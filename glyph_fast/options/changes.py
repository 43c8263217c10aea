"""Options that know which of them somebody has set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import FrozenInstanceError, replace
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

    def _with(self, changes: Mapping[str, Any], sources: Mapping[str, str] | None = None) -> Self:
        """A copy with some options changed, which are given from now on."""
        changed: Self = replace(self, **changes, _sources=sources)  # type: ignore[type-var]
        object.__setattr__(changed, "_given", self._given | changes.keys())
        return changed

    def is_given(self, name: str) -> bool:
        """Return whether somebody has set an option, be it to its default."""
        return name in self._given


__all__ = ["Given"]
