"""The limit on open files: each connection is one."""

from __future__ import annotations

import sys

MARGIN = 64  # files besides connections: listeners, the loop's own, logs, what handlers open


def raise_open_file_limit() -> int | None:
    """Raise the soft limit of this process to the hard one and return what it is now.

    None: there is no limit, or not one we can read.
    """
    if sys.platform == "win32":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # macOS has a lower limit than it says
            return soft
    return None if hard == resource.RLIM_INFINITY else hard


def is_too_low(limit: int | None, max_connections: int) -> bool:
    """Return whether `limit` files are not enough for so many connections."""
    return limit is not None and limit < max_connections + MARGIN
