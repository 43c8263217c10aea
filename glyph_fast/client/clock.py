"""Time that goes on while the machine sleeps: what a server forgets, it forgets then too."""

from __future__ import annotations

import time


def now() -> float:
    """Seconds since some moment."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time()
