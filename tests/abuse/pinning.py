"""The server alone on one processor, everybody else on another: its turns, not the scheduler's.

    with apart(start) as server: …

A server that is busy all the time has to share its processor with whoever else wants it, and
waits for its turn of that longer than its own turns are. So it gets one for itself. Who attacks
and who watches share the other, where the one who watches goes first: it is in the real-time
class, and sleeps between its questions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Made = TypeVar("Made")


class Unpinnable(Exception):
    """This machine or this user cannot; the text says why."""


@contextmanager
def apart(make: Callable[[], Made]) -> Iterator[Made]:
    """What `make` starts on the first processor; this process, and what it starts, on the next."""
    before = os.sched_getaffinity(0)
    processors = sorted(before)
    if len(processors) < 2:
        raise Unpinnable("--pin needs two processors")
    try:
        os.sched_setaffinity(0, processors[:1])
        made = make()
        os.sched_setaffinity(0, processors[1:2])
        yield made
    finally:
        os.sched_setaffinity(0, before)


def goes_first(pid: int) -> None:
    """Let a process that mostly sleeps run as soon as it has something to do."""
    try:
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        raise Unpinnable("--pin needs root, for the real-time class") from None


def comes_first(pid: int) -> None:
    """Let a process that is busy have its processor where others come by, as far as may be."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, -20)
    except PermissionError:
        raise Unpinnable("--pin needs root, for the server's priority") from None
