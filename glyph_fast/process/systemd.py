"""The two small protocols of systemd: sockets it passes, and news it wants to hear.

`sd_listen_fds(3)`: sockets that were opened for us, as descriptors from 3 on. `sd_notify(3)`: a
datagram per change of state. Both are there by environment variables, and neither needs systemd.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

from ..errors import ConfigError

FIRST_FD = 3
ADMIN_NAME = "admin"  # FileDescriptorName= of the operators' port
_LISTEN = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def activated_sockets(environ: MutableMapping[str, str]) -> dict[str, list[socket.socket]]:
    """The sockets opened for this process, those named "admin" apart from the others ("").

    Takes the variables out of `environ`, so that no child believes them. Raises ConfigError for a
    descriptor that is no listening stream socket.
    """
    pid, count, names = (environ.pop(name, "") for name in _LISTEN)
    if pid != str(os.getpid()) or not count.isascii() or not count.isdecimal():
        return {}
    found: dict[str, list[socket.socket]] = {}
    labels = names.split(":")
    for index in range(int(count)):
        label = labels[index] if index < len(labels) else ""
        kind = ADMIN_NAME if label == ADMIN_NAME else ""
        found.setdefault(kind, []).append(_listening_socket(FIRST_FD + index))
    return found


def _listening_socket(fd: int) -> socket.socket:
    try:
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
    except OSError as exc:
        raise ConfigError(f"LISTEN_FDS: descriptor {fd} is no socket: {exc.strerror}") from None
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if sock.type != socket.SOCK_STREAM or not listens:
        sock.close()
        raise ConfigError(f"LISTEN_FDS: descriptor {fd} is no stream socket that listens")
    return sock


class Notifier:
    """Sends states to the service manager; does nothing when there is none.

    A manager that does not listen is no reason to stop serving, so errors are passed over.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        pid = environ.get("WATCHDOG_PID", "")
        usec = environ.get("WATCHDOG_USEC", "")
        is_ours = not pid or pid == str(os.getpid())
        is_number = usec.isascii() and usec.isdecimal() and int(usec or 0) > 0
        self.watchdog_s = int(usec) / 1e6 if path and is_ours and is_number else None

    def send(self, *states: str) -> None:
        """Send assignments such as "READY=1", all in one datagram."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(states).encode(), self._address)
        except OSError:
            pass

    def ready(self, status: str) -> None:
        """It serves."""
        self.send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """A successor is being started; `ready` or `handed_over` follows."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.send("RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=starting a new process")

    def handed_over(self, pid: int) -> None:
        """The service is another process from now on; what this one says no longer counts."""
        self.send(f"MAINPID={pid}", "READY=1", "STATUS=serving")
        self._address = ""

    def stopping(self) -> None:
        """It drains."""
        self.send("STOPPING=1", "STATUS=draining")

    def alive(self) -> None:
        """The loop turns."""
        self.send("WATCHDOG=1")
