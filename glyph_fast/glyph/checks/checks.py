"""The checks of a whole program: each item resolved, and items compared with each other."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from os import environ

from ..syntax.declarations import (
    Constant,
    Declared,
    Event,
    Function,
    HttpRoute,
    Item,
    Middleware,
    Path,
    SocketRoute,
    StaticFiles,
    TypeDefinition,
)
from ..syntax.nodes import (
    ArrayType,
    Binding,
    Let,
    NamedType,
    OptionalType,
    Parameter,
    TypeExpression,
    UnionType,
)
from ..syntax.scopes import FunctionSymbol, TypeSymbol
from ..syntax.source import Position, Source
from ..syntax.walk import walk
from .modules import LoadedModule, declare, declare_constant, load_modules
from .resolve import BodyResolver, resolve_body
from .signatures import BUILTINS, PROVIDERS
from .type_names import TypeNames

RATE = re.compile(r"([0-9]{1,9})/([A-Za-z]+)")
WINDOWS = {  # in seconds; any other word is a minute
    **dict.fromkeys(("sec", "second", "s"), 1),
    **dict.fromkeys(("hour", "hr", "h"), 3600),
    **dict.fromkeys(("day", "d"), 86400),
}
_MINUTES = frozenset({"min", "minute", "m", "minutes", "mins"})
_KEYS = frozenset({"apikey", "apikeys", "key", "keys"})  # words for API keys, but not the one
METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
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
    """Return whether `+ auth(…)` asks for an API key; everything else asks for a bearer token."""
    return middleware.arguments[:1] == ["apikey"]


class _Checker:
    def __init__(self, module: LoadedModule) -> None:
        self.module = module
        self.report = module.report
        self.items = module.tree.items
        others = [item.name for item in self.items if isinstance(item, Declared)]
        self.types = TypeNames(module.report, module.scope, others)

    def run(self, *, is_main: bool) -> None:
        declare(self.module)
        if is_main and not self.items and not self.report.has_errors:
            self.report.add("empty-program", Position(1, 1))
        for item in self.items:
            if isinstance(item, Constant):
                self._constant(item)
        for item in self.items:
            self._types_of(item)
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

    def _types_of(self, item: Item) -> None:
        """Check the names of the types an item declares with."""
        match item:
            case TypeDefinition():
                self._types(item.fields, item.type_parameters)
            case Function():
                self._types(item.parameters, item.type_parameters)
                self.types.check(item.returns, item.type_parameters)
            case Constant():
                self.types.check(item.type)
            case HttpRoute():
                self._types(item.queries)
                self.types.check(item.input_type)
                self.types.check(item.returns, of_an_answer=True)
        for node in walk(item):
            if isinstance(node, Let):
                self.types.check(node.declared, getattr(item, "type_parameters", ()))

    def _types(self, parameters: Iterable[Parameter], names: Collection[str] = ()) -> None:
        for parameter in parameters:
            self.types.check(parameter.type, names)

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
                variable = resolver.blocks.declare(parameter.name, "parameter")
                variable.declared = self._fields_of(parameter.type)
                variable.is_provided = _names_provider(parameter.type)
                parameter.variable = variable

    def _fields_of(self, declared: TypeExpression | None) -> TypeSymbol | None:
        """The type a value is declared to have, when its fields can be known."""
        if isinstance(declared, OptionalType):
            declared = declared.inner
        if isinstance(declared, NamedType) and declared.module is None:
            return self.module.scope.types.get(declared.name)
        return None

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
        if item.input_type is not None:
            resolver.blocks.given["input"].declared = self._fields_of(item.input_type)
            if item.method not in METHODS_WITH_BODY:
                self.report.add("input-without-body", item.input_type.at)
        self._parameters(resolver, item.queries)
        for query in item.queries:
            if not _is_query_type(query.type):
                assert query.type is not None
                self.report.add("bad-query-type", query.type.at)
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
                self._rate(middleware)
            elif name == "auth":
                self._auth(middleware)
            elif meant := _meant(name):
                self.report.add("misspelt-middleware", at, name=name, meant=meant)
            else:
                self.report.add("ignored-middleware", at, name=name)

    def _rate(self, middleware: Middleware) -> None:
        found = RATE.fullmatch("".join(middleware.arguments[:1]))
        if found is None or int(found[1]) == 0:
            example = "for example `+ ratelimit(100/min)`"
            self.report.add("bad-middleware", middleware.at, name="ratelimit", example=example)
        elif (window := found[2].lower()) not in WINDOWS and window not in _MINUTES:
            self.report.add("unknown-window", middleware.at, window=found[2])

    def _auth(self, middleware: Middleware) -> None:
        if not middleware.arguments:
            example = "for example `+ auth(jwt)` or `+ auth(apikey)`"
            self.report.add("bad-middleware", middleware.at, name="auth", example=example)
            return
        kind, *others = middleware.arguments
        # Any other word asks for a bearer token, which is another credential.
        if kind != "apikey" and re.sub("[_-]", "", kind.lower()) in _KEYS:
            example = "API keys are `+ auth(apikey)`"
            self.report.add("bad-middleware", middleware.at, name="auth", example=example)
            return
        for argument in others:
            self.report.add("ignored-argument", middleware.at, argument=argument)
        variable = AUTH_VARIABLES[is_api_key(middleware)]
        if not environ.get(variable, "").strip(" ,"):
            self.report.add("auth-not-configured", middleware.at, variable=variable, kind=kind)

    def _static(self, item: StaticFiles) -> None:
        path = self.module.source.path
        if path is not None and not (path.parent / item.directory).is_dir():
            shown = f'"{item.directory}"'
            self.report.add("missing-directory", item.directory_at, path=shown)

    def _duplicates(self) -> None:
        seen: set[tuple[str, tuple[str, ...]]] = set()
        prefixes: set[str] = set()
        for item in self.items:
            if isinstance(item, StaticFiles):
                if item.path.pattern in prefixes:
                    self.report.add("duplicate-static", item.path.at, path=item.path.pattern)
                prefixes.add(item.path.pattern)
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


def _meant(name: str) -> str:
    """The middleware that a name is a slip of, or another word for; empty where it is neither."""
    plain = re.sub("[_-]", "", name.lower())
    if "auth" in plain or plain in ("jwt", "bearer", *_KEYS):
        return "auth"
    if "rate" in plain or "throttl" in plain or "limit" in plain:
        return "ratelimit"
    return next(iter(get_close_matches(plain, ("auth", "ratelimit"), n=1)), "")


def _is_query_type(declared: TypeExpression | None) -> bool:
    """Return whether text can become a value of a type: int, float, bool, str, arrays of them."""
    if isinstance(declared, OptionalType):
        return _is_query_type(declared.inner)
    if isinstance(declared, ArrayType):
        declared = declared.element
    elif isinstance(declared, NamedType) and declared.name == "List" and declared.arguments:
        declared = declared.arguments[0]
    if isinstance(declared, OptionalType):
        declared = declared.inner
    members = declared.members if isinstance(declared, UnionType) else [declared]
    return all(
        member is None or (isinstance(member, NamedType) and member.name in _TEXTUAL)
        for member in members
    )


_TEXTUAL = frozenset({"int", "float", "bool", "str", "string", "any", "timestamp"})


def _names_provider(declared: TypeExpression | None) -> bool:
    return isinstance(declared, NamedType) and declared.name in PROVIDERS


def _bindings(resolver: BodyResolver, path: Path) -> list[Binding]:
    bindings = []
    for name in dict.fromkeys(path.parameters):
        variable = resolver.blocks.find_declared(name)
        bindings.append(Binding(name, variable, at=path.at))
    return bindings
