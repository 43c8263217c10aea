"""Scopes as requests."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast.asgi.hosted.requests import BadScope, chunk, http_head, upgrade_head


def scope(**more: Any) -> Any:
    return {"type": "http", "method": "GET", "path": "/", "headers": [], **more}


def target(**more: Any) -> bytes:
    return http_head(scope(**more))[0].split(b" ")[1]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"path": "/a b"}, b"/a%20b"),
        ({"path": "/é", "raw_path": b"/%C3%A9"}, b"/%C3%A9"),
        ({"path": "/a/b", "raw_path": b"/a%2Fb"}, b"/a%2Fb"),
        ({"path": "/a", "query_string": b"x=1&y"}, b"/a?x=1&y"),
        ({"path": "/r/a", "raw_path": b"/r/a%2Fb", "root_path": "/r"}, b"/a%2Fb"),
        ({"path": "/r", "raw_path": b"/r", "root_path": "/r"}, b"/"),
        ({"path": "/r/é", "root_path": "/r/"}, b"/%C3%A9"),
        ({"path": "/rest", "raw_path": b"/rest", "root_path": "/r"}, b"/rest"),
        ({"path": "/a", "raw_path": b"/a", "root_path": "/elsewhere"}, b"/a"),
        ({"path": "/a", "raw_path": b"/a?x=1"}, b"/a"),  # some servers leave the query there
    ],
)
def test_the_target_is_below_the_root(more: Any, expected: bytes) -> None:
    assert target(**more) == expected


def test_fields_are_without_what_is_between_two_servers() -> None:
    headers = [
        (b"host", b"a"), (b"Connection", b"keep-alive"), (b"transfer-encoding", b"chunked"),
        (b"expect", b"100-continue"), (b"x-a", b"1"), (b"x-a", b"2"),
    ]  # fmt: skip
    head, is_chunked = http_head(scope(method="POST", headers=headers))
    assert is_chunked
    assert head.split(b"\r\n") == [
        b"POST / HTTP/1.1", b"host: a", b"x-a: 1", b"x-a: 2", b"transfer-encoding: chunked",
        b"connection: close", b"", b"",
    ]  # fmt: skip


def test_a_length_goes_before_chunks() -> None:
    headers = [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")]
    head, is_chunked = http_head(scope(headers=headers))
    assert not is_chunked and b"transfer-encoding" not in head and b"content-length: 3" in head


def test_a_request_of_http_1_0_needs_no_host() -> None:
    assert b"\r\nhost:\r\n" in http_head(scope(http_version="1.0"))[0]
    headers = [(b"Host", b"a")]
    assert http_head(scope(http_version="1.0", headers=headers))[0].count(b"host:") == 1
    assert b"host" not in http_head(scope(http_version="1.1"))[0]  # which is refused


def test_chunks() -> None:
    assert chunk(b"x" * 17) + chunk(b"") == b"11\r\n" + b"x" * 17 + b"\r\n0\r\n\r\n"


def test_an_upgrade() -> None:
    headers = [
        (b"sec-websocket-key", b"theirs"), (b"sec-websocket-extensions", b"permessage-deflate"),
        (b"origin", b"http://a"), (b"upgrade", b"websocket"),
    ]  # fmt: skip
    head = upgrade_head(scope(headers=headers, subprotocols=["a", "b"]))
    assert b"theirs" not in head and b"deflate" not in head
    assert b"origin: http://a" in head and b"sec-websocket-protocol: a, b" in head
    assert head.count(b"upgrade: websocket") == 1


@pytest.mark.parametrize(
    "more",
    [
        {"headers": [(b"x", b"a\r\nx-evil: 1")]},
        {"headers": [(b"x\n", b"a")]},
        {"path": "/", "raw_path": b"/ HTTP/1.1\r\nx: y"},
        {"path": "/", "query_string": b"a b"},
        {"method": "GET /x HTTP/1.1\r\nA:"},
    ],
)
def test_what_breaks_out_of_its_line_is_refused(more: Any) -> None:
    with pytest.raises(BadScope):
        http_head(scope(**more))
