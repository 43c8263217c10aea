"""Answers: what a handler returned, as bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast.errors import HandshakeError, Reject
from glyph_fast.http import response as module
from glyph_fast.http.response import (
    Response,
    encode_response,
    error_response,
    http_date,
    refusal_response,
    to_response,
)

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

BODIES: list[tuple[object, bytes, str | None]] = [
    ({"a": [1, None, "é"]}, '{"a":[1,null,"é"]}'.encode(), JSON),
    ([], b"[]", JSON),
    ({}, b"{}", JSON),
    ((1, 2), b"[1,2]", JSON),
    (0, b"0", JSON),
    (1.5, b"1.5", JSON),
    (False, b"false", JSON),
    ("", b"", TEXT),
    ("é", "é".encode(), TEXT),
    ("<p>", b"<p>", TEXT),
    (b"\x00\xff", b"\x00\xff", "application/octet-stream"),
    (bytearray(b"ab"), b"ab", "application/octet-stream"),
    (memoryview(b"ab"), b"ab", "application/octet-stream"),
    (None, b"", None),
]


@pytest.mark.parametrize(("body", "content", "content_type"), BODIES)
def test_a_body_says_its_content_type(
    body: object, content: bytes, content_type: str | None
) -> None:
    response = Response(body)
    assert response.content == content
    assert response.header("content-type") == content_type


def test_a_given_content_type_is_kept() -> None:
    response = Response("<p>", headers={"content-type": "text/html"})
    assert response.headers == [("content-type", "text/html")]


@pytest.mark.parametrize("value", [{"a": 1}, [1], "text", b"bytes", 3, True])
def test_what_a_handler_returns_becomes_its_body(value: object) -> None:
    response = to_response(value)
    assert (response.status, response.content) == (200, Response(value).content)


def test_a_response_is_returned_as_it_is_and_none_is_no_content() -> None:
    response = Response("x", 201)
    assert to_response(response) is response
    assert to_response(None).status == 204


@pytest.mark.parametrize("value", [object(), {1, 2}, {1: 2}, {"a": object()}])
def test_what_is_no_json_is_a_type_error_once_it_is_written(value: object) -> None:
    response = to_response(value)
    assert repr(response) == "<Response 200, JSON>"
    with pytest.raises(TypeError):
        encode_response(response, keep_alive=True)


def test_json_is_written_once_by_the_first_rules() -> None:
    response = to_response([{1}])
    assert response._encoded(lambda value: repr(value).encode()) == b"[{1}]" == response.content
    assert repr(response) == "<Response 200, 5 bytes>"


ENCODED: list[tuple[str, Response, dict[str, Any], list[bytes], bytes]] = [
    (
        "text",
        Response("hi"),
        {"keep_alive": True},
        [
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Length: 2",
            b"Connection: keep-alive",
        ],
        b"hi",
    ),
    (
        "closing",
        Response({"a": 1}, 201),
        {"keep_alive": False},
        [b"Content-Type: application/json", b"Content-Length: 7", b"Connection: close"],
        b'{"a":1}',
    ),
    (
        "to a HEAD request",
        Response("hi"),
        {"keep_alive": True, "head_only": True},
        [
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Length: 2",
            b"Connection: keep-alive",
        ],
        b"",
    ),
    ("no content", Response(status=204), {"keep_alive": True}, [b"Connection: keep-alive"], b""),
    (
        "no content whatever the body",
        Response("x", 204, {"Content-Type": "a/b"}),
        {"keep_alive": True},
        [b"Content-Type: a/b", b"Connection: keep-alive"],
        b"",
    ),
    (
        "not modified",
        Response(None, 304, {"ETag": '"x"'}),
        {"keep_alive": True},
        [b'ETag: "x"', b"Connection: keep-alive"],
        b"",
    ),
    (
        "repeated fields",
        Response(None, 200, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=\xe9")]),
        {"keep_alive": True},
        [
            b"Set-Cookie: a=1",
            b"Set-Cookie: b=\xe9",
            b"Content-Length: 0",
            b"Connection: keep-alive",
        ],
        b"",
    ),
    (
        "framing by the handler",
        Response(
            b"", 200, {"Content-Length": "9", "Transfer-Encoding": "chunked", "Keep-Alive": "x"}
        ),
        {"keep_alive": True},
        [
            b"Content-Type: application/octet-stream",
            b"Content-Length: 0",
            b"Connection: keep-alive",
        ],
        b"",
    ),
]


@pytest.mark.parametrize(
    ("name", "response", "options", "fields", "body"), ENCODED, ids=[row[0] for row in ENCODED]
)
def test_an_answer_is_encoded_with_its_framing(
    name: str, response: Response, options: dict[str, Any], fields: list[bytes], body: bytes
) -> None:
    head, _, rest = encode_response(response, date=DATE, **options).partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    assert line.startswith(b"HTTP/1.1 %d " % response.status)
    assert lines == [b"Date: " + DATE.encode(), *fields]
    assert rest == body


def test_a_date_of_the_handler_is_kept() -> None:
    data = encode_response(Response(headers={"date": DATE}), keep_alive=True, date="other")
    assert data.count(b"Date") + data.count(b"date") == 1
    assert b"\r\ndate: " + DATE.encode() in data


def test_without_a_date_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "time", lambda: 784111777.9)
    assert b"\r\nDate: " + DATE.encode() + b"\r\n" in encode_response(Response(), keep_alive=True)


@pytest.mark.parametrize(
    ("seconds", "text"), [(784111777, DATE), (0, "Thu, 01 Jan 1970 00:00:00 GMT")]
)
def test_dates_are_written_as_http_asks(seconds: float, text: str) -> None:
    assert http_date(seconds) == http_date(seconds + 0.9) == text


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, b"200 OK"),
        (404, b"404 Not Found"),
        (426, b"426 Upgrade Required"),
        (299, b"299 Unknown"),
    ],
)
def test_a_status_has_its_phrase(status: int, line: bytes) -> None:
    data = encode_response(Response(status=status), keep_alive=True)
    assert data.startswith(b"HTTP/1.1 " + line + b"\r\n")


@pytest.mark.parametrize("status", [0, 100, 101, 199, 600, -200])
def test_a_status_outside_the_range_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match="status must be from 200 to 599"):
        Response(status=status)


BAD_FIELDS = [
    ("X", "a\r\nY: b"),
    ("X", "a\nb"),
    ("X", "a\rb"),
    ("X", "a\0b"),
    ("X", "a\x7f"),
    ("X", "\u20ac"),
    ("X\r\nY", "a"),
    ("X:", "a"),
    ("X Y", "a"),
    ("", "a"),
    ("É", "a"),
]


@pytest.mark.parametrize(("name", "value"), BAD_FIELDS)
@pytest.mark.parametrize("form", [lambda name, value: {name: value}, lambda *pair: [pair]])
def test_a_field_cannot_break_out_of_its_line(
    name: str, value: str, form: Callable[[str, str], Any]
) -> None:
    with pytest.raises(ValueError, match="header"):
        Response("x", 200, form(name, value))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"Retry-After": 30}, "header 'Retry-After': names and values are text, not int"),
        ({"X-User": None}, "header 'X-User': names and values are text, not NoneType"),
        ({b"X": "a"}, "header b'X': names and values are text, not bytes"),
        ("X: a", "headers are a mapping or pairs of name and value, not 'X'"),
        ([("X", "a", "b")], r"headers are a mapping .*, not \('X', 'a', 'b'\)"),
    ],
)
def test_a_field_that_is_no_text_is_named(fields: Any, said: str) -> None:
    with pytest.raises(TypeError, match=f"^{said}$"):
        Response("x", 200, fields)


def test_a_status_that_is_no_number_is_shown() -> None:
    with pytest.raises(TypeError, match="a status is a whole number, not '200'"):
        Response("x", "200")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["a\r\nY: b", "a\nb", "a\rb", "\u20ac"])
def test_nor_can_one_that_was_added_later(value: str) -> None:
    response = Response("x")
    response.headers.append(("X", value))
    with pytest.raises(ValueError, match="header|latin-1"):
        encode_response(response, keep_alive=True)


@pytest.mark.parametrize(
    ("value", "wanted"), [("close", True), ("x, Close", True), ("keep-alive", False), (None, False)]
)
def test_a_handler_may_ask_for_the_connection_to_be_closed(value: str | None, wanted: bool) -> None:
    headers = {} if value is None else {"connection": value}
    assert Response(headers=headers)._wants_close is wanted


def test_an_error_is_json_with_its_reason() -> None:
    response = error_response(405, "no such method", {"Allow": "GET"})
    assert (response.status, response.content) == (405, b'{"error":"no such method"}')
    assert response.header("allow") == "GET"
    assert error_response(404).content == b'{"error":"Not Found"}'
    assert repr(response) == "<Response 405, 26 bytes>"


REFUSALS: list[tuple[HandshakeError | Reject, int, bytes, str | None]] = [
    (HandshakeError(426, "upgrade", {"X": "y"}), 426, b'{"error":"upgrade"}', "y"),
    (Reject(), 403, b'{"error":"Forbidden"}', None),
    (Reject(401, headers={"X": "y"}), 401, b'{"error":"Unauthorized"}', "y"),
    (Reject(401, "who are you"), 401, b"who are you", None),
    (Reject(402, {"pay": 1}), 402, b'{"pay":1}', None),
    (Reject(403, b""), 403, b"", None),
]


@pytest.mark.parametrize(("error", "status", "content", "field"), REFUSALS)
def test_a_refusal_becomes_an_answer(
    error: HandshakeError | Reject, status: int, content: bytes, field: str | None
) -> None:
    response = refusal_response(error)
    assert (response.status, response.content, response.header("x")) == (status, content, field)


def test_missing_fields_are_added_to_a_copy() -> None:
    answer = Response("hi", headers={"X-A": "own"})
    added = answer._with_missing({"x-a": "other", "X-B": "new"})
    assert (added.header("x-a"), added.header("x-b")) == ("own", "new")
    assert (added.content, answer.header("x-b")) == (b"hi", None)


def test_html_says_what_it_is() -> None:
    answer = Response.html("<p>é", 404, {"X-A": "b"})
    assert (answer.status, answer.content) == (404, "<p>é".encode())
    assert answer.headers == [("X-A", "b"), ("Content-Type", "text/html; charset=utf-8")]
    assert Response.html("", headers={"content-type": "a/b"}).headers == [("content-type", "a/b")]
    with pytest.raises(TypeError, match="HTML is text, not bytes"):
        Response.html(b"")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/a?b=c#d", "/a?b=c#d"),
        ("https://example.com:8080/a%20b", "https://example.com:8080/a%20b"),
        ("/ü ö", "/%C3%BC%20%C3%B6"),
        ("/a\r\nSet-Cookie: b=c", "/a%0D%0ASet-Cookie:%20b=c"),
        ("..\\a", "..%5Ca"),
        ("//[::1]/", "//[::1]/"),
    ],
)
def test_redirects_write_an_address_on_one_line(url: str, location: str) -> None:
    answer = Response.redirect(url)
    assert (answer.status, answer.content) == (307, b"")
    assert answer.headers == [("Location", location)]


def test_redirects_have_a_status_that_leads_elsewhere() -> None:
    assert Response.redirect("/", 303, {"X-A": "b"}).header("x-a") == "b"
    with pytest.raises(ValueError, match="one of the statuses"):
        Response.redirect("/", 200)
