"""Kinds of values known before the program runs: enough to add two integers without asking.

Each variable of a body gets the kind all values assigned to it have, or none. The order of
assignments plays no part, so what is found holds everywhere in the body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from ..syntax.nodes import (
    ArrayLiteral,
    Assign,
    Binary,
    Call,
    Expression,
    Let,
    LiteralValue,
    Logical,
    Name,
    Node,
    ObjectLiteral,
    Unary,
)
from ..syntax.scopes import Variable
from ..syntax.walk import walk

Kind = Literal["bool", "int", "float", "string", "null", "array", "object"]
_Guess = Kind | None | Literal["unset"]  # unset: no assignment looked at yet

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_RESULTS: dict[str, Kind] = {
    "now": "int",
    "time.now": "int",
    "length": "int",
    "indexOf": "int",
    "randomInt": "int",
    "upper": "string",
    "lower": "string",
    "trim": "string",
    "join": "string",
    "replace": "string",
    "substring": "string",
    "charAt": "string",
    "toString": "string",
    "generateId": "string",
    "parseFloat": "float",
    "parseInt": "int",
    "contains": "bool",
    "startsWith": "bool",
    "endsWith": "bool",
    "some": "bool",
    "every": "bool",
    "split": "array",
    "append": "array",
    "keys": "array",
}
_LITERALS: dict[type, Kind] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    type(None): "null",
}


class Kinds:
    """The kinds of the variables of one body."""

    def __init__(self, body: Iterable[Node], known: Mapping[Variable, Kind | None]) -> None:
        """`known` are variables that have a value of this kind from the start."""
        self._of: dict[Variable, _Guess] = dict(known)
        definitions = [found for root in body for found in _definitions(root)]
        for node, variable, _ in definitions:
            # A parameter, a loop's name or `input` has its first value from elsewhere.
            if isinstance(node, Let) and node.is_declaration:
                self._of[variable] = "unset"
        for _, variable, _ in definitions:
            self._of.setdefault(variable, None)
        changed = True
        while changed:
            changed = False
            for _, variable, value in definitions:
                before = self._of[variable]
                after = _join(before, self._guess(value))
                if after != before:
                    self._of[variable] = after
                    changed = True

    def of(self, node: Expression) -> Kind | None:
        """The kind every value of the expression has, if it is known."""
        guess = self._guess(node)
        return None if guess == "unset" else guess

    def _guess(self, node: Expression | None) -> _Guess:
        match node:
            case None:
                return "null"
            case LiteralValue():
                return _LITERALS[type(node.value)]
            case Name():
                return self._kind_of(node.variable) if node.variable is not None else None
            case Binary():
                return self._chain(node)
            case Logical():
                return "bool"
            case Unary():
                return "bool" if node.operator == "!" else self._negated(node.operand)
            case ArrayLiteral():
                return "array"
            case ObjectLiteral():
                return "object"
            case Call():
                target = node.means
                if target is not None and target.kind == "builtin":
                    return _RESULTS.get(target.name)
        return None

    def _kind_of(self, variable: Variable) -> _Guess:
        if variable.literal is not None:
            return self._guess(variable.literal)
        return self._of.get(variable)

    def _negated(self, operand: Expression) -> _Guess:
        guess = self._guess(operand)
        return guess if guess in ("int", "float", "unset") else None

    def _chain(self, node: Binary) -> _Guess:
        left = self._guess(node.first)
        for operation in node.rest:
            left = combine(left, operation.operator, self._guess(operation.right))
        return left


def combine(left: _Guess, operator: str, right: _Guess) -> _Guess:
    """The kind of `left operator right`."""
    if operator in _COMPARISONS:
        return "bool"
    if left == "unset" or right == "unset":
        return "unset"
    if left == right and (left in ("int", "float") or (operator == "+" and left == "string")):
        return left
    return "float" if {left, right} == {"int", "float"} else None


def _join(a: _Guess, b: _Guess) -> _Guess:
    if a == "unset" or a == b:
        return b
    return a if b == "unset" else None


def _definitions(root: Node) -> Iterable[tuple[Node, Variable, Expression | None]]:
    for node in walk(root):
        if isinstance(node, Let) and node.variable is not None:
            yield node, node.variable, node.value
        elif isinstance(node, Assign) and isinstance(node.target, Name):
            if node.target.variable is not None:
                yield node, node.target.variable, node.value
