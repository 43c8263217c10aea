"""Habits from other languages, and what Glyph has instead.

Most of these words are ordinary names in Glyph, so they are looked up only where a program is wrong
anyway: they turn "expected `{`, found `and`" into what its author wanted to know.
"""

from __future__ import annotations

_AND, _OR, _NOT = "`&&` is the word for it", "`||` is the word for it", "`!x` negates"
_ELSE_IF = "write `else if`"
_DECLARE = "`$ x = …` declares a variable, `$ x: Type = …` one with a type"
_FAIL = '`assert(false, "text")` fails, `? condition :: 400 "text"` answers with an error'
_CATCH = "a failure ends its handler alone; `on error { … }` of a WebSocket route hears it"
_LOOP = "`for v in array { … }` and `while condition { … }` are the loops"
_FUNCTION = "`! name(a: Type): Type { … }` is a function"
_TYPE = "`: Name { field: Type }` is a type"
_CONSTANT = "`const X = …` stands here; variables live in the bodies of routes and functions"
_ROUTE = "a route begins with `@`: `@ GET /path { … }`"
_STATEMENT = "statements stand in the bodies of routes, events and functions"
_JOIN = '`+` joins texts, `toString(x)` makes one: "n: " + toString(n)'
_NO_OUTPUT = "a program has no output; `ws.send(…)` and `> …` answer clients"

# Glyph knows these, but not where they were met.
OURS = frozenset({"const", "else", "in", "&", "|", "int", "float", "str", "string", "bool"})
ELSE_IF = frozenset({"elif", "elseif", "elsif"})
CONTINUES = ELSE_IF | {"else", "catch", "except", "finally"}  # the statement before
DECLARES = frozenset({"$", "let", "var", "const", "!", "function", "def", "fn", "func", "fun"})

# Two tokens of Glyph without a blank between them, or one that means nothing between values.
OPERATORS = {
    **{f"{sign}=": f"write `x = x {sign} …`" for sign in "+-*/%"},
    "++": "write `x = x + 1`",
    "--": "write `x = x - 1`",
    "===": "`==` never converts",
    "!==": "`!=` never converts",
    "**": "multiply in a loop",
    "??": "`match x { null => other, v => v }` gives another value for null",
    "?.": "a missing field is null; `if x != null { … }` asks first",
    "..": "`for v in array { … }` goes over an array, `+` joins texts and arrays",
    ":=": _DECLARE,
    "&": _AND,
    "|": _OR,
}

# Words that stand between values, or before one.
WORDS = {
    "and": _AND,
    "or": _OR,
    "not": _NOT,
    "is": "`==` compares, `x == null` asks for null",
    "in": "`contains(text, part)` looks into a text, `some(array, f)` into an array",
    "then": "the block follows the condition: `if c { … }`",
    "new": "an object is `{field: value}`",
    "lambda": "pass the name of a function",
    "typeof": "`match` tells values apart by their shape",
}

PREFIXES = frozenset({"not", "new", "lambda", "typeof"})  # of WORDS: those before a value

STATEMENTS = {
    **dict.fromkeys(ELSE_IF, _ELSE_IF + " behind the `}` of an `if`"),
    "else": "`else` follows the `}` of an `if`",
    **dict.fromkeys(("var", "const", "auto", "local", "dim"), _DECLARE),
    **dict.fromkeys(("int", "float", "str", "string", "bool"), _DECLARE),
    **dict.fromkeys(("throw", "raise"), _FAIL),
    **dict.fromkeys(("try", "catch", "except", "finally"), _CATCH),
    **dict.fromkeys(("do", "foreach", "loop", "repeat", "until"), _LOOP),
    "unless": "write `if !(condition) { … }`",
    "pass": "an empty block is `{ }`",
    **dict.fromkeys(("print", "echo", "puts"), _NO_OUTPUT),
    **dict.fromkeys(("def", "function", "fn", "func", "fun"), _FUNCTION + " beside the routes"),
    **dict.fromkeys(("and", "or", "not", "is", "new"), ""),  # as in WORDS
}
STATEMENTS.update((word, WORDS[word]) for word, instead in STATEMENTS.items() if not instead)

ITEMS = {
    **dict.fromkeys(("function", "def", "fn", "func", "fun", "async"), _FUNCTION),
    **dict.fromkeys(("class", "struct", "interface", "record", "enum"), _TYPE),
    **dict.fromkeys(("var", "let", "$"), _CONSTANT),
    **dict.fromkeys(("GET", "POST", "PUT", "DELETE", "PATCH", "route", "app", "router"), _ROUTE),
    **dict.fromkeys(("ws", "websocket"), "a WebSocket route begins with `@`: `@ ws /path { … }`"),
    "on": "events stand in a WebSocket route: `@ ws /path { on message { … } }`",
    "export": "every function, type and constant can be imported as it is",
    "use": '`import "./name"` imports a module',
    "require": '`import "./name"` imports a module',
    **dict.fromkeys(("if", "for", "while", "switch", "return", "match", ">", "?"), _STATEMENT),
    "}": "no `{` is open here",
}

NAMES = {
    **dict.fromkeys(("nil", "None", "undefined", "NULL", "Null", "nullptr"), "write `null`"),
    **dict.fromkeys(("True", "TRUE"), "write `true`"),
    **dict.fromkeys(("False", "FALSE"), "write `false`"),
    **dict.fromkeys(("this", "self"), "a connection is `client`, its id, and `ws`, what it can do"),
    **WORDS,
}

FUNCTIONS = {
    **dict.fromkeys(("print", "println", "console.log", "log"), _NO_OUTPUT),
    **dict.fromkeys(("len", "size", "count"), "did you mean `length`?"),
    **dict.fromkeys(("str", "String", "JSON.stringify"), "did you mean `toString`?"),
    **dict.fromkeys(("int", "Int", "Number"), "did you mean `parseInt`?"),
    "float": "did you mean `parseFloat`?",
    "JSON.parse": "what comes as JSON is a value already: `input`",
    "range": "`while` counts; `for i, v in array { … }` has positions from 0",
    "push": "`append(array, value)` gives a new array",
    "includes": "did you mean `contains`?",
    **dict.fromkeys(("toUpperCase", "toupper"), "did you mean `upper`?"),
    **dict.fromkeys(("toLowerCase", "tolower"), "did you mean `lower`?"),
    **dict.fromkeys(("strip", "trimmed"), "did you mean `trim`?"),
    **dict.fromkeys(("sleep", "setTimeout"), "a handler cannot wait for time to pass"),
    **dict.fromkeys(("and", "or", "not"), ""),  # as in WORDS
}
FUNCTIONS.update((word, WORDS[word]) for word, instead in FUNCTIONS.items() if not instead)

# Programs for the original server call these, though not even it has them.
ELSEWHERE = frozenset("int float str print log random values merge jsonParse jsonStringify".split())

EVENTS = {
    **dict.fromkeys(("open", "join", "connected", "connection"), "connect"),
    **dict.fromkeys(("close", "leave", "disconnected", "disconnection", "end"), "disconnect"),
    **dict.fromkeys(("data", "receive", "text", "msg"), "message"),
    **dict.fromkeys(("failure", "exception"), "error"),
}

FORMATTED = _JOIN  # f"…", and what stands in backticks
