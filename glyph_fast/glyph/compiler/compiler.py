"""Modules to Python code.

Each function, constant and handler of a module becomes a Python function that carries the lines and
columns of the Glyph source, so that a traceback points into the `.glyph` file. The functions of all
modules share one set of globals: what `runtime.py` offers, and each other. There are no builtins in
it, and `emit.py` can build neither attribute access nor imports, so that is all they reach.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from types import CodeType

from ..checks.modules import LoadedModule
from ..runtime.limits import MAX_DEPTH
from ..runtime.typecheck import accepts_everything
from ..syntax.declarations import (
    Constant,
    Event,
    Function,
    HttpRoute,
    Item,
    SocketRoute,
    TypeDefinition,
)
from ..syntax.nodes import Binding, Block, Expression, Node, Parameter, Return, TypeExpression
from ..syntax.scopes import Variable
from ..syntax.source import Position
from . import emit
from .bodies import Body, Place, can_relay, cost_of, reads, tells_integers
from .kinds import Kind
from .statements import StatementCompiler


@dataclass(slots=True, frozen=True)
class TypeCheck:
    """A check that generated code calls by `name`: of a parameter, a result or a constant."""

    name: str
    type: TypeExpression
    type_parameters: list[str]
    subject: str  # what a message calls the value
    converts: bool  # whether a float without fraction becomes an int


@dataclass(slots=True)
class Compiled:
    """The generated code of one module and the names the runtime finds in it."""

    functions: list[ast.FunctionDef] = field(default_factory=list)
    code: list[CodeType] = field(default_factory=list)  # of each of the functions
    checks: list[TypeCheck] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)  # id of a node → its function
    exact: set[int] = field(default_factory=set)  # ids of routes that take integers as they come


def compile_module(module: LoadedModule, *, is_main: bool) -> Compiled:
    """The Python functions of a checked module; routes only of the main one.

    An item that is too deep for Python's own compiler is reported.
    """
    return _ModuleCompiler(module).run(is_main=is_main)


class _ModuleCompiler:
    def __init__(self, module: LoadedModule) -> None:
        self.module = module
        self.out = Compiled()
        self._numbers: dict[str, int] = {}

    def run(self, *, is_main: bool) -> Compiled:
        for item in self.module.tree.items:
            match item:
                case Constant():
                    self._guarded(item, partial(self._constant, item))
                case Function():
                    self._guarded(item, partial(self._function, item))
                case TypeDefinition():
                    self._guarded(item, partial(self._type_defaults, item))
                case HttpRoute() if is_main:
                    self._guarded(item, partial(self._http, item))
                case SocketRoute() if is_main:
                    self._guarded(item, partial(self._socket, item))
        return self.out

    def _guarded(self, item: Item, compile_item: Callable[[], None]) -> None:
        """Compile an item; one that is too deep is reported instead of ending it all."""
        if item.unsupported is not None and not isinstance(item, Function):
            return
        try:
            compile_item()
        except (RecursionError, MemoryError, SyntaxError):
            self.module.report.add("too-complex", item.at)

    # --- items -----------------------------------------------------------------------------------

    def _constant(self, item: Constant) -> None:
        check = self._check(item.type, f"constant `{item.name}`") if item.type else None
        self._value_function(item, item.value, check)

    def _type_defaults(self, item: TypeDefinition) -> None:
        for parameter in item.fields:
            if parameter.default is not None:
                self._value_function(parameter, parameter.default, None)

    def _function(self, item: Function) -> None:
        if item.unsupported is not None:
            self._unsupported(item, item.unsupported)
            return
        check = None
        if item.returns is not None and not accepts_everything(item.returns):
            subject = f"the result of `{item.name}`"
            check = self._check(item.returns, subject, item.type_parameters)
        defaults = [p.default for p in item.parameters if p.default is not None]
        body = self._body("function", [item.body, *defaults])
        compiler = StatementCompiler(body, "stop", check)
        at = item.at
        too_deep = emit.evaluate(emit.call("too_deep", [], at), at)
        limit = emit.constant(MAX_DEPTH, at)
        deeper = emit.compare(emit.load("depth", at), ast.Gt(), limit, at)
        statements = [emit.when(deeper, [too_deep], [], at), emit.take_step(at)]
        statements += emit.charge(cost_of([item.body, *defaults]), at)
        for parameter in item.parameters:
            statements += self._argument(item, parameter, compiler)
        statements += compiler.block(item.body)
        hidden = [("event", False), ("steps", False), ("depth", False)]
        names = [(_name_of(p.variable), True) for p in item.parameters]
        name = self.module.scope.functions[item.name].python_name
        self._add(item, emit.function(name, [*hidden, *names], statements, at))

    def _unsupported(self, item: Function, reason: str) -> None:
        """A function that fails when it is called, in a program that is served nevertheless."""
        at = item.at
        failing = emit.evaluate(emit.call("unsupported", [emit.constant(reason, at)], at), at)
        names = [(f"v_{number}", True) for number in range(len(item.parameters))]
        hidden = [("event", False), ("steps", False), ("depth", False)]
        name = self.module.scope.functions[item.name].python_name
        self._add(item, emit.function(name, [*hidden, *names], [failing], at))

    def _argument(
        self, item: Function, parameter: Parameter, compiler: StatementCompiler
    ) -> list[ast.stmt]:
        """Fill in a parameter that was not given, check one that was."""
        at, name = parameter.at, _name_of(parameter.variable)
        checked: list[ast.stmt] = []
        if parameter.type is not None and not accepts_everything(parameter.type):
            subject = f"`{parameter.name}` of `{item.name}`"
            check = self._check(parameter.type, subject, item.type_parameters, converts=True)
            checked = [emit.store(name, emit.call(check, [emit.load(name, at)], at), at)]
        if parameter.required and parameter.default is None:
            return checked
        default = emit.constant(None, at)
        if parameter.default is not None:
            default = compiler.expression(parameter.default)
        before = compiler.take_before()
        absent = emit.compare(emit.load(name, at), ast.Is(), emit.load("ABSENT", at), at)
        return [*before, emit.when(absent, [emit.store(name, default, at)], checked, at)]

    def _http(self, item: HttpRoute) -> None:
        defaults = [q.default for q in item.queries if q.default is not None]
        body = self._body("http", [item.body, *defaults], _strings(item.path_variables))
        compiler = StatementCompiler(body, "answer")
        statements: list[ast.stmt] = []
        for name, helper in _HTTP_VALUES.items():
            statements += self._given(item.given.get(name), helper, item.at)
        for query in item.queries:
            statements += self._query(query, compiler)
        statements += compiler.block(item.body)
        if not tells_integers([item.body, *defaults], body.kinds):
            self.out.exact.add(id(item))
        names = [_name_of(binding.variable) for binding in item.path_variables]
        self._handler(item, "http", body, names, statements)

    def _query(self, query: Parameter, compiler: StatementCompiler) -> list[ast.stmt]:
        """Read a declared query parameter; its default is also what `query` shows."""
        at, name = query.at, _name_of(query.variable)
        event, key = emit.load("event", at), emit.constant(query.name, at)
        read = emit.store(name, emit.call("query_parameter", [event, key], at), at)
        if query.default is None:
            return [read]
        absent = emit.compare(emit.load(name, at), ast.Is(), emit.load("ABSENT", at), at)
        given = emit.store(name, compiler.expression(query.default), at)
        shown = emit.call("set_query", [event, key, emit.load(name, at)], at)
        fill_in = [*compiler.take_before(), given, emit.evaluate(shown, at)]
        return [read, emit.when(absent, fill_in, [], at)]

    def _socket(self, item: SocketRoute) -> None:
        for event in item.events:
            self._event(event)

    def _event(self, event: Event) -> None:
        received, client = event.given["input"], event.given["client"]
        known = {**_strings(event.path_variables), client: "string"}
        body = self._body("socket", [event.body], known)
        if event.name == "message" and can_relay(event.body, received):
            body.relayed = received
        compiler = StatementCompiler(body, "silence")
        statements: list[ast.stmt] = []
        if received.is_assigned or reads(event.body, received, but_relays_of=body):
            helper = _RECEIVED.get(event.name)
            if event.name == "message" and not tells_integers([event.body], body.kinds):
                helper = "received_exactly"
            value = emit.constant(None, event.at)
            if helper is not None:
                value = emit.call(helper, [emit.load("event", event.at)], event.at)
            statements.append(emit.store(received.python_name, value, event.at))
        for name, helper in _SOCKET_VALUES.items():
            statements += self._given(event.given.get(name), helper, event.at)
        statements += compiler.block(event.body)
        names = [_name_of(binding.variable) for binding in event.path_variables]
        prefix = f"ws_{event.name}"
        self._handler(event, prefix, body, [client.python_name, *names], statements)

    def _given(self, variable: Variable | None, helper: str, at: Position) -> list[ast.stmt]:
        """Set what the language gives a handler, if the handler asks for it."""
        if variable is None or not (variable.is_read or variable.is_assigned):
            return []
        value = emit.call(helper, [emit.load("event", at)], at)
        return [emit.store(variable.python_name, value, at)]

    # --- Python functions ------------------------------------------------------------------------

    def _body(
        self,
        place: Place,
        roots: Iterable[Node],
        known: dict[Variable, Kind | None] | None = None,
    ) -> Body:
        return Body(place, roots, self.module.scope.functions, known)

    def _handler(
        self, item: Node, prefix: str, body: Body, names: list[str], statements: list[ast.stmt]
    ) -> None:
        if body.needs_steps:
            steps = emit.call("budget", [], item.at)
            statements.insert(0, emit.store("steps", steps, item.at))
        parameters = [("event", False), *((name, False) for name in names)]
        name = self._python_name(prefix)
        self._add(item, emit.function(name, parameters, statements, item.at))

    def _value_function(self, item: Node, value: Expression, check: str | None) -> None:
        """A function of nothing that gives a constant's value or a default."""
        body = self._body("constant", [value])
        compiler = StatementCompiler(body, "stop", check)
        block = Block([Return(value, None, at=value.at)], at=value.at)
        self._handler(item, "value", body, [], compiler.block(block))

    def _add(self, item: Node, function: ast.FunctionDef) -> None:
        tree = ast.Module([function], [])
        code = compile(tree, self.module.source.name, "exec", dont_inherit=True)
        self.out.functions.append(function)
        self.out.code.append(code)
        self.out.names[id(item)] = function.name

    def _check(
        self,
        kind: TypeExpression,
        subject: str,
        type_parameters: list[str] | None = None,
        *,
        converts: bool = False,
    ) -> str:
        name = self._python_name("check")
        self.out.checks.append(TypeCheck(name, kind, type_parameters or [], subject, converts))
        return name

    def _python_name(self, prefix: str) -> str:
        number = self._numbers[prefix] = self._numbers.get(prefix, 0) + 1
        return f"{self.module.python_name(prefix, str(number))}"


_HTTP_VALUES = {
    "query": "request_query",
    "input": "request_input",
    "headers": "request_headers",
    "auth": "request_auth",
}
_SOCKET_VALUES = {"query": "handshake_query", "headers": "handshake_headers"}
_RECEIVED = {"message": "received_value", "error": "failure_text"}


def _strings(bindings: list[Binding]) -> dict[Variable, Kind | None]:
    """Path parameters are strings until something else is assigned to them."""
    return {b.variable: "string" for b in bindings if b.variable is not None}


def _name_of(variable: Variable | None) -> str:
    assert variable is not None
    return variable.python_name
