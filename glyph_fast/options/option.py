"""The declaration of one option, and the names that derive from it.

An option is declared once, as a field of `Config`; its flag, its environment variable, its key in
the file and its row in the documentation derive from that declaration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError
from .readers import Reader, Within, switch

ENV_PREFIX = "GLYPH_FAST_"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Option:
    """One setting, under all its names."""

    name: str  # the field of `Config` and the key in the file
    default: object  # as one would write it, "30s" rather than 30.0
    read: Reader
    help: str
    group: str
    metavar: str = ""
    flag: str = ""
    older_env: str = ""  # a variable honoured below the option's own
    repeat: bool = False  # the flag may be given many times, the key holds a list
    secret: bool = False  # the value is never shown
    is_table: bool = False  # of the file and of Python: no flag, no variable could hold it
    is_python: bool = False  # of Python alone: no text could hold it
    bare: str = ""  # what the flag means without a value; "": it needs one

    def __post_init__(self) -> None:
        if not self.flag:
            flag = "--" + self.name.replace("_", "-")
            if self.is_table or self.is_python:
                flag = self.name
            object.__setattr__(self, "flag", flag)

    @property
    def env(self) -> str:
        """The name of the environment variable."""
        return ENV_PREFIX + self.name.upper()

    @property
    def is_switch(self) -> bool:
        """Return whether the flag stands alone: `--reload`, `--no-reload`."""
        return self.read is switch

    @property
    def default_text(self) -> str:
        """The default as documentation shows it; empty when there is none."""
        if isinstance(self.default, bool):
            return "on" if self.default else "off"
        if isinstance(self.default, tuple):
            return ",".join(self.default)
        return "" if self.default is None else str(self.default)

    def value(self, raw: object, source: str) -> Any:
        """Read `raw`; a ConfigError names `source`."""
        try:
            return self.read(raw)
        except Within as exc:
            raise ConfigError(f"{source}{exc}") from None
        except ValueError as exc:
            found = "" if self.secret else f", found {raw!r}"
            raise ConfigError(f"{source}: expected {exc}{found}") from None


def option(default: object, read: Reader, group: str, help: str, **more: Any) -> Any:
    """Declare a field of `Config`; `more` are further members of `Option`."""
    return field(
        default=default,
        repr=not more.get("secret", False),
        metadata={"default": default, "read": read, "group": group, "help": help, **more},
    )


def unknown_option(name: str, known: Iterable[str], *, place: str = "") -> ConfigError:
    """The error for a name that is not in `known`, with a hint when one of those is close."""
    from difflib import get_close_matches  # for a mistake

    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return ConfigError(f"{place}{name}: unknown option{hint}")


def by_group(options: Iterable[Option]) -> Iterator[tuple[str, list[Option]]]:
    """The options under the heading of their group, both in order of first appearance."""
    groups: dict[str, list[Option]] = {}
    for each in options:
        groups.setdefault(each.group, []).append(each)
    yield from groups.items()
