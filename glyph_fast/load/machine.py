"""On what a run was made, and by which command: a figure without them cannot be repeated."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_CPUS = Path("/proc/cpuinfo")


def machine() -> str:
    """The processor, how many of it this process may use, and the system."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.release()}"
    return f"{count} × {_processor()}, {system}"


def command(arguments: Sequence[str], url: str, shown: str) -> str:
    """A command line to be shown: with the URL as it may be, without a password in it."""
    words = [shown if each == url else each for each in arguments]
    return shlex.join(["glyph-fast", *words])


def own_command(url: str, shown: str) -> str:
    """That of this process."""
    return command(sys.argv[1:], url, shown)


def _processor() -> str:
    try:
        found: Any = re.search(r"^model name\s*: (.+)$", _CPUS.read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()
