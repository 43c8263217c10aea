"""Who a client is behind proxies: what is believed, of whom, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from glyph_fast.errors import HandshakeError
from glyph_fast.http.forwarded import (
    MAX_HOPS,
    Client,
    Hop,
    Proxies,
    network_of,
    parse_forwarded,
)
from glyph_fast.http.head import parse_head
from glyph_fast.http.request import Request

PROXIES = ["10.0.0.0/8", "fd00::/16"]
Fields = Mapping[str, str | Sequence[str]]


def request(fields: Fields) -> Request:
    lines = ["GET / HTTP/1.1", "Host: inner.example"]
    for name, values in fields.items():
        lines += [f"{name}: {each}" for each in ([values] if isinstance(values, str) else values)]
    return parse_head("\r\n".join([*lines, "", ""]).encode("latin-1"))


def client(fields: Fields, peer: str | None = "10.0.0.1") -> Client:
    return Proxies(PROXIES).client(request(fields), peer)


FORWARDED = "Forwarded"
FOR, PROTO, HOST = "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"

# fields, the client's address; the peer is 10.0.0.1, which is trusted
ADDRESSES: list[tuple[Fields, str]] = [
    ({}, "10.0.0.1"),
    ({FOR: "192.0.2.1"}, "192.0.2.1"),
    ({FOR: "192.0.2.1:443"}, "192.0.2.1"),
    ({FOR: "2001:DB8:0::1"}, "2001:db8::1"),
    ({FOR: "[2001:db8::1]"}, "2001:db8::1"),
    ({FOR: "[2001:db8::1]:50000"}, "2001:db8::1"),
    ({FOR: "::ffff:192.0.2.1"}, "192.0.2.1"),
    ({FOR: "192.0.2.1, 10.0.0.2"}, "192.0.2.1"),
    ({FOR: ["192.0.2.1", "10.0.0.2"]}, "192.0.2.1"),
    ({FOR: "192.0.2.1,10.0.0.3 ,\t10.0.0.2"}, "192.0.2.1"),
    # What stands to the left of the client is the client's own invention.
    ({FOR: "198.51.100.1, 192.0.2.1"}, "192.0.2.1"),
    ({FOR: "10.0.0.9, 192.0.2.1"}, "192.0.2.1"),
    ({FOR: "; DROP TABLE, 192.0.2.1"}, "192.0.2.1"),
    ({FOR: ", 192.0.2.1"}, "192.0.2.1"),
    ({FOR: "198.51.100.1, 192.0.2.1, fd00::1"}, "192.0.2.1"),
    # Nobody but proxies: the first of them asked for itself.
    ({FOR: "10.0.0.3, 10.0.0.2"}, "10.0.0.3"),
    # One who is not told of: the last address known.
    ({FOR: "unknown"}, "10.0.0.1"),
    ({FOR: "192.0.2.1, unknown, 10.0.0.2"}, "10.0.0.2"),
    ({FORWARDED: "for=192.0.2.1"}, "192.0.2.1"),
    ({FORWARDED: "For=192.0.2.1;Proto=http;by=203.0.113.43"}, "192.0.2.1"),
    ({FORWARDED: 'for="192.0.2.1:47011"'}, "192.0.2.1"),
    ({FORWARDED: 'for="[2001:db8:cafe::17]:4711"'}, "2001:db8:cafe::17"),
    ({FORWARDED: 'for="[2001:db8:cafe::17]"'}, "2001:db8:cafe::17"),
    ({FORWARDED: 'for="192.0.2.\\1"'}, "192.0.2.1"),
    ({FORWARDED: "for=192.0.2.1, for=10.0.0.2"}, "192.0.2.1"),
    ({FORWARDED: ["for=192.0.2.1", "for=10.0.0.2"]}, "192.0.2.1"),
    ({FORWARDED: "for=198.51.100.1, for=192.0.2.1"}, "192.0.2.1"),
    ({FORWARDED: ",, for=192.0.2.1 ,; ;by=x;, for=10.0.0.2;"}, "10.0.0.2"),
    ({FORWARDED: ",,for=192.0.2.1;; by=x ;, ,for=10.0.0.2; ,"}, "192.0.2.1"),
    ({FORWARDED: ""}, "10.0.0.1"),
    ({FORWARDED: "for=unknown"}, "10.0.0.1"),
    ({FORWARDED: "for=_hidden, for=10.0.0.2"}, "10.0.0.2"),
    ({FORWARDED: 'for="_a:_b"'}, "10.0.0.1"),
    ({FORWARDED: "proto=https"}, "10.0.0.1"),
    ({FORWARDED: 'for="192.0.2.1";ext="a, b; \\"c\\""'}, "192.0.2.1"),
    ({FORWARDED: "for=192.0.2.1", FOR: "192.0.2.1"}, "192.0.2.1"),
    # A zone is the proxy's own name for one of its networks.
    ({FOR: "fe80::1%eth0"}, "fe80::1"),
    ({FOR: "[fe80::1%eth0]"}, "fe80::1"),
    ({FOR: "[fe80::1%eth0]:443"}, "fe80::1"),
    ({FOR: "fe80::1%25en-0, fd00::1%eth1"}, "fe80::1"),
    ({FORWARDED: 'for="[fe80::1%25eth0]:80"'}, "fe80::1"),
    # Nothing said is no mistake, and nobody's word.
    ({FOR: ""}, "10.0.0.1"),
    ({FOR: " , "}, "10.0.0.1"),
    ({FOR: "", PROTO: "", HOST: ""}, "10.0.0.1"),
    ({FOR: "192.0.2.1,"}, "10.0.0.1"),
    ({FOR: ["198.51.100.1", ""]}, "10.0.0.1"),
    ({FOR: ["", "192.0.2.1"]}, "192.0.2.1"),
    ({FOR: "192.0.2.1, , 10.0.0.2"}, "10.0.0.2"),
    ({FORWARDED: "", FOR: "192.0.2.1"}, "192.0.2.1"),
    ({FORWARDED: "for=192.0.2.1", FOR: ""}, "192.0.2.1"),
]


@pytest.mark.parametrize(("fields", "expected"), ADDRESSES)
def test_the_client_is_the_first_who_is_no_trusted_proxy(fields: Fields, expected: str) -> None:
    assert client(fields).remote == expected


@pytest.mark.parametrize("peer", ["192.0.2.9", "2001:db8::9", "11.0.0.1", "nonsense"])
@pytest.mark.parametrize(
    "fields", [{FOR: "198.51.100.1"}, {FORWARDED: "for=198.51.100.1"}, {FOR: "?", HOST: "/"}]
)
def test_what_others_than_trusted_proxies_send_is_not_looked_at(fields: Fields, peer: str) -> None:
    assert client(fields, peer) == Client(peer)


def test_a_unix_sockets_peer_is_trusted_when_any_proxy_is() -> None:
    asked = request({FOR: "192.0.2.1"})
    assert Proxies(PROXIES).client(asked, None).remote == "192.0.2.1"
    assert Proxies([]).client(asked, None).remote is None
    assert not Proxies([])


def test_ipv6_proxies_are_trusted_by_network() -> None:
    assert client({FOR: "192.0.2.1"}, "fd00::5").remote == "192.0.2.1"
    assert client({FOR: "192.0.2.1"}, "fd01::5").remote == "fd01::5"


MALFORMED: list[Fields] = [
    {FOR: "192.0.2.256"},
    {FOR: "192.0.2.01"},
    {FOR: "192.0.2"},
    {FOR: "client.example"},
    {FOR: "192.0.2.1:"},
    {FOR: "192.0.2.1:123456"},
    {FOR: "192.0.2.1;x"},
    {FOR: '"192.0.2.1"'},
    {FOR: "[192.0.2.1]"},
    {FOR: "192.0.2.1%eth0"},
    {FOR: "fe80::1%"},
    {FOR: "fe80::1%a b"},
    {FOR: "fe80::g%eth0"},
    {FOR: "1" * 300},
    {FOR: "unknown," * 64},
    {FORWARDED: ";" * 512},
    {FORWARDED: 'x="' + "a" * 17_000 + '"'},
    {FORWARDED: ";," * 256},
    {PROTO: "http," * 64},
    {HOST: "a," * 64},
    {FOR: "[::1"},
    {FOR: "::g"},
    {FOR: "192.0.2.1 10.0.0.2"},
    {FOR: "nonsense, 10.0.0.2"},
    {FORWARDED: "192.0.2.1"},
    {FORWARDED: "for"},
    {FORWARDED: "for="},
    {FORWARDED: "for =192.0.2.1"},
    {FORWARDED: "for= 192.0.2.1"},
    {FORWARDED: "for=192.0.2.1 proto=http"},
    {FORWARDED: "for=192.0.2.1:80"},  # a colon needs quotes
    {FORWARDED: "for=[2001:db8::1]"},
    {FORWARDED: 'for="2001:db8::1"'},  # brackets are not optional here
    {FORWARDED: 'for="192.0.2.1'},
    {FORWARDED: 'for="192.0.2.1"x'},
    {FORWARDED: "for=192.0.2.1;for=192.0.2.2"},
    {FORWARDED: "for=192.0.2.1;FOR=192.0.2.1"},
    {FORWARDED: "for=client.example"},
    {FORWARDED: "for=192.0.2.1;proto=gopher"},
    {FORWARDED: 'for=192.0.2.1;host="a/b"'},
    {FORWARDED: "for=192.0.2.1;host=\xe9"},
    # A quotation that a client begins must not swallow what the proxy appends.
    {FORWARDED: 'for="198.51.100.1, for=192.0.2.1;by="10.0.0.1"'},
    {PROTO: "gopher"},
    {PROTO: "https,"},
    {HOST: "a b"},
    {HOST: "user@a"},
    {HOST: "a/b"},
    {FOR: ", ".join(["10.0.0.2"] * (MAX_HOPS + 1))},
    {FORWARDED: ", ".join(["for=10.0.0.2"] * (MAX_HOPS + 1))},
    # A proxy that sets one lets the other through as the client wrote it.
    {FORWARDED: "for=198.51.100.1", FOR: "192.0.2.1"},
    {FORWARDED: "for=192.0.2.1", FOR: "198.51.100.1"},
]


@pytest.mark.parametrize("fields", MALFORMED)
def test_what_a_trusted_proxy_says_badly_is_refused(fields: Fields) -> None:
    with pytest.raises(HandshakeError) as refused:
        client(fields)
    assert refused.value.status == 400
    assert "orwarded" in refused.value.reason


# fields, scheme and host of the client's request
ASKED: list[tuple[Fields, str | None, str | None]] = [
    ({FOR: "192.0.2.1"}, None, None),
    ({PROTO: "https", HOST: "Example.com:8443"}, "https", "Example.com:8443"),
    ({FOR: "192.0.2.1", PROTO: "HTTPS", HOST: "[::1]:1"}, "https", "[::1]:1"),
    ({FOR: "192.0.2.1", PROTO: "wss"}, "https", None),
    ({FOR: "192.0.2.1", PROTO: "ws"}, "http", None),
    # Two proxies that both append: the entry of the one that saw the client.
    ({FOR: "192.0.2.1, 10.0.0.2", PROTO: "https, http", HOST: "a, b"}, "https", "a"),
    # One of them appends: its entry.
    ({FOR: "192.0.2.1, 10.0.0.2", PROTO: "https", HOST: "a"}, "https", "a"),
    # The client's own entry stands before the one that counts.
    ({FOR: "192.0.2.1", PROTO: "https, http", HOST: "mine, a"}, "http", "a"),
    ({FORWARDED: "for=192.0.2.1;proto=https;host=a"}, "https", "a"),
    ({FORWARDED: 'for=192.0.2.1;proto=wss;host="a:1", for=10.0.0.2;proto=http'}, "https", "a:1"),
    ({FORWARDED: "for=198.51.100.1;host=evil, for=192.0.2.1;host=a"}, None, "a"),
    ({FORWARDED: "proto=https;host=a"}, "https", "a"),
    ({FORWARDED: "for=192.0.2.1", PROTO: "https", HOST: "a"}, "https", "a"),
    ({FORWARDED: "for=192.0.2.1;proto=http", PROTO: "https"}, "http", None),
]


@pytest.mark.parametrize(("fields", "scheme", "host"), ASKED)
def test_scheme_and_host_are_those_of_the_clients_request(
    fields: Fields, scheme: str | None, host: str | None
) -> None:
    assert client(fields)[1:] == (scheme, host)


def test_the_elements_of_the_rfcs_examples() -> None:
    values = ['for="_gazonk"', 'For="[2001:db8:cafe::17]:4711"', "for=192.0.2.43, for=unknown"]
    assert parse_forwarded(values) == [
        Hop(None), Hop("2001:db8:cafe::17"), Hop("192.0.2.43"), Hop(None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no:address", "no:address"),
    ],
)
def test_addresses_are_counted_by_network(address: str, network: str) -> None:
    assert network_of(address) == network
