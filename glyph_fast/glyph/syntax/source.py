"""Source text and places in it.

Lines and columns count from 1; a column counts code points, as an editor shows them.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_EXCERPT_WIDTH = 100  # code points of a source line shown around a caret


class Position(NamedTuple):
    """A stretch of one source line: where it begins and how many code points it covers."""

    line: int
    column: int
    length: int = 1


class UndecodableSource(Exception):
    """The bytes of a file are not UTF-8; `position` is where the first bad byte stands."""

    def __init__(self, position: Position, byte: int) -> None:
        super().__init__(f"byte 0x{byte:02x} is not valid UTF-8")
        self.position = position
        self.byte = byte


@dataclass(slots=True)
class Source:
    """The text of one file and the name under which its diagnostics appear.

    `lines` break at line feeds only, so a stray carriage return or form feed cannot shift the
    numbering against other tools.
    """

    name: str
    text: str
    path: Path | None = None
    _starts: list[int] | None = None

    @classmethod
    def from_bytes(cls, name: str, data: bytes, path: Path | None = None) -> Source:
        """Decode a file's bytes; a leading byte order mark is dropped.

        Raises `UndecodableSource`.
        """
        try:
            return cls(name, data.decode("utf-8-sig"), path)
        except UnicodeDecodeError as error:
            # utf-8-sig counts from behind a byte order mark; plain UTF-8 counts from the start.
            start = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
            line_start = data.rfind(b"\n", 0, start) + 1
            column = len(data[line_start:start].decode("utf-8-sig")) + 1
            position = Position(data.count(b"\n", 0, start) + 1, column)
            raise UndecodableSource(position, data[start]) from None

    def line(self, number: int) -> str:
        """The text of line `number`, without its line feed; empty beyond the end."""
        starts = self._line_starts()
        if not 1 <= number <= len(starts):
            return ""
        start = starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end]

    def position(self, offset: int, length: int = 1) -> Position:
        """The position of the code point at `offset`."""
        starts = self._line_starts()
        line = bisect_right(starts, offset)
        return Position(line, offset - starts[line - 1] + 1, length)

    def _line_starts(self) -> list[int]:
        if self._starts is None:
            starts, at = [0], self.text.find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = self.text.find("\n", at + 1)
            self._starts = starts
        return self._starts


def _narrow(char: str) -> str:
    """Replace a character that is a command, or not one column wide."""
    if char.isprintable() or char == "\t":
        return char
    return " " if char == "\r" else "\ufffd"


def excerpt(line: str, position: Position) -> tuple[str, str]:
    """A source line and, under it, carets below `position`.

    A very long line is cut around the carets; tabs are kept in both lines so that they align.
    """
    first = position.column - 1
    start = 0
    if len(line) > _EXCERPT_WIDTH:
        start = max(0, min(first - _EXCERPT_WIDTH // 2, len(line) - _EXCERPT_WIDTH))
    shown = "".join(map(_narrow, line[start : start + _EXCERPT_WIDTH]))
    indent = "".join("\t" if c == "\t" else " " for c in shown[: first - start])
    indent += " " * (first - start - len(indent))
    room = max(1, len(shown) - len(indent))
    return shown, indent + "^" * max(1, min(position.length, room))
