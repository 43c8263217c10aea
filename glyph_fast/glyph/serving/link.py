"""Putting the compiled modules together: one set of globals, constants evaluated, routes made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..checks.modules import LoadedModule
from ..compiler.compiler import Compiled, TypeCheck, compile_module
from ..runtime.failures import TOO_DEEP
from ..runtime.middleware import guards_of
from ..runtime.queries import declared_query
from ..runtime.runtime import new_globals
from ..runtime.typecheck import Types
from ..runtime.values import Failure, FunctionValue, Stop, Value
from ..runtime.web import Endpoint, InputType
from ..runtime.websocket import Event
from ..runtime.weight import weighed
from ..syntax.declarations import (
    Constant,
    Function,
    HttpRoute,
    SocketRoute,
    StaticFiles,
    TypeDefinition,
)
from ..syntax.nodes import NamedType, TypeExpression
from ..syntax.scopes import ModuleScope
from .host import HostFunction
from .program import Program, SocketEndpoint, StaticEndpoint, Unsupported


def link(modules: list[LoadedModule], host: Iterable[HostFunction] = ()) -> Program:
    """Compile checked modules, imported ones first, the main one last.

    What fails only now, such as a constant's value, goes to the modules' reports.
    """
    return _Linker(modules, host).run()


class _Linker:
    def __init__(self, modules: list[LoadedModule], host: Iterable[HostFunction]) -> None:
        self.modules = modules
        self.main = modules[-1]
        self.types = Types()
        self.defaults: dict[int, Callable[..., Value]] = {}  # by id of the field
        self.globals = new_globals()
        for offered in host:
            symbol = offered.symbol
            self.globals[symbol.python_name] = offered.call
            self.globals[symbol.value_name] = FunctionValue(
                offered.name, offered.call, symbol.least, symbol.most
            )

    def run(self) -> Program:
        program = Program(
            self.main.source.name,
            files=[m.source.path for m in self.modules if m.source.path is not None],
            sources=frozenset(m.source.name for m in self.modules),
        )
        for module in self.modules:
            compiled = compile_module(module, is_main=module is self.main)
            self._define(module, compiled)
            self._constants(module, compiled)
            if module is self.main:
                self._routes(program, compiled)
        return program

    # --- names -----------------------------------------------------------------------------------

    def _define(self, module: LoadedModule, compiled: Compiled) -> None:
        for code in compiled.code:
            exec(code, self.globals)  # defines one function, and does nothing else
        for check in compiled.checks:
            self.globals[check.name] = self._type_check(check, module.scope)
        for item in module.tree.items:
            if isinstance(item, Function) and id(item) in compiled.names:
                symbol = module.scope.functions[item.name]
                code_of = self._function(compiled, item, item.name)
                value = FunctionValue(item.name, code_of, symbol.least, symbol.most)
                self.globals[symbol.value_name] = value
            elif isinstance(item, TypeDefinition):
                for field in item.fields:
                    if id(field) in compiled.names:
                        self.defaults[id(field)] = self._function(compiled, field)

    def _function(
        self, compiled: Compiled, node: object, name: str | None = None
    ) -> Callable[..., Value]:
        """The function of a node; tracebacks call it by `name`."""
        function: Any = self.globals[compiled.names[id(node)]]
        if name is not None:
            function.__code__ = function.__code__.replace(co_name=name, co_qualname=name)
        return function  # type: ignore[no-any-return]

    def _type_check(self, check: TypeCheck, scope: ModuleScope) -> Callable[[Value], Value]:
        wrong_with = self.types.check(check.type, scope, check.type_parameters)
        converts = check.converts and isinstance(check.type, NamedType) and check.type.name == "int"

        def checked(value: Value) -> Value:
            wrong = wrong_with(value)
            if wrong is not None:
                raise Failure(f"{check.subject}: {wrong}")
            return int(value) if converts and type(value) is float else value

        return checked

    def _constants(self, module: LoadedModule, compiled: Compiled) -> None:
        items = [item for item in module.tree.items if isinstance(item, Constant)]
        names = {id(item): module.scope.constants[item.name].python_name for item in items}
        for name in names.values():
            self.globals[name] = None  # for functions that are called before its turn
        for item in items:
            if id(item) not in compiled.names:
                continue
            try:
                value = self._function(compiled, item)(Event(None))
                self.globals[names[id(item)]] = weighed(value)
            except (Failure, Stop, RecursionError) as error:
                text = TOO_DEEP if isinstance(error, RecursionError) else str(error)
                module.report.add("constant-failed", item.at, name=item.name, failure=text)

    # --- routes ----------------------------------------------------------------------------------

    def _routes(self, program: Program, compiled: Compiled) -> None:
        answered: set[tuple[str, str]] = set()
        for item in self.main.tree.items:
            if isinstance(item, HttpRoute | SocketRoute):
                method = item.method if isinstance(item, HttpRoute) else "ws"
                pattern = item.path.pattern
                if (method, pattern) in answered:
                    continue  # the first one answers; this one was warned about
                answered.add((method, pattern))
                if item.unsupported is not None:
                    program.unsupported.append(Unsupported(method, pattern, item.unsupported))
                elif isinstance(item, SocketRoute):
                    program.sockets.append(self._socket(item, compiled))
                elif id(item) in compiled.names:
                    program.http.append(self._http(item, compiled))
            elif isinstance(item, StaticFiles):
                program.statics.append(StaticEndpoint(item.path.pattern, self._directory(item)))

    def _http(self, item: HttpRoute, compiled: Compiled) -> Endpoint:
        scope = self.main.scope
        return Endpoint(
            method=item.method,
            pattern=item.path.pattern,
            parameters=list(dict.fromkeys(item.path.parameters)),
            code=self._function(compiled, item, f"{item.method} {item.path.pattern}"),
            guards=guards_of(item.middlewares),
            queries=[declared_query(query) for query in item.queries],
            input_type=self._input_type(item.input_type) if item.input_type else None,
            returns=self.types.check(item.returns, scope) if item.returns else None,
            is_exact=id(item) in compiled.exact,
        )

    def _input_type(self, declared: TypeExpression) -> InputType:
        scope = self.main.scope
        wanted = InputType(self.types.check(declared, scope))
        if not isinstance(declared, NamedType):
            return wanted
        home = scope.namespaces.get(declared.module) if declared.module else scope
        symbol = home.types.get(declared.name) if home else None
        for field in symbol.node.fields if symbol else ():
            if field.default is None:
                wanted.has_required = wanted.has_required or field.required
            elif id(field) in self.defaults:
                wanted.defaults.append((field.name, self.defaults[id(field)]))
        return wanted

    def _socket(self, item: SocketRoute, compiled: Compiled) -> SocketEndpoint:
        events = {
            event.name: self._function(compiled, event, f"on {event.name}")
            for event in item.events
            if id(event) in compiled.names
        }
        parameters = list(dict.fromkeys(item.path.parameters))
        return SocketEndpoint(item.path.pattern, parameters, events)

    def _directory(self, item: StaticFiles) -> Path:
        main = self.main.source.path
        return (main.parent if main is not None else Path()) / item.directory
