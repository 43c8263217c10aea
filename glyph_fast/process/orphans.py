"""What the first process of a container owes processes whose parent has ended.

They become its children, and stay in the kernel's table until it has asked how they ended. It must
not ask so of children that it has started itself: whoever did would never hear how these ended.
"""

from __future__ import annotations

import os
from collections.abc import Collection

FIRST = 1  # the process id that a container's first process sees


def reap_orphans(own: Collection[int]) -> None:
    """Let go of children that have ended and are not among `own`, as the first process."""
    if os.getpid() != FIRST:
        return
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return  # there are no children at all
        if ended is None or ended.si_pid in own:
            return  # one of ours is asked about by who started it, and then it is the others' turn
        os.waitpid(ended.si_pid, os.WNOHANG)


__all__ = ["reap_orphans"]
