"""Numbers in JSON that orjson would change without a word: how to tell that some are there.

It reads an integer beyond 64 bits as a float, and writes NaN and Infinity as null. Both questions
are asked of texts and values as large as clients may send them, so `_numbers.pyx` answers them in
a small part of the time. This is its plain twin, which says the same; `choose` gives either.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import import_module
from math import isfinite
from types import ModuleType
from typing import Any, Final

_MANY: Final = b"0" * 19  # digits of the shortest integer that may not fit
_NUMBER: Final = re.compile(rb"(-?)0*+([0-9]*+)(?![.eE])")


def _shape(byte: int) -> str:
    return "0" if 48 <= byte <= 57 else chr(byte) if chr(byte) in ".-+eE" else " "


_DIGITS: Final = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))
_SHAPES: Final = "".join(map(_shape, range(256))).encode()
_LARGE_SHAPES: Final = (b" " + b"0" * 20, b" -" + _MANY)  # in `_SHAPES`
_MOST: Final = {b"": b"%d" % (2**64 - 1), b"-": b"%d" % 2**63}


def has_large_integer(data: bytes | str) -> bool:
    """Return whether some integer outside of strings does not fit 64 bits; False without UTF-8."""
    if len(data) < len(_MANY):
        return False
    try:
        octets = data.encode() if isinstance(data, str) else data
    except UnicodeEncodeError:  # a lone surrogate: no JSON
        return False
    if octets.translate(_DIGITS).find(_MANY) < 0 or not _spells_large_integer(octets):
        return False
    return _spells_large_integer(_without_strings(octets))


def _without_strings(octets: bytes) -> bytes:
    """JSON with all its strings empty.

    A regular expression takes four times as long where there are many, and joining bytes twice.
    """
    text = octets.decode("latin-1")
    # A quote that is left is a string's border.
    plain = text.replace(r"\\", "  ").replace(r"\"", "  ")
    return '""'.join(plain.split('"')[::2]).encode("latin-1")


def _spells_large_integer(octets: bytes) -> bool:
    # A translation and searches are ten times quicker than a regular expression here.
    octets = b" " + octets
    shapes = octets.translate(_SHAPES)
    for shape in _LARGE_SHAPES:
        start = shapes.find(shape)
        while start >= 0:
            match = _NUMBER.match(octets, start + 1)
            if match is not None and _is_beyond(match[2], _MOST[match[1]]):
                return True
            start = shapes.find(shape, start + len(shape))
    return False


def _is_beyond(digits: bytes, most: bytes) -> bool:
    return len(digits) > len(most) or (len(digits) == len(most) and digits > most)


def read_large(
    data: bytes | str, quick: Callable[[bytes], Any], careful: Callable[[bytes | str], Any]
) -> Any:
    """Return the value of a text with integers beyond 64 bits; ValueError when it is no JSON.

    `careful` reads any text; `quick` is quicker, and may be given one where these are strings.
    """
    return careful(data)  # looking for them in Python would take longer


def is_finite(value: object, plain: Callable[[object], object]) -> bool:
    """Return whether no float in `value`, which orjson wrote, so not circular, is NaN or ∞.

    `plain(value)` stands for what JSON does not know.
    """
    nodes = [value]
    for node in nodes:  # grows while it is walked
        if node is None or isinstance(node, (str, int)):
            continue
        if isinstance(node, float):
            if not isfinite(node):
                return False
        elif isinstance(node, dict):
            nodes += node.values()
        elif isinstance(node, (list, tuple)):
            nodes += node
        else:
            nodes.append(plain(node))
    return True


def choose() -> ModuleType:
    """The module with these functions, compiled where that is installed."""
    try:
        return import_module("._numbers", __package__)
    except ModuleNotFoundError as exc:  # absent: the plain ones; broken: let it shout
        if exc.name != f"{__package__}._numbers":
            raise
    return sys.modules[__name__]
