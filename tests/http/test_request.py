"""Requests: rebuilt from a head, and what they give an HTTP handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph_fast.errors import Reject
from glyph_fast.http.head import parse_head
from glyph_fast.http.request import Request, percent_decode, split_target

HEAD = (
    b"GET /chat/caf%C3%A9?a=1&b=&a=2 HTTP/1.1\r\nHost: example.com\r\n"
    b"Cookie: session=abc; theme=dark\r\nX-Twice: one\r\nx-twice: two\r\n\r\n"
)
LOOKS = [
    ("method", "GET"),
    ("target", "/chat/caf%C3%A9?a=1&b=&a=2"),
    ("http_version", "1.1"),
    ("_authority", None),
    ("raw_path", "/chat/caf%C3%A9"),
    ("query_string", "a=1&b=&a=2"),
    ("path", "/chat/café"),
    ("query", {"a": "1", "b": ""}),
    ("cookies", {"session": "abc", "theme": "dark"}),
    ("host", "example.com"),
    ("_keep_alive", True),
    ("_content_length", None),
    ("_is_chunked", False),
    ("_has_body", False),
    ("remote", "192.0.2.1"),
    ("path_params", {}),
]


@pytest.mark.parametrize(("name", "value"), LOOKS, ids=[name for name, _ in LOOKS])
def test_a_rebuilt_request_equals_the_parsed_one(parser: str, name: str, value: object) -> None:
    parsed = parse_head(HEAD, "192.0.2.1")
    rebuilt = Request._from_head(parsed._head, "192.0.2.1")
    assert getattr(parsed, name) == getattr(rebuilt, name) == value


def test_a_rebuilt_request_has_the_same_fields(parser: str) -> None:
    parsed = parse_head(b"\r\n" + HEAD)
    rebuilt = Request._from_head(parsed._head)
    assert rebuilt.headers.items_as_sent() == parsed.headers.items_as_sent()


def test_a_rebuilt_request_is_not_parsed_before_someone_looks() -> None:
    request = Request._from_head(b"not a head at all")
    with pytest.raises(ValueError):
        _ = request.method


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'user'"):
        _ = Request._from_head(HEAD).user  # type: ignore[attr-defined]


def test_the_representation_names_method_and_target() -> None:
    assert repr(parse_head(HEAD)) == "<Request GET /chat/caf%C3%A9>"


def test_the_body_is_what_was_attached(run: Callable[..., Any]) -> None:
    request = parse_head(HEAD)
    assert run(request.body()) == b""
    request._attach_body(b'{"a": [1, null]}')
    assert run(request.body()) == b'{"a": [1, null]}'
    assert run(request.json()) == {"a": [1, None]}


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"\xff", b"{} {}"])
def test_a_body_that_is_not_json_is_refused_with_400(run: Callable[..., Any], body: bytes) -> None:
    request = parse_head(HEAD)
    request._attach_body(body)
    with pytest.raises(Reject) as caught:
        run(request.json())
    assert caught.value.status == 400
    assert caught.value.body == {"error": "request body is not valid JSON"}


DECODED = [
    ("", ""),
    ("plain", "plain"),
    ("a%20b", "a b"),
    ("%2F", "/"),
    ("%2541", "%41"),
    ("%C3%A9", "é"),
    ("%c3%a9", "é"),
    ("%F0%9F%98%80", "😀"),
    ("a+b", "a+b"),
    ("%00", "\0"),
]


@pytest.mark.parametrize(("text", "decoded"), DECODED)
def test_escapes_are_decoded_once(text: str, decoded: str) -> None:
    assert percent_decode(text) == decoded


@given(st.lists(st.sampled_from(["%41", "%c3%A9", "%3d", "%0a", "%20", "=", "_", " ", "é", "x"])))
def test_they_are_decoded_like_those_of_any_url(parts: list[str]) -> None:
    text = "".join(parts)
    assert percent_decode(text) == unquote(text, errors="strict")


@pytest.mark.parametrize("text", ["%", "%4", "%zz", "%%20", "a%2", "%u00e9", "%+1", "% 1", "%٣٣"])
def test_a_broken_escape_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="malformed percent-encoding"):
        percent_decode(text)


@pytest.mark.parametrize("text", ["%ff", "%C3", "%c0%af", "%ed%a0%80", "%C3%28"])
def test_escapes_that_spell_no_utf8_are_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not UTF-8"):
        percent_decode(text)


TARGETS = [
    ("/", (None, "/", "")),
    ("/a?b?c", (None, "/a", "b?c")),
    ("*", (None, "*", "")),
    ("http://a", ("a", "/", "")),
    ("HTTP://a/b?c", ("a", "/b", "c")),
    ("wss://[::1]:8?x", ("[::1]:8", "/", "x")),
]


@pytest.mark.parametrize(("target", "parts"), TARGETS)
def test_a_target_is_split_into_its_parts(target: str, parts: tuple[object, ...]) -> None:
    assert split_target(target) == parts


@pytest.mark.parametrize("target", ["", "a", "a:80", "**", "ftp://a/", "http:/a", "http://"])
def test_a_target_of_another_form_is_an_error(target: str) -> None:
    with pytest.raises(ValueError, match="malformed request target"):
        split_target(target)


def test_what_a_browser_adds_by_itself_can_be_dropped(parser: str) -> None:
    added = b"authorization: Basic YTpi\r\nCOOKIE: b=c\r\n"
    head = HEAD.replace(b"X-Twice: one", added + b"X-Twice: one")
    request = parse_head(head)
    assert request.cookies["session"] == "abc"
    assert request._drop_credentials()
    assert request.cookies == {}
    expected = [("Host", "example.com"), ("X-Twice", "one"), ("x-twice", "two")]
    for each in (request, Request._from_head(request._head)):  # as a connection keeps it, too
        assert each.headers.items_as_sent() == expected
        assert (each.cookies, each.target) == ({}, "/chat/caf%C3%A9?a=1&b=&a=2")
    assert not request._drop_credentials()


def test_what_only_code_can_send_stays(parser: str) -> None:
    fields = b"Authorization:  bearer t\r\nX-Cookie: a\r\nCookies: b\r\n"
    request = parse_head(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
    head = request._head
    assert not request._drop_credentials()
    assert request._head is head


def test_a_connection_keeps_the_head_alone_unless_a_proxy_said_more():
    request = parse_head(HEAD)
    assert request._kept is request._head
    own = request.host
    request._forward("192.0.2.1", None, own)  # it says what the head says
    assert request._kept is request._head
    request._forward("192.0.2.1", "https", own)
    assert request._kept == (request._head, "https", None, False)
    request._forward("192.0.2.1", "https", "chat.example")
    rebuilt = Request._from_head(request._kept, "192.0.2.1")
    assert (rebuilt.scheme, rebuilt.host, rebuilt._head) == ("https", "chat.example", request._head)
