# cython: annotation_typing=False
"""Room in memory, looked for before a call of orjson, which ends the process when it gets none.

orjson asks for much at a time, and takes what it is given for granted. So before a call that could
need more than a little, as much as it needs at most is asked for in its place, and given back: who
gets none raises MemoryError, or goes a way that can. A call that needs little is not looked at, and
memory that the system promised and then does not have is beyond us.

What orjson needs was measured (3.13): to read, up to 64 bytes for each byte of input; to write, it
reserves eight times a string and 128 or 256 bytes for each item of a list or an object, doubling
what it has until that fits.

Weighing a value takes as long as writing it. So only its beginning is weighed where the system
gives whatever is asked for: no limit of address space or data is set, by which a process without
memory is told so, and the system promises more than it has. There remains that it refuses a piece
larger than all its memory, which a text needs that is an eighth of that; a process that never had
so much has no such text.

Plain Python, which `setup.py` compiles with the types of `headroom.pxd`.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

try:
    import resource
except ImportError:  # Windows, where nothing is promised
    resource = None  # type: ignore[assignment]

SMALL: Final = 1 << 20  # bytes of need that are not looked for
READ: Final = 16 * 1024  # bytes of input of which that is the need
BEGINNING: Final = 64 * 1024  # bytes of need that are weighed in any case
SHARE: Final = 32  # of the system's memory, below which a process holds no text too large
MARGIN: Final = 1 << 20  # for what else happens meanwhile
# Bytes: nobody has more, and what holds itself many times is looked at no more.
MOST: Final = 1 << 36

NO_ROOM: Final = 0  # what `weigh` says
ROOM: Final = 1
FINITE: Final = 2

# What no walk could be sure of; it only grows, so another thread's can hide none.
_doubts = 0

_OPTIONS = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}


def _promised() -> int:
    """Bytes of memory that a system has which promises more than that; 0 for another."""
    try:
        policy = Path("/proc/sys/vm/overcommit_memory").read_text().strip()
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        policy, size = "unknown", 0
    return size if policy in ("0", "1") else 0


_PROMISED = _promised() if resource is not None else 0


def _is_given_all() -> bool:
    """Return whether this process may use all memory, and never used a large part of it."""
    if not _PROMISED:
        return False
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        if resource.getrlimit(limit)[0] != resource.RLIM_INFINITY:
            return False
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return bool(most < _PROMISED // SHARE)


def has_room(size: int) -> bool:
    """Return whether so many bytes of memory can be had now. Nothing of them is touched."""
    found = True
    try:
        mmap.mmap(-1, size + MARGIN, **_OPTIONS).close()
    except (OSError, MemoryError, OverflowError):
        found = False  # compiled, no `except` may return: see the top of _core.pyx
    return found


def can_read(data: bytes | str) -> bool:
    """Return whether there is room for all that orjson needs to read this."""
    if len(data) <= READ:
        return True
    return has_room(len(data) * (64 if isinstance(data, bytes) or data.isascii() else 96))


def can_write(value: object, plain: Callable[[object], object]) -> bool:
    """Return whether there is room for all that orjson needs to write this.

    `plain` gives what is written in the place of a value that JSON does not have, or raises
    TypeError. What is nested too deeply for orjson cannot be written.
    """
    return weigh(value, plain) != NO_ROOM


def weigh(value: object, plain: Callable[[object], object]) -> int:
    """Say what `can_write` does by NO_ROOM, ROOM or FINITE.

    It is FINITE where the way through all of the value met neither NaN nor Infinity, and nothing
    that JSON does not have.
    """
    before = _doubts
    size = _to_write(value, plain, 0, BEGINNING)
    if size <= BEGINNING:
        return FINITE if _doubts == before else ROOM
    if _is_given_all():
        return ROOM
    size = _to_write(value, plain, 0, MOST)
    return ROOM if size <= SMALL or (size <= MOST and has_room(size)) else NO_ROOM


def _to_write(value: object, plain: Callable[[object], object], depth: int, left: int) -> int:
    """Return how many bytes it needs at most; look no further when that exceeds `left`."""
    global _doubts
    size = 64
    if isinstance(value, str):
        if len(value) > 256 and value.isascii():
            return size + 16 * len(value)
        return size + 72 * len(value)  # its text as UTF-8, which stays with it, is the odd 8
    if isinstance(value, float):
        number = float(value)
        if number - number != 0.0:  # compiled, it is a subtraction and no call
            _doubts += 1
        return size
    if value is None or isinstance(value, int):
        return size
    if depth > 254:  # orjson writes no more
        return left + 1
    if isinstance(value, dict):
        fields = value if type(value) is dict else dict.copy(value)
        for key, item in fields.items():
            size += 512
            if isinstance(key, str):
                size += 72 * len(key)
            size += _to_write(item, plain, depth + 1, left - size)
            if size > left:
                break
    elif isinstance(value, (list, tuple)):
        for item in value:
            size += 256
            size += _to_write(item, plain, depth + 1, left - size)
            if size > left:
                break
    else:
        _doubts += 1
        try:
            size += _to_write(plain(value), plain, depth + 1, left)
        except TypeError:
            pass  # whoever writes it says why it cannot
    return size
