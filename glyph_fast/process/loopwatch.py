"""Notices that the loop does not turn, and says whose code holds it up.

Everything of a server waits while one handler computes, or sleeps without `await`. Timing each call
would cost more than most calls do, so the loop only beats, four times a second, and a thread looks
whether it does. While it does not, the thread can see what the loop's thread is doing.
"""

from __future__ import annotations

import asyncio
import logging
import selectors
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from ..logs import SERVER, Throttle, log

BEAT_S = 0.25
LAG_S = 0.5  # without a beat that was due
_NOT_MEANT = (str(Path(__file__).parents[1]), selectors.__file__)  # ours, and where asyncio waits
_LOOP = str(Path(asyncio.__file__).parent)


class LoopWatch:
    """Watches the running loop from `start` to `stop`."""

    def __init__(self, beat: float = BEAT_S, lag: float = LAG_S) -> None:
        self._interval = beat
        self._lag = lag
        self._throttle = Throttle()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop watch", daemon=True)
        self._handle: asyncio.TimerHandle | None = None
        self._beat = 0.0  # clock reading of the latest
        self._longest = 0.0  # seconds that a beat was late since somebody has asked
        self._said = False  # that the loop is held up, since the latest beat

    def start(self) -> None:
        """Begin, in the loop's thread."""
        self._loop = asyncio.get_running_loop()
        self._owner = threading.get_ident()
        self._run()
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the thread. May be called twice, and without a start."""
        if self._handle is not None:
            self._handle.cancel()
            self._stopped.set()
            self._thread.join()
            self._handle = None

    def lag(self) -> float:
        """Return how late the loop was at most, in seconds, since this was asked before."""
        longest, self._longest = self._longest, 0.0
        return longest

    def _run(self) -> None:
        before, self._beat = self._beat, time.monotonic()
        if before:
            self._longest = max(self._longest, self._beat - before - self._interval)
        if self._said:
            self._said = False
            seconds = self._beat - before - self._interval
            log(SERVER, logging.WARNING, "the loop goes on", held_up_seconds=round(seconds, 3))
        self._handle = self._loop.call_later(self._interval, self._run)

    def _watch(self) -> None:
        while not self._stopped.wait(self._interval):
            late = time.monotonic() - self._beat - self._interval
            if late < self._lag or self._said:
                continue
            frame = application_frame(sys._current_frames().get(self._owner))
            # Without one the loop waits for its turn, not for the application: the machine is busy.
            if frame is not None and self._throttle.admit() is not None:
                self._said = True
                log(
                    SERVER,
                    logging.WARNING,
                    "the loop is held up",
                    function=f"{frame.f_globals.get('__name__')}:{frame.f_code.co_qualname}",
                    where=f"{frame.f_code.co_filename}:{frame.f_lineno}",
                    seconds=round(late, 3),
                )


def application_frame(frame: FrameType | None) -> FrameType | None:
    """The outermost function of the application that the loop has called; None when none runs.

    `frame` is the innermost one of the loop's thread. What lies outside of asyncio's own frames
    has called the loop and is not meant.
    """
    found = None
    while frame is not None and not frame.f_code.co_filename.startswith(_LOOP):
        if not frame.f_code.co_filename.startswith(_NOT_MEANT):
            found = frame
        frame = frame.f_back
    return found if frame is not None else None
