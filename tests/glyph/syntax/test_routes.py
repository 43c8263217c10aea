"""Parsing of what follows `@`."""

from __future__ import annotations

import pytest

from glyph_fast.glyph.syntax.declarations import Declared, HttpRoute, SocketRoute, StaticFiles
from tests.glyph.harness import headlines
from tests.glyph.trees import items_of, show_type


@pytest.mark.parametrize(
    ("head", "method", "path", "returns"),
    [
        ("@ GET /", "GET", "/", "none"),
        ("@ get /a", "GET", "/a", "none"),
        ("@ Delete /a/:b -> T", "DELETE", "/a/:b", "T"),
        ("@route /a", "GET", "/a", "none"),
        ("@ route /a [POST] -> T | Error", "POST", "/a", "T | Error"),
        ("@ PATCH /a//b/ -> List[T]", "PATCH", "/a/b", "List<T>"),
        ("@ PUT /2fa/a.json/const/x-y_z~", "PUT", "/2fa/a.json/const/x-y_z~", "none"),
    ],
)
def test_http_routes(head: str, method: str, path: str, returns: str) -> None:
    (route,) = items_of(head + " { > 1 }\n")
    assert isinstance(route, HttpRoute)
    assert (route.method, route.path.pattern) == (method, path)
    assert show_type(route.returns) == returns


def test_entries_of_a_body_stand_in_any_order() -> None:
    (route,) = items_of(
        "@ POST /a\n{\n  $ a = 1\n  + auth(jwt, role: admin)\n  ? q: str! \n"
        '  + ratelimit("100/min")\n  < body: T\n  ? n: int = 1\n  > a\n}\n'
    )
    assert isinstance(route, HttpRoute)
    assert [(m.name, m.arguments) for m in route.middlewares] == [
        ("auth", ["jwt", "role:admin"]),
        ("ratelimit", ["100/min"]),
    ]
    assert [(q.name, q.required, q.default is not None) for q in route.queries] == [
        ("q", True, False),
        ("n", False, True),
    ]
    assert show_type(route.input_type) == "T"
    assert len(route.body.statements) == 2


def test_ratelimit_without_quotes_is_the_same() -> None:
    (route,) = items_of("@ GET /a {\n  + ratelimit(100/min)\n}\n")
    assert isinstance(route, HttpRoute)
    assert route.middlewares[0].arguments == ["100/min"]


def test_path_parameters() -> None:
    (route,) = items_of("@ GET /:a/b/:c_d { }\n")
    assert isinstance(route, HttpRoute)
    assert route.path.parameters == ["a", "c_d"]


def test_websocket_routes() -> None:
    (one, two) = items_of(
        "@ ws /a/:b {\n  on connect { } on message\n  { }\n}\n@ websocket /c { on error { } }\n"
    )
    assert isinstance(one, SocketRoute) and isinstance(two, SocketRoute)
    assert [event.name for event in one.events] == ["connect", "message"]
    assert [event.name for event in two.events] == ["error"]


def test_static_files() -> None:
    (item,) = items_of('@ static /assets/x "public"\n')
    assert isinstance(item, StaticFiles)
    assert (item.path.pattern, item.directory) == ("/assets/x", "public")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("@ command hello name: str! --formal: bool = false {\n if a {\n }\n}", "a command"),
        ('@ cron "0 0 * * *" x { }', "a cron task"),
        ('@ on "user.created" { }', "an event handler"),
        ('@ worker "email" {\n  + retries(3)\n}', "a queue worker"),
    ],
)
def test_directives_that_are_not_run_are_parsed_over(text: str, what: str) -> None:
    item, route = items_of(text + "\n@ GET / { > 1 }\n")
    assert isinstance(item, Declared) and item.what == what
    assert isinstance(route, HttpRoute)


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        ("@ GET", "app.glyph:1:6: expected a path, found the end of the line"),
        ("@ GET hello { }", "app.glyph:1:7: expected a path, found `hello`"),
        ("@ GET /a > 1", "app.glyph:1:10: expected `{` and the body of the route, found `>`"),
        ("@ GET /a\n> 1", "app.glyph:1:9: expected `{` and the body of the route, found `>`"),
        ("@ HEAD /a { }", "app.glyph:1:3: unknown directive `HEAD`"),
        ("@ OPTIONS /a { }", "app.glyph:1:3: unknown directive `OPTIONS`"),
        ("@ route /a [HEAD] { }", "app.glyph:1:13: unknown directive `HEAD`"),
        ("@ ws /a { ws.send(1) }", "app.glyph:1:11: expected `on EVENT { … }`, found `ws`"),
        ("@ ws /a { % db: Database }", "app.glyph:1:11: `%` cannot stand here"),
        ("@ ws /a { on message }", "app.glyph:1:22: expected `{`, found `}`"),
        ("@ static /a", "app.glyph:1:12: expected the directory, as a string, found"),
        ("@ 5", "app.glyph:1:3: expected a method, `ws`, `static` or another directive, found `5`"),
    ],
)
def test_what_was_expected_is_said(text: str, headline: str) -> None:
    assert [line for line in headlines(text + "\n") if line.startswith(headline)]


def test_directive_that_is_close_is_proposed() -> None:
    from tests.glyph.harness import problems

    (found,) = problems("@ websockt /a {\n}\n")
    assert found.hint == "did you mean `@ websocket`?"
