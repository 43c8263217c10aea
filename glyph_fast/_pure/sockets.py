"""What the standard library does not offer of sockets."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys


def reset_socket(fd: int) -> None:
    """Reset a connected socket at once, whoever else holds a copy of its descriptor.

    Where the system cannot (not TCP, not Linux), the close that has to follow does.
    """
    linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # on, for 0 seconds
    sock = socket.socket(fileno=fd)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    finally:
        sock.detach()
    if sys.platform == "linux":
        nobody = struct.pack("=H14x", socket.AF_UNSPEC)
        ctypes.CDLL(None).connect(fd, nobody, len(nobody))  # Python's own knows no such address


def _address_text(host: str) -> str:
    """An IPv4 address that came through an IPv6 socket reads as what it is."""
    return host.removeprefix("::ffff:") if "." in host else host


def unacknowledged(fd: int) -> int:
    """Bytes in a socket's send buffer that the peer has not acknowledged; 0 where none can tell."""
    if sys.platform != "linux":
        return 0
    import fcntl
    import termios

    try:  # of a socket it is SIOCOUTQ
        return int.from_bytes(fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except (OSError, ValueError):
        return 0
