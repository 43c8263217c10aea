"""Who may look and who may act, rule by rule."""

from __future__ import annotations

import pytest

from glyph_fast.admin.access import Access
from glyph_fast.errors import Reject
from glyph_fast.http.request import Request
from glyph_fast.options.values import Address


def request(host: str, authorization: str = "") -> Request:
    fields = f"Authorization: {authorization}\r\n" if authorization else ""
    return Request._from_head(f"GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode())


def status(check, asked: Request) -> int:
    try:
        check(asked)
    except Reject as exc:
        return exc.status
    return 200


@pytest.mark.parametrize(
    ("address", "host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:9090", 200),
        ("127.0.0.1", "LOCALHOST:9090", 200),
        ("localhost", "[::1]:9090", 200),
        ("::1", "[::1]:9090", 200),
        # On the loopback any port: that of a tunnel is another one.
        ("127.0.0.1", "127.0.0.1", 200),
        ("127.0.0.1", "localhost:9999", 200),
        ("::1", "[::1]:9999", 200),
        ("::1", "[::1]", 200),
        ("localhost", "127.0.0.1:9999", 200),
        ("127.0.0.1", "rebound.example:9090", 403),
        ("127.0.0.1", "rebound.example", 403),
        ("127.0.0.1", "127.0.0.1.rebound.example:9090", 403),
        ("127.0.0.1", "127.0.0.1:9090.rebound.example", 403),
        ("127.0.0.1", "[::1]x:9090", 403),
        ("127.0.0.1", "", 403),
        ("127.0.0.1", ":9090", 403),
        ("192.0.2.1", "192.0.2.1:9091", 403),
        ("192.0.2.1", "192.0.2.1", 403),
        ("192.0.2.1", "192.0.2.1:9090", 200),
        ("192.0.2.1", "localhost:9090", 403),
        ("ops.example", "ops.example:9090", 200),
        ("0.0.0.0", "any.example:1", 200),
        ("::", "any.example", 200),
    ],
)
def test_the_host_must_be_the_listened_address(address, host, expected):
    access = Access(Address(address, 9090), "token")
    assert status(access.check_host, request(host)) == expected


def test_port_80_may_be_left_out():
    access = Access(Address("127.0.0.1", 0), None)
    access.port = 80
    assert status(access.check_host, request("127.0.0.1")) == 200
    assert status(access.check_host, request("127.0.0.1:80")) == 200


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("Bearer tok\xe9n", 200),
        ("bearer tok\xe9n", 200),
        ("Bearer token", 401),
        ("Bearer", 401),
        ("Basic tok\xe9n", 401),
        ("", 401),
    ],
)
def test_the_token_must_be_the_one_configured(authorization, expected):
    access = Access(Address("127.0.0.1", 1), "tok\xe9n".encode().decode("latin-1"))
    asked = request("127.0.0.1:1", authorization)
    assert status(access.check_reading, asked) == status(access.check_acting, asked) == expected


def test_without_a_token_no_token_is_right():
    access = Access(Address("127.0.0.1", 1), None)
    assert not access.is_token(None)
    assert not access.is_token("")
    assert status(access.check_reading, request("127.0.0.1:1")) == 200
    assert status(access.check_acting, request("127.0.0.1:1", "Bearer x")) == 403
