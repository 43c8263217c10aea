"""What a process holds, counted in every way the system tells."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from pathlib import Path
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGE_SIZE")


class Footprint(NamedTuple):
    """Objects, blocks and bytes that are in use, and open descriptors."""

    objects: int  # that the collector knows
    blocks: int  # of Python's allocator: every object, and what belongs to it
    heap: int  # bytes of malloc, where the core's buffers and zlib's contexts lie
    rss: int  # bytes
    descriptors: int

    @classmethod
    def now(cls) -> Footprint:
        """After a collection and a trim: what only a cycle or malloc holds does not count."""
        for _ in range(3):
            gc.collect()
        trim()
        return cls(
            len(gc.get_objects()),
            sys.getallocatedblocks(),
            heap(),
            int(Path("/proc/self/statm").read_text().split()[1]) * PAGE,
            len(os.listdir("/proc/self/fd")),
        )

    def growth(self, since: Footprint) -> Footprint:
        """What has come since."""
        return Footprint(*(now - then for now, then in zip(self, since, strict=True)))


class _MallInfo2(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def heap() -> int:
    """Bytes that malloc has given out, 0 where there is no glibc to tell."""
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is None:
        return 0
    mallinfo2.restype = _MallInfo2
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd)


def trim() -> None:
    """Give back to the system what malloc keeps of freed memory, where glibc is there to do it.

    How much it keeps depends on which block happens to lie at the end of the heap; without this,
    resident memory says little about what is in use.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
