"""Parsing of a whole file: the items at its top level.

`parse` is the front door. What the language knows and a server does not run is either parsed over
and kept as `Declared` (commands, cron tasks, …) or refused, with its position.
"""

from __future__ import annotations

from typing import NoReturn

from . import habits
from .declarations import Constant, Declared, Function, Import, Item, Module, TypeDefinition
from .diagnostics import Problem, Report
from .lexer import tokenize
from .nodes import LiteralValue, NamedType, OptionalType, Parameter, TypeExpression
from .routes import RouteParser
from .source import Position, Source

_SYMBOL_ITEMS = {"*": "a cron task", "~": "an event handler", "&": "a queue worker"}
_WORD_ITEMS = {
    "test": "a test",
    "contract": "a contract",
    "trait": "a trait",
    "provider": "a provider contract",
}


def parse(source: Source, report: Report) -> Module:
    """The syntax tree of a file; what is wrong with it goes to `report`.

    Always returns a module; it holds the items that could be parsed.
    """
    parser = Parser(tokenize(source, report), report)
    return Module(source.name, parser.items(), at=Position(1, 1))


class Parser(RouteParser):
    """The whole parser: from `Cursor` up, one layer of the language in each class."""

    def items(self) -> list[Item]:
        """Every item up to the end of the file."""
        items: list[Item] = []
        self.skip_newlines()
        while not self.at("end"):
            started = self.index
            self.unsupported = None
            try:
                item = self._item()
                if item is not None:
                    item.unsupported = self.unsupported
                    items.append(item)
            except Problem:
                self.recover_item(started)
            self.skip_newlines()
        return items

    def _item(self) -> Item | None:
        token = self.current
        at = token.position
        match token.kind:
            case "@":
                return self.directive()
            case ":":
                self.advance()
                return self._type(at)
            case "!":
                self.advance()
                if self.peek().kind in ("(", "<"):
                    return self._function(at)
                return self.declared("a command", at)
            case "*" | "~" | "&":
                self.advance()
                return self.declared(_SYMBOL_ITEMS[token.kind], at)
            case "word":
                return self._worded_item(token.text, at)
        self._fail_as_item()

    def _fail_as_item(self) -> NoReturn:
        wanted = "a route, a type, a function or another declaration"
        self.fail(wanted, habits.ITEMS.get(self.current.text))

    def _worded_item(self, word: str, at: Position) -> Item | None:
        if word == "macro" or word == "quote" or self.peek().kind == "!":
            self.refuse("macros", at)
            self.advance()
            return self.declared("a macro", at)
        if word not in ("type", "const", "import", "from", "module", *_WORD_ITEMS):
            self._fail_as_item()
        self.advance()
        match word:
            case "type":
                return self._type(at)
            case "const":
                return self._constant(at)
            case "import":
                return self._import(at)
            case "from":
                return self._from_import(at)
            case "module":
                self.expect("string", "the module's name, as a string")
                return None
        return self.declared(_WORD_ITEMS[word], at)

    def declared(self, what: str, at: Position) -> Declared:
        """Skip an item up to the end of its block."""
        name = self.current.text if self.current.kind in ("word", "string") else ""
        while not (self.at("{") or self.at("end") or self.at_item_start()):
            if self.at("newline") and self.peek().kind != "{":
                break  # a macro call, for one, has no block
            self.advance()
        if self.at("{"):
            self.skip_balanced()
        elif self.unsupported is None:
            self.fail("`{`")
        last = self.tokens[self.index - 1].position.line
        return Declared(what, name.strip("\"'"), last, at=at)

    # --- types -----------------------------------------------------------------------------------

    def _type(self, at: Position) -> TypeDefinition:
        name = self.name("a name for the type")
        parameters = self._type_parameters()
        if self.accept_word("impl"):
            self.name("the name of a trait")
            while self.accept(","):
                self.name("the name of a trait")
        self.skip_newlines()
        opening = self.expect("{", "`{` and the fields of the type")
        declared = TypeDefinition(name.text, parameters, [], [], at=at)
        with self.nested():
            while self.next_statement(opening):
                started = self.index
                try:
                    self._field(declared)
                except Problem:
                    self.recover(opening.depth + 1, started)
        return declared

    def _field(self, declared: TypeDefinition) -> None:
        at, fields = self.current.position, declared.fields
        if self.at("!") or self.peek().kind == "(":
            declared.methods.append(self.declared("a method", at))
            self.report.add("not-run", at, what="a method")
            return
        field = self.parameter("a field name")
        self._check_default(field)
        if any(other.name == field.name for other in fields):
            self.error("already-declared", field.at, name=field.name)
        fields.append(field)
        self.accept(",")

    def parameter(self, wanted: str) -> Parameter:
        """`name: Type [!] [@rule(…)…] [= default]`"""
        name = self.any_word(wanted)
        self.expect(":", "`:` and a type")
        kind = self.type_expression()
        required = self.accept_glued("!")
        self._annotations()
        default = self.expression() if self.accept("=") else None
        return Parameter(name.text, kind, required, default, at=name.position)

    def _annotations(self) -> None:
        while self.at("@") and not self.current.starts_line:
            at = self.advance().position
            rule = self.any_word("the name of a rule").text
            if self.at("("):
                self.skip_balanced()
            self.report.add("ignored-annotation", at, rule=rule)

    def _check_default(self, parameter: Parameter) -> None:
        kind, default = parameter.type, parameter.default
        if kind and isinstance(default, LiteralValue) and not _fits(kind, default.value):
            self.report.add("bad-default", default.at, type=describe_type(kind))

    # --- functions and constants -----------------------------------------------------------------

    def _function(self, at: Position) -> Function:
        name = self.name("a name for the function")
        type_parameters = self._type_parameters()
        self.expect("(")
        parameters = self.listed(")", self._function_parameter, "`,` or `)`")
        self._check_parameters(parameters)
        returns = self.type_expression() if self.accept(":") or self.accept("->") else None
        body = self.block()
        return Function(name.text, type_parameters, parameters, returns, body, at=at)

    def _function_parameter(self) -> Parameter:
        if self.peek().kind != ":":
            name = self.name("a parameter name")
            return Parameter(name.text, None, False, None, at=name.position)
        parameter = self.parameter("a parameter name")
        self._check_default(parameter)
        return parameter

    def _check_parameters(self, parameters: list[Parameter]) -> None:
        optional = False
        for parameter in parameters:
            is_required = parameter.required and parameter.default is None
            if is_required and optional:
                self.report.add("required-after-optional", parameter.at, name=parameter.name)
            optional = optional or not is_required

    def _type_parameters(self) -> list[str]:
        names: list[str] = []
        if self.accept("<"):
            while True:
                names.append(self.name("the name of a type parameter").text)
                if self.accept(":"):
                    self.type_expression()
                if not self.accept(","):
                    break
            self.close_angle()
        return names

    def _constant(self, at: Position) -> Constant:
        name = self.name("a name for the constant")
        kind = self.type_expression() if self.accept(":") else None
        self.expect("=")
        return Constant(name.text, kind, self.expression(), at=name.position)

    # --- imports ---------------------------------------------------------------------------------

    def _import(self, at: Position) -> Import:
        path = self._import_path()
        if self.accept_word("as"):
            namespace = self.name("a name for the module").text
        else:
            namespace = path.rstrip("/").rsplit("/", 1)[-1].removesuffix(".glyph")
        return Import(path, namespace, [], at=at)

    def _from_import(self, at: Position) -> Import:
        path = self._import_path()
        if not self.accept_word("import"):
            self.fail("`import`")
        self.expect("{")
        names = self.listed("}", self._imported_name, "`,` or `}`")
        return Import(path, None, names, at=at)

    def _import_path(self) -> str:
        hint = '`import "./name"`, or `from "./name" import { a, b }`'
        return str(self.expect("string", "the module's path, as a string", hint).value)

    def _imported_name(self) -> tuple[str, str, Position]:
        name = self.name("a name to import")
        alias = self.name("another name for it") if self.accept_word("as") else name
        return name.text, alias.text, name.position


def _fits(kind: TypeExpression, value: object) -> bool:
    """Return whether a literal default suits a declared type; user types are not judged here."""
    if isinstance(kind, OptionalType):
        return value is None or _fits(kind.inner, value)
    if not isinstance(kind, NamedType) or kind.module:
        return not isinstance(kind, NamedType) or value is not None
    match kind.name:
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, float)
        case "str" | "string":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "timestamp":
            return isinstance(value, int | str) and not isinstance(value, bool)
        case "any" | "object":
            return True
    return value is not None


def describe_type(kind: TypeExpression) -> str:
    """A type as it is written."""
    if isinstance(kind, NamedType):
        name = f"{kind.module}.{kind.name}" if kind.module else kind.name
        inner = ", ".join(map(describe_type, kind.arguments))
        return f"{name}[{inner}]" if inner else name
    if isinstance(kind, OptionalType):
        return describe_type(kind.inner) + "?"
    return "this type"
