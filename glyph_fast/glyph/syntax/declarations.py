"""The syntax tree of a file's top level: routes, types, functions, constants, imports.

What `checks.py` adds stands at the end of each class: on handlers the variables of the path and
those the language has `given` them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .nodes import Binding, Block, Expression, Node, Parameter, TypeExpression
from .source import Position

if TYPE_CHECKING:
    from .scopes import Variable


@dataclass(slots=True)
class Path(Node):
    """A route's path: `segments` without empty ones, a parameter as `:name`."""

    segments: list[str]

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters, in order."""
        return [segment[1:] for segment in self.segments if segment.startswith(":")]

    @property
    def pattern(self) -> str:
        """The path as the router takes it."""
        return "/" + "/".join(self.segments)


@dataclass(slots=True)
class Item(Node):
    """Anything at the top level. `unsupported` says why it cannot be served, when it cannot."""

    unsupported: str | None = field(default=None, kw_only=True)


@dataclass(slots=True)
class Middleware(Node):
    """`+ name(arguments)`; the arguments are kept as their tokens' texts."""

    name: str
    arguments: list[str]


@dataclass(slots=True)
class HttpRoute(Item):
    """`@ GET /path -> Type { … }`"""

    method: str
    path: Path
    returns: TypeExpression | None
    middlewares: list[Middleware]
    input_type: TypeExpression | None
    queries: list[Parameter]
    body: Block
    path_variables: list[Binding] = field(default_factory=list)
    given: dict[str, Variable] = field(default_factory=dict)


@dataclass(slots=True)
class Event(Node):
    """`on NAME { … }` in a WebSocket route."""

    name: str
    body: Block
    path_variables: list[Binding] = field(default_factory=list)
    given: dict[str, Variable] = field(default_factory=dict)


@dataclass(slots=True)
class SocketRoute(Item):
    """`@ ws /path { on … }`"""

    path: Path
    events: list[Event]


@dataclass(slots=True)
class TypeDefinition(Item):
    """`: Name { fields }`; the names of type parameters pass anything."""

    name: str
    type_parameters: list[str]
    fields: list[Parameter]
    methods: list[Declared]


@dataclass(slots=True)
class Function(Item):
    """`! name(parameters): Type { … }`"""

    name: str
    type_parameters: list[str]
    parameters: list[Parameter]
    returns: TypeExpression | None
    body: Block


@dataclass(slots=True)
class Constant(Item):
    """`const NAME: Type = value`"""

    name: str
    type: TypeExpression | None
    value: Expression


@dataclass(slots=True)
class Import(Item):
    """`import "./x" as name`, or `from "./x" import { a, b as c }` with `names` of (a, c)."""

    path: str
    namespace: str | None
    names: list[tuple[str, str, Position]]


@dataclass(slots=True)
class StaticFiles(Item):
    """`@ static /prefix "directory"`"""

    path: Path
    directory: str
    directory_at: Position


@dataclass(slots=True)
class Declared(Item):
    """Something parsed over and not run by a server: a command, a cron task, a contract, …"""

    what: str
    name: str
    last_line: int


@dataclass(slots=True)
class Module(Node):
    """One file."""

    name: str
    items: list[Item]
