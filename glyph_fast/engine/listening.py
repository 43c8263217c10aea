"""Listening sockets: bound before anything runs, so that a taken port is found out at once."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

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
        """Return whether they are Unix sockets."""
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


def bind_tcp(host: str, port: int, *more: str) -> Listening:
    """Sockets on every address of `host` and the hosts after it, all with one port.

    0 picks a free one. `::` is every address of both families, in two sockets, so that clients of
    IPv4 have their own addresses. Raises OSError when a name is unknown or an address cannot be
    had. Of a host with several addresses, those that this machine lacks (IPv6 switched off, say)
    are passed over.
    """
    for _ in range(PORT_TRIES - 1):
        try:
            return Listening(_bind_all((host, *more), port))
        except OSError as exc:
            if port or exc.errno != errno.EADDRINUSE:
                raise
    return Listening(_bind_all((host, *more), port))


def bind_unix(path: str, mode: int = 0o660) -> Listening:
    """A socket at `path`, for whom `mode` lets connect. One nobody listens on is removed first.

    Raises OSError when somebody does, or when something else is there.
    """
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        os.chmod(path, mode)  # nobody can connect before it listens
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


def spread(sockets: Sequence[socket.socket], count: int) -> list[list[socket.socket]]:
    """Listening sockets for each of `count` processes, made of those that are bound.

    The kernel spreads connections evenly over the sockets of one address (SO_REUSEPORT, Linux 3.9),
    so each process gets one of its own where that can be; of a Unix socket, or one that a service
    manager opened, all get the same. Nobody is left out: with more sockets than processes some get
    several. A port is taken before the option is set, so no other server can slip in.
    """
    shares: list[list[socket.socket]] = [[] for _ in range(count)]
    by_address: dict[tuple[int, Any], list[socket.socket]] = {}
    for sock in sockets:
        by_address.setdefault((sock.family, sock.getsockname()), []).append(sock)
    for (family, address), alike in by_address.items():
        while len(alike) < count and (one_more := _beside(alike[0], family, address)) is not None:
            alike.append(one_more)
        for i in range(max(count, len(alike))):
            shares[i % count].append(alike[i % len(alike)])
    return shares


def _beside(sock: socket.socket, family: int, address: Any) -> socket.socket | None:
    """Another socket on the address of one, if that can be had."""
    if not isinstance(address, tuple) or not hasattr(socket, "SO_REUSEPORT"):
        return None
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if listens and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
        return None  # the kernel would give it all connections, or none
    other = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _prepare(other)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(address)
    except OSError:
        other.close()
        return None
    return other


def _bind_all(hosts: Sequence[str], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    taken: set[tuple[int, str]] = set()  # an address that two hosts share is bound once
    try:
        for host in hosts:
            absent: OSError | None = None
            has_some = False
            for family, address in _addresses(host, port):
                if (family, address[0]) not in taken:
                    try:
                        sock = _bind(family, (address[0], port, *address[2:]))
                    except OSError as exc:
                        if exc.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                            raise
                        absent = exc
                        continue
                    sockets.append(sock)
                    taken.add((family, address[0]))
                    port = port or sock.getsockname()[1]
                has_some = True
            if not has_some:
                raise absent or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    """Families and addresses of a host, each once."""
    names = ("::", "0.0.0.0") if host == "::" else (host,)
    if host == "::" and not socket.has_ipv6:
        names = ("0.0.0.0",)
    found = [
        each
        for name in names
        for each in socket.getaddrinfo(
            # Bytes spare the start of a server the tables of international names.
            name.encode() if name.isascii() else name,
            port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
    ]
    return list(dict.fromkeys((each[0], each[4]) for each in found))


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        _prepare(sock)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _prepare(sock: socket.socket) -> None:
    if sys.platform != "win32":
        # Without it, a restarted server would have to wait for the last one's connections to
        # leave TIME_WAIT. On Windows it would let two servers share the port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        # A socket of its own has IPv4: here its clients would be ::ffff:192.0.2.1 and the like.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


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
