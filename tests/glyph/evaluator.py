"""A tiny tree-walking evaluator of Glyph, written from the language's description alone.

It is slow, plain and shares nothing with the compiler but the parser: what both agree on is
probably right. Names are looked up while the program runs, in a chain of blocks.
"""

from __future__ import annotations

import math
from ctypes import c_int64
from fractions import Fraction
from typing import Any

from glyph_fast.glyph.syntax import nodes as n
from glyph_fast.glyph.syntax.declarations import Function, HttpRoute, Item

MAX_STEPS = 1_000_000
MAX_ELEMENTS = 1_000_000
MAX_TEXT = 16 * 1024 * 1024


class Fails(Exception):
    """The program fails."""


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Blocks:
    """A block and those around it."""

    def __init__(self, outer: Blocks | None = None) -> None:
        self.outer = outer
        self.names: dict[str, Any] = {}

    def home(self, name: str) -> Blocks | None:
        block: Blocks | None = self
        while block is not None and name not in block.names:
            block = block.outer
        return block


class Evaluator:
    """Evaluates the routes of one program."""

    def __init__(self, items: list[Item]) -> None:
        self.functions = {item.name: item for item in items if isinstance(item, Function)}
        self.steps = 0
        self.depth = 0

    def route(self, route: HttpRoute) -> Any:
        """What a route without parameters returns."""
        return self._body(route.body, Blocks())

    def _body(self, block: n.Block, blocks: Blocks) -> Any:
        try:
            for statement in block.statements:
                self.statement(statement, blocks)
        except _Return as returned:
            return returned.value
        return None

    def block(self, block: n.Block, blocks: Blocks) -> None:
        inner = Blocks(blocks)
        for statement in block.statements:
            self.statement(statement, inner)

    def step(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise Fails("steps")

    # --- statements ------------------------------------------------------------------------------

    def statement(self, node: n.Statement, blocks: Blocks) -> None:
        match node:
            case n.Let():
                value = self.value(node.value, blocks) if node.value else None
                home = blocks.home(node.name) or blocks
                home.names[node.name] = value
            case n.Assign():
                self.assign(node.target, self.value(node.value, blocks), blocks)
            case n.Return():
                raise _Return(self.value(node.value, blocks) if node.value else None)
            case n.If():
                for condition, body in node.branches:
                    if self.truth(condition, blocks):
                        self.block(body, blocks)
                        return
                if node.otherwise:
                    self.block(node.otherwise, blocks)
            case n.While():
                while self.truth(node.condition, blocks):
                    self.step()
                    try:
                        self.block(node.body, blocks)
                    except _Break:
                        return
                    except _Continue:
                        continue
            case n.For():
                self.loop(node, blocks)
            case n.Switch():
                subject = self.value(node.subject, blocks)
                for value, body in node.cases:
                    if equal(subject, self.value(value, blocks)):
                        self.block(body, blocks)
                        return
                if node.default:
                    self.block(node.default, blocks)
            case n.Break():
                raise _Break
            case n.Continue():
                raise _Continue
            case n.Evaluate():
                self.value(node.value, blocks)
            case _:
                raise NotImplementedError(type(node).__name__)

    def assign(self, target: n.Expression, value: Any, blocks: Blocks) -> None:
        match target:
            case n.Name():
                home = blocks.home(target.name)
                assert home is not None, "checked at load"
                home.names[target.name] = value
            case n.Field():
                base = self.value(target.base, blocks)
                if not isinstance(base, dict):
                    raise Fails("field of no object")
                base[target.name] = value
            case n.Index():
                base, index = self.value(target.base, blocks), self.value(target.index, blocks)
                if isinstance(base, dict) and isinstance(index, str):
                    base[index] = value
                elif isinstance(base, list):
                    base[self.index(base, index)] = value
                else:
                    raise Fails("element of what has none")

    def loop(self, node: n.For, blocks: Blocks) -> None:
        over = self.value(node.iterable, blocks)
        if isinstance(over, list):
            pairs: list[tuple[Any, Any]] = list(enumerate(over))
        elif isinstance(over, dict):
            pairs = list(over.items())
        else:
            raise Fails("loop over what is no collection")
        for key, value in pairs:
            self.step()
            inner = Blocks(blocks)
            if node.key is not None:
                inner.names[node.key.name] = key
            inner.names[node.value.name] = value
            try:
                self.block(node.body, inner)
            except _Break:
                return
            except _Continue:
                continue

    # --- expressions -----------------------------------------------------------------------------

    def truth(self, node: n.Expression, blocks: Blocks) -> bool:
        value = self.value(node, blocks)
        if not isinstance(value, bool):
            raise Fails("condition")
        return value

    def value(self, node: n.Expression, blocks: Blocks) -> Any:
        match node:
            case n.LiteralValue():
                return node.value
            case n.Name():
                home = blocks.home(node.name)
                assert home is not None, "checked at load"
                return home.names[node.name]
            case n.ArrayLiteral():
                return [self.value(item, blocks) for item in node.items]
            case n.ObjectLiteral():
                return {key: self.value(value, blocks) for key, value in node.entries}
            case n.Field():
                base = self.value(node.base, blocks)
                if not isinstance(base, dict):
                    raise Fails("field")
                return base.get(node.name)
            case n.Index():
                base, index = self.value(node.base, blocks), self.value(node.index, blocks)
                if isinstance(base, dict) and isinstance(index, str):
                    return base.get(index)
                if isinstance(base, list):
                    return base[self.index(base, index)]
                raise Fails("element")
            case n.Unary():
                if node.operator == "!":
                    return not self.truth(node.operand, blocks)
                return arithmetic("-", 0, self.value(node.operand, blocks), negation=True)
            case n.Binary():
                left = self.value(node.first, blocks)
                for operation in node.rest:
                    left = binary(operation.operator, left, self.value(operation.right, blocks))
                return left
            case n.Logical():
                for operand in node.operands:
                    value = self.truth(operand, blocks)
                    if value == (node.operator == "||"):
                        return value
                return value
            case n.Call():
                return self.call(node, blocks)
            case n.Match():
                return self.match(node, blocks)
            case n.Async():
                return self._body(node.body, Blocks(blocks))
            case n.Await():
                return self.value(node.value, blocks)
        raise NotImplementedError(type(node).__name__)

    def index(self, array: list[Any], index: Any) -> int:
        if isinstance(index, float) and index == math.floor(index):
            index = int(index)
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(array):
            raise Fails("index")
        return index

    def call(self, node: n.Call, blocks: Blocks) -> Any:
        assert isinstance(node.callee, n.Name)
        arguments = [self.value(argument, blocks) for argument in node.arguments]
        name = node.callee.name
        if name == "length":
            if not isinstance(arguments[0], str | list | dict):
                raise Fails("length")
            return len(arguments[0])
        if name == "append":
            if not isinstance(arguments[0], list):
                raise Fails("append")
            return [*arguments[0], arguments[1]]
        function = self.functions[name]
        if len(arguments) != len(function.parameters):
            raise Fails("arity")
        self.step()
        self.depth += 1
        if self.depth > 200:
            raise Fails("depth")
        inner = Blocks()
        inner.names.update(zip([p.name for p in function.parameters], arguments, strict=True))
        result = self._body(function.body, Blocks(inner))
        self.depth -= 1
        return result

    def match(self, node: n.Match, blocks: Blocks) -> Any:
        subject = self.value(node.subject, blocks)
        for case in node.cases:
            inner = Blocks(blocks)
            if self.fits(case.pattern, subject, inner):
                if case.guard is None or self.truth(case.guard, inner):
                    return self.value(case.result, inner)
        return None

    def fits(self, pattern: n.Pattern, value: Any, blocks: Blocks) -> bool:
        match pattern:
            case n.LiteralPattern():
                return equal(value, pattern.value)
            case n.Binding():
                blocks.names[pattern.name] = value
                return True
            case n.ObjectPattern():
                return isinstance(value, dict) and all(
                    key in value and self.fits(inner, value[key], blocks)
                    for key, inner in pattern.entries
                )
            case n.ArrayPattern():
                if not isinstance(value, list) or len(value) < len(pattern.items):
                    return False
                if pattern.rest is None and len(value) != len(pattern.items):
                    return False
                if not all(
                    self.fits(inner, value[i], blocks) for i, inner in enumerate(pattern.items)
                ):
                    return False
                if pattern.rest is not None:
                    blocks.names[pattern.rest.name] = value[len(pattern.items) :]
                return True


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(a: Any, b: Any) -> bool:
    if is_number(a) and is_number(b):
        return a == b
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    return a == b


def binary(operator: str, a: Any, b: Any) -> Any:
    if operator in ("==", "!="):
        return equal(a, b) == (operator == "==")
    if operator in ("<", "<=", ">", ">="):
        if not (is_number(a) and is_number(b)) and not (isinstance(a, str) and isinstance(b, str)):
            raise Fails("order")
        return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]
    if operator == "+":
        if isinstance(a, str) and isinstance(b, str):
            if len(a) + len(b) > MAX_TEXT:
                raise Fails("size")
            return a + b
        if isinstance(a, list) and isinstance(b, list):
            if len(a) + len(b) > MAX_ELEMENTS:
                raise Fails("size")
            return [*a, *b]
    return arithmetic(operator, a, b)


def arithmetic(operator: str, a: Any, b: Any, *, negation: bool = False) -> Any:
    if not is_number(a) or not is_number(b):
        raise Fails("arithmetic")
    if operator in ("/", "%") and b == 0:
        raise Fails("zero")
    if isinstance(a, int) and isinstance(b, int):
        quotient = int(Fraction(a, b)) if operator in ("/", "%") else 0
        exact = {"+": a + b, "-": a - b, "*": a * b, "/": quotient, "%": a - quotient * b}[operator]
        return c_int64(exact).value
    if negation:
        return -b
    if operator == "%":
        return math.fmod(a, b)
    try:
        result = {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else 0.0}[operator]
    except OverflowError:
        raise Fails("overflow") from None
    if not math.isfinite(result):
        raise Fails("overflow")
    return result
