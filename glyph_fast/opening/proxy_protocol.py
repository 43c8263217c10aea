"""The PROXY protocol, versions 1 and 2: how a proxy of bytes says who its client is.

The header stands before everything else a connection carries, TLS included. It is read as a pure
function of the bytes so far; nothing is taken from a connection before the whole of it is there.
The specification is HAProxy's `doc/proxy-protocol.txt`.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

from ..engine.crc32c import crc32c
from ..http.forwarded import Proxies

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"  # of version 2
MAX_LINE = 107  # bytes of a header of version 1, its CRLF included
MAX_EXTRA = 4096  # bytes after the 16 that begin a header of version 2; real ones have some hundred

_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [ -~]*)?|TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+)"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n"
)
_LOCAL, _PROXY = 0x20, 0x21  # version 2 and the command
_STREAM = 1  # the transport's half of the family byte
_CHECKSUM = 0x03  # the type of what may stand behind the addresses: PP2_TYPE_CRC32C
_SIZES = {1: 12, 2: 36, 3: 216}  # bytes of both addresses, by family: IPv4, IPv6, Unix


class ProxyHeader(NamedTuple):
    """A whole header: its bytes, and the client's address where it tells one."""

    size: int
    source: str | None


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """The header that `data` begins with; None while more is needed to know.

    ValueError for what is no header, as early as its bytes allow. A proxy that speaks for itself
    (LOCAL, UNKNOWN) or for a client without an address (a Unix socket's) tells no source.
    """
    if data[:1] == b"P":
        return _read_line(data)
    if not data.startswith(SIGNATURE):
        if SIGNATURE.startswith(data):
            return None
        raise ValueError("no PROXY header")
    return _read_binary(data)


def _read_line(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\n", 0, MAX_LINE) + 1
    if not end:
        if len(data) >= MAX_LINE or not b"PROXY ".startswith(data[:6]):
            raise ValueError("no PROXY header")
        return None
    match = _LINE.fullmatch(data[:end])
    if match is None:
        raise ValueError("malformed PROXY header")
    family, *texts = match.groups()
    if family is None:
        return ProxyHeader(end, None)
    address = IPv4Address if family == b"4" else IPv6Address
    try:
        source, _ = [address(each.decode()) for each in texts[:2]]
    except ValueError:
        raise ValueError("malformed PROXY header") from None
    if max(int(port) for port in texts[2:]) > 65535:
        raise ValueError("malformed PROXY header")
    return ProxyHeader(end, _text(source))


def _read_binary(data: bytes) -> ProxyHeader | None:
    head = data[12:16]
    if head[:1] and head[0] not in (_LOCAL, _PROXY):
        raise ValueError("unknown version or command in PROXY header")
    if len(head) < 4:
        return None
    extra = int.from_bytes(head[2:], "big")
    if extra > MAX_EXTRA:
        raise ValueError("PROXY header is too long")
    family, transport = head[1] >> 4, head[1] & 15
    told = head[0] == _PROXY and family != 0
    if told and (transport != _STREAM or extra < _SIZES.get(family, extra + 1)):
        raise ValueError("malformed PROXY header")
    if len(data) < 16 + extra:
        return None
    source = None
    if told:  # else the rest of the header is to be ignored, wherever it may begin
        _check_extra(data[: 16 + extra], 16 + _SIZES[family])
    if told and family == 1:
        source = socket.inet_ntop(socket.AF_INET, data[16:20])
    elif told and family == 2:
        source = _text(IPv6Address(data[16:32]))
    return ProxyHeader(16 + extra, source)


def _check_extra(header: bytes, position: int) -> None:
    """Verify what stands behind the addresses: types, sizes and values, the last ending at the end.

    Nothing is used of it but the checksum, which is of the whole header with zeros in its place.
    """
    checked = False
    while position < len(header):
        begin = position + 3
        position = begin + int.from_bytes(header[begin - 2 : begin], "big")
        if begin > len(header) or position > len(header):
            raise ValueError("malformed PROXY header")
        if header[begin - 3] == _CHECKSUM:
            if checked or position - begin != 4:
                raise ValueError("malformed PROXY header")
            checked = True
            zeroed = header[:begin] + bytes(4) + header[position:]
            if crc32c(zeroed) != int.from_bytes(header[begin:position], "big"):
                raise ValueError("wrong checksum in PROXY header")


def _text(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


class ProxyGate:
    """Reads the headers of a server's connections; `read` is given all that came so far.

    Where proxies are trusted, only theirs count, and whoever else connects is not served: a header
    of anybody's would let clients choose their address.
    """

    def __init__(self, proxies: Proxies, failed: Callable[[Any, str], object]) -> None:
        self._proxies = proxies
        self._failed = failed  # told of connections that are not served, and why

    def read(self, conn: Any, data: bytes) -> int:
        """Return how many bytes the header has, 0 while it is not complete; -1 when there is none.

        `conn.remote` is the client's address then.
        """
        try:
            if self._proxies and not self._proxies.trusts(conn.remote):
                raise ValueError("not a trusted proxy")
            header = read_proxy_header(data)
        except ValueError as exc:
            self._failed(conn, str(exc))
            return -1
        if header is None:
            return 0
        if header.source is not None:
            conn.remote = header.source
        return header.size
