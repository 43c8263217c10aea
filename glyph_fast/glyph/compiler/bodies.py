"""The compiler's knowledge of the body it is at: a handler, a function, a constant's value."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from math import prod
from typing import Literal

from ..checks.signatures import CALLING
from ..runtime.limits import SMALL
from ..syntax.nodes import (
    ArrayLiteral,
    ArrayPattern,
    Assign,
    Async,
    Binary,
    Block,
    Call,
    Expression,
    Field,
    For,
    Index,
    Let,
    LiteralValue,
    Match,
    Name,
    Node,
    ObjectLiteral,
    Unary,
    While,
)
from ..syntax.scopes import FunctionSymbol, Variable
from ..syntax.source import Position
from ..syntax.walk import children, walk
from . import emit
from .kinds import Kind, Kinds

Place = Literal["http", "socket", "function", "constant"]

_ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})
_NO_NUMBERS = frozenset({"string", "bool", "null", "array", "object"})
_FLAT = frozenset({"bool", "int", "float", "string", "null"})
_TELLING = frozenset({"abs", "toString", "join"})
_MULTIPLIERS = frozenset({"replace", "join", "set", "flat"})
_FEW_COPIES = 64  # of what a client has sent: more has to be weighed
_SMALL_VALUE = 4 * SMALL  # bytes of a string that is not charged where it is made
_MUTATORS = frozenset({"set", "remove"})
_MESSAGES = {"send": 0, "broadcast": 0, "broadcast_to_room": 1}  # where the message stands


class Body:
    """One body and what its Python function will need."""

    def __init__(
        self,
        place: Place,
        roots: Iterable[Node],
        functions: Mapping[str, FunctionSymbol],
        known: Mapping[Variable, Kind | None] | None = None,
    ) -> None:
        self.place = place
        self.functions = functions
        self.roots = list(roots)
        self.kinds = Kinds(self.roots, known or {})
        self.needs_steps = False
        self.relayed: Variable | None = None  # `input`, where it can be sent on as it came
        nodes = list(walk(self.roots))
        self._builds = place == "function" or any(map(_repeats, nodes))
        self._copies = prod(map(_copies, nodes))
        self._keeps = any(isinstance(node, Let | Assign | For | Match) for node in nodes)
        self._temporaries = 0

    def temporary(self) -> str:
        """A Python name no Glyph variable has."""
        self._temporaries += 1
        return f"t{self._temporaries}"

    def next_depth(self, at: Position) -> ast.expr:
        """The depth of a call made here: the functions of a program hand it on."""
        if self.place != "function":
            return emit.constant(1, at)
        return ast.BinOp(emit.load("depth", at), ast.Add(), emit.constant(1, at), **emit.place(at))

    def may_be_huge(self, message: Expression) -> bool:
        """Return whether a message could hold a value many times, and has to be weighed."""
        if _is_flat(message, self.kinds):
            return False
        if not self._builds:
            copies = self._copies if self._keeps else prod(map(_copies, walk(message)))
            return copies > _FEW_COPIES
        match message:
            case ArrayLiteral():
                return not all(_is_flat(item, self.kinds) for item in message.items)
            case ObjectLiteral():
                return not all(_is_flat(value, self.kinds) for _, value in message.entries)
        return True

    def relays(self, message: Expression) -> bool:
        """Return whether a message to be sent is the received one, unchanged."""
        return (
            self.relayed is not None
            and isinstance(message, Name)
            and message.variable is self.relayed
        )


def _is_flat(node: Expression, kinds: Kinds) -> bool:
    """Return whether an expression's value holds no other values, as far as that is known."""
    if isinstance(node, Call) and node.means is not None and node.means.kind == "socket":
        return True
    return kinds.of(node) in _FLAT


def _repeats(node: Node) -> bool:
    """Return whether something is done again and again, which may make a value of any size."""
    if isinstance(node, While | For):
        return True
    if isinstance(node, Call) and node.means is not None:
        callee = node.means
        return callee.kind != "socket" and (callee.kind != "builtin" or callee.name in CALLING)
    return False


def _copies(node: Node) -> int:
    """Return how often a value may stand in what a node makes of it."""
    match node:
        case ArrayLiteral():
            return max(1, sum(not isinstance(item, LiteralValue) for item in node.items))
        case ObjectLiteral():
            return max(1, sum(not isinstance(value, LiteralValue) for _, value in node.entries))
        case Assign():
            return 1 if isinstance(node.target, Name) else 2
        case Binary():
            return 1 << sum(operation.operator == "+" for operation in node.rest)
        case Call():
            name = node.means.name if node.means is not None else ""
            return _FEW_COPIES + 1 if name in _MULTIPLIERS else 1
    return 1


def cost_of(parts: Iterable[Node]) -> int:
    """Return the bytes of small values that one turn of a loop, or one call, makes at most.

    Large ones are charged by whoever makes them.
    """
    waiting: list[object] = list(parts)
    cost = 0
    while waiting:
        node = waiting.pop()
        if isinstance(node, While | For):
            waiting += [node.iterable] if isinstance(node, For) else []
            continue  # its turns are charged for
        if isinstance(node, Node):
            cost += _cost(node)
            waiting += children(node)
    return cost


def _cost(node: Node) -> int:
    match node:
        case ArrayLiteral():
            return 64 + 8 * len(node.items)
        case ObjectLiteral():
            return 256 + 64 * len(node.entries)
        case Binary():
            return _SMALL_VALUE * sum(operation.operator == "+" for operation in node.rest)
        case Call() | Assign() | Async():
            return _SMALL_VALUE
        case Index() | Field() | ArrayPattern():
            return 32
    return 0


def can_relay(block: Block, received: Variable) -> bool:
    """Return whether a handler leaves what it received as it came.

    Then it can be sent on without being written out again. Anything that could change it, or a
    value inside it that has got another name, rules that out: an assignment to a field or an
    element, `set` and `remove`, a call of a function of the program.
    """
    return not received.is_assigned and not any(_may_change(node) for node in walk(block))


def _may_change(node: Node) -> bool:
    if isinstance(node, Assign):
        return isinstance(node.target, Field | Index)
    if isinstance(node, Call) and node.means is not None:
        callee = node.means
        if callee.kind == "builtin":
            return callee.name in _MUTATORS or callee.name in CALLING
        return callee.kind in ("function", "value", "result")
    return False


def reads(block: Block, variable: Variable, *, but_relays_of: Body | None = None) -> bool:
    """Return whether a body reads a variable; relaying it does not count if so asked."""
    relayed: set[int] = set()
    if but_relays_of is not None:
        for node in walk(block):
            message = message_of(node)
            if message is not None and but_relays_of.relays(message):
                relayed.add(id(message))
    return any(
        isinstance(node, Name) and node.variable is variable and id(node) not in relayed
        for node in walk(block)
    )


def tells_integers(roots: Iterable[Node], kinds: Kinds) -> bool:
    """Return whether a body could tell the number 7 from the number 7.0.

    Only arithmetic can, and what writes numbers as text. Where there is none, the numbers of a
    message need not be made floats first, nor be written as integers again afterwards.
    """
    return any(_tells_integers(node, kinds) for root in roots for node in walk(root))


def _tells_integers(node: Node, kinds: Kinds) -> bool:
    if isinstance(node, Binary):
        operators = {operation.operator for operation in node.rest}
        if operators.isdisjoint(_ARITHMETIC):
            return False
        operands = [node.first, *(operation.right for operation in node.rest)]
        known = {kinds.of(operand) for operand in operands}
        return None in known and known.isdisjoint(_NO_NUMBERS)
    if isinstance(node, Unary):
        return node.operator == "-"
    if isinstance(node, Call) and node.means is not None:
        callee = node.means
        if callee.kind == "builtin":
            return callee.name in _TELLING or callee.name in CALLING
        return callee.kind in ("function", "value", "result")
    return False


def message_of(node: Node) -> Expression | None:
    """Return what a call sends to others: the message of `ws.send` and the broadcasts."""
    if isinstance(node, Call) and node.means is not None and node.means.kind == "socket":
        index = _MESSAGES.get(node.means.name)
        if index is not None and index < len(node.arguments):
            return node.arguments[index]
    return None
