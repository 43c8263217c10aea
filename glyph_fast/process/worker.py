"""A worker: one of the processes of `--workers`, as it sees itself.

The main process starts it by the same command line, with one end of a link in an environment
variable. The worker loads the program, tells what it has found (`Told`), gets its listening
sockets, serves, and drains when main says so, or is gone. Signals of a terminal reach every process
of its group; a worker leaves them to main.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

from ..broker.frames import HEAD, LEADS, Kind, frame, frame_of_json
from ..broker.link import Link
from ..broker.questions import own_classes
from ..errors import GlyphFastError
from ..options.config import Config
from ..options.rooms import RoomDeclaration
from .figures import own_figures
from .handover import MAX_FDS, Inherited
from .process import MAIN, Part, end_at_once, keep_freed_memory

VARIABLE = "_GLYPH_FAST_WORKER"
BEAT_S = 1.0  # between two signs of life
DRAIN = struct.Struct("<HBd")  # a close code, whether others serve on, the seconds it may take
_OWN = frozenset((int(Kind.DRAIN), int(Kind.LEAD)))  # frames that are about this process
MAIN_IS_GONE = "the main process is gone"

LEFT_TO_MAIN = (signal.SIGINT, signal.SIGHUP) if os.name == "posix" else ()


class Told(NamedTuple):
    """The news of a worker that has loaded the program: main has not, and will not."""

    config: Config
    declared: tuple[RoomDeclaration, ...]  # in the program
    files: tuple[str, ...]  # it is made of, beside Python modules

    def to_bytes(self) -> bytes:
        """Return its bytes for the link."""
        return pickle.dumps(tuple(self), protocol=5)

    @classmethod
    def from_bytes(cls, data: bytes) -> Told:
        """Read what `to_bytes` made. Raises pickle.UnpicklingError for what is of other modules."""
        return cls(*own_classes(data))


class Seat(NamedTuple):
    """A worker's number, from 1, how many there are, and its end of the link."""

    number: int
    of: int
    sock: socket.socket

    @staticmethod
    def is_taken(environ: Mapping[str, str]) -> bool:
        """Return whether this process was started as a worker."""
        return VARIABLE in environ

    @classmethod
    def from_environ(cls, environ: MutableMapping[str, str]) -> Seat | None:
        """Take what the variable names, and the variable out of `environ`."""
        text = environ.pop(VARIABLE, "")
        if not text:
            return None
        given = json.loads(text)
        os.set_inheritable(given["link"], False)
        return cls(given["number"], given["of"], socket.socket(fileno=given["link"]))

    def variable(self, link: socket.socket) -> dict[str, str]:
        """The variable that seats a process with that end of a link."""
        given = {"number": self.number, "of": self.of, "link": link.fileno()}
        return {VARIABLE: json.dumps(given)}


class WorkerProcess:
    """The process of a run of a server, in a worker. Compare `Process`."""

    def __init__(self, seat: Seat) -> None:
        keep_freed_memory()
        self.number = seat.number
        self.inherited = Inherited()
        self._sock = seat.sock
        self._loop = asyncio.get_running_loop()
        self._part: Part | None = None
        self._beating: asyncio.TimerHandle | None = None
        self.figures: Callable[[], dict[str, Any]] = dict  # told with each sign of life
        self.heard: Callable[[list[bytes]], object] = len  # gets the frames that are not for us
        self.lost: Callable[[], object] = bool  # called when main is gone
        self.link: Link | None = None

    def take_place(self, told: Told) -> Link:
        """Tell main what was loaded, take the listening sockets, and return the link to main.

        It waits for the answer, for there is nothing else to do. Raises GlyphFastError.
        """
        self._sock.setblocking(True)
        try:
            self._sock.sendall(frame(Kind.HELLO, told.to_bytes()))
            data, fds, _, _ = socket.recv_fds(self._sock, HEAD.size, MAX_FDS)
        except OSError as exc:
            raise GlyphFastError(MAIN_IS_GONE) from exc
        if not fds or HEAD.unpack(data)[1] != Kind.START:
            raise GlyphFastError(MAIN_IS_GONE)
        for fd in fds:
            os.set_inheritable(fd, False)
        self.inherited.add(MAIN, [socket.socket(fileno=fd) for fd in fds])
        self.link = Link(self._sock, self._heard, self._lost)
        return self.link

    def add(self, role: str, part: Part) -> None:
        """Name the part that has the sockets."""
        self._part = part

    def serving(self, files: Sequence[str]) -> None:
        """Clients can connect: tell main."""
        assert self.link is not None
        self.inherited.close()
        self.link.send_always(frame(Kind.READY))
        self._beat()

    async def close(self) -> None:
        """Leave the link, which tells main that this is the end."""
        if self._beating is not None:
            self._beating.cancel()
        self.inherited.close()
        if self.link is not None:
            self.link.flush()
            self._part = None
            self.link.close()
        self._sock.close()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Heed SIGTERM, which is for this process alone, and leave those of a terminal to main."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        seen = False

        def end(number: int, at: FrameType | None) -> None:
            nonlocal seen
            if seen:
                end_at_once(number)
            seen = True
            self._loop.call_soon_threadsafe(self._stop)

        signal.signal(signal.SIGTERM, end)
        for number in LEFT_TO_MAIN:
            # Not SIG_IGN, which the programs that a handler starts would inherit.
            signal.signal(number, lambda number, at: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT_TO_MAIN)  # main blocked them at our start
        yield  # and they stay so: the process ends with its run

    def _stop(self) -> None:
        if self._part is not None:
            self._part.stop()

    def _heard(self, frames: list[bytes]) -> None:
        if not _OWN.isdisjoint([each[4] for each in frames]):
            for each in frames:
                if each[4] == Kind.DRAIN:
                    self._drain(each)
                elif each[4] == Kind.LEAD and self._part is not None:
                    if len(each) == HEAD.size:
                        self._part.lead()
                    else:
                        self._part.lead_cluster(each[HEAD.size :] == LEADS)
            frames = [each for each in frames if each[4] not in _OWN]
        if frames:
            self.heard(frames)

    def _drain(self, told: bytes) -> None:
        code, is_succeeded, timeout = DRAIN.unpack_from(told, HEAD.size)
        if self._part is None:
            return
        if is_succeeded:
            self._part.hand_over()
        else:
            self._part.stop(timeout, code)

    def _lost(self) -> None:
        """Main is gone: nobody would order what is said, so nothing more is served."""
        self.lost()
        self._stop()

    def _beat(self) -> None:
        assert self.link is not None
        if self.link.is_open:
            self.link.send_always(frame_of_json(Kind.BEAT, {**own_figures(), **self.figures()}))
            self._beating = self._loop.call_later(BEAT_S, self._beat)
