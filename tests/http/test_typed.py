"""HTTP handlers that declare types: a request that does not fit never reaches them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from glyph_fast import Request, Response, Server
from glyph_fast.testing import TestClient


class Article(msgspec.Struct):
    title: str
    tags: list[str] = []


class Search(msgspec.Struct):
    word: str
    limit: int = 10
    exact: bool = False
    tag: list[str] = []
    kind: list[int] | None = None


@dataclasses.dataclass
class Page:
    number: int


class Filter(TypedDict, total=False):
    ids: list[int]


class Order(pydantic.BaseModel):
    symbol: str
    amount: int = pydantic.Field(gt=0)
    notes: list[str] = []


def post(server: Server, handler: Any) -> None:
    server.post("/")(handler)


failed: list[Any] = []  # what the handler that was asked last has raised


def asked(handler: Any, method: str = "POST", path: str = "/", **options: Any) -> Any:
    """The answer to one request whose route has that handler."""

    async def ask() -> Any:
        async with TestClient(server) as client:
            answer = await client.request(method, path, **options)
            if answer.status == 500:
                failed.append(client.errors.pop())
            return answer

    failed.clear()
    server = Server()
    server.route(method, "/")(handler)
    return asyncio.run(ask())


def take(request: Request, body: Article) -> Any:
    return [request.method, body.title, body.tags]


async def take_later(body: Article, request: Request) -> Any:
    return [request.method, body.title, body.tags]


def pieces(request: Request, body: Article) -> Iterator[str]:
    yield json.dumps([request.method, body.title, body.tags])


async def pieces_later(request: Request, body: Article) -> AsyncIterator[str]:
    yield json.dumps([request.method, body.title, body.tags])


class Site:
    def take(self, request: Request, body: Article) -> Any:
        return take(request, body)


HANDLERS = [take, take_later, pieces, pieces_later, Site().take]


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda each: each.__qualname__)
@pytest.mark.parametrize("size", [1, 20_000])
def test_a_body_that_fits_reaches_the_handler(handler: Any, size: int) -> None:
    answer = asked(handler, json={"title": "x" * size, "tags": ["a"]})
    assert json.loads(answer.body) == ["POST", "x" * size, ["a"]]


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda each: each.__qualname__)
@pytest.mark.parametrize(
    ("body", "loc", "msg", "kind"),
    [
        (b'{"title":1}', ["body", "title"], "expected str, got int", "type"),
        (b'{"title":"a","tags":["b",2]}', ["body", "tags", 1], "expected str, got int", "type"),
        (b"{}", ["body", "title"], "missing", "missing"),
        (b'{"title":', ["body"], "not valid JSON", "json_invalid"),
        (b"", ["body"], "missing", "json_invalid"),
    ],
)
def test_another_body_is_refused_and_named(
    handler: Any, body: bytes, loc: list[Any], msg: str, kind: str
) -> None:
    answer = asked(handler, body=body, headers={"Content-Type": "application/json"})
    assert answer.status == 422
    assert answer.json()["detail"] == [{"loc": loc, "msg": msg, "type": kind}]
    assert answer.json()["error"].endswith(msg)


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/vnd.api+json", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
        (None, 415),
    ],
)
def test_a_body_has_to_say_that_it_is_json(field: str | None, status: int) -> None:
    headers = {} if field is None else {"Content-Type": field}
    answer = asked(take, body=b'{"title":"a"}', headers=headers)
    assert answer.status == status
    if status == 415:
        found = field or "no Content-Type"
        assert answer.json() == {"error": f"expected application/json, found {found}"}


def test_a_body_may_be_left_out_where_it_has_a_default() -> None:
    def maybe(body: Article | None = None) -> Any:
        return {"title": None if body is None else body.title}

    assert asked(maybe).json() == {"title": None}
    assert asked(maybe, json={"title": "a"}).json() == {"title": "a"}
    assert asked(maybe, json={"title": 1}).status == 422


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("word=a", ["a", 10, False, [], None]),
        ("word=a&limit=3&exact=true&tag=x", ["a", 3, True, ["x"], None]),
        ("word=a&tag=x&tag=y&kind=1&kind=2", ["a", 10, False, ["x", "y"], [1, 2]]),
        ("word=a&word=b&more=c", ["a", 10, False, [], None]),
        ("word=%C3%BC&exact=0", ["ü", 10, False, [], None]),
    ],
)
def test_a_query_becomes_what_the_type_has(query: str, found: list[Any]) -> None:
    def find(query: Search) -> Any:
        return [query.word, query.limit, query.exact, query.tag, query.kind]

    assert asked(find, "GET", f"/?{query}").json() == found


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "query.word: missing"),
        ("word=a&limit=many", "query.limit: expected int, got str"),
        ("word=a&exact=perhaps", "query.exact: expected bool, got str"),
        ("word=a&kind=1&kind=x", "query.kind[1]: expected int, got str"),
    ],
)
def test_another_query_is_refused_and_named(query: str, text: str) -> None:
    def find(query: Search) -> Any:
        raise AssertionError

    answer = asked(find, "GET", f"/?{query}")
    assert (answer.status, answer.json()["error"]) == (422, text)


def test_both_and_the_kinds_of_types() -> None:
    def handler(request: Request, query: Page, body: Order) -> Any:
        return [request.method, query.number, body.symbol, body.amount]

    order = {"symbol": "A", "amount": 2}
    answer = asked(handler, path="/?number=3", json=order)
    assert answer.json() == ["POST", 3, "A", 2]
    answer = asked(handler, path="/?number=3", json={"amount": 0})
    assert answer.status == 422
    assert [each["loc"] for each in answer.json()["detail"]] == [
        ["body", "symbol"],
        ["body", "amount"],
    ]


def test_a_typed_dict_and_a_model_as_query() -> None:
    def by_ids(query: Filter) -> Any:
        return dict(query)

    assert asked(by_ids, "GET", "/?ids=1&ids=2").json() == {"ids": [1, 2]}
    assert asked(by_ids, "GET", "/").json() == {}

    def by_order(query: Order) -> Any:
        return [query.amount, query.notes]

    answer = asked(by_order, "GET", "/?symbol=A&amount=3&notes=x&notes=y")
    assert answer.json() == [3, ["x", "y"]]


# What is returned.


def test_a_return_type_with_fields_is_kept_to() -> None:
    def good(request: Request) -> Article:
        return Article("a")

    def fitting(request: Request) -> Article:
        return {"title": "a"}  # type: ignore[return-value]

    async def bad(request: Request) -> Article:
        return {"title": 1}  # type: ignore[return-value]

    def by_hand(request: Request) -> Article | Response:
        return Response("by hand", 201)

    def nothing(request: Request) -> Article | None:
        return None

    expected = {"title": "a", "tags": []}
    assert asked(good).json() == asked(fitting).json() == expected
    assert asked(bad).status == 500
    assert "returned what it does not declare: answer.title: expected str, got int" in str(failed)
    assert asked(by_hand).status == 201
    assert asked(nothing).status == 204


def test_what_has_no_fields_is_as_ever() -> None:
    def text(request: Request) -> str:
        return "text"

    def loose(request: Request) -> dict[str, int]:
        return {"a": "b"}  # type: ignore[dict-item]

    assert asked(text).body == b"text"
    assert asked(loose).json() == {"a": "b"}


# What declares nothing.


def test_a_request_may_have_any_name() -> None:
    def body(body):  # type: ignore[no-untyped-def]
        return body.method

    def query(query: Request) -> str:
        return query.method

    assert asked(body).body == asked(query).body == b"POST"


class Foreign:
    pass


def test_a_type_that_is_no_json_is_refused() -> None:
    def handler(body: Foreign) -> None: ...

    with pytest.raises(TypeError, match="Foreign is no type that JSON can be checked against"):
        post(Server(), handler)


def test_a_handler_that_demands_more_is_refused() -> None:
    def handler(request: Request, body: Article, more: int) -> None: ...

    with pytest.raises(TypeError, match="handler demands request, more"):
        post(Server(), handler)
