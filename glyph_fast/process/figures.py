"""The costs of this process: processor time, memory, open files."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_MEMORY = Path("/proc/self/statm")
_FILES = "/proc/self/fd"
COUNTED_FOR_S = 10.0  # how long a count of open files is good where it has to be made by hand

_counted: list[float] = [float("-inf"), 0]  # clock reading, number


def own_figures() -> dict[str, Any]:
    """Processor time in seconds, resident bytes, open files and how many there may be.

    0 for what the system does not tell; of memory and files only Linux does.
    """
    times = os.times()
    return {
        "cpu_seconds": round(times.user + times.system, 3),
        "memory_bytes": _memory(),
        "open_files": _open_files(),
        "max_files": _max_files(),
    }


def figures_of_all(processes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Those of several processes as if of one.

    Files are those of the process that has most of its limit in use: each has a limit of its own.
    """
    fullest = max(
        processes, key=lambda each: each["open_files"] / max(each["max_files"], 1), default=None
    )
    return {
        "cpu_seconds": round(sum(each["cpu_seconds"] for each in processes), 3),
        "memory_bytes": sum(each["memory_bytes"] for each in processes),
        "open_files": 0 if fullest is None else fullest["open_files"],
        "max_files": 0 if fullest is None else fullest["max_files"],
        "loop_lag_seconds": max((each["loop_lag_seconds"] for each in processes), default=0.0),
    }


def _memory() -> int:
    try:
        pages = int(_MEMORY.read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int:
    try:
        if count := os.stat(_FILES).st_size:  # since Linux 6.2
            return count
        if (
            time.monotonic() - _counted[0] > COUNTED_FOR_S
        ):  # one by one, of perhaps a hundred thousand
            _counted[:] = time.monotonic(), len(os.listdir(_FILES)) - 1
    except OSError:
        return 0
    return int(_counted[1])


def _max_files() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 0 if soft == resource.RLIM_INFINITY else soft


__all__ = ["figures_of_all", "own_figures"]
