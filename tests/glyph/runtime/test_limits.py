"""A handler that goes on and on fails, and the process goes on."""

from __future__ import annotations

import pytest

from glyph_fast.glyph.runtime import limits, weight
from glyph_fast.glyph.runtime.values import Failure
from glyph_fast.glyph.serving.load import GlyphLoadError
from tests.glyph.harness import World, failure_of, value_of


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
            declared + "@ GET /x {\n $ t = {}\n $ i = 0\n while i < 30 {\n i = i + 1\n"
            " t = {left: [t, t], right: t}\n }\n > same(t)\n}\n"
        )
    assert world.get("/x").status == 500
    assert f"more than {weight.MAX_PARTS} parts" in world.failures[0].text


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


# --- time and memory between steps ---------------------------------------------------------------

# `dbl("a")` is a string of 8 Mi characters, another one at each call; `many(x)` has x 2**18 times.
LARGE = """
! dbl(c: str!) {
  $ s = c
  while length(s) < 8388608 { s = s + s }
  > s
}
! many(x: any) {
  $ xs = [x]
  while length(xs) < 262144 { xs = xs + xs }
  > xs
}
! spin() { while true { } }
! rec(n: int) {
  if n > 180 { > "" }
  > substring(dbl("a") + rec(n + 1), 0, 5)
}
! mk() {
  $ a = [1, 2, 3, 4]
  $ i = 0
  while i < 10 {
    i = i + 1
    a = [a, a, a]
  }
  > a
}
! grid(x: int[][]!) { > 1 }
! big(x: any) { > dbl("a") }
const BIG = mk()
"""


def ends(body: str) -> str:
    """How a handler that does too much ends."""
    world = World(f"{LARGE}@ GET /x {{\n{body}\n}}\n")
    assert world.get("/x").status == 500
    (failure,) = world.failures
    return failure.text


@pytest.fixture
def little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TIME_LIMIT_S", 0.2)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TIME_LIMIT_S", 60.0)  # on a busy machine, too
    monkeypatch.setattr(limits, "MAX_MEMORY", 64 << 20)


@pytest.mark.parametrize(
    "body",
    [
        "$ f = async { while true { } }\nwhile true { }",
        "$ i = 0\nwhile true { $ f = async { while true { } } }",
        "? spin()\nwhile true { }",
    ],
)
def test_who_has_run_into_a_limit_gets_nowhere_by_going_on(body: str) -> None:
    assert "steps" in ends(body)


@pytest.mark.parametrize(
    "body",
    [
        '> many(dbl("a")) == many(dbl("a"))',
        '$ s = dbl("a")\n$ t = dbl("a")\n$ n = 0\n' + "if s == t { n = n + 1 }\n" * 3000,
        '$ s = dbl("a")\n$ t = dbl("a")\n$ n = 0\n' + "if s < t { n = n + 1 }\n" * 3000,
        '$ s = text(dbl("a"))\n$ t = text(dbl("a"))\n' + "if s == t { let n = 1 }\n" * 3000,
        '$ s = dbl("a")\n$ n = 0\n' + 'if contains(s, "b") { n = n + 1 }\n' * 3000,
        '$ o = {}\nset(o, dbl("a"), 1)\n$ k = dbl("a")\n$ n = 0\n' + "n = n + o[k]\n" * 3000,
        "> grid(many(many(1)))",
        "> [" + "length(BIG), " * 2000 + "1]",
        "while true { $ a = BIG }",
    ],
)
def test_what_takes_long_without_a_step_is_timed_too(little_time: None, body: str) -> None:
    assert ends(body) == "the handler ran longer than 0.2 s"


@pytest.mark.parametrize(
    "body",
    [
        '$ s = dbl("a")\n$ xs = []\n$ i = 0\nwhile true { i = i + 1\n xs = append(xs, s + "b") }',
        '$ s = dbl("a")\n$ xs = []\nwhile true { xs = append(xs, substring(s, 1, 8000000)) }',
        '$ s = dbl("a")\n$ n = null\n' + "n = [n, upper(s)]\n" * 2000,
        "$ xs = null\n$ i = 0\nwhile true { i = i + 1\n xs = [" + "[i, {a: i}], " * 40 + "xs] }",
        "> length(rec(0))",
        "$ k = []\n$ a = many(1)\nwhile true { k = append(k, match a { [x, ...r] => r }) }",
        "$ k = []\n$ a = many(1)\nwhile true { k = append(k, reverse(a)) }",
        "> length(map(many(1), big))",
    ],
)
def test_a_run_may_keep_only_so_much(little_memory: None, body: str) -> None:
    assert ends(body) == "the handler's values take more than 64 MiB"


def test_what_is_thrown_away_again_is_not_counted(little_memory: None) -> None:
    loop = '$ s = dbl("a")\n$ i = 0\nwhile i < 100 { i = i + 1\n $ t = s + "b" }\n'
    assert value_of("i", loop, LARGE) == 100


def test_values_in_circles_are_freed_before_they_count(little_memory: None) -> None:
    loop = '$ i = 0\nwhile i < 30 { i = i + 1\n $ o = {}\n o.me = o\n o.text = dbl("a") }\n'
    assert value_of("i", loop, LARGE) == 30


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("length(" + " + ".join(["upper(s)"] * 9) + ")", "a string of"),
        ('length(split(s, ""))', "an array of 8388608 elements"),
        ('length(split(s, "a"))', "an array of 8388609 elements"),
        (
            'length(join(many([1, "' + "a" * 90 + '"]), ""))',
            "a string of",
        ),
        ('length(replace(s, "a", "bcd"))', "a string of 25165824"),
        ("redirect(s)", "`redirect` to 8388608 characters; at most 8192"),
        ('blob("x", s)', "`blob` needs a content type"),
        ("many(s)", "a value of more than 33554432 characters"),
        ("many(set({}, s, 1))", "a value of more than 33554432 characters"),
        ("[[s, s, s], [s, s, s]]", "a value of more than 33554432 characters"),
    ],
)
def test_what_would_be_too_large_is_not_made(expression: str, text: str) -> None:
    assert failure_of(expression, '$ s = dbl("a")\n', LARGE).startswith(text)


@pytest.mark.parametrize("digits", ["1", "."])
def test_a_long_text_that_is_no_number_is_known_at_once(digits: str) -> None:
    before = f'$ s = dbl("{digits}") + "x"\n'
    assert "is not a number" in failure_of("parseFloat(s)", before, LARGE)
    assert "is not an integer" in failure_of("parseInt(s)", before, LARGE)


def test_long_strings_that_are_nearly_alike_are_sorted_quickly() -> None:
    before = '$ x = dbl("a") + "x"\n$ y = dbl("a") + "y"\n$ xs = sort(many(y) + many(x) + ["z"])\n'
    found = value_of("[length(xs), xs[0] == x, xs[262144] == y, xs[524288]]", before, LARGE)
    assert found == [524289, True, True, "z"]


@pytest.mark.parametrize("other", ["[i, [1]]", "[i, [1.0]]"])
def test_large_values_are_compared_part_by_part_once(other: str) -> None:
    before = (
        "$ x = []\n$ y = []\n$ i = 0\nwhile i < 2000 { i = i + 1\n"
        f"x = append(x, [i % 7, [1]])\n y = append(y, {other.replace('i,', 'i % 7,')}) }}\n"
    )
    assert value_of("[x == y, x == append(slice(y, 0, 1999), 1)]", before) == [True, False]


def test_an_object_has_only_so_many_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glyph_fast.glyph.runtime.operators.MAX_ELEMENTS", 1000)
    before = "$ o = {}\n$ i = 0\nwhile true { i = i + 1\n o[toString(i)] = i }\n"
    assert failure_of("o", before) == "an object of 1001 fields; at most 1000"


def test_a_default_is_of_the_run_it_is_asked_for_in(little_time: None) -> None:
    queries = "".join(f"? q{n}: str = wait()\n" for n in range(20))
    declared = '! wait() {\n $ i = 0\n while i < 900000 { i = i + 1 }\n > "x"\n}\n'
    world = World(declared + "@ GET /x {\n" + queries + "> q0\n}\n")
    assert world.get("/x").status == 500
    assert "longer than 0.2 s" in world.failures[0].text or "steps" in world.failures[0].text


def test_each_event_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(limits, "monotonic", lambda: now[0])
    text = LARGE + '@ ws /x { on message { ws.send(length(upper(dbl("a")))) } }'
    peer = World(text).connect("/x")
    for _ in range(3):
        assert peer.says("go") == ["8388608"]
        now[0] += 10


def test_a_machine_that_does_not_tell_its_memory_has_no_limit_of_it(
    monkeypatch: pytest.MonkeyPatch, little_memory: None
) -> None:
    monkeypatch.setattr(limits, "_memory", lambda: 0)
    assert value_of("length(" + " + ".join(["upper(s)"] * 2) + ")", '$ s = dbl("a")\n', LARGE)


def test_the_memory_of_the_process_is_known_here() -> None:
    assert limits._memory() > 1 << 20
    assert limits._largest_memory() >= limits._memory() // 2
