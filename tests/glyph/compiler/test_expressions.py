"""Expressions that are more than one Python expression would show."""

from __future__ import annotations

from tests.glyph.harness import value_of


def test_evaluation_goes_from_left_to_right() -> None:
    declared = "! note(o: any!, x: any!) {\n  o.seen = o.seen + [x]\n  > x\n}"
    expression = (
        "[note(o, 1) + note(o, 2) * note(o, 3), {a: note(o, 4), b: [note(o, 5)]}.a,"
        " match note(o, 6) { n when note(o, 7) == 7 => note(o, 8) },"
        " [note(o, 9)][note(o, 0)], note(o, 10) |> note2(o, note(o, 11)), o.seen]"
    )
    declared += "\n! note2(a: any, o: any, b: any) { > note(o, 12) }"
    seen = value_of(expression, "$ o = {seen: []}", declared)[-1]
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 10, 11, 12]


def test_a_failing_operation_comes_before_the_operands_behind_it() -> None:
    declared = "! note(o: any!, x: any!) {\n  o.seen = o.seen + [x]\n  > x\n}"
    before = "$ o = {seen: []}\n$ f = async { > note(o, 1) + true + note(o, 2) }"
    assert value_of("o.seen", before, declared) == [1]


def test_async_blocks_inside_expressions_and_conditions() -> None:
    before = (
        "$ n = 0\nwhile await async { > n < 3 } { n = n + 1 }\n"
        "$ r = []\nif n == 9 { } else if await async { > n == 3 } { r = r + [1] }\n"
        "for v in await async { > [1, 2] } { r = r + [await async { > v * 10 }] }\n"
        "switch await async { > 5 } { case await async { > 5 } { r = r + [5] } }"
    )
    assert value_of("[n, r, match 1 { x => await async { > x + 1 } }]", before) == [
        3,
        [1, 10, 20, 5],
        2,
    ]


def test_bindings_of_a_match_inside_a_match() -> None:
    expression = "match [1, [2, 3]] { [a, b] => match b { [c, d] when c > a => [a, c, d, b] } }"
    assert value_of(expression) == [1, 2, 3, [2, 3]]


def test_a_result_that_counts_as_false_is_still_the_result() -> None:
    assert value_of('[match 1 { 1 => false, _ => 5 }, match 1 { 1 => null, _ => 5 }, '
                    'match 1 { 1 => 0, _ => 5 }, match 1 { 1 => "", _ => 5 }]') == [
        False, None, 0, "",
    ]  # fmt: skip


def test_later_entries_of_a_key_win() -> None:
    assert value_of("{a: 1, b: 2, a: 3}") == {"a": 3, "b": 2}
