"""The number of processes that serve: given, or one for each processor they may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from .readers import Reader, count
from .values import Takes

MOST = 256  # workers; beyond any machine's use, and the main process holds a link to each
WorkerCount = Takes[int, int | str]
_read = count(1, MOST)
_OWN_GROUP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def worker_count() -> Reader:
    """A number of processes from 1, or "auto"."""

    def read(raw: object) -> int:
        try:
            return processors() if raw == "auto" else int(_read(raw))
        except ValueError as exc:
            raise ValueError(f"{exc}, or auto") from None

    return read


def processors() -> int:
    """The processors this process may use: by its affinity, and the quota of its control group."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quota = _quota()
    return max(1, min(count, MOST, math.ceil(quota) if quota is not None else count))


def _quota() -> float | None:
    """Processors that the control group (version 2) of this process, or one above it, allows."""
    try:
        own = next(
            line[3:] for line in _OWN_GROUP.read_text().splitlines() if line.startswith("0::")
        )
    except (OSError, StopIteration):
        return None
    found = []
    group = _GROUPS / own.lstrip("/")
    for each in (group, *group.parents):
        if not each.is_relative_to(_GROUPS):
            break
        try:
            limit, period = (each / "cpu.max").read_text().split()
        except (OSError, ValueError):
            continue
        if limit != "max":
            found.append(int(limit) / int(period))
    return min(found, default=None)
