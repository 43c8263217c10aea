"""HTTP routes: what handlers are given, and what becomes of what they return."""

from __future__ import annotations

from typing import Any

import pytest

from tests.glyph.harness import World

USER = """
: Address { city: str!, zip: int }
: User {
  name: str!
  age: int = 18
  tags: str[] = ["new"]
  address: Address
  made: int = 1 + 1
}
"""


def answer(body: str, declared: str = "", head: str = "GET /") -> Any:
    world = World(f"{declared}\n@ {head} {{\n{body}\n}}\n")
    method, path = head.split(" ")[:2]
    return world.request(method, path)


@pytest.mark.parametrize(
    ("body", "status", "content"),
    [
        ("> {b: 1, a: 2.0}", 200, b'{"b":1,"a":2}\n'),
        ('> "x"', 200, b'"x"\n'),
        ("> null", 200, b"null\n"),
        ("$ a = 1", 200, b"null\n"),
        ("return", 200, b"null\n"),
        ("> 1 :: 201", 201, b"1\n"),
        ("return {a: 1} :: 404", 404, b'{"a":1}\n'),
        ('? false :: 403 "no"', 403, b'{"error":"no"}\n'),
        ("? false :: 403", 403, b'{"error":""}\n'),
        ("? true :: 403\n> 1", 200, b"1\n"),
    ],
)
def test_values_become_json_with_a_newline(body: str, status: int, content: bytes) -> None:
    found = answer(body)
    assert (found.status, found.content, found.content_type) == (
        status,
        content,
        "application/json",
    )


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("> 1 / 0", 500),
        ("? 1 :: 404", 500),
        ("assert(1 == 2)", 500),
        ("> upper", 500),
    ],
)
def test_failures_say_nothing_to_the_client(body: str, error: int) -> None:
    found = answer(body) if body != "> upper" else answer("> f", "! f() { }")
    assert (found.status, found.json) == (error, {"error": "Internal server error"})


DECLARED = (
    "! ok(x: any) { > x > 0 }\n! fails(x: any) { > x.y }\n! nothing(x: any) { }\n"
    '! guarded(x: any) {\n  ? x > 0 :: 422 "too small"\n  > true\n}\n'
)


@pytest.mark.parametrize(
    ("check", "status", "error"),
    [
        ("ok(1)", 200, None),
        ("ok(0)", 400, "validation failed: ok"),
        ("fails(1)", 400, "an integer has no field `y`"),
        ("nothing(1)", 200, None),
        ("guarded(1)", 200, None),
        ("guarded(0)", 422, "too small"),
        ("(1).ok()", 200, None),
        ('"abc".startsWith("x")', 400, "validation failed: startsWith"),
    ],
)
def test_failed_validations_are_the_clients_fault(
    check: str, status: int, error: str | None
) -> None:
    found = answer(f"? {check}\n> 1", DECLARED)
    assert found.status == status
    assert found.json == (1 if error is None else {"error": error})


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("frobnicate(1)", "unknown function `frobnicate`"),
        ("twice(map)", "unknown function `frobnicate`"),
        ("spin()", "the handler took more than 1000000 steps"),
    ],
)
def test_a_mistake_in_a_validation_is_not_the_clients_fault(check: str, text: str) -> None:
    declared = "! twice(x: any) { > frobnicate(x) }\n! map(x: any) { > x }\n"
    world = World(f"{declared}! spin() {{ while true {{ }} }}\n@ GET /x {{\n ? {check}\n > 1\n}}\n")
    assert world.get("/x").status == 500
    assert world.failures[0].text == text


def test_guards_in_functions_and_async_blocks_answer_for_the_route() -> None:
    assert answer("> guarded(0)", DECLARED).status == 422
    assert answer('> await async {\n ? 1 > 2 :: 409 "x"\n > 1\n}').json == {"error": "x"}


def test_a_future_can_fail_unnoticed_until_it_is_awaited() -> None:
    assert answer("$ f = async { > 1 / 0 }\n> 1").json == 1
    assert answer("$ f = async { > 1 / 0 }\n> await f").status == 500
    assert answer("> await 5").json == 5
    assert answer("$ f = async { > 1 }\n> [await f, await f]").json == [1, 1]


def test_assert_tells_its_text() -> None:
    world = World('@ GET / {\n  assert(1 == 2, "one is " + toString(2))\n}\n')
    assert world.get("/").status == 500
    assert str(world.failures[0]) == "app.glyph:2:3: one is 2"


# --- input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "body", "headers", "value"),
    [
        ("POST", b'{"a": [1]}', {}, {"a": [1]}),
        ("PUT", b"{}", {"content-type": "application/json; charset=utf-8"}, {}),
        ("PATCH", b'{"a": 1}', {"Content-Type": "APPLICATION/JSON"}, {"a": 1}),
        ("DELETE", b'{"a": 1}', {}, {"a": 1}),
        ("POST", b"[1]", {}, None),
        ("POST", b"5", {}, None),
        ("POST", b"{", {}, None),
        ("POST", b"", {}, None),
        ("POST", b"\xff", {}, None),
        ("POST", b'{"a": 1}', {"Content-Type": "text/plain"}, None),
        ("GET", b'{"a": 1}', {}, None),
    ],
)
def test_json_objects_become_input(
    method: str, body: bytes, headers: dict[str, str], value: Any
) -> None:
    world = World(f"@ {method} / {{ > {{got: input}} }}\n")
    assert world.request(method, "/", body=body, headers=headers).json == {"got": value}


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ({"name": "ann"}, {"name": "ann", "age": 18, "tags": ["new"], "made": 2}),
        ({"name": "a", "age": 7, "tags": [], "made": 0, "x": 1},
         {"name": "a", "age": 7, "tags": [], "made": 0, "x": 1}),
        ({"name": None, "age": None}, {"name": None, "age": None, "tags": ["new"], "made": 2}),
        ({"name": "a", "address": {"city": "c"}},
         {"name": "a", "address": {"city": "c"}, "age": 18, "tags": ["new"], "made": 2}),
    ],
)  # fmt: skip
def test_input_types_check_and_fill_in(body: Any, value: Any) -> None:
    world = World(USER + "@ POST / {\n  < input: User\n  > input\n}\n")
    assert world.post("/", body).json == value


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "missing required field: name"),
        ({"name": 1}, "field name: expected str, found an integer"),
        ({"name": "a", "age": 1.5}, "field age: expected int, found a float"),
        ({"name": "a", "tags": ["x", 1]}, "field tags: element 1: expected str, found an integer"),
        ({"name": "a", "address": {}}, "field address: missing required field: city"),
        ({"name": "a", "address": {"city": "c", "zip": "x"}},
         "field address: field zip: expected int, found a string"),
        ({"name": "a", "address": []}, "field address: expected object, found an array"),
        (b"nope", "missing required field: name"),
        (None, "missing required field: name"),
    ],
)  # fmt: skip
def test_input_that_does_not_fit_is_the_clients_fault(body: Any, error: str) -> None:
    world = World(USER + "@ POST / {\n  < input: User\n  > input\n}\n")
    found = world.post("/", body)
    assert (found.status, found.json) == (400, {"error": f"input validation failed: {error}"})


def test_defaults_are_fresh_for_every_request() -> None:
    world = World(USER + '@ POST / {\n  < input: User\n  input.tags[0] = "x"\n  > input.tags\n}\n')
    assert world.post("/", {"name": "a"}).json == ["x"]
    other = World(USER + "@ POST / {\n  < input: User\n  $ t = input.tags\n  > t\n}\n")
    assert other.post("/", {"name": "a"}).json == ["new"]


def test_missing_input_is_fine_where_nothing_is_required() -> None:
    world = World(": T { a: int = 1 }\n@ POST / {\n  < input: T\n  > {got: input}\n}\n")
    assert world.post("/").json == {"got": None}
    anything = World("@ POST / {\n  < input: any\n  > {got: input}\n}\n")
    assert anything.post("/").json == {"got": None}


# --- headers, parameters, results ----------------------------------------------------------------


def test_headers_are_found_in_any_letter_case() -> None:
    world = World(
        '@ GET / { > [headers["X-Y"], headers["x-y"], headers.Accept, headers.accept, '
        'headers.Nope, headers["No-Pe"], keys(headers)] }\n'
    )
    headers = {"x-y": "1", "ACCEPT": "a", "host": "h"}
    assert world.get("/", headers=headers).json == [
        "1",
        "1",
        "a",
        "a",
        None,
        None,
        ["X-Y", "Accept"],
    ]


def test_path_parameters_are_strings() -> None:
    world = World('@ GET /:id { > [id, id == 1, match id { 200 => 1, "200" => 2 }] }\n')
    assert world.get("/200").json == ["200", False, 2]
    assert World("@ GET /:id { > id + 1 }\n").get("/1").status == 500


@pytest.mark.parametrize(
    ("declared", "value", "status"),
    [
        ("User", '{name: "a"}', 200),
        ("User", '{name: "a", extra: 1}', 200),
        ("User", "null", 200),
        ("User", "{}", 500),
        ("User", "{} :: 201", 201),
        ("User", 'text("x")', 200),
        ("User", "1", 500),
        ("User | Error", "{error: 1}", 200),
        ("User[]", '[{name: "a"}, null]', 200),
        ("User[]", "[{}]", 500),
        ("int", "1.0", 200),
        ("int", "1.5", 500),
        ("float", "1", 200),
        ("str?", "null", 200),
        ("List[int]", '["a"]', 200),
        ("List<int>", '["a"]', 200),
        ("Map[str, int]", "{}", 200),
        ("Map[str, int]", "[]", 500),
        ("timestamp", "now()", 200),
        ("timestamp", '"2031"', 200),
        ("timestamp", "true", 500),
        ("int | str", '"a"', 200),
        ("int | str", "true", 500),
        ("any", "[1]", 200),
        ("object", "1", 200),
        ("Nowhere", "{a: 1}", 200),
        ("Nowhere", "1", 500),
    ],
)
def test_results_are_checked_against_the_declared_type(
    declared: str, value: str, status: int
) -> None:
    world = World(f"{USER}@ GET / -> {declared} {{\n  > {value}\n}}\n")
    assert world.get("/").status == status


def test_recursive_types_check_recursive_values() -> None:
    world = World(": Tree { kids: Tree[] }\n@ POST / -> Tree {\n  < input: Tree\n  > input\n}\n")
    assert world.post("/", {"kids": [{"kids": []}, {}]}).status == 200
    assert world.post("/", {"kids": [{"kids": [1]}]}).status == 400


def test_of_two_routes_of_one_shape_the_first_answers() -> None:
    world = World("@ GET /a { > 1 }\n@ GET /a { > 2 }\n@ GET /:x { > 3 }\n")
    assert [world.get("/a").json, world.get("/b").json] == [1, 3]
