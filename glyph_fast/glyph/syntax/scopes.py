"""Names and what they stand for: variables, the blocks that declare them, and what a call calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from .declarations import Function, TypeDefinition
from .nodes import LiteralValue

VariableKind = Literal["local", "parameter", "given", "constant"]


@dataclass(slots=True, eq=False)
class Frame:
    """Code that becomes one Python function: a handler, a function, an async block."""

    outer: Frame | None = None
    assigns: list[Variable] = field(default_factory=list)  # of outer frames
    loops: int = 0  # around the statement being looked at
    taken: dict[str, int] = field(default_factory=dict)  # Python names, shared by inner frames

    def __post_init__(self) -> None:
        if self.outer is not None:
            self.taken = self.outer.taken


@dataclass(slots=True, eq=False)
class Variable:
    """One variable. Two blocks that declare the same name make two of them.

    `given` ones are what the language provides (`input`, `query`, …); `is_assigned` tells whether
    anything but the declaration gives it a value, `is_read` whether anything asks for it.
    """

    name: str
    kind: VariableKind
    frame: Frame | None
    python_name: str
    is_assigned: bool = False
    is_read: bool = False
    literal: LiteralValue | None = None  # of a constant that is one
    declared: TypeSymbol | None = None  # the type with fields that its value is declared to have
    is_provided: bool = False  # of a type that only providers have


@dataclass(slots=True, eq=False)
class FunctionSymbol:
    """A function of a program."""

    name: str
    node: Function
    python_name: str
    value_name: str  # of the same function as a value
    is_offered: bool = False  # by the server, not by the program, whose own one goes before

    @property
    def least(self) -> int:
        """Arguments that must be given."""
        return sum(1 for p in self.node.parameters if p.required and p.default is None)

    @property
    def most(self) -> int:
        """Arguments that can be given."""
        return len(self.node.parameters)


@dataclass(slots=True, eq=False)
class TypeSymbol:
    """A type of a program and the module whose names its fields use."""

    node: TypeDefinition
    home: ModuleScope


@dataclass(slots=True, frozen=True)
class Callee:
    """The thing that a call calls.

    `builtin`, `socket` (a `ws` function) and `result` (a method of Result values) go by `name`,
    `function` by its symbol; `value` calls whatever the callee expression gives; `unknown` fails.
    `takes_base` says that what stands before the dot is the first argument.
    """

    kind: Literal["builtin", "socket", "result", "function", "constant", "value", "unknown"]
    name: str = ""
    function: FunctionSymbol | None = None
    constant: Variable | None = None
    takes_base: bool = False


@dataclass(slots=True, eq=False)
class ModuleScope:
    """The names that the top level of one file declares or imports."""

    functions: dict[str, FunctionSymbol] = field(default_factory=dict)
    constants: dict[str, Variable] = field(default_factory=dict)
    types: dict[str, TypeSymbol] = field(default_factory=dict)
    namespaces: dict[str, ModuleScope] = field(default_factory=dict)

    def names(self) -> Iterator[str]:
        """Every name an expression of the module can read."""
        yield from self.functions
        yield from self.constants
        yield from self.namespaces


class Blocks:
    """The blocks open at one point of a body, innermost last."""

    def __init__(self, frame: Frame, given: Iterable[str] = ()) -> None:
        self.frame = frame
        self.given = {name: self._variable(name, "given") for name in given}
        self._open: list[dict[str, Variable]] = []

    def push(self) -> None:
        """Enter a block."""
        self._open.append({})

    def pop(self) -> None:
        """Leave the innermost block."""
        self._open.pop()

    def find(self, name: str) -> Variable | None:
        """The variable a name stands for here."""
        return self.find_declared(name) or self.given.get(name)

    def find_declared(self, name: str) -> Variable | None:
        """The same, not looking at what the language gives: those a declaration may shadow."""
        for block in reversed(self._open):
            if name in block:
                return block[name]
        return None

    def is_here(self, name: str) -> bool:
        """Return whether the innermost block itself declares the name."""
        return name in self._open[-1]

    def declare(self, name: str, kind: VariableKind = "local") -> Variable:
        """A new variable in the innermost block; it hides an outer one of the same name."""
        variable = self._variable(name, kind)
        self._open[-1][name] = variable
        return variable

    def visible(self) -> Iterator[str]:
        """The names of all variables in scope."""
        for block in self._open:
            yield from block
        yield from self.given

    def _variable(self, name: str, kind: VariableKind) -> Variable:
        count = self.frame.taken.get(name, 0) + 1
        self.frame.taken[name] = count
        python_name = f"v_{name}" if count == 1 else f"v{count}_{name}"
        return Variable(name, kind, self.frame, python_name)
