"""The list of everything that can be wrong with a program.

Each rule has two snippets that break it; `▲` stands before the character where it is reported. A
test loads them all, so a rule whose place or code changes is noticed. What is milder than an error
stands in `milder_rules.py`.
"""

from __future__ import annotations

from .diagnostics import Rule, Severity
from .milder_rules import MILDER_RULES

# fmt: off
_RULES: list[Rule] = []


def _rule(severity: Severity, code: str, message: str, hint: str, *bad: str) -> None:
    first, second = bad
    _RULES.append(Rule(code, severity, message, hint, (first, second)))


def _body(text: str) -> str:
    return "@ GET /x/:id {\n" + text + "\n}\n"


def _event(text: str) -> str:
    return "@ ws /x/:room {\n  on message {\n" + text + "\n  }\n}\n"


# --- text ----------------------------------------------------------------------------------------

_rule(
    "error", "not-utf8", "the file is not UTF-8 (byte 0x{byte:02x})",
    "save the file with UTF-8 encoding",
    "# caf▲\udce9\n", '@ GET / {\n  > "▲\udcff"\n}\n',
)
_rule(
    "error", "unexpected-character", "unexpected character `{character}`",
    "outside strings and comments a program is ASCII",
    _body("  $ a = 1 ▲§ 2"), "@ GET / {\n  > ▲^\n}\n",
)
_rule(
    "error", "wrong-quote", "{quote} does not quote a string", "write \" or '",
    _body("  > ▲“hello”"), _body("  $ a = upper(▲‘x’)"),
)
_rule(
    "error", "block-comment", "comments end with their line", "begin each line with `#` or `//`",
    _body("  ▲/* two\n  lines */\n  > 1"), "▲/* a */\n@ GET / { > 1 }\n",
)
_rule(
    "error", "semicolon", "unexpected `;`", "statements end with their line",
    _body("  $ a = 1▲;"), _event("ws.send(1)▲; ws.send(2)"),
)
_rule(
    "error", "unterminated-string", "this string does not end on its line",
    "close it with {quote}, and write a line break as \\n",
    _body('  > ▲"never closed'), _body("  > ▲'one\n"),
)
_rule(
    "error", "unknown-escape", "unknown escape sequence `{escape}`",
    "the escapes are \\n \\t \\r \\\" \\' \\\\ \\0 \\a \\b \\f \\v \\xHH \\uHHHH",
    _body('  > "50▲\\% off"'), _body('  > "ok \\n ▲\\u12"'),
)
_rule(
    "error", "half-surrogate", "this string holds half of a surrogate pair",
    "write both halves next to each other: \\uD83D\\uDE00",
    _body('  > ▲"\\uD83D"'), _body('  > {a: ▲"x\\uDE00y"}'),
)
_rule(
    "error", "number-too-large", "this number does not fit 64 bits",
    "the largest is 9223372036854775807; a float is written with a point",
    _body("  > ▲9223372036854775808"), _body("  $ a = [1, ▲99999999999999999999999]"),
)

# --- syntax --------------------------------------------------------------------------------------

_rule(
    "error", "expected", "expected {wanted}, found {found}", "",
    '@ ws /x {\n  on connect {\n    ws.send("x"▲\n  }\n}\n', _body("  $ a ▲5"),
)
_rule(
    "error", "not-in-glyph", "there is no `{what}` in Glyph", "{instead}",
    _body('  if id == "a" ▲and true { > 1 }'), _body("  $ a = 1\n  a ▲+= 1"),
)
_rule(
    "error", "misplaced", "`{what}` cannot stand here", "{instead}",
    _body("  ▲const a = 1"), _body("  if id ▲in [1] { > 1 }"),
)
_rule(
    "error", "reserved-word", "`{word}` is a reserved word",
    "choose another name; it may be an object key or a field",
    _body("  $ ▲from = 1"), _body("  for ▲in in [1] { }"),
)
_rule(
    "error", "too-deep", "this is nested too deeply", "at most {limit} levels; name a part of it",
    _body("  > " + "(" * 50 + "▲(" + "1" + ")" * 51), _body("  > " + "[" * 50 + "▲[" + "]" * 51),
)
_rule(
    "error", "chain-too-long", "this chain is too long", "at most {limit} steps; name a part of it",
    _body("  > 1" + " + 1" * 300 + " ▲+ 1"), _body("  $ a = id" + ".f" * 300 + ".f▲"),
)
_rule(
    "error", "too-complex", "this is too complex to compile", "split it into functions",
    "▲" + _body("  > " + "(" * 8 + "1" + (" + 1" * 290 + ")") * 8),
    "▲! f(a: int) {\n  > " + "(" * 8 + "a" + (" * a" * 290 + ")") * 8 + "\n}\n",
)
_rule(
    "error", "loops-too-deep", "loops are nested too deeply", "at most {limit} loops",
    _body("  " + "for a in [1] { " * 15 + "▲for b in [1] { }" + "}" * 15),
    _body("  " + "while true { " * 15 + "▲while true { break }" + "}" * 15),
)
_rule(
    "error", "bad-path-character", "`{character}` cannot stand in a path",
    "segments are letters, digits and `_ . ~ -`; a parameter is `:name`",
    "@ GET /a▲*b { > 1 }\n", "@ ws /caf▲é {\n}\n",
)
_rule(
    "error", "bad-path-parameter", "`{segment}` is not a path parameter",
    "a parameter is a whole segment: `:name`",
    "@ GET /a/▲:/b { > 1 }\n", "@ GET /▲v:id { > 1 }\n",
)
_rule(
    "error", "bad-static-prefix", "static files need a prefix of fixed segments",
    "for example `@ static /assets \"public\"`",
    '@ static ▲/ "public"\n', '@ static ▲/a/:b "public"\n',
)
_rule(
    "error", "unknown-directive", "unknown directive `{word}`",
    "after `@` stands GET, POST, PUT, DELETE, PATCH, route, ws, websocket or static",
    "@ ▲HEAD /x { > 1 }\n", "@ ▲WS /x {\n}\n",
)
_rule(
    "error", "unknown-event", "unknown event `{event}`", "",
    "@ ws /x {\n  on ▲conect { }\n}\n", "@ ws /x {\n  on ▲open { ws.send(1) }\n}\n",
)
_rule(
    "error", "second-event", "the event `{event}` has a handler already",
    "one handler for each event of a route",
    "@ ws /x {\n  on message { }\n  on ▲message { }\n}\n",
    "@ ws /x {\n  on connect { }\n  on message { }\n  on ▲connect { }\n}\n",
)
_rule(
    "error", "not-in-this-body", "`{entry}` cannot stand here",
    "`+ middleware`, `% provider` and `< input` belong into the body of an HTTP route",
    "@ ws /x {\n  ▲+ auth(jwt)\n  on connect { }\n}\n", _body("  if true {\n    ▲< input: T\n  }"),
)
_rule(
    "error", "bad-middleware", "`+ {name}` is not complete", "{example}",
    "@ GET / {\n  ▲+ ratelimit(many)\n  > 1\n}\n", "@ GET / {\n  ▲+ auth\n  > 1\n}\n",
)
_rule(
    "error", "bad-status", "{status} is not an HTTP status", "a status is 100 to 599",
    _body("  > 1 :: ▲99"), _body('  ? true :: ▲600 "no"'),
)
_rule(
    "error", "status-outside-route", "a status belongs to the answer of a route",
    "return the value; the route that calls this gives the status",
    "! f() {\n  ▲> 1 :: 201\n}\n", _body("  $ a = async { ▲> 1 :: 201 }\n  > await a"),
)
_rule(
    "error", "bad-target", "this cannot be assigned to",
    "a variable, a field or an element can",
    _body("  ▲length(id) = 1"), _body("  ▲[1] = 2"),
)
_rule(
    "error", "no-effect", "this statement has no effect",
    "`$ x = …` keeps a value, `> …` returns it",
    _body("  ▲id"), _body("  ▲1 + 2"),
)
_rule(
    "error", "bad-pipe", "a value can only be piped into a function",
    "`value |> f` or `value |> f(a)`",
    _body("  > id ▲|> 5"), _body("  > id |> upper ▲|> [1]"),
)
_rule(
    "error", "bad-assert", "`assert` takes a condition and perhaps a text",
    '`assert(x > 0, "x must be positive")`',
    _body("  ▲assert()"), _body('  ▲assert(true, "a", "b")'),
)
_rule(
    "error", "second-default", "this `switch` has a `default` already", "",
    _body("  switch id {\n    default { }\n    ▲default { }\n  }"),
    _body('  switch id { default { } case "a" { } ▲default { } }'),
)
_rule(
    "error", "bad-default", "the default is not of type {type}",
    "a float is written with a point; null is only for `T?`",
    ": T {\n  a: float = ▲1\n}\n", '! f(n: int = ▲"x") {\n  > n\n}\n',
)
_rule(
    "error", "required-after-optional", "the required parameter `{name}` follows an optional one",
    "put required parameters first",
    "! f(a: int, ▲b: int!) { > a }\n", '! f(a: str = "x", ▲b: str!) { > b }\n',
)

# --- names ---------------------------------------------------------------------------------------

_rule(
    "error", "unknown-name", "unknown name `{name}`", "declare it with `$ {name} = …` before",
    _body("  > ▲nope"), _body("  if true { $ inner = 1 }\n  > ▲inner"),
)
_rule(
    "error", "assigned-unknown", "`{name}` is assigned before it is declared",
    "`$ {name} = …` declares it",
    _body("  ▲total = 1"), _event("    if true { $ a = 1 }\n    ▲a = 2"),
)
_rule(
    "error", "already-declared", "`{name}` is already declared here",
    "choose another name",
    _body("  $ a = 1\n  $ ▲a = 2"), _event("    $ ▲room = 1"),
)
_rule(
    "error", "assigned-constant", "the constant `{name}` cannot be assigned",
    "use a variable of another name",
    "const MAX = 1\n" + _body("  $ ▲MAX = 2"), "const MAX = 1\n" + _body("  ▲MAX = 2"),
)
_rule(
    "error", "not-in-a-loop", "`{word}` outside a loop", "it belongs into `while` or `for`",
    _body("  ▲break"), _body("  for a in [1] { $ f = async { ▲continue } }"),
)
_rule(
    "error", "namespace-as-value", "`{name}` is a module, not a value",
    "read what is in it: `{name}.something`",
    'import "./other"\n' + _body("  > ▲other"), 'import "./other" as o\n' + _body("  $ a = [▲o]"),
)
_rule(
    "error", "unknown-export", "the module `{module}` has no `{name}`", "",
    'import "./other"\n' + _body("  > other.▲nothing()"),
    'import "./other"\n' + _body("  > other.▲HALFF"),
)
_rule(
    "error", "ws-as-value", "`ws` is not a value", "call one of its functions: `ws.send(…)`",
    _event("    ws.send(▲ws)"), _body("  $ a = ▲ws.rooms"),
)
_rule(
    "error", "unknown-ws-function", "unknown function `ws.{name}`",
    "send, broadcast, broadcast_to_room, join, leave, close and the `get_` functions exist",
    _event("    ws.▲brodcast(1)"), _body("  > ws.▲get_users()"),
)
_rule(
    "error", "ws-arity", "`ws.{name}` takes {takes}, not {count}", "",
    _event("    ▲ws.send()").replace("▲ws.", "ws.▲"),
    _event("    ws.▲broadcast_to_room(room)"),
)
_rule(
    "error", "ws-in-constant", "`ws.{name}` cannot be called for a constant",
    "constants are evaluated before there is a server",
    "const A = ws.▲get_uptime()\n", "const A = [ws.▲get_rooms()]\n",
)
_rule(
    "error", "duplicate-ws-route", "another WebSocket route has the path {path}",
    "names of parameters make no difference",
    "@ ws /a/:x {\n}\n@ ws ▲/a/:y {\n}\n", "@ ws /a {\n}\n@ websocket ▲/a/ {\n}\n",
)
_rule(
    "error", "constant-failed", "the value of `{name}` fails: {failure}", "",
    "const ▲A = 1 / 0\n", 'const ▲A: int = "x"\n',
)

_rule(
    "error", "misspelt-function", "unknown function `{name}`", "",
    _body("  > ▲lenght(id)"), _body('  > "a".▲trimm()'),
)
_rule(
    "error", "unknown-type", "unknown type `{name}`", "declare it: `: {name} {{ … }}`",
    ": User {\n  name: str\n}\n" + _body("  < input: ▲Usr\n  > 1"),
    "! f(a: List[Map[str, ▲Person?]]) { > 1 }\n",
)
_rule(
    "error", "type-arguments", "`{name}` takes {takes}, not {count}", "",
    "! f(a: ▲Map[str]) { > 1 }\n", ": T {\n  a: ▲int[str]\n}\n",
)
_rule(
    "error", "bad-query-type", "a query parameter cannot be of this type",
    "int, float, bool, str and arrays of them can",
    _body("  ? a: ▲Map[str, int]\n  > a"), _body("  ? a: ▲int[][]\n  > a"),
)
_rule(
    "error", "second-input", "the type of the body is declared already", "",
    _body("  < input: object\n  ▲< input: any\n  > 1"),
    _body("  < body: object\n  > 1\n  ▲< body: object"),
)
_rule(
    "error", "empty-program", "this program is empty",
    "a route begins with `@`: `@ GET /path {{ … }}`",
    "▲", "▲# nothing yet\n",
)
_rule(
    "error", "nothing-to-serve", "this program has no route",
    "a route begins with `@`: `@ GET /path {{ … }}`",
    "▲! f() { > 1 }\n", "▲const A = 1\n",
)
_rule(
    "error", "misspelt-middleware", "unknown middleware `{name}`: the route would not be protected",
    "did you mean `+ {meant}(…)`?",
    _body("  ▲+ ratelimt(5/min)\n  > 1"), _body("  ▲+ requireAuth\n  > 1"),
)
_rule(
    "error", "dot-segment", "no request has the segment `{segment}` in its path",
    "clients and proxies take it out",
    "@ GET /a/▲../b { > 1 }\n", "@ ws /▲./x {\n}\n",
)
_rule(
    "error", "duplicate-static", "files are served below {path} already", "",
    '@ static /a "."\n@ static ▲/a "."\n', '@ static /a/b "."\n@ static ▲/a/b/ "."\n',
)

_rule(
    "error", "wrong-arity", "`{name}` takes {takes}, not {count}", "",
    _body("  > ▲upper()"), "! f(a: int!) { > a }\n" + _body("  > ▲f(1, 2)"),
)
# --- other files ---------------------------------------------------------------------------------

_rule(
    "error", "import-not-found", "there is no module {path}",
    "a file beside this one is `./name`, without or with `.glyph`",
    '▲import "./missing"\n', '▲from "./missing" import { a }\n',
)
_rule(
    "error", "import-outside", "{path} is outside the program's folder",
    "modules are reached by `./` and `../` within the folder of the program",
    '▲import "/etc/passwd"\n', '▲import "../../elsewhere"\n',
)
_rule(
    "error", "import-cycle", "{path} imports this file in turn", "move what both need into a third",
    '▲import "./main"\n', '▲import "./main.glyph" as me\n',
)
_rule(
    "error", "import-failed", "{path} has errors", "they are reported with that file",
    '▲import "./broken"\n', '▲from "./broken" import { a }\n',
)
_rule(
    "error", "unknown-import", "{path} has no `{name}`",
    "functions, types and constants can be imported",
    'from "./other" import { ▲nope }\n', 'from "./other" import { half, ▲HALFF as h }\n',
)
_rule(
    "error", "missing-directory", "there is no directory {path}",
    "it is looked for beside the program's file",
    '@ static /a ▲"missing"\n', '@ static /a/b ▲"also/missing"\n',
)

RULES: dict[str, Rule] = {rule.code: rule for rule in (*_RULES, *MILDER_RULES)}
