"""A handler that goes on and on fails, and the process goes on."""

from __future__ import annotations

import pytest
from glyph.harness import World, failure_of, value_of

from glyph_fast.glyph import limits
from glyph_fast.glyph.load import GlyphLoadError
from glyph_fast.glyph.values import Failure


def test_a_million_turns_are_allowed_and_one_more_fails() -> None:
    loop = "$ i = 0\nwhile i < {} {{ i = i + 1 }}"
    assert value_of("i", loop.format(1_000_000)) == 1_000_000
    assert failure_of("i", loop.format(1_000_001)) == "the handler took more than 1000000 steps"


def test_turns_of_all_loops_and_calls_count_together() -> None:
    declared = "! f(n: int!) {\n $ i = 0\n while i < n { i = i + 1 }\n}"
    before = "for a in [1, 2, 3] {\n f(300000)\n $ j = 0\n while j < 40000 { j = j + 1 }\n}"
    assert "steps" in failure_of("1", before, declared)


def test_recursion_without_end_fails() -> None:
    text = "more than 200 calls inside each other"
    assert failure_of("f(1)", declared="! f(x: int) { > f(x + 1) }") == text
    mutual = "! f(x: int) { > map([x], g) }\n! g(x: int) { > f(x) }"
    assert failure_of("f(1)", declared=mutual) == text


def test_two_hundred_calls_deep_is_allowed() -> None:
    declared = "! f(n: int) {\n if n == 0 { > 0 }\n > f(n - 1) + 1\n}"
    assert value_of("f(199)", declared=declared) == 199
    assert "200 calls" in failure_of("f(200)", declared=declared)


def test_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(limits, "monotonic", clock)
    assert failure_of("1", "while true { }") == "the handler ran longer than 3 s"


@pytest.mark.parametrize(
    "statements",
    [
        '$ s = "abcdefgh"\nwhile true { s = s + s }',
        '$ s = "abcdefgh"\nwhile true { s = join([s, s], "") }',
        '$ s = "abcdefgh"\nwhile true { s = replace(s, "a", "aaaaaaaa") }',
        '$ s = "ßßßß"\nwhile true {\n s = s + upper(s)\n}',
    ],
)
def test_a_string_that_grows_without_end_fails(statements: str) -> None:
    assert "a string of" in failure_of("1", statements)


@pytest.mark.parametrize(
    "statements",
    [
        "$ a = [1, 2, 3]\nwhile true { a = a + a }",
        "$ a = [1, 2, 3]\nwhile true { a = flat([a, a]) }",
    ],
)
def test_an_array_that_grows_without_end_fails(statements: str) -> None:
    assert "an array of" in failure_of("1", statements)


def test_values_that_contain_themselves_or_nest_without_end_fail() -> None:
    world = World(
        "@ GET /self {\n $ a = [1]\n a[0] = a\n > a\n}\n"
        "@ GET /same {\n $ a = [1]\n a[0] = a\n $ b = [1]\n b[0] = b\n > a == b\n}\n"
        "@ GET /deep {\n $ a = []\n $ i = 0\n"
        " while i < 100000 {\n  i = i + 1\n  a = [a]\n }\n > a\n}\n"
        "@ GET /text {\n $ o = {}\n o.o = o\n > toString(o)\n}\n"
    )
    for path in ("/self", "/same", "/deep", "/text"):
        assert world.get(path).status == 500, path
    assert len(world.failures) == 4


TWINS = '$ a = [1]\n$ b = [1]\nfor i in split(text, "") {\n a = [a, a]\n b = [b, b]\n}\n'
DOUBLING = "! twins(text: str) {\n" + TWINS + " > [a, b]\n}\n"


@pytest.mark.parametrize(
    "statement",
    [
        "> a",
        "> toString(a)",
        '> join([a], "")',
        "> match a { [1] => 1, x => x }",
        "ws.broadcast(a)",
        'ws.broadcast_to_room("r", {a: a})',
        "> same({left: a})",
    ],
)
def test_a_value_that_is_small_in_memory_and_huge_on_paper_fails(statement: str) -> None:
    declared = ": Tree {\n left: Tree[]\n right: Tree\n}\n! same(t: Tree) { > 1 }\n"
    before = '$ text = "' + "x" * 60 + '"\n'
    world = World(f"{declared}@ GET /x {{\n{before}{TWINS}{statement}\n}}\n")
    if "same" in statement:
        world = World(
            declared + "@ GET /x {\n $ t = {}\n $ i = 0\n while i < 60 {\n i = i + 1\n"
            " t = {left: [t, t], right: t}\n }\n > same(t)\n}\n"
        )
    assert world.get("/x").status == 500
    assert f"more than {limits.MAX_PARTS} parts" in world.failures[0].text


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a == b", True),
        ("Ok(a) == Ok(b)", True),
        ("{x: a} != {x: b}", False),
        ("[a] == [1]", False),
    ],
)
def test_a_value_that_is_huge_on_paper_can_be_compared(expression: str, expected: bool) -> None:
    assert value_of(expression, '$ text = "' + "x" * 60 + '"\n' + TWINS) is expected


def test_a_handler_without_a_loop_may_send_what_its_functions_made() -> None:
    world = World(
        DOUBLING + "@ ws /x { on message { ws.send(twins(input)) } }\n"
        "! tell(v: any) { ws.send(v) }\n@ ws /y { on message { tell(twins(input)) } }\n"
    )
    for path in ("/x", "/y"):
        peer = world.connect(path)
        assert peer.says("ab") == ["[[[[1],[1]],[[1],[1]]],[[[1],[1]],[[1],[1]]]]"]
        assert peer.says("x" * 60) == []
    assert len(world.failures) == 2


def test_a_constant_that_is_huge_on_paper_does_not_load() -> None:
    text = DOUBLING + 'const A = twins("' + "x" * 60 + '")\n'
    with pytest.raises(GlyphLoadError, match="parts"):
        World(text)


def test_large_and_nested_values_are_still_written() -> None:
    before = '$ a = []\nfor i in split(text, "") { a = append(a, {n: [1, {x: null}]}) }'
    text = '$ text = "' + "x" * 2000 + '"\n'
    assert value_of("[a, a]", text + before) == [[{"n": [1, {"x": None}]}] * 2000] * 2
    assert value_of("a == append(slice(a, 1, 2000), {n: [1.0, {x: null}]})", text + before) is True


def test_a_fresh_run_has_a_fresh_budget() -> None:
    world = World("@ GET / {\n $ i = 0\n while i < 600000 { i = i + 1 }\n > i\n}\n")
    assert [world.get("/").status for _ in range(2)] == [200, 200]


def test_sizes_are_judged_before_they_are_made() -> None:
    with pytest.raises(Failure):
        limits.expect_text(limits.MAX_TEXT + 1)
    limits.expect_text(limits.MAX_TEXT)
