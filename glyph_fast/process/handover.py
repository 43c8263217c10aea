"""Listening sockets that one process passes to the next, so that clients always find somebody.

Whoever starts a successor, a server told to restart or the watcher of `--reload`, gives it the
descriptors, one end of a channel, and one end of the link over which the process before it hands
over what rooms remember; they are named in one environment variable:

    successor → starter     READY, a line of JSON, once it accepts connections; for the watcher,
                            with its own listening sockets attached
    starter → successor     LEAVE or STOP, from the watcher only; its end means STOP as well. With
                            LEAVE comes the other end of the next one's link

Both processes may accept from the same socket for a moment, and the kernel's queue of connections
belongs to the socket: nothing in it is lost when one of them closes its descriptor.
"""

from __future__ import annotations

import array
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

VARIABLE = "_GLYPH_FAST_HANDOVER"
ACTIVATED = "(activated)"  # the place of sockets that a service manager opened
LEAVE = b"L"  # close with 1012: another process serves on
STOP = b"S"  # drain
SIGNALLED = 128  # and the signal's number: the exit status of what a signal ended
READ_SIZE = 65536
MAX_FDS = 64
POLL_S = 0.005  # between two looks at a process that is ending


class HandoverError(Exception):
    """A successor did not come to serve; `status` is how it ended."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Place(NamedTuple):
    """Sockets and what they were bound for, as the options say it: `127.0.0.1:8080`."""

    name: str
    sockets: list[socket.socket]


class Inherited:
    """The sockets this process got from the one that started it: by role, `listening` or `admin`.

    `channel` leads to the starter, `is_watched` says that it is the watcher of `--reload`, and
    `former` leads to the process that served before, if there is one.
    """

    def __init__(
        self,
        places: Mapping[str, Place] | None = None,
        channel: socket.socket | None = None,
        *,
        former: socket.socket | None = None,
        is_watched: bool = False,
    ) -> None:
        self._places = dict(places or {})
        self.channel = channel
        self._former = former
        self.is_watched = is_watched

    @classmethod
    def from_environ(cls, environ: MutableMapping[str, str]) -> Inherited:
        """Take what the variable names, and the variable out of `environ`."""
        text = environ.pop(VARIABLE, "")
        if not text:
            return cls()
        given = json.loads(text)
        places = {
            role: Place(name, [_socket(fd) for fd in fds])
            for role, (name, fds) in given["places"].items()
        }
        former = given.get("former")  # of a starter of an older release there is none
        return cls(
            places,
            _socket(given["channel"]),
            former=None if former is None else _socket(former),
            is_watched=given["is_watched"],
        )

    def take_former(self) -> socket.socket | None:
        """The link to the process that served before."""
        former, self._former = self._former, None
        return former

    def add(self, role: str, sockets: list[socket.socket]) -> None:
        """Add sockets that a service manager opened."""
        self._places[role] = Place(ACTIVATED, sockets)

    def take(self, role: str, name: str) -> Place | None:
        """The sockets of a role, if they are for that place; those of another one are closed."""
        place = self._places.pop(role, None)
        if place is not None and place.name not in (name, ACTIVATED):
            _close(place.sockets)
            return None
        return place

    def close(self) -> None:
        """Close what nobody took."""
        for place in self._places.values():
            _close(place.sockets)
        self._places.clear()
        if (former := self.take_former()) is not None:
            former.close()

    def tell_ready(self, files: Sequence[str], places: Mapping[str, Place]) -> None:
        """Say that this process accepts connections, made of `files` beside those of Python."""
        assert self.channel is not None
        fds: list[int] = []
        ready: dict[str, Any] = {"pid": os.getpid(), "files": list(files), "places": []}
        if self.is_watched:
            for role, place in places.items():
                ready["places"].append([role, place.name, len(place.sockets)])
                fds += [sock.fileno() for sock in place.sockets]
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            message = json.dumps(ready).encode() + b"\n"
            sent = self.channel.sendmsg([message], attached)
            self.channel.sendall(message[sent:])
        except OSError:
            pass  # the starter is gone; we serve all the same


def _socket(fd: int) -> socket.socket:
    os.set_inheritable(fd, False)
    return socket.socket(fileno=fd)


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def is_watched(environ: Mapping[str, str]) -> bool:
    """Return whether this process was started by the watcher of `--reload`."""
    text = environ.get(VARIABLE, "")
    return bool(text) and bool(json.loads(text)["is_watched"])


def own_command() -> list[str]:
    """The command line that starts this process once more."""
    return [sys.executable, *sys.orig_argv[1:]]


def open_terminals() -> list[int]:
    """Which of the standard streams are a terminal that is there.

    When the list has become shorter, SIGHUP has its first meaning: the line was hung up.
    """
    found = []
    for fd in (0, 1, 2):
        try:
            if os.isatty(fd):
                found.append(fd)
        except OSError:
            pass
    return found


class Successor:
    """A process that was started to take over.

    `is_ready` is done when it serves, with HandoverError when it ended before; `has_ended` is done
    with its exit status. `files` and `places` are what a watched one said when it was ready.
    `bequest` is our end of its link to the process that serves now, where `has_former`.
    """

    def __init__(
        self,
        command: Sequence[str],
        places: Mapping[str, Place],
        environ: Mapping[str, str],
        *,
        is_watched: bool = False,
        has_former: bool = False,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.is_ready: asyncio.Future[None] = self._loop.create_future()
        self.has_ended: asyncio.Future[int] = self._loop.create_future()
        self.files: list[str] = []
        self.places: dict[str, Place] = {}
        self._is_watched = is_watched
        self._received = b""
        self._fds: list[int] = []
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._channel: socket.socket | None = ours
        former: socket.socket | None = None
        self.bequest: socket.socket | None = None
        if has_former:
            self.bequest, former = socket.socketpair()
        try:
            with theirs:
                self._process = _start(command, theirs, former, places, environ, is_watched)
        except BaseException:
            ours.close()
            self.drop_bequest()
            raise
        finally:
            if former is not None:
                former.close()
        self.pid = self._process.pid
        # Its end of the channel is closed by its end, whatever that was.
        self._loop.add_reader(ours.fileno(), self._hear)

    def tell(self, word: bytes, bequest: socket.socket | None = None) -> None:
        """Send LEAVE or STOP to a watched process; `bequest` leads to whom it hands over to."""
        if self._channel is not None:
            with suppress(OSError):  # it ends already
                socket.send_fds(self._channel, [word], [bequest.fileno()] if bequest else [])
        if bequest is not None:
            bequest.close()

    def take_bequest(self) -> socket.socket | None:
        """Our end of its link, for who hands over."""
        bequest, self.bequest = self.bequest, None
        return bequest

    def drop_bequest(self) -> None:
        """Let it know that nothing will be handed over."""
        if (bequest := self.take_bequest()) is not None:
            bequest.close()

    def terminate(self) -> None:
        """Ask it to end, with the signal that also reaches one that is still loading."""
        if self._process.returncode is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            self._process.kill()

    async def end(self) -> None:
        """Kill it and wait until it is gone."""
        self.kill()
        await self.has_ended

    def _hear(self) -> None:
        assert self._channel is not None
        try:
            data, fds, _, _ = socket.recv_fds(self._channel, READ_SIZE, MAX_FDS)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, fds = b"", []
        self._fds += fds
        if not data:
            self._close_channel()
            self._loop.create_task(self._wait())
            return
        self._received += data
        if self._received.endswith(b"\n") and not self.is_ready.done():
            self._read_ready(json.loads(self._received))

    def _read_ready(self, ready: dict[str, Any]) -> None:
        for fd in self._fds:
            os.set_inheritable(fd, False)
        sockets = [socket.socket(fileno=fd) for fd in self._fds]
        self._fds = []
        for role, name, count in ready["places"]:
            self.places[role] = Place(name, sockets[:count])
            del sockets[:count]
        self.files = ready["files"]
        if not self._is_watched:
            self._let_go()
        self.is_ready.set_result(None)

    def _let_go(self) -> None:
        """Leave it alone: it serves by itself."""
        self._close_channel()
        self._process.returncode = 0  # else Popen complains about a process left running

    async def _wait(self) -> None:
        while (status := self._process.poll()) is None:
            await asyncio.sleep(POLL_S)
        self.drop_bequest()
        if not self.is_ready.done():
            self.is_ready.set_exception(HandoverError(how_it_ended(status), status))
            self.is_ready.exception()  # somebody may not want to know
        self.has_ended.set_result(status)

    def _close_channel(self) -> None:
        if self._channel is not None:
            self._loop.remove_reader(self._channel.fileno())
            self._channel.close()
            self._channel = None


def _start(
    command: Sequence[str],
    channel: socket.socket,
    former: socket.socket | None,
    places: Mapping[str, Place],
    environ: Mapping[str, str],
    is_watched: bool,
) -> subprocess.Popen[bytes]:
    fds = {role: [sock.fileno() for sock in place.sockets] for role, place in places.items()}
    given = {
        "channel": channel.fileno(),
        "former": None if former is None else former.fileno(),
        "is_watched": is_watched,
        "places": {role: [place.name, fds[role]] for role, place in places.items()},
    }
    # The watchdog of a service is for whichever process serves.
    kept = {name: value for name, value in environ.items() if name != "WATCHDOG_PID"}
    passed = [channel, *([] if former is None else [former])]
    return subprocess.Popen(
        command,
        env={**kept, VARIABLE: json.dumps(given)},
        pass_fds=[
            *(sock.fileno() for sock in passed),
            *(fd for each in fds.values() for fd in each),
        ],
    )


def how_it_ended(status: int) -> str:
    """The words for a process's exit status."""
    if status < 0:
        known = {each.value: each.name for each in signal.Signals}
        return f"it was ended by {known.get(-status, f'signal {-status}')}"
    return f"it ended with status {status}"
