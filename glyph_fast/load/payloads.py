"""The messages of a run: known in advance, all different, so that an answer can be checked.

Receiving is checked by position: the n-th message must equal the n-th sent. The payloads repeat
after `len(script)` messages, always more than are outstanding, so a message that is missing,
doubled or out of order never looks like the one expected; a count at the end catches the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

_MEMORY = 16 * 1024 * 1024  # bytes for the payloads of one script
_MIN, _MAX = 4, 4096

Payload = str | bytes
Script = Sequence[Payload]


def make_script(size: int, in_flight: int, *, binary: bool, tag: int = 0) -> Script:
    """A power of two of payloads of `size` bytes; `tag` tells publishers apart.

    Plain ASCII that does not look like JSON. Payloads shorter than 10 bytes cannot all differ.
    """
    count = _MIN
    while count < _MAX and (count <= 2 * in_flight or 2 * count * size <= _MEMORY):
        count *= 2
    texts = (_text(tag, number, size) for number in range(count))
    return [text.encode("ascii") for text in texts] if binary else list(texts)


def tag_of(payload: Payload) -> int:
    """The tag a payload was made with. Raises ValueError for a foreign one."""
    return int(payload[:2], 16)


def _text(tag: int, number: int, size: int) -> str:
    head = f"{tag:02x}.{number:06x}."
    letters = "the quick brown fox jumps over the lazy dog, "
    return (head + letters * ((size - len(head)) // len(letters) + 1))[:size].ljust(size, ".")
