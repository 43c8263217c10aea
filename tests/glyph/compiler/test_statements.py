"""Statements whose order or ending is easily got wrong."""

from __future__ import annotations

from tests.glyph.harness import World, value_of


def test_the_value_is_evaluated_before_what_it_is_assigned_to() -> None:
    declared = "! note(o: any!, x: any!) {\n  o.seen = o.seen + [x]\n  > x\n}"
    before = "$ o = {seen: [], list: [0, 0]}\no.list[note(o, 1)] = note(o, 0)"
    assert value_of("[o.seen, o.list]", before, declared) == [[0, 1], [0, 0]]


def test_return_inside_loops_and_blocks_ends_the_handler() -> None:
    world = World(
        "@ GET / {\n  for a in [5, 6] {\n    while true { if a == 6 { > a } break }\n  }\n}\n"
    )
    assert world.get("/").json == 6


def test_continue_goes_to_the_next_turn() -> None:
    before = "$ r = []\nfor v in [1, 2, 3] {\n if v == 2 { continue }\n r = r + [v]\n}"
    assert value_of("r", before) == [1, 3]


def test_return_in_an_async_block_ends_the_block() -> None:
    assert value_of("[await f, 2]", "$ f = async {\n if true { > 1 }\n > 9\n}") == [1, 2]


def test_functions_without_a_return_give_null() -> None:
    assert (
        value_of("f()", declared="! f() {\n  $ a = 5\n  a + 1 |> length2\n}\n! length2(x: any) { }")
        is None
    )


def test_validations_in_functions_answer_for_the_route() -> None:
    declared = "! bad(x: any) { > false }\n! f(x: any) {\n  ? bad(x)\n  > 1\n}\n"
    world = World(declared + "@ GET / { > f(1) }\n")
    answer = world.get("/")
    assert (answer.status, answer.json) == (400, {"error": "validation failed: bad"})


def test_empty_blocks_do_nothing() -> None:
    assert (
        value_of("1", "if true { } else { }\nwhile false { }\nfor a in [] { }\nswitch 1 { }") == 1
    )
