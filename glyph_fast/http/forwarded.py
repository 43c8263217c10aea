"""The client behind proxies: `Forwarded` (RFC 7239) and the `X-Forwarded-…` fields.

Anybody can send these fields, so they count only from proxies the operator trusts. Each proxy
appends what it saw, so a list is read from its end: the last entry is the trusted peer's word, the
one before it the word of the proxy that entry names, if that one is trusted as well. The first
address that is not a trusted proxy's is the client. What a client wrote itself lies to the left of
that and is never looked at.

A trusted proxy that cannot be understood, and fields that contradict each other, are refused with
400. Most proxies set one kind and let the other through as the client wrote it: believing either
would let a client choose its address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from ..errors import HandshakeError
from .headers import split_list, unescape
from .request import Request

MAX_HOPS = 64  # entries of one list; a chain of so many proxies is an attack or a loop
MAX_PAIRS = 8 * MAX_HOPS  # parameters of Forwarded, empty ones too
MAX_FORWARDED = 16 * 1024  # bytes of Forwarded
MAX_NODE = 256  # characters of one entry of X-Forwarded-For
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}  # some say it so

# Compiled for those who trust proxies; `re` keeps them.
_HOST = r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_NODE = (  # of Forwarded (RFC 7239 §6) and, unquoted, of X-Forwarded-For
    r"(?:(?P<v4>[0-9.]+)|\[(?P<v6>[0-9A-Fa-f:.]+(?:%[!-Z^-~]+)?)\]|unknown|_[A-Za-z0-9._-]+)"
    r"(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?"
)
_ZONE = r"%[!-Z^-~]+$"
_PAIR = (
    r"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)="
    r"(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|\"((?:[^\"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x1f\x7f])*)\")"
    r"[ \t]*(?=[;,]|$)"
)
_SEPARATOR = r"[ \t]*([;,])"


class Client(NamedTuple):
    """The client, and what it asked for, where trusted proxies know better than the connection."""

    remote: str | None  # the address as text
    scheme: str | None = None  # http or https
    host: str | None = None  # host and port asked for


class Hop(NamedTuple):
    """The word of one proxy about the peer that connected to it."""

    address: str | None  # None where it keeps that to itself
    scheme: str | None = None
    host: str | None = None


class Proxies:
    """The networks of the proxies an operator trusts. A Unix socket's peer, who has no address, is
    trusted as soon as there are any: whom the file's permissions let in."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ip_network(each) for each in networks]
        if networks:
            for pattern in (_HOST, _NODE, _ZONE, _PAIR, _SEPARATOR):
                re.compile(pattern)  # now rather than for the first request
        self._trusts = lru_cache(maxsize=1024)(self._look_up)  # proxies are few, and come again

    def __bool__(self) -> bool:
        """Return whether any proxy is trusted."""
        return bool(self._networks)

    def trusts(self, address: str | None) -> bool:
        """Return whether what a peer of this address says of its clients counts."""
        return bool(self._networks) and (address is None or self._trusts(address))

    def _look_up(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._networks)

    def client(self, request: Request, peer: str | None) -> Client:
        """Return who sent a request that came from `peer`.

        HandshakeError 400 for fields of a trusted proxy that are malformed or disagree.
        """
        if not self.trusts(peer):
            return Client(peer)
        headers = request.headers
        forwarded = _said(headers.getlist("forwarded"))
        addresses = _said(headers.getlist("x-forwarded-for"))
        standard = self._walk(peer, parse_forwarded(forwarded)) if forwarded else None
        common = self._common(request, peer, addresses)
        if standard is None:
            return common
        if addresses and common.remote != standard.remote:
            raise HandshakeError(400, "Forwarded and X-Forwarded-For disagree")
        return Client(
            standard.remote, standard.scheme or common.scheme, standard.host or common.host
        )

    def _walk(self, peer: str | None, hops: Sequence[Hop]) -> Client:
        """Go back from the peer as far as the word of trusted proxies reaches."""
        found = Client(peer)
        for hop in reversed(hops):
            found = Client(hop.address or found.remote, hop.scheme, hop.host)
            if hop.address is None or not self.trusts(hop.address):
                break
        return found

    def _common(self, request: Request, peer: str | None, addresses: list[str]) -> Client:
        """Read what the fields without a standard say."""
        nodes = _elements(addresses, "X-Forwarded-For")
        remote, steps = peer, 0
        for node in reversed(nodes):
            address = _address(node, "X-Forwarded-For")
            remote, steps = address or remote, steps + 1
            if address is None or not self.trusts(address):
                break
        scheme = _nth_from_end(request, "X-Forwarded-Proto", steps)
        host = _nth_from_end(request, "X-Forwarded-Host", steps)
        return Client(remote, _scheme(scheme, "X-Forwarded-Proto"), _host(host, "X-Forwarded-Host"))


def parse_forwarded(values: Sequence[str]) -> list[Hop]:
    """The elements of `Forwarded` fields in order; HandshakeError 400 where the grammar is broken.

    Parameters other than `for`, `proto` and `host` are checked for their form only.
    """
    hops: list[Hop] = []
    if sum(map(len, values)) > MAX_FORWARDED:
        raise HandshakeError(400, f"Forwarded is longer than {MAX_FORWARDED} bytes")
    if sum(value.count(",") + value.count(";") + 1 for value in values) > MAX_PAIRS:
        raise HandshakeError(400, f"more than {MAX_PAIRS} parameters in Forwarded")
    for value in values:
        for pairs in _read_elements(value):
            hops.append(_hop(pairs))
            if len(hops) > MAX_HOPS:
                raise HandshakeError(400, f"more than {MAX_HOPS} proxies in Forwarded")
    return hops


def _read_elements(value: str) -> Iterator[dict[str, str]]:
    """The parameters of each element; empty ones do not count (RFC 9110 §5.6.1, RFC 7239 §4)."""
    position, pairs = 0, dict[str, str]()
    value = value.rstrip(" \t")
    while position < len(value):
        if separator := re.compile(_SEPARATOR).match(value, position):
            position = separator.end()
            if separator[1] == "," and pairs:
                yield pairs
                pairs = {}
            continue
        pair = re.compile(_PAIR).match(value, position)
        if pair is None:
            raise _malformed("Forwarded")
        name, token, quoted = pair.groups()
        if name.lower() in pairs:  # RFC 7239 §4: at most once in each element
            raise _malformed("Forwarded")
        pairs[name.lower()] = token if quoted is None else unescape(quoted)
        position = pair.end()
    if pairs:
        yield pairs


def _hop(pairs: dict[str, str]) -> Hop:
    node, scheme, host = pairs.get("for"), pairs.get("proto"), pairs.get("host")
    address = None if node is None else _address(node, "Forwarded", is_bracketed=True)
    return Hop(address, _scheme(scheme, "Forwarded"), _host(host, "Forwarded"))


def _address(node: str, field: str, *, is_bracketed: bool = False) -> str | None:
    """The address of a node in its usual spelling, None for one that is not told.

    HandshakeError 400 for anything else. An IPv6 address stands in brackets in Forwarded, mostly
    without them in X-Forwarded-For. Its zone (RFC 4007 §11) means something to the proxy alone.
    """
    if len(node) > MAX_NODE:
        raise _malformed(field)
    if not node:  # of a list whose other entries say something
        return None
    match = re.fullmatch(_NODE, node)
    text = (match["v4"] or match["v6"]) if match is not None else None
    if match is not None and text is None:
        return None
    if match is None and not is_bracketed and node.count(":") >= 2:
        text = node
    text = re.sub(_ZONE, "", text or "")
    try:
        address = ip_address(text)
    except ValueError:
        raise _malformed(field) from None
    if match is not None and isinstance(address, IPv6Address) == bool(match["v4"]):
        raise _malformed(field)
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise _malformed(field)  # a zone of other characters
        address = address.ipv4_mapped or address
    return str(address)


def _elements(values: Sequence[str], field: str) -> list[str]:
    """The elements of a list; empty ones stay, for they stand in somebody's place."""
    if sum(value.count(",") + 1 for value in values) > MAX_HOPS:
        raise HandshakeError(400, f"more than {MAX_HOPS} proxies in {field}")
    return split_list(values, MAX_HOPS)


def _scheme(text: str | None, field: str) -> str | None:
    if text is not None and text.lower() not in SCHEMES:
        raise _malformed(field)
    return text and SCHEMES[text.lower()]


def _host(text: str | None, field: str) -> str | None:
    if text is not None and not re.fullmatch(_HOST, text):
        raise _malformed(field)
    return text


def _nth_from_end(request: Request, field: str, steps: int) -> str | None:
    """Return what the proxy said that named the client; the earliest, where fewer append here."""
    elements = _elements(_said(request.headers.getlist(field.lower())), field)
    return elements[-min(max(steps, 1), len(elements))] if elements else None


def _said(values: list[str]) -> list[str]:
    """The values of a field; none where nothing stands in any: some proxies send it empty."""
    # One that is too long says something: it is refused, and not looked through for what that is.
    is_said = any(len(value) > MAX_FORWARDED or value.strip(" \t,") for value in values)
    return values if is_said else []


def _malformed(field: str) -> HandshakeError:
    return HandshakeError(400, f"malformed {field}")


def network_of(address: str) -> str:
    """Return what limits per address count by: an IPv4 address, or the /64 of an IPv6 address.

    Whoever has one IPv6 address has the 2**64 of its network as well (RFC 6177). A text that is no
    address stands for itself.
    """
    if ":" not in address:
        return address
    try:
        network = IPv6Network((int(IPv6Address(address.partition("%")[0])) >> 64 << 64, 64))
    except ValueError:
        return address
    return str(network)
