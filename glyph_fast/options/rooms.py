"""Declarations about rooms by patterns of their names: `server.room(…)`, `[rooms."chat:*"]`.

A `RoomDeclaration` is all that rooms of such names are given: of several that match a name one
counts, whole. What a room can be given besides becomes a field here, with its row in `KEYS`; the
file, its errors and `docs/options.md` follow from that row, `Server.room` takes it as a keyword.
Whoever brings it into effect asks `Declarations.of(name)`: the hub as it makes a room, so that a
publish costs no look at a pattern.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from ..errors import ConfigError
from .readers import Reader, Within, count, duration, size, switch
from .values import Takes

_SET = re.compile(r"\[!?+\]?+[^\]]*\]|[*?]")  # what stands for characters in a pattern of fnmatch


@dataclass(frozen=True, kw_only=True, slots=True)
class RoomDeclaration:
    """Everything that rooms are given whose names match a pattern."""

    pattern: str  # as in `on_join`: `*`, `?`, `[ab]`
    client_join: bool = False  # whether clients may join by a message without an `on_join`
    client_publish: bool | None = None  # None: as `client_join`; True where an `on_join` matches
    max_members: int | None = None  # None: `--max-room-members`
    presence: bool = False  # whether members can be asked for and followed
    history_size: int = 0  # messages kept; 0: none, and messages have no positions
    history_bytes: int = 1024 * 1024  # of them
    history_ttl: float = 300.0  # seconds after the latest message that they are kept
    history_meta_ttl: float = 2_592_000.0  # seconds after it that the position is
    client_history: bool = True  # whether members may ask for what is kept

    def __str__(self) -> str:
        """Return what differs from the defaults, as one would write it in Python."""
        said = [(each.name, getattr(self, each.name), each.default) for each in fields(self)[1:]]
        text = ", ".join(f"{name}={value}" for name, value, default in said if value != default)
        return text or "as by default"


class Key(NamedTuple):
    """A key of a declaration, as it is read and as it is documented."""

    read: Reader
    default: str
    help: str


KEYS: Mapping[str, Key] = {
    "client_join": Key(
        switch, "`false`", "clients may join by `join_room`, and leave, without an `on_join`"
    ),
    "client_publish": Key(
        switch, "as `client_join`; `true` where an `on_join` matches", "members may `broadcast`"
    ),
    "max_members": Key(count(1), "`--max-room-members`", "members; beyond it joining fails"),
    "presence": Key(
        switch,
        "`false`",
        "members can be asked for and followed; shows `id`, user, `info`",
    ),
    "history_size": Key(
        count(0), "`0`", "messages that are kept; with 0 the room's messages have no positions"
    ),
    "history_bytes": Key(size(), "`1MiB`", "bytes of them; the limit reached first counts"),
    "history_ttl": Key(
        duration(may_be_zero=False), "`5m`", "they go so long after the latest; the position stays"
    ),
    "history_meta_ttl": Key(
        duration(may_be_zero=False), "`30d`", "the position goes so long after the latest message"
    ),
    "client_history": Key(
        switch, "`true`", "members may ask for what is kept; without it they may only resume"
    ),
}


def declaration(pattern: object, values: object) -> RoomDeclaration:
    """Read what `values` declare about rooms whose names match. Raises Within."""
    if not isinstance(pattern, str) or not pattern or not pattern.isprintable():
        raise Within(f": expected a pattern of room names such as chat:*, found {pattern!r}")
    part = f".{json.dumps(pattern, ensure_ascii=False)}"
    if not isinstance(values, Mapping):
        raise Within(f"{part}: expected a table of {', '.join(KEYS)}, found {values!r}")
    return RoomDeclaration(
        pattern=pattern, **{key: _read(key, raw, f"{part}.{key}") for key, raw in values.items()}
    )


def _read(key: str, raw: object, part: str) -> Any:
    if key not in KEYS:
        from difflib import get_close_matches  # for a mistake

        close = get_close_matches(key, KEYS, n=1)
        raise Within(f"{part}: unknown option" + (f"; did you mean {close[0]}?" if close else ""))
    try:
        return KEYS[key].read(raw)
    except ValueError as exc:
        raise Within(f"{part}: expected {exc}, found {raw!r}") from None


def declaration_of_program(pattern: object, given: Mapping[str, object]) -> RoomDeclaration:
    """Read what a program declares; None stands for what is not given. Raises ConfigError."""
    try:
        return declaration(pattern, {key: raw for key, raw in given.items() if raw is not None})
    except Within as exc:
        raise ConfigError(f"rooms{exc}") from None


def tables(raw: object) -> tuple[RoomDeclaration, ...]:
    """A table of options for each pattern, or the declarations these lead to."""
    if isinstance(raw, Mapping):
        return tuple(declaration(pattern, values) for pattern, values in raw.items())
    if isinstance(raw, tuple) and all(isinstance(each, RoomDeclaration) for each in raw):
        return raw
    raise ValueError('a table for each pattern of room names, such as [rooms."chat:*"]')


Rooms = Takes[
    tuple[RoomDeclaration, ...], Mapping[str, Mapping[str, Any]] | tuple[RoomDeclaration, ...]
]


class Declarations:
    """Which declaration counts for a name.

    The file's come before the program's, then the one with the most literal characters, then the
    first. It never changes, so that any thread may ask.
    """

    __slots__ = ("_ordered", "in_file", "in_program")

    def __init__(
        self, in_file: Iterable[RoomDeclaration] = (), in_program: Iterable[RoomDeclaration] = ()
    ) -> None:
        self.in_file = tuple(in_file)
        self.in_program = tuple(in_program)
        self._ordered: list[tuple[Callable[[str], object], RoomDeclaration]] = [
            (re.compile(fnmatch.translate(each.pattern)).match, each)
            for group in (self.in_file, self.in_program)
            for each in sorted(group, key=lambda each: -literal_characters(each.pattern))
        ]

    def of(self, name: str) -> RoomDeclaration | None:
        """The declaration that counts for the room of that name, or None."""
        for matches, each in self._ordered:
            if matches(name):
                return each
        return None

    def history_of(self, name: str) -> RoomDeclaration | None:
        """The declaration that counts for a room that remembers; None for one that does not."""
        declared = self.of(name)
        return declared if declared is not None and declared.history_size else None

    def __iter__(self) -> Iterator[RoomDeclaration]:
        """The declarations, first the one that is looked at first."""
        return iter([each for _, each in self._ordered])


def literal_characters(pattern: str) -> int:
    """Count the characters of a pattern that stand for themselves; `[*]` is one that does."""
    return len(_SET.sub(lambda found: "*" if len(found[0]) == 3 else "", pattern))
