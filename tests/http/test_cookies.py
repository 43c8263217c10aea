"""Cookies that an answer sets: what a browser keeps, and nothing that it would drop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from http.cookies import SimpleCookie
from typing import Any

import pytest

from glyph_fast import Response
from glyph_fast.http.headers import parse_cookies


def field(*args: Any, **options: Any) -> str:
    response = Response()
    response.set_cookie(*args, **options)
    ((name, value),) = response.headers
    assert name == "Set-Cookie"
    return value


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ({}, "a=b; Path=/; SameSite=Lax"),
        ({"max_age": 60, "httponly": True}, "a=b; Max-Age=60; Path=/; SameSite=Lax; HttpOnly"),
        ({"samesite": None, "path": ""}, "a=b"),
        ({"domain": "example.com", "path": "/x"}, "a=b; Path=/x; Domain=example.com; SameSite=Lax"),
        ({"samesite": "None", "secure": True}, "a=b; Path=/; SameSite=None; Secure"),
        (
            {"partitioned": True, "secure": True, "samesite": "strict"},
            "a=b; Path=/; SameSite=Strict; Secure; Partitioned",
        ),
        ({"max_age": 10**12}, "a=b; Max-Age=34560000; Path=/; SameSite=Lax"),
    ],
)
def test_attributes_are_written_in_order(options: dict[str, Any], written: str) -> None:
    assert field("a", "b", **options) == written


def test_a_time_is_written_in_gmt_whatever_its_zone() -> None:
    moment = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert "Expires=Sat, 28 Feb 2026 23:30:00 GMT" in field("a", "b", expires=moment)


@pytest.mark.parametrize(
    ("name", "value", "options", "error"),
    [
        ("a b", "", {}, "bad cookie name"),
        ("a=", "", {}, "bad cookie name"),
        ("", "", {}, "bad cookie name"),
        ("a", "b;c", {}, "encode it"),
        ("a", "b c", {}, "encode it"),
        ("a", 'b"', {}, "encode it"),
        ("a", "ü", {}, "encode it"),
        ("a", "b\r\nX: y", {}, "encode it"),
        ("a", "b", {"path": "/;x"}, "bad path"),
        ("a", "b", {"domain": "x\n"}, "bad domain"),
        ("a", "b", {"samesite": "some"}, "expected lax, strict, none"),
        ("a", "b", {"samesite": "none"}, "needs secure=True"),
        ("a", "b", {"partitioned": True}, "needs secure=True"),
        ("__Secure-a", "b", {}, "needs secure=True"),
        ("__Host-a", "b", {"secure": True, "path": "/x"}, "needs the path /"),
        ("__Host-a", "b", {"secure": True, "domain": "x"}, "no domain"),
        ("a", "b" * 4096, {}, "larger than 4096"),
        ("a", "b", {"expires": datetime(2026, 1, 1)}, "needs a time zone"),
    ],
)
def test_what_a_browser_would_drop_is_refused(
    name: str, value: str, options: dict[str, Any], error: str
) -> None:
    with pytest.raises(ValueError, match=error):
        Response().set_cookie(name, value, **options)


def test_names_and_values_are_text() -> None:
    with pytest.raises(TypeError, match="are text, not int"):
        Response().set_cookie("a", 1)  # type: ignore[arg-type]


def test_what_is_set_is_read_by_others_and_by_us() -> None:
    value = "".join(map(chr, range(0x21, 0x7F)))
    for each in '",;\\':
        value = value.replace(each, "")
    pair = field("a", value).partition(";")[0]
    assert SimpleCookie(pair)["a"].value == value
    assert parse_cookies([pair]) == {"a": value}


def test_deleting_is_a_cookie_that_has_ended() -> None:
    response = Response()
    response.delete_cookie("__Host-id", secure=True)
    ((_, value),) = response.headers
    assert value == (
        "__Host-id=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; SameSite=Lax; Secure"
    )


def test_several_cookies_are_several_fields() -> None:
    response = Response("hello")
    response.set_cookie("a", "1", expires=datetime.now(UTC) + timedelta(days=1))
    response.set_cookie("b", "2")
    assert [name for name, _ in response.headers].count("Set-Cookie") == 2
