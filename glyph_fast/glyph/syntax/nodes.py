"""The syntax tree: plain dataclasses, each with its position.

Here are the nodes inside bodies and types; those of the top level are in `declarations.py`. The
parser fills everything but a few fields that name resolution (`resolve.py`) adds: `variable` on
what declares or reads a variable, `means` on what names a function, and `assigns` on async blocks,
which become functions of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .source import Position

if TYPE_CHECKING:
    from .scopes import Callee, Variable

Scalar = None | bool | int | float | str


@dataclass(slots=True, kw_only=True)
class Node:
    """Anything with a place in the text."""

    at: Position


# --- expressions ---------------------------------------------------------------------------------


@dataclass(slots=True)
class LiteralValue(Node):
    """A number, a string, `true`, `false` or `null`."""

    value: Scalar


@dataclass(slots=True)
class Name(Node):
    """A variable, constant, function or namespace, by its name."""

    name: str
    variable: Variable | None = None
    means: Callee | None = None


@dataclass(slots=True)
class ArrayLiteral(Node):
    """`[a, b]`"""

    items: list[Expression]


@dataclass(slots=True)
class ObjectLiteral(Node):
    """`{k: v}`; a later entry of the same key wins."""

    entries: list[tuple[str, Expression]]


@dataclass(slots=True)
class Field(Node):
    """`base.name`"""

    base: Expression
    name: str
    means: Callee | None = None


@dataclass(slots=True)
class Index(Node):
    """`base[index]`"""

    base: Expression
    index: Expression


@dataclass(slots=True)
class Call(Node):
    """`callee(arguments)`. `v |> f(a)` is the call `f(v, a)` with `piped` set."""

    callee: Expression
    arguments: list[Expression]
    piped: bool = False
    means: Callee | None = None


@dataclass(slots=True)
class Unary(Node):
    """`!x` or `-x`"""

    operator: Literal["!", "-"]
    operand: Expression


@dataclass(slots=True)
class Operation(Node):
    """One operator with its right side, in a chain."""

    operator: str
    right: Expression


@dataclass(slots=True)
class Binary(Node):
    """A left-associative chain of operators of one level: `a + b - c`.

    Kept flat, so that a sum of hundreds of terms is not hundreds of levels deep.
    """

    first: Expression
    rest: list[Operation]


@dataclass(slots=True)
class Logical(Node):
    """`a && b && c`, or the same with `||`; stops at the first operand that decides."""

    operator: Literal["&&", "||"]
    operands: list[Expression]


@dataclass(slots=True)
class Match(Node):
    """`match subject { pattern when guard => result … }`"""

    subject: Expression
    cases: list[MatchCase]


@dataclass(slots=True)
class MatchCase(Node):
    """One line of a match."""

    pattern: Pattern
    guard: Expression | None
    result: Expression


@dataclass(slots=True)
class Async(Node):
    """`async { … }`: a future of what the block returns.

    `assigns` are the variables of the code around it that it assigns.
    """

    body: Block
    assigns: list[Variable] = field(default_factory=list)


@dataclass(slots=True)
class Await(Node):
    """`await e`"""

    value: Expression


Expression = (
    LiteralValue
    | Name
    | ArrayLiteral
    | ObjectLiteral
    | Field
    | Index
    | Call
    | Unary
    | Binary
    | Logical
    | Match
    | Async
    | Await
)


# --- patterns ------------------------------------------------------------------------------------


@dataclass(slots=True)
class LiteralPattern(Node):
    """Matches an equal value."""

    value: Scalar


@dataclass(slots=True)
class Binding(Node):
    """A name being declared; as a pattern it matches everything. `_` binds nothing."""

    name: str
    variable: Variable | None = None


@dataclass(slots=True)
class ObjectPattern(Node):
    """`{key, key: pattern}`: an object with these keys, others allowed."""

    entries: list[tuple[str, Pattern]]


@dataclass(slots=True)
class ArrayPattern(Node):
    """`[p, q]`, or `[p, ...rest]` for at least so many."""

    items: list[Pattern]
    rest: Binding | None


Pattern = LiteralPattern | Binding | ObjectPattern | ArrayPattern


# --- statements ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Block(Node):
    """`{ statements }`"""

    statements: list[Statement]


@dataclass(slots=True)
class Let(Node):
    """`$ x = e`: declares `x`, or assigns it where an enclosing block has declared it."""

    name: str
    declared: TypeExpression | None
    value: Expression | None
    variable: Variable | None = None
    is_declaration: bool = True


@dataclass(slots=True)
class Assign(Node):
    """`target = e`, for a name, a field or an index."""

    target: Name | Field | Index
    value: Expression


@dataclass(slots=True)
class Return(Node):
    """`> e :: status`"""

    value: Expression | None
    status: int | None


@dataclass(slots=True)
class Guard(Node):
    """`? condition :: status "text"`"""

    condition: Expression
    status: int
    text: str


@dataclass(slots=True)
class Validation(Node):
    """`? f(args)`; `name` is what a failure message calls it."""

    call: Call
    name: str


@dataclass(slots=True)
class If(Node):
    """`if c { } else if c { } else { }`, flat."""

    branches: list[tuple[Expression, Block]]
    otherwise: Block | None


@dataclass(slots=True)
class While(Node):
    """`while c { }`"""

    condition: Expression
    body: Block


@dataclass(slots=True)
class For(Node):
    """`for v in e { }` or `for k, v in e { }`"""

    key: Binding | None
    value: Binding
    iterable: Expression
    body: Block


@dataclass(slots=True)
class Switch(Node):
    """`switch e { case v { } … default { } }`"""

    subject: Expression
    cases: list[tuple[Expression, Block]]
    default: Block | None


@dataclass(slots=True)
class Break(Node):
    """`break`"""


@dataclass(slots=True)
class Continue(Node):
    """`continue`"""


@dataclass(slots=True)
class Assert(Node):
    """`assert(condition, message)`"""

    condition: Expression
    message: Expression | None


@dataclass(slots=True)
class Evaluate(Node):
    """An expression for its effect."""

    value: Expression


Statement = (
    Let
    | Assign
    | Return
    | Guard
    | Validation
    | If
    | While
    | For
    | Switch
    | Break
    | Continue
    | Assert
    | Evaluate
)


# --- types ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class NamedType(Node):
    """`int`, `User`, `models.User`, `List[int]`"""

    name: str
    module: str | None = None
    arguments: list[TypeExpression] = field(default_factory=list)


@dataclass(slots=True)
class ArrayType(Node):
    """`T[]` or `[T]`"""

    element: TypeExpression


@dataclass(slots=True)
class OptionalType(Node):
    """`T?`"""

    inner: TypeExpression


@dataclass(slots=True)
class UnionType(Node):
    """`A | B`"""

    members: list[TypeExpression]


@dataclass(slots=True)
class FunctionType(Node):
    """`(T) -> U`; anything passes it."""


TypeExpression = NamedType | ArrayType | OptionalType | UnionType | FunctionType


@dataclass(slots=True)
class Parameter(Node):
    """A function parameter, a field of a type, or a declared query parameter."""

    name: str
    type: TypeExpression | None
    required: bool
    default: Expression | None
    variable: Variable | None = None
