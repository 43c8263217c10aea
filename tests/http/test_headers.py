"""Header fields, query parameters and cookies as mappings."""

from __future__ import annotations

import pytest

from glyph_fast.errors import Reject
from glyph_fast.http.headers import (
    MAX_COOKIES,
    MAX_ELEMENTS,
    MAX_PARAMETERS,
    Headers,
    Query,
    parse_cookies,
    split_list,
    unescape,
)

FIELDS = [(b"Host", b"a"), (b"X-Twice", b"one, Two"), (b"x-twice", b",three "), (b"X", b"\xe9")]
HEADERS = Headers(FIELDS)


@pytest.mark.parametrize("name", ["host", "Host", "HOST"])
def test_names_compare_without_case(name: str) -> None:
    assert HEADERS[name] == HEADERS.get(name) == "a"
    assert name in HEADERS
    assert HEADERS.getlist(name) == ["a"]


@pytest.mark.parametrize("name", ["absent", "", "X Twice", "ü", "…"])
def test_an_absent_name_is_absent_everywhere(name: str) -> None:
    assert name not in HEADERS
    assert HEADERS.get(name) is None
    assert HEADERS.get(name, "other") == "other"
    assert HEADERS.getlist(name) == Headers(FIELDS[:1]).getlist(name) == []
    with pytest.raises(KeyError):
        HEADERS[name]


def test_the_first_of_repeated_values_counts() -> None:
    assert HEADERS["x-twice"] == "one, Two"
    assert HEADERS.getlist("X-TWICE") == ["one, Two", ",three "]
    assert HEADERS.is_repeated
    assert not Headers(FIELDS[:2]).is_repeated


def test_tokens_run_over_all_fields_in_lower_case() -> None:
    assert HEADERS.tokens("x-twice") == ["one", "two", "three"]
    assert HEADERS.tokens("absent") == []


def test_values_keep_every_byte() -> None:
    assert HEADERS["x"].encode("latin-1") == b"\xe9"
    assert HEADERS.raw(b"x") == b"\xe9"
    assert HEADERS.raw(b"absent") is None


def test_headers_are_a_mapping_of_lower_case_names() -> None:
    assert dict(HEADERS) == {"host": "a", "x-twice": "one, Two", "x": "é"}
    assert len(HEADERS) == 3
    assert HEADERS.items_as_sent()[1:3] == [("X-Twice", "one, Two"), ("x-twice", ",three ")]
    assert "('X-Twice', 'one, Two')" in repr(HEADERS)


QUERIES = [
    ("", {}),
    ("a=1", {"a": "1"}),
    ("a=1&b=2", {"a": "1", "b": "2"}),
    ("a=1&a=2", {"a": "1"}),
    ("a=", {"a": ""}),
    ("a", {"a": ""}),
    ("a=b=c", {"a": "b=c"}),
    ("a=%26+%2B", {"a": "& +"}),
    ("%C3%A9=%C3%A9", {"é": "é"}),
    ("&&a=1&", {"a": "1"}),
    ("a=1;b=2", {"a": "1;b=2"}),
]


@pytest.mark.parametrize(("text", "parameters"), QUERIES)
def test_a_query_gives_first_values(text: str, parameters: dict[str, str]) -> None:
    query = Query(text)
    assert dict(query) == parameters
    assert list(query) == list(parameters)
    assert len(query) == len(parameters)


def test_a_query_gives_all_values_of_a_name() -> None:
    query = Query("a=1&b=2&a=3")
    assert query.getlist("a") == ["1", "3"]
    assert query.getlist("c") == []
    assert query.get("c", "d") == "d"
    assert repr(query) == "Query([('a', '1'), ('b', '2'), ('a', '3')])"


COOKIES = [
    ([], {}),
    (["a=1"], {"a": "1"}),
    (["a=1; b=2"], {"a": "1", "b": "2"}),
    (["a=1;b=2;"], {"a": "1", "b": "2"}),
    (["a=1", "b=2"], {"a": "1", "b": "2"}),
    (["a=1; a=2"], {"a": "1"}),
    (['a="x y"'], {"a": "x y"}),
    (['a="'], {"a": '"'}),
    (["a="], {"a": ""}),
    (["a=b=c"], {"a": "b=c"}),
    (["a; b=2; =3; ;"], {"b": "2"}),
    (["a=%20"], {"a": "%20"}),
]


@pytest.mark.parametrize(("values", "cookies"), COOKIES)
def test_cookies_are_read_leniently(values: list[str], cookies: dict[str, str]) -> None:
    assert parse_cookies(values) == cookies


@pytest.mark.parametrize("fields", [1, 2, 100])
def test_of_a_list_without_end_the_beginning_is_read(fields: int) -> None:
    value = b"," * (MAX_ELEMENTS // fields - 2) + b"last,"
    headers = Headers([(b"Connection", value)] * fields + [(b"connection", b"more," * 60_000)])
    tokens = headers.tokens("connection")
    assert tokens.count("last") == fields
    assert len(tokens) <= MAX_ELEMENTS
    assert len(split_list(["a," * 60_000, "b"], 7)) == 7


def test_of_cookies_without_end_the_first_count() -> None:
    pairs = [f"c{n}={n}" for n in range(2 * MAX_COOKIES)]
    cookies = parse_cookies(["; ".join(pairs[:10]), "; ".join(pairs[10:])])
    assert list(cookies) == [f"c{n}" for n in range(MAX_COOKIES)]
    assert parse_cookies([";" * 60_000 + "a=b"]) == {}


def test_a_query_of_too_many_parameters_is_refused() -> None:
    assert len(Query("&".join(f"p{n}=1" for n in range(MAX_PARAMETERS)))) == MAX_PARAMETERS
    with pytest.raises(Reject) as caught:
        Query("a&" * MAX_PARAMETERS)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("quoted", "text"),
    [
        ("", ""),
        ("abc", "abc"),
        ("a\\bc", "abc"),
        ('\\"\\\\', '"\\'),
        ("\\\\\\\\", "\\\\"),
        ("a\n\\b", "a\nb"),
    ],
)
def test_a_quoted_string_says_what_its_escapes_stand_for(quoted: str, text: str) -> None:
    assert unescape(quoted) == text
