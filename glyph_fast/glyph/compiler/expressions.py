"""Expressions to Python expressions.

Everything stays an expression, in the order of evaluation: a match is a chain of `and`/`or` whose
patterns bind by `:=`. Only async blocks and validations become functions, defined just before the
statement they stand in.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ..checks.signatures import BUILTINS, CALLING, RESULT_METHODS
from ..runtime.operators import MAX_INT, MIN_INT
from ..syntax.nodes import (
    ArrayLiteral,
    ArrayPattern,
    Async,
    Await,
    Binary,
    Binding,
    Block,
    Call,
    Expression,
    Field,
    Index,
    LiteralPattern,
    LiteralValue,
    Logical,
    Match,
    MatchCase,
    Name,
    ObjectLiteral,
    ObjectPattern,
    Pattern,
    Unary,
)
from ..syntax.scopes import Callee, FunctionSymbol, Variable
from ..syntax.source import Position
from . import emit
from .bodies import message_of
from .kinds import Kind, combine

if TYPE_CHECKING:
    from .bodies import Body

_OPERATORS = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "%": "remainder",
    "==": "equal",
    "!=": "unequal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}
_INLINE_ARITHMETIC: dict[str, type[ast.operator]] = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult}
_INLINE_COMPARISONS: dict[str, type[ast.cmpop]] = {
    "==": ast.Eq,
    "!=": ast.NotEq,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
}


class ExpressionCompiler:
    """The part of the compiler for expressions of one body."""

    body: Body

    def block_function(self, block: Block, assigns: list[Variable], at: Position) -> str:
        """Define a function of an async block before the statement; the name it got."""
        raise NotImplementedError

    # --- values ----------------------------------------------------------------------------------

    def expression(self, node: Expression) -> ast.expr:
        """The Python expression of a Glyph one."""
        match node:
            case LiteralValue():
                return emit.constant(node.value, node.at)
            case Name():
                return self._name(node)
            case Field():
                return self._field(node)
            case Index():
                arguments = [self.expression(node.base), self.expression(node.index)]
                return emit.call("element", arguments, node.at)
            case Call():
                return self._call(node)
            case Unary():
                helper = "invert" if node.operator == "!" else "negate"
                return emit.call(helper, [self.expression(node.operand)], node.at)
            case Binary():
                return self._binary(node)
            case Logical():
                operands = [self.condition(operand) for operand in node.operands]
                combined = emit.all_of if node.operator == "&&" else emit.any_of
                return combined(operands, node.at)
            case ArrayLiteral():
                items = [self.expression(item) for item in node.items]
                return ast.List(items, ast.Load(), **emit.place(node.at))
            case ObjectLiteral():
                return self._object(node)
            case Match():
                return self._match(node)
            case Async():
                name = self.block_function(node.body, node.assigns, node.at)
                return emit.call("Future", [emit.load(name, node.at)], node.at)
            case Await():
                return emit.call("awaited", [self.expression(node.value)], node.at)

    def condition(self, node: Expression) -> ast.expr:
        """An expression that has to be a boolean."""
        value = self.expression(node)
        if self.body.kinds.of(node) == "bool":
            return value
        return emit.call("truth", [value], node.at)

    def _name(self, node: Name) -> ast.expr:
        if node.variable is None:
            assert node.means is not None and node.means.function is not None
            return self._function_value(node.means.function, node.at)
        return self._variable(node.variable, node.at)

    def _variable(self, variable: Variable, at: Position) -> ast.expr:
        if variable.literal is not None:
            return emit.constant(variable.literal.value, at)
        value = emit.load(variable.python_name, at)
        return emit.call("copied", [value], at) if variable.kind == "constant" else value

    def _function_value(self, function: FunctionSymbol, at: Position) -> ast.expr:
        return emit.load(function.value_name, at)

    def _field(self, node: Field) -> ast.expr:
        target = node.means
        if target is not None and target.constant is not None:
            return self._variable(target.constant, node.at)
        if target is not None and target.function is not None:
            return self._function_value(target.function, node.at)
        arguments = [self.expression(node.base), emit.constant(node.name, node.at)]
        return emit.call("field", arguments, node.at)

    def _object(self, node: ObjectLiteral) -> ast.expr:
        keys: list[ast.expr | None] = [emit.constant(key, node.at) for key, _ in node.entries]
        values = [self.expression(value) for _, value in node.entries]
        return ast.Dict(keys, values, **emit.place(node.at))

    # --- operators -------------------------------------------------------------------------------

    def _binary(self, node: Binary) -> ast.expr:
        kinds = self.body.kinds
        operands = [node.first, *(operation.right for operation in node.rest)]
        known = [kinds.of(operand) for operand in operands]
        values = [self.expression(operand) for operand in operands]
        if all(kind == "string" for kind in known):
            if all(operation.operator == "+" for operation in node.rest):
                return emit.call("concat", values, node.at)
        left, left_kind = values[0], known[0]
        is_first_literal = _is_literal(node.first)
        for operation, right, right_kind in zip(node.rest, values[1:], known[1:], strict=True):
            operator, at = operation.operator, operation.at
            is_short = left_kind != "string" or _is_literal(operation.right) or is_first_literal
            left = self._operate(operator, left, left_kind, right, right_kind, at, is_short)
            is_first_literal = False
            guess = combine(left_kind, operator, right_kind)
            left_kind = None if guess == "unset" else guess
        return left

    def _operate(
        self,
        operator: str,
        left: ast.expr,
        left_kind: Kind | None,
        right: ast.expr,
        right_kind: Kind | None,
        at: Position,
        is_short: bool,
    ) -> ast.expr:
        """One operation: inline where both kinds are known, else by the runtime's function.

        Two strings are compared inline when one is known to be short (`is_short`): that takes no
        time, and what takes time has to be charged for.
        """
        both = {left_kind, right_kind}
        if operator in _INLINE_COMPARISONS:
            alike = both <= {"int", "float"} or (both == {"string"} and is_short)
            if operator in ("==", "!="):
                alike = alike or both == {"bool"} or both == {"null"}
            if alike:
                return emit.compare(left, _INLINE_COMPARISONS[operator](), right, at)
        elif operator in _INLINE_ARITHMETIC and both == {"int"}:
            return self._integer(_INLINE_ARITHMETIC[operator](), left, right, at)
        return emit.call(_OPERATORS[operator], [left, right], at)

    def _integer(
        self, operator: ast.operator, left: ast.expr, right: ast.expr, at: Position
    ) -> ast.expr:
        """`n if MIN_INT <= (n := left op right) <= MAX_INT else wrap(n)`"""
        name = self.body.temporary()
        where = emit.place(at)
        result = emit.bind(name, ast.BinOp(left, operator, right, **where), at)
        in_range = ast.Compare(
            emit.constant(MIN_INT, at),
            [ast.LtE(), ast.LtE()],
            [result, emit.constant(MAX_INT, at)],
            **where,
        )
        value = emit.load(name, at)
        return emit.choose(in_range, value, emit.call("wrap", [emit.load(name, at)], at), at)

    # --- calls -----------------------------------------------------------------------------------

    def _call(self, node: Call) -> ast.expr:
        target = node.means
        assert target is not None
        if target.kind == "socket":
            return self._socket_call(node, target.name)
        arguments = [self.expression(argument) for argument in node.arguments]
        if target.takes_base:
            assert isinstance(node.callee, Field)
            arguments.insert(0, self.expression(node.callee.base))
        return self.dispatch(target, arguments, node)

    def dispatch(self, target: Callee, arguments: list[ast.expr], node: Call) -> ast.expr:
        """The call of `target`, all arguments being there."""
        at, count = node.at, len(arguments)
        if target.kind == "builtin":
            if not BUILTINS[target.name].accepts(count):
                return self._wrong_arity(target.name, arguments, at)
            run = self._run(at) if target.name in CALLING else []
            name = "b_" + target.name.replace(".", "_")
            return emit.call(name, [*run, *arguments], at)
        if target.kind == "function" and target.function is not None:
            function = target.function
            if not function.least <= count <= function.most:
                return self._wrong_arity(function.name, arguments, at)
            return emit.call(function.python_name, [*self._run(at), *arguments], at)
        if target.kind == "result":
            return self._method(target.name, arguments, at)
        if target.kind == "value":
            called = self.expression(node.callee)
            return emit.call("call_value", [*self._run(at), called, *arguments], at)
        name_argument = emit.constant(target.name, at)
        return emit.call("unknown_function", [name_argument, *arguments], at)

    def _method(self, name: str, arguments: list[ast.expr], at: Position) -> ast.expr:
        """A method of Result values; on another value the function of that name."""
        if not RESULT_METHODS[name].accepts(len(arguments) - 1):
            return self._wrong_arity(name, arguments, at)
        function = self.body.functions.get(name)
        other = emit.constant(None, at)
        if function is not None and name not in BUILTINS:
            other = self._function_value(function, at)
        head = [*self._run(at), emit.constant(name, at), other]
        return emit.call("call_method", [*head, *arguments], at)

    def _wrong_arity(self, name: str, arguments: list[ast.expr], at: Position) -> ast.expr:
        head = [emit.constant(name, at), emit.constant(len(arguments), at)]
        return emit.call("wrong_arity", [*head, *arguments], at)

    def _run(self, at: Position) -> list[ast.expr]:
        """Return what every call hands on: the event, the run's steps, the depth of the call."""
        self.body.needs_steps = True
        return [emit.load("event", at), emit.load("steps", at), self.body.next_depth(at)]

    def _socket_call(self, node: Call, name: str) -> ast.expr:
        at = node.at
        event, message = emit.load("event", at), message_of(node)
        if message is not None and self.body.relays(message):
            others = [self.expression(a) for a in node.arguments if a is not message]
            return emit.call(f"ws_{name}_input", [event, *others], at)
        arguments = []
        for argument in node.arguments:
            value = self.expression(argument)
            if argument is message and self.body.may_be_huge(argument):
                value = emit.call("weighed", [value], argument.at)
            arguments.append(value)
        return emit.call(f"ws_{name}", [event, *arguments], at)

    # --- match -----------------------------------------------------------------------------------

    def _match(self, node: Match) -> ast.expr:
        """`(m := subject, pattern1 and (result1,) or … or (None,))[1][0]`

        A result is wrapped into a tuple, which counts as true whatever is in it.
        """
        at = node.at
        subject = self.expression(node.subject)
        if any(isinstance(case.pattern, ObjectPattern) for case in node.cases):
            subject = emit.call("matchable", [subject], at)
        name = self.body.temporary()
        branches = [self._case(case, name) for case in node.cases]
        branches.append(emit.tuple_of([emit.constant(None, at)], at))
        chosen = emit.any_of(branches, at)
        pair = emit.tuple_of([emit.bind(name, subject, at), chosen], at)
        return emit.item(emit.item(pair, 1, at), 0, at)

    def _case(self, case: MatchCase, subject: str) -> ast.expr:
        conditions = self._pattern(case.pattern, subject)
        if case.guard is not None:
            conditions.append(self.condition(case.guard))
        result = emit.tuple_of([self.expression(case.result)], case.at)
        return emit.all_of([*conditions, result], case.at)

    def _pattern(self, node: Pattern, subject: str) -> list[ast.expr]:
        """Conditions that hold where the pattern matches, binding its names on the way."""
        at = node.at
        value = emit.load(subject, at)
        match node:
            case LiteralPattern():
                return [emit.call("equal", [value, emit.constant(node.value, at)], at)]
            case Binding():
                return self._binding(node, value)
            case ObjectPattern():
                return self._object_pattern(node, subject)
            case ArrayPattern():
                return self._array_pattern(node, subject)

    def _binding(self, node: Binding, value: ast.expr) -> list[ast.expr]:
        if node.variable is None:
            return []
        return [emit.tuple_of([emit.bind(node.variable.python_name, value, node.at)], node.at)]

    def _object_pattern(self, node: ObjectPattern, subject: str) -> list[ast.expr]:
        at = node.at
        conditions = [emit.call("is_object", [emit.load(subject, at)], at)]
        for key, pattern in node.entries:
            keyed = [emit.load(subject, at), emit.constant(key, at)]
            conditions.append(emit.call("has_key", keyed, at))
            conditions += self._part(pattern, emit.call("field", keyed, at))
        return conditions

    def _array_pattern(self, node: ArrayPattern, subject: str) -> list[ast.expr]:
        at = node.at
        length = [emit.load(subject, at), emit.constant(len(node.items), at)]
        conditions = [emit.call("is_longer" if node.rest else "has_length", length, at)]
        for index, pattern in enumerate(node.items):
            place = [emit.load(subject, at), emit.constant(index, at)]
            conditions += self._part(pattern, emit.call("element", place, at))
        if node.rest is not None:
            conditions += self._part(node.rest, emit.call("rest", length, at))
        return conditions

    def _part(self, pattern: Pattern, value: ast.expr) -> list[ast.expr]:
        """The conditions of a pattern inside another one."""
        if isinstance(pattern, Binding):
            return self._binding(pattern, value)
        name = self.body.temporary()
        bound = emit.tuple_of([emit.bind(name, value, pattern.at)], pattern.at)
        return [bound, *self._pattern(pattern, name)]


def _is_literal(node: Expression) -> bool:
    if isinstance(node, Name) and node.variable is not None:
        return node.variable.literal is not None
    return isinstance(node, LiteralValue)
