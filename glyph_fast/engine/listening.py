"""Listening sockets: bound before anything runs, so that a taken port is found out at once."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from contextlib import suppress

from .base import BACKLOG

PORT_TRIES = 10  # to find one port that is free on every address of a name


class Listening:
    """The sockets of one server; they accept nothing before `start`."""

    def __init__(self, sockets: list[socket.socket], path: str | None = None) -> None:
        self.sockets = sockets
        self.port = _port(sockets[0])
        self._path = path
        self._identity = _identity(path) if path is not None else None

    @property
    def is_unix(self) -> bool:
        """Whether they are Unix sockets."""
        return self.sockets[0].family == getattr(socket, "AF_UNIX", None)

    @property
    def address(self) -> str:
        """The host or, of a Unix socket, the path of the first one."""
        name = self.sockets[0].getsockname()
        return os.fsdecode(name) if isinstance(name, str | bytes) else str(name[0])

    def start(self) -> None:
        """Let clients connect; they wait until somebody accepts them."""
        for sock in self.sockets:
            sock.listen(BACKLOG)
            sock.setblocking(False)

    def leave_file(self) -> None:
        """Let the file of a Unix socket outlive this process: another one listens there."""
        self._identity = None

    def close(self) -> None:
        """Close the sockets and remove the file of a Unix socket. May be called twice.

        A file that another server has put in the same place meanwhile is left alone.
        """
        for sock in self.sockets:
            sock.close()
        if self._path is not None and self._identity is not None:
            with suppress(OSError):
                if _identity(self._path) == self._identity:
                    os.unlink(self._path)
            self._identity = None


def bind_tcp(host: str, port: int) -> Listening:
    """Sockets on every address of `host`, all with one port; 0 picks a free one.

    Raises OSError when the name is unknown or an address cannot be had. Of a name with several
    addresses, those that this machine lacks (IPv6 switched off, say) are passed over.
    """
    for _ in range(PORT_TRIES - 1):
        try:
            return Listening(_bind_all(host, port))
        except OSError as exc:
            if port or exc.errno != errno.EADDRINUSE:
                raise
    return Listening(_bind_all(host, port))


def bind_unix(path: str) -> Listening:
    """A socket at `path`. A socket file that nobody listens on is removed first.

    Raises OSError when somebody does, or when something else is there.
    """
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
    except OSError:
        sock.close()
        raise
    return Listening([sock], path)


def inherit(sockets: list[socket.socket], *, owns_file: bool) -> Listening:
    """Sockets that another process has bound; `owns_file`: the file of a Unix socket is ours now.

    Raises OSError when they are closed in the meantime.
    """
    name = sockets[0].getsockname()
    is_file = isinstance(name, str) and bool(name) and owns_file
    return Listening(sockets, name if is_file else None)


def _bind_all(host: str, port: int) -> list[socket.socket]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, address in dict.fromkeys((each[0], each[4]) for each in found):
            try:
                sock = _bind(family, (address[0], port, *address[2:]))
            except OSError as exc:
                if exc.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                absent = exc
                continue
            sockets.append(sock)
            port = port or sock.getsockname()[1]
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    if not sockets:
        raise absent or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    return sockets


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            # Without it, a restarted server would have to wait for the last one's connections to
            # leave TIME_WAIT. On Windows it would let two servers share the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" must not take IPv4's port as well: 0.0.0.0 is what asks for that.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _port(sock: socket.socket) -> int:
    name = sock.getsockname()
    return int(name[1]) if isinstance(name, tuple) else 0


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "the file exists and is no socket", path)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError:
            pass  # somebody is there who does not answer, or whom we may not ask
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)
