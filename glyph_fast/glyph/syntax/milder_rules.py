"""Diagnostics of a program that is served nevertheless, or could be in part.

As in `rules.py`: parts of the language that a server does not run, and warnings.
"""

from __future__ import annotations

from .diagnostics import Rule, Severity

# fmt: off
MILDER_RULES: list[Rule] = []


def _rule(severity: Severity, code: str, message: str, hint: str, *bad: str) -> None:
    first, second = bad
    MILDER_RULES.append(Rule(code, severity, message, hint, (first, second)))


def _body(text: str) -> str:
    return "@ GET /x/:id {\n" + text + "\n}\n"


def _event(text: str) -> str:
    return "@ ws /x/:room {\n  on message {\n" + text + "\n  }\n}\n"


# --- parts of the language a server does not run -------------------------------------------------

_rule(
    "unsupported", "providers", "providers are not supported: `% {name}`",
    "--skip-unsupported serves the other routes",
    _body("  ▲% db: Database\n  > db.users.all()"), _body("  ▲% cache: Redis"),
)
_rule(
    "unsupported", "macros", "macros are not supported", "write out what it stands for",
    "▲macro! crud(name) {\n}\n", _body("  ▲log!(id)"),
)
_rule(
    "unsupported", "lambdas", "lambdas are not supported", "pass the name of a function",
    _body("  > map([1], ▲(x) => x)"), _body("  > filter([1], ▲(a, b) => a)"),
)
_rule(
    "unsupported", "server-sent-events", "server-sent events are not supported",
    "a WebSocket route sends events: `@ ws /path`",
    "@ ▲sse /x {\n  > 1\n}\n", _body("  ▲yield 1"),
)
_rule(
    "unsupported", "remote-procedures", "`@ {word}` is not supported", "write an HTTP route",
    "@ ▲rpc Users {\n}\n", "@ ▲query users {\n  > 1\n}\n",
)
_rule(
    "unsupported", "http-client", "`{name}` is not supported: a program makes no requests", "",
    _body('  > ▲http.get("http://localhost/")'), _event('    ▲http.post("/", input)'),
)

# --- warnings ------------------------------------------------------------------------------------

_rule(
    "warning", "not-run", "{what} is declared but not run", "",
    "▲! hello name: str! {\n  > name\n}\n", '▲* "0 0 * * *" nightly {\n}\n',
)
_rule(
    "warning", "ignored-annotation", "the rule `@{rule}` is not checked", "",
    ": T {\n  a: str ▲@email\n}\n", ": T {\n  a: str! ▲@minLen(2)\n}\n",
)
_rule(
    "warning", "ignored-middleware", "the middleware `{name}` is not known and has no effect", "",
    _body("  ▲+ cache(60)\n  > 1"), _body("  ▲+ logging\n  > 1"),
)
_rule(
    "warning", "unknown-function", "unknown function `{name}`; calling it fails",
    "declare it: `! {name}(…) {{ … }}`",
    _body("  > ▲scan_xss(id)"), _body('  > ▲crypto.hash("x")'),
)
_rule(
    "warning", "unchecked-answer", "unknown type `{name}`: the answer is not checked by it",
    "declare it: `: {name} {{ … }}`",
    "@ GET /a -> ▲Zebra { > {} }\n", ": T {\n}\n@ GET /a -> T | ▲Failed { > {} }\n",
)
_rule(
    "warning", "unknown-field", "`{type}` has no field `{name}`", "",
    ": User {\n  name: str!\n}\n@ POST /a {\n  < input: User\n  > input.▲nmae\n}\n",
    ": User {\n  name: str!\n}\n! f(u: User) { > u.▲names }\n",
)
_rule(
    "warning", "input-without-body", "a GET request has no body: `input` is null",
    "a query parameter is declared by `? name: Type`",
    ": T {\n}\n@ GET /a {\n  < input: ▲T\n  > 1\n}\n",
    "@ route /a {\n  < input: ▲object\n  > 1\n}\n",
)
_rule(
    "warning", "duplicate-key", "the key `{key}` stands here already; the last value counts", "",
    _body("  > {a: 1, ▲a: 2}"), _body('  > [{b: {a: 1, c: 2, ▲"a": 3}}]'),
)
_rule(
    "warning", "duplicate-case", "an earlier `case` is the same", "",
    _body('  switch id {\n    case "a" { > 1 }\n    case ▲"a" { > 2 }\n  }'),
    _body("  switch 1 { case 1 { > 1 } case 2 { > 2 } case ▲1.0 { > 3 } }"),
)
_rule(
    "warning", "unknown-window", "`{window}` is no unit of time; it counts as a minute",
    "the units are sec, min, hour and day",
    _body("  ▲+ ratelimit(5/hours)\n  > 1"), _body('  ▲+ ratelimit("9/week")\n  > 1'),
)
_rule(
    "warning", "ignored-argument", "`{argument}` of `+ auth` is not checked",
    "compare it in the route: `? auth.user.role == … :: 403`",
    _body("  ▲+ auth(jwt, role: admin)\n  > 1"), _body("  ▲+ auth(apikey, scope)\n  > 1"),
)
_rule(
    "warning", "ws-without-connection", "`ws.{name}` fails in an HTTP route: it has no connection",
    "ws.broadcast and ws.broadcast_to_room work here",
    _body("  ws.▲send(1)"), _body('  ws.▲join("a")\n  > 1'),
)
_rule(
    "warning", "hidden-function", "the built-in function `{name}` is called instead of this one",
    "choose another name",
    "▲! length(x: any) { > 1 }\n", "▲! upper(s: str): str { > s }\n",
)
_rule(
    "warning", "duplicate-route", "an earlier route answers every {method} {path}", "",
    "@ GET /a { > 1 }\n@ GET ▲/a { > 2 }\n", "@ GET /a/:x { > 1 }\n@ get ▲/a/:y/ { > 2 }\n",
)
_rule(
    "warning", "auth-not-configured",
    "{variable} is not set: routes with `+ auth({kind})` refuse every request",
    "set it in the environment of the server",
    "@ GET /a {\n  ▲+ auth(jwt)\n  > 1\n}\n", "@ GET /a {\n  ▲+ auth(apikey)\n  > 1\n}\n",
)
