"""The checks of a whole program: each item resolved, and items compared with each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from os import environ

from .declarations import (
    Constant,
    Declared,
    Event,
    Function,
    HttpRoute,
    Middleware,
    Path,
    SocketRoute,
    StaticFiles,
    TypeDefinition,
)
from .modules import LoadedModule, declare, declare_constant, load_modules
from .nodes import Binding, Parameter
from .resolve import BodyResolver, resolve_body
from .scopes import FunctionSymbol
from .signatures import BUILTINS
from .source import Position, Source

RATE = re.compile(r"([0-9]{1,9})/([A-Za-z]+)")
AUTH_VARIABLES = {True: "GLYPH_API_KEYS", False: "GLYPH_JWT_SECRET"}  # by "is an API key"


def check_program(source: Source, offered: Iterable[FunctionSymbol] = ()) -> list[LoadedModule]:
    """Parse and check a program; what is wrong stands in the modules' reports.

    Imported modules come first, the main one last. `offered` are functions all of them may call.
    """
    modules = load_modules(source)
    for module in modules:
        module.scope.functions.update((symbol.name, symbol) for symbol in offered)
        _Checker(module).run(is_main=module is modules[-1])
    return modules


def is_api_key(middleware: Middleware) -> bool:
    """Whether `+ auth(…)` asks for an API key; everything else asks for a bearer token."""
    return middleware.arguments[:1] == ["apikey"]


class _Checker:
    def __init__(self, module: LoadedModule) -> None:
        self.module = module
        self.report = module.report
        self.items = module.tree.items

    def run(self, *, is_main: bool) -> None:
        declare(self.module)
        for item in self.items:
            if isinstance(item, Constant):
                self._constant(item)
        for item in self.items:
            seen = len(self.report.unsupported)
            match item:
                case TypeDefinition():
                    self._type(item)
                case Function():
                    self._function(item)
                case HttpRoute() if is_main:
                    self._http(item)
                case SocketRoute() if is_main:
                    self._socket(item)
                case StaticFiles() if is_main:
                    self._static(item)
                case Declared() if is_main and item.unsupported is None:
                    what = f"{item.what} `{item.name}`" if item.name else item.what
                    self.report.add("not-run", item.at, what=what)
            if item.unsupported is None and len(self.report.unsupported) > seen:
                item.unsupported = self.report.unsupported[seen]
        if is_main:
            self._duplicates()

    def _resolver(
        self, place: str, given: str = "", own: list[tuple[str, Position]] | None = None
    ) -> BodyResolver:
        return resolve_body(self.module.scope, self.report, place, given.split(), own or ())

    # --- declarations ----------------------------------------------------------------------------

    def _constant(self, item: Constant) -> None:
        self._resolver("constant").expression(item.value)
        declare_constant(self.module, item)

    def _type(self, item: TypeDefinition) -> None:
        for field in item.fields:
            if field.default is not None:
                self._resolver("constant").expression(field.default)

    def _function(self, item: Function) -> None:
        if item.name in BUILTINS:
            self.report.add("hidden-function", item.at, name=item.name)
        if item.unsupported is not None:
            return
        resolver = self._resolver("function")
        self._parameters(resolver, item.parameters)
        resolver.block(item.body)

    def _parameters(self, resolver: BodyResolver, parameters: list[Parameter]) -> None:
        """Declare parameters in order: a default may read the earlier ones."""
        for parameter in parameters:
            if parameter.default is not None:
                resolver.expression(parameter.default)
            if resolver.blocks.is_here(parameter.name):
                self.report.add("already-declared", parameter.at, name=parameter.name)
            else:
                parameter.variable = resolver.blocks.declare(parameter.name, "parameter")

    # --- routes ----------------------------------------------------------------------------------

    def _http(self, item: HttpRoute) -> None:
        self._middlewares(item)
        if item.unsupported is not None:
            return
        has_auth = any(middleware.name == "auth" for middleware in item.middlewares)
        own = [(name, item.path.at) for name in item.path.parameters]
        given = "input query headers auth" if has_auth else "input query headers"
        resolver = self._resolver("http", given, own)
        item.path_variables = _bindings(resolver, item.path)
        self._parameters(resolver, item.queries)
        item.given = resolver.blocks.given
        resolver.statements(item.body.statements)

    def _socket(self, item: SocketRoute) -> None:
        if item.unsupported is not None:
            return
        for event in item.events:
            self._event(item, event)

    def _event(self, item: SocketRoute, event: Event) -> None:
        names = ["input", "client", *item.path.parameters]
        resolver = self._resolver("socket", "query headers", [(n, item.path.at) for n in names])
        event.path_variables = _bindings(resolver, item.path)
        event.given = dict(resolver.blocks.given)
        for name in ("input", "client"):
            variable = resolver.blocks.find_declared(name)
            assert variable is not None
            event.given[name] = variable
        resolver.statements(event.body.statements)

    def _middlewares(self, item: HttpRoute) -> None:
        for middleware in item.middlewares:
            name, at = middleware.name, middleware.at
            if name == "ratelimit":
                if not RATE.fullmatch("".join(middleware.arguments[:1])):
                    example = "for example `+ ratelimit(100/min)`"
                    self.report.add("bad-middleware", at, name=name, example=example)
            elif name == "auth":
                self._auth(middleware)
            else:
                self.report.add("ignored-middleware", at, name=name)

    def _auth(self, middleware: Middleware) -> None:
        if not middleware.arguments:
            example = "for example `+ auth(jwt)` or `+ auth(apikey)`"
            self.report.add("bad-middleware", middleware.at, name="auth", example=example)
            return
        variable = AUTH_VARIABLES[is_api_key(middleware)]
        if not environ.get(variable, "").strip(" ,"):
            kind = middleware.arguments[0]
            self.report.add("auth-not-configured", middleware.at, variable=variable, kind=kind)

    def _static(self, item: StaticFiles) -> None:
        path = self.module.source.path
        if path is not None and not (path.parent / item.directory).is_dir():
            shown = f'"{item.directory}"'
            self.report.add("missing-directory", item.directory_at, path=shown)

    def _duplicates(self) -> None:
        seen: set[tuple[str, tuple[str, ...]]] = set()
        for item in self.items:
            if not isinstance(item, HttpRoute | SocketRoute):
                continue
            method = item.method if isinstance(item, HttpRoute) else "ws"
            shape = (method, tuple(_shape(item.path)))
            if shape not in seen:
                seen.add(shape)
            elif isinstance(item, HttpRoute):
                pattern = item.path.pattern
                self.report.add("duplicate-route", item.path.at, method=method, path=pattern)
            else:
                self.report.add("duplicate-ws-route", item.path.at, path=item.path.pattern)


def _shape(path: Path) -> Iterator[str]:
    """A path's segments with all parameters alike."""
    for segment in path.segments:
        yield ":" if segment.startswith(":") else segment


def _bindings(resolver: BodyResolver, path: Path) -> list[Binding]:
    bindings = []
    for name in dict.fromkeys(path.parameters):
        variable = resolver.blocks.find_declared(name)
        bindings.append(Binding(name, variable, at=path.at))
    return bindings
