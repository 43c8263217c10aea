"""Limits of one run of a handler: steps, calls, time, memory, sizes.

A failing handler costs its own event, never the process. Steps are turns of loops and calls of
functions; generated code takes each from an iterator, which is the cheapest way to count.

Between two steps a program can still build or walk values of any size, so whatever does is charged
for it, in bytes or something like it. What has been charged is no limit by itself: each time some
megabytes have come together, the clock and the memory of the process are looked at. So it does no
harm to charge generously, and what is thrown away at once costs nothing but time.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from itertools import chain, repeat
from threading import local
from time import monotonic
from typing import NoReturn

from .values import LimitReached

MAX_STEPS = 1_000_000
MAX_DEPTH = 200  # calls inside calls
TIME_LIMIT_S = 3.0
MAX_MEMORY = 256 * 1024 * 1024  # bytes by which one run may let the process grow
MAX_TEXT = 16 * 1024 * 1024  # code points of one string
MAX_ELEMENTS = 1_000_000  # of one array, or fields of one object

SMALL = 256  # code points or elements below which only a whole turn of a loop is charged
_LOOK_EVERY = 16 * 1024 * 1024  # bytes charged
_COLLECT_EVERY = 8  # looks, in programs that may tie values into circles


class _Account(local):
    """The account of the run at hand, of this thread.

    `deadline` is 0 until somebody has asked for it: an event that charges nothing costs no more
    than setting it so.
    """

    def __init__(self) -> None:
        self.deadline = 0.0
        self.left = _LOOK_EVERY
        self.before: int | None = None  # the memory of the process when it was first looked at
        self.ties = False  # whether values have been put into others, perhaps into themselves
        self.looks = 0  # since garbage was last collected

    def start(self) -> float:
        """The run begins now; when it has to be over."""
        self.deadline = monotonic() + TIME_LIMIT_S
        self.left = _LOOK_EVERY
        self.before = None
        return self.deadline

    def look(self) -> None:
        """Fail when the run has taken too long, or too much memory."""
        self.left = _LOOK_EVERY
        if monotonic() > (self.deadline or self.start()):
            _too_late()
        self.looks += self.ties
        if self.looks >= _COLLECT_EVERY:  # what holds itself is freed by nobody else
            self.looks, self.ties = 0, False
            gc.collect()
        now = _memory()
        if self.before is None:
            self.before = now
        if now - self.before > MAX_MEMORY:
            raise LimitReached(f"the handler's values take more than {MAX_MEMORY >> 20} MiB")


account = _Account()


def charge(size: int) -> None:
    """Count `size` bytes, or units of work like them, for the run at hand."""
    account.left -= size
    if account.left < 0:
        account.look()


def _memory() -> int:
    """Return what the process has in memory, in bytes; 0 where nothing tells."""
    try:
        # Opened each time: kept open, it would go on telling of a process that has forked.
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):  # pragma: no cover - not on Linux
        return _largest_memory()


def _largest_memory() -> int:
    """The most the process ever had in memory: it tells less, but in more places."""
    try:
        import resource
    except ImportError:  # pragma: no cover - not there
        return 0
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kibibytes if os.uname().sysname == "Darwin" else kibibytes * 1024


# --- steps ---------------------------------------------------------------------------------------


class _End:
    """The end of all steps: asking for another one fails, as often as it is asked."""

    def __init__(self) -> None:
        self.is_late = False

    def __iter__(self) -> Iterator[None]:
        return self

    def __next__(self) -> None:
        if self.is_late:
            _too_late()
        raise LimitReached(f"the handler took more than {MAX_STEPS} steps")


def budget() -> Iterator[None]:
    """The steps of one run; asking for one too many, or too late, is a failure."""
    end = _End()
    return chain(_steps(account.deadline or account.start(), end), end)


def _steps(deadline: float, end: _End) -> Iterator[None]:
    for _ in repeat(None, MAX_STEPS):
        yield
        if monotonic() > deadline:
            end.is_late = True
            return


def _too_late() -> NoReturn:
    raise LimitReached(f"the handler ran longer than {TIME_LIMIT_S:g} s")


def too_deep() -> NoReturn:
    """More calls inside calls than allowed."""
    raise LimitReached(f"more than {MAX_DEPTH} calls inside each other")


# --- sizes ---------------------------------------------------------------------------------------


def sized_text(text: str) -> str:
    """`text`, charged, unless it is longer than a string may be."""
    size = len(text)
    if size > SMALL:
        expect_text(size)
    return text


def expect_text(size: int) -> None:
    """Charge a string of `size` code points; fail before it is made when that is too long."""
    if size > MAX_TEXT:
        raise LimitReached(f"a string of {size} characters; at most {MAX_TEXT}")
    charge(size)


def expect_elements(size: int) -> None:
    """Charge an array of `size` elements; fail before it is made when that is too long."""
    if size > MAX_ELEMENTS:
        raise LimitReached(f"an array of {size} elements; at most {MAX_ELEMENTS}")
    charge(8 * size)


def walked(size: int) -> None:
    """Charge for looking at `size` characters or elements."""
    if size > SMALL:
        charge(size)
