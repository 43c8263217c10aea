"""Patterns, and which of them wins."""

from __future__ import annotations

import pytest

from glyph_fast.http.router import (
    Match,
    Route,
    Router,
    other_spellings,
    relative_location,
)

ROUTES = [
    ("GET", "/"),
    ("GET", "/users/:id"),
    ("POST", "/users/:id"),
    ("GET", "/users/me"),
    ("DELETE", "/users/:name"),
    ("GET", "/:a/:b"),
    ("GET", "/chat/:room/log"),
    ("GET", "/chat/:room/:page"),
    ("GET", "/:kind/lobby/log"),
    ("PUT", "/a//b/"),
    ("GET", "/café"),
    (None, "/any/:x"),
    ("HEAD", "/head"),
    ("GET", "/head"),
    ("GET", "/folder/"),
    ("GET", "/folder/:id/"),
]

FOUND: list[tuple[str, str, str | None, dict[str, str]]] = [
    ("GET", "/", "/", {}),
    ("GET", "", None, {}),
    ("GET", "//", None, {}),
    ("GET", "//users/me", None, {}),
    ("GET", "/users/me/", None, {}),
    ("GET", "/users/me//", None, {}),
    ("GET", "/users//me", None, {}),
    ("GET", "/users/7/", None, {}),
    ("GET", "/users//7", None, {}),
    ("GET", "//x/y", None, {}),
    ("GET", "/x/", None, {}),
    ("GET", "//", None, {}),
    ("GET", "/chat//log", None, {}),
    ("GET", "/folder/", "/folder/", {}),
    ("GET", "/folder", None, {}),
    ("GET", "/folder/7/", "/folder/:id/", {"id": "7"}),
    ("GET", "/folder/7", "/:a/:b", {"a": "folder", "b": "7"}),
    ("GET", "/folder//", None, {}),
    (None, "//any/x", None, {}),
    (None, "/any/x/", None, {}),
    (None, "/any/x", "/any/:x", {"x": "x"}),
    ("GET", "/users/me", "/users/me", {}),
    ("GET", "/users/%6De", "/users/me", {}),
    ("GET", "/users/7", "/users/:id", {"id": "7"}),
    ("POST", "/users/me", "/users/:id", {"id": "me"}),
    ("DELETE", "/users/me", "/users/:name", {"name": "me"}),
    ("HEAD", "/users/me", "/users/me", {}),
    ("HEAD", "/users/7", "/users/:id", {"id": "7"}),
    ("PATCH", "/users/7", None, {}),
    ("GET", "/x/y", "/:a/:b", {"a": "x", "b": "y"}),
    ("GET", "/x/y/z", None, {}),
    ("GET", "/x", None, {}),
    ("GET", "/chat/one/log", "/chat/:room/log", {"room": "one"}),
    ("GET", "/chat/lobby/log", "/chat/:room/log", {"room": "lobby"}),
    ("GET", "/chat/one/2", "/chat/:room/:page", {"room": "one", "page": "2"}),
    ("GET", "/other/lobby/log", "/:kind/lobby/log", {"kind": "other"}),
    ("GET", "/users/a%20b", "/users/:id", {"id": "a b"}),
    ("GET", "/users/a%2Fb", "/users/:id", {"id": "a/b"}),
    ("GET", "/users%2Fme", None, {}),
    ("GET", "/users/%2541", "/users/:id", {"id": "%41"}),
    ("GET", "/users/%C3%A9", "/users/:id", {"id": "é"}),
    ("GET", "/users/:id", "/users/:id", {"id": ":id"}),
    ("GET", "/users/", None, {}),
    ("GET", "/Users/me", "/:a/:b", {"a": "Users", "b": "me"}),
    ("PUT", "/a/b", None, {}),
    ("PUT", "/a//b/", "/a//b/", {}),
    ("GET", "/caf%C3%A9", "/café", {}),
    ("BREW", "/any/x", "/any/:x", {"x": "x"}),
    ("GET", "*", None, {}),
]


def example() -> Router[str]:
    router: Router[str] = Router()
    for number, (method, pattern) in enumerate(ROUTES):
        router.add(method, pattern, f"target {number}")
    return router


@pytest.mark.parametrize(("method", "path", "pattern", "params"), FOUND)
def test_a_path_leads_to_its_best_route(
    method: str, path: str, pattern: str | None, params: dict[str, str]
) -> None:
    match = example().match(method, path)
    if pattern is None:
        assert match is None
    else:
        assert match is not None
        assert (match.pattern, match.params) == (pattern, params)


def test_a_match_carries_the_target_of_its_method() -> None:
    router = example()
    assert router.match("GET", "/users/7") == Match("target 1", "/users/:id", {"id": "7"})
    assert router.match("POST", "/users/7") == Match("target 2", "/users/:id", {"id": "7"})
    assert router.match("HEAD", "/head") == Match("target 12", "/head", {})
    assert router.match("GET", "/head") == Match("target 13", "/head", {})


def test_parameters_of_two_matches_are_not_shared() -> None:
    router = example()
    first, second = router.match("GET", "/users/7"), router.match("GET", "/users/7")
    assert first is not None and second is not None
    assert first.params == second.params and first.params is not second.params


def test_nobody_can_give_parameters_to_a_route_without() -> None:
    match = example().match("GET", "/users/me")
    assert match is not None
    with pytest.raises(TypeError):
        match.params["x"] = "y"  # type: ignore[index]


def test_a_route_without_method_serves_any() -> None:
    router: Router[str] = Router()
    router.add(None, "/ws", "socket")
    router.add("GET", "/ws", "page")
    assert router.match("GET", "/ws") == Match("page", "/ws", {})
    assert router.match("POST", "/ws") == router.match(None, "/ws") == Match("socket", "/ws", {})


def test_of_equally_many_parameters_the_first_declared_wins() -> None:
    router: Router[int] = Router()
    router.add("GET", "/:a/x", 1)
    router.add("GET", "/x/:b", 2)
    match = router.match("GET", "/x/x")
    assert match is not None and match.target == 1


METHODS = [
    ("/users/7", ["DELETE", "GET", "HEAD", "POST"]),
    ("/users/me", ["DELETE", "GET", "HEAD", "POST"]),
    ("/a/b", ["GET", "HEAD"]),
    ("/a//b/", ["PUT"]),
    ("/users/me/", []),
    ("/x/y", ["GET", "HEAD"]),
    ("/any/x", ["GET", "HEAD"]),
    ("/nowhere", []),
]


@pytest.mark.parametrize(("path", "methods"), METHODS)
def test_the_methods_of_a_path_are_those_of_all_its_routes(path: str, methods: list[str]) -> None:
    assert example().methods_for(path) == methods


def test_the_routes_of_a_path_come_best_first() -> None:
    patterns = [route.pattern for route in example().routes_for("/users/me")]
    assert patterns == ["/users/me", "/users/:id", "/users/:id", "/users/:name", "/:a/:b"]


def test_routes_are_listed_as_declared() -> None:
    routes = list(example().routes())
    assert [(route.method, route.pattern) for route in routes] == ROUTES
    assert routes[0] == Route("GET", "/", "target 0")


BAD = [
    ("", "does not begin with '/'"),
    ("chat", "does not begin with '/'"),
    ("/chat/:", "parameter without a name"),
    ("/:a/:a", "the parameter 'a' twice"),
    ("/:a-b", "bad parameter name 'a-b'"),
    ("/:1", "bad parameter name '1'"),
    ("/:é", "bad parameter name 'é'"),
    ("/a b", "contains ' '"),
    ("/a?b", r"contains '\?'"),
    ("/a#b", "contains '#'"),
    ("/a%20b", "contains '%'"),
    ("/a/*", r"contains '\*'"),
    ("/{a}", "a parameter is written :a, not {a}"),
    ("/a:b", "contains ':'"),
    ("/a\n", r"contains '\\n'"),
]


@pytest.mark.parametrize(("pattern", "message"), BAD)
def test_a_bad_pattern_is_refused_in_words(pattern: str, message: str) -> None:
    router: Router[int] = Router()
    with pytest.raises(ValueError, match=message):
        router.add("GET", pattern, 1)
    assert list(router.routes()) == []


@pytest.mark.parametrize(
    ("method", "pattern"),
    [("GET", "/users/:id"), ("GET", "/users/me"), (None, "/any/:x")],
)
def test_a_route_is_declared_once(method: str | None, pattern: str) -> None:
    with pytest.raises(ValueError, match="declared twice"):
        example().add(method, pattern, "again")


def test_a_broken_escape_is_an_error() -> None:
    with pytest.raises(ValueError, match="percent-encoding"):
        example().match("GET", "/users/%zz")


@pytest.mark.parametrize(
    ("path", "others"),
    [
        ("/x", ("/x/",)),
        ("/x/", ("/x",)),
        ("//x", ("/x", "/x/")),
        ("/x//y/", ("/x/y/", "/x/y")),
        ("/x//", ("/x/", "/x")),
        ("//", ("/",)),
        ("/", ()),
    ],
)
def test_a_path_may_have_meant_others(path: str, others: tuple[str, ...]) -> None:
    assert other_spellings(path) == others


def resolved(path: str, reference: str) -> str:
    """RFC 3986 §5.2.3 and §5.2.4, where `urljoin` loses empty segments."""
    *folders, last = (path[: path.rindex("/") + 1] + reference).split("/")[1:]
    found: list[str] = []
    for segment in folders:
        if segment == "..":
            del found[-1:]
        elif segment != ".":
            found.append(segment)
    return "/" + "/".join([*found, last])


@pytest.mark.parametrize("prefix", ["", "/app", "/two/levels"])
@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/x", "/x/"),
        ("/x/", "/x"),
        ("//x", "/x"),
        ("/x//y/", "/x/y"),
        ("/a:b", "/a:b/"),
        ("/p/a:b", "/p/a:b/"),
        ("//", "/"),
        ("//evil.example/x", "/evil.example/x"),
        ("/a/b", "/other/c"),
        ("/a/b/", "/"),
    ],
)
def test_a_location_leads_there_also_below_a_prefix_that_a_proxy_strips(
    path: str, location: str, prefix: str
) -> None:
    reference = relative_location(path, location, "")
    assert resolved(prefix + path, reference) == prefix + location
    assert relative_location(path, location, "a=b") == reference + "?a=b"


def test_a_route_may_be_reached_by_any_spelling():
    router: Router[str] = Router()
    router.add("GET", "/a/:b", "any", any_spelling=True)
    router.add("GET", "/c", "exact")
    for path in ("/a/x", "//a/x", "/a//x/", "/a/x//"):
        found = router.match("GET", path)
        assert found is not None and (found.target, found.params) == ("any", {"b": "x"}), path
    assert router.match("HEAD", "/a//x") is not None
    for path in ("/c/", "//c", "/a/", "/a//"):
        assert router.match("GET", path) is None, path


def test_head_takes_a_route_that_is_spelled_so_before_one_of_any_spelling():
    router: Router[str] = Router()
    router.add("GET", "/a", "any", any_spelling=True)
    router.add("GET", "/a/", "exact")
    router.add("GET", "/b/", "folder")
    router.add("POST", "/b", "other", any_spelling=True)
    for method in ("GET", "HEAD"):
        for path, target in (("/a", "any"), ("/a/", "exact"), ("//a", "any"), ("/b/", "folder")):
            found = router.match(method, path)
            assert found is not None and found.target == target, (method, path)
        assert router.match(method, "//b") is None
