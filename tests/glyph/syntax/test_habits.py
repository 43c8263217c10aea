"""What other languages have: one mistake, one clear message where it stands, and what to write.

`▲` stands before the character the message is about.
"""

from __future__ import annotations

import pytest

from glyph_fast.glyph.syntax.diagnostics import MARK
from tests.glyph.harness import World, headlines, problems


def body(text: str) -> str:
    return "@ GET /t {\n  $ x = 1\n  " + text + "\n}\n"


STATEMENTS = [
    ("if x > 1 { > 1 } ▲elif x > 2 { > 2 } else { > 3 }", "write `else if`"),
    ("if x > 1 {\n    > 1\n  }\n  ▲elseif (x > 2) {\n    > 2\n  }\n  else { > 3 }", "`else if`"),
    ("if x > 1 { > 1 }\n  ▲elsif !true {\n    > 2\n  }", "write `else if`"),
    ("$ y = 1\n  ▲elif x > 1 { > y }", "behind the `}` of an `if`"),
    ("$ y = 1\n  ▲else { > y }", "follows the `}` of an `if`"),
    ("x ▲+= 1\n  > x", "write `x = x + …`"),
    ("$ x ▲-= 1\n  > x", "write `x = x - …`"),
    ("x▲++\n  > x", "write `x = x + 1`"),
    ("x▲--\n  > x", "write `x = x - 1`"),
    ("y ▲:= 2\n  > y", "declares a variable"),
    ("▲var y = 2\n  > y", "declares a variable"),
    ("▲const y = 2\n  > y", "declares a variable"),
    ("▲int y = 2\n  > y", "declares a variable"),
    ("if x > 1 ▲and x < 3 { > 1 }\n  > 2", "`&&`"),
    ("$ y = x > 1 ▲or x < 3\n  > y", "`||`"),
    ("if x > 1 ▲& x < 3 { > 1 }\n  else { > 2 }", "`&&`"),
    ("if ▲not x { > 1 }\n  else { > 2 }", "`!x`"),
    ("$ y = ▲not true\n  > y", "`!x`"),
    ("if x ▲=== 1 { > 1 }", "`==` never converts"),
    ("if x ▲!== 1 { > 1 }", "`!=` never converts"),
    ("if x ▲is null { > 1 }", "`==` compares"),
    ("if 1 ▲in [1] { > 1 }", "`contains(text, part)`"),
    ("if x > 1 ▲then { > 1 }", "follows the condition"),
    ("if x > 1▲:\n    > 1", "a block stands in `{ }`"),
    ("$ y = x > 1 ▲? 1 : 2\n  > y", "`if c { … } else { … }`"),
    ("> x ▲** 2", "multiply"),
    ("> x ▲?? 2", "`match x {"),
    ("> x▲?.a", "a missing field is null"),
    ("for i in 0▲..3 { > i }", "`for v in array"),
    ("$ y = map([1], ▲v => v)\n  > y", "the name of a function"),
    ("$ y = map([1], ▲lambda v: v)\n  > y", "the name of a function"),
    ("for ▲(v in [1]) { > v }", "without parentheses"),
    ("for v ▲of [1] { > v }", ""),
    ("> ▲nil", "write `null`"),
    ("> [▲None]", "write `null`"),
    ("> ▲undefined", "write `null`"),
    ("> ▲True", "write `true`"),
    ("$ y = ▲False\n  > y", "write `false`"),
    ("> ▲this", "`client`"),
    ("> ▲“abc”", "write \" or '"),
    ("$ y = upper(▲‘abc def’)\n  > y", "write \" or '"),
    ("$ y = ▲`n:\n ${x}`\n  > y", "`+` joins texts"),
    ('> ▲f"n: {x}"', "`+` joins texts"),
    ("▲/* two\n  lines */\n  > x", "begin each line with `#` or `//`"),
    ("▲try {\n    > 1\n  }\n  catch (e) {\n    > 2\n  }", "ends its handler alone"),
    ('▲throw "x"', '`assert(false, "text")`'),
    ("▲foreach v in [1] { > v }", "are the loops"),
    ("▲unless x { > 1 }", "`if !(condition) { … }`"),
    ("▲def f(a) { > a }", "`! name(a: Type)"),
    ("▲pass", "an empty block is `{ }`"),
    ('▲print("x")', "no output"),
    ('▲console.log("x")', "no output"),
    ("> ▲len([1])", "`length`"),
    ("> [1].▲push(2)", "`append(array, value)`"),
    ("$ y = x > 1 == true ▲and(false)\n  > y", "`&&`"),
    ("$ a = 1▲\N{NO-BREAK SPACE}\n  > a", "a plain blank"),
]

FILES = [
    ("@ ▲WS /x {\n  on message { ws.send(input) }\n}\n", "did you mean `@ ws`?"),
    ("▲function f(a) {\n  return a\n}\n\n@ GET /x { > f(1) }\n", "`! name(a: Type)"),
    ("▲def f(a):\n  return a\n\n@ GET /x { > f(1) }\n", "`! name(a: Type)"),
    ("▲class A { x: int }\n\n@ GET /x { > 1 }\n", "`: Name { field: Type }`"),
    ("▲let x = 2\n\n@ GET /x { > x }\n", "`const X = …`"),
    ("▲export const A = 1\n\n@ GET /x { > A }\n", "can be imported as it is"),
    ("▲GET /x { > 1 }\n", "begins with `@`"),
    ("▲if true { }\n", "statements stand in the bodies"),
    ("@ GET /x { > 1 } ▲}\n\n@ GET /y { > 2 }\n", "no `{` is open here"),
    ("import ▲json\n", '`import "./name"`'),
    ("@ ws /x {▲\n  onmessage { ws.send(input) }\n}\n", "did you mean `on message`?"),
    ("@ ws /x {▲\n  on_open { ws.send(input) }\n}\n", "did you mean `on connect`?"),
    ("@ ws /x {\n  on ▲close { ws.send(input) }\n}\n", "did you mean `disconnect`?"),
    ("@ ws /x {\n  on message▲(m) { ws.send(m) }\n}\n", "`input`"),
    ("@ GET /x/▲{id}/y { > id }\n", "`:name`"),
    ("@ GET /x/▲<int:id> { > id }\n", "`:name`"),
]


@pytest.mark.parametrize(
    ("program", "hint"),
    [*[(body(text), hint) for text, hint in STATEMENTS], *FILES],
    ids=[text.replace("\n", " ") for text, _ in [*STATEMENTS, *FILES]],
)
def test_a_habit_is_one_message_where_it_stands_with_what_to_write(program: str, hint: str) -> None:
    before = program[: program.index(MARK)]
    (found,) = problems(program.replace(MARK, ""))
    place = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert (found.line, found.column) == place, found.render()
    assert hint in found.hint, found.render()


@pytest.mark.parametrize(
    "text",
    [
        '$ y = "abc\n  > y',
        '$ y = upper("abc)\n  > y',
        '$ y = upper("abc\n  > y',
        '> {a: "abc, b: 2}',
        '> {a: [upper("abc)]}',
        'if "abc == "d" { > 1 }',
        'if x == "abc {\n    > 1\n  }\n  else { > 2 }',
        "$ y = {\n    a: 'abc,\n    b: 2\n  }\n  > y",
        '$ y = [1, "n: {x}]\n  > y',
        '$ y = upper("abc})\n  > y',
        "$ y = upper(“abc)\n  > y",
        '$ y = upper("abc”)\n  > y',
    ],
)
def test_a_string_that_is_not_closed_is_the_only_thing_wrong(text: str) -> None:
    (line,) = headlines(body(text))
    assert "string" in line


def test_a_word_that_stands_where_it_may_is_not_what_is_wrong() -> None:
    assert headlines(body("for v in ) { }")) == ["app.glyph:3:12: expected a value, found `)`"]


def test_a_string_that_is_not_closed_hides_no_other_line() -> None:
    text = '@ GET /a {\n  ws.broadcast("x)\n  > nope\n}\n@ GET /b { > nada }\n'
    assert [line.split(": ", 1)[1] for line in headlines(text)] == [
        "this string does not end on its line",
        "unknown name `nope`",
        "unknown name `nada`",
    ]


def test_words_of_other_languages_are_names_where_a_program_is_right() -> None:
    program = World(
        "! not(x: bool) { > !x }\n! elif(x: any) { > x }\n"
        "@ GET / {\n  $ and = 1\n  $ var = and + 1\n  $ None = {in: var}\n"
        "  if var == 3 { > 0 }\n  elif(1)\n  var = 3\n"
        "  $ a = 1 not(true)\n  > [and, var, None.in, not(false), a]\n}\n"
    )
    assert program.get("/").json == [1, 3, 2, True, 1]
