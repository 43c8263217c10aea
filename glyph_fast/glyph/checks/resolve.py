"""Name resolution, and every check a program has to pass before it is served.

Walks each body once, in the order of the text, with the blocks that are open at that point. What a
name stands for is written into the tree, so the compiler asks nobody; what stands for nothing is
reported where it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..syntax.diagnostics import Report, did_you_mean
from ..syntax.nodes import (
    ArrayLiteral,
    ArrayPattern,
    Assert,
    Assign,
    Async,
    Await,
    Binary,
    Binding,
    Block,
    Break,
    Call,
    Continue,
    Evaluate,
    Expression,
    Field,
    For,
    Guard,
    If,
    Index,
    Let,
    LiteralPattern,
    LiteralValue,
    Logical,
    Match,
    Name,
    ObjectLiteral,
    ObjectPattern,
    Pattern,
    Return,
    Statement,
    Switch,
    Unary,
    Validation,
    While,
)
from ..syntax.scopes import Blocks, Frame, ModuleScope, Variable
from ..syntax.source import Position
from .resolve_calls import CallResolver

MAX_LOOPS = 15  # inside each other; Python's own limit is 20 blocks


class BodyResolver(CallResolver):
    """Resolves one body: a handler, a function or a constant's value.

    `place` says what is possible there: `http` and `socket` handlers, a `function`, a `constant`.
    """

    # --- statements ------------------------------------------------------------------------------

    def block(self, block: Block) -> None:
        """A block with names of its own."""
        self.blocks.push()
        self.statements(block.statements)
        self.blocks.pop()

    def statements(self, statements: Iterable[Statement]) -> None:
        """Statements of the block that is open."""
        for statement in statements:
            self._statement(statement)

    def _statement(self, node: Statement) -> None:
        match node:
            case Let():
                self._let(node)
            case Assign():
                self._assign(node)
            case Return():
                self._return(node)
            case Guard():
                self.expression(node.condition)
            case Validation():
                self.expression(node.call)
            case If():
                for condition, body in node.branches:
                    self.expression(condition)
                    self.block(body)
                if node.otherwise:
                    self.block(node.otherwise)
            case While():
                self.expression(node.condition)
                self._loop(node.at, node.body)
            case For():
                self._for(node)
            case Switch():
                self.expression(node.subject)
                self._cases(node)
                if node.default:
                    self.block(node.default)
            case Break() | Continue():
                if not self.frame.loops:
                    word = "break" if isinstance(node, Break) else "continue"
                    self.report.add("not-in-a-loop", node.at, word=word)
            case Assert():
                self.expression(node.condition)
                if node.message:
                    self.expression(node.message)
            case Evaluate():
                self.expression(node.value)

    def _cases(self, node: Switch) -> None:
        seen: set[tuple[bool, object]] = set()
        for value, body in node.cases:
            self.expression(value)
            if isinstance(value, LiteralValue):
                found = isinstance(value.value, bool), value.value  # 1 is no true
                if found in seen:
                    self.report.add("duplicate-case", value.at)
                seen.add(found)
            self.block(body)

    def _let(self, node: Let) -> None:
        if node.value is not None:
            self.expression(node.value)
        name = node.name
        if self.blocks.is_here(name):
            hint = "assign it without `$`, or choose another name"
            self.report.add("already-declared", node.at, hint=hint, name=name)
            return
        if name == "ws" and self.place == "socket":
            self.report.add("already-declared", node.at, name=name)
            return
        found = self.blocks.find_declared(name)
        if found is not None:
            node.is_declaration = False
            node.variable = self._assigned(found)
        elif name in self.module.constants:
            self.report.add("assigned-constant", node.at, name=name)
        else:
            node.variable = self.blocks.declare(name)

    def _assign(self, node: Assign) -> None:
        self.expression(node.value)
        target = node.target
        if not isinstance(target, Name):
            self._check_root(target)
            self.expression(target)
            return
        found = self.blocks.find(target.name)
        if found is not None:
            target.variable = self._assigned(found)
        elif target.name in self.module.constants:
            self.report.add("assigned-constant", target.at, name=target.name)
        else:
            if target.name in self.report.lost:
                return
            hint = did_you_mean(target.name, self.blocks.visible())
            self.report.add("assigned-unknown", target.at, hint=hint or None, name=target.name)

    def _check_root(self, target: Expression) -> None:
        while isinstance(target, Field | Index):
            target = target.base
        if isinstance(target, Name) and self.blocks.find(target.name) is None:
            if target.name in self.module.constants:
                self.report.add("assigned-constant", target.at, name=target.name)
                target.variable = self.module.constants[target.name]

    def _assigned(self, variable: Variable) -> Variable:
        variable.is_assigned = True
        variable.declared = None  # it may be something else from now on
        if variable.frame is not self.frame and variable not in self.frame.assigns:
            self.frame.assigns.append(variable)
        return variable

    def _return(self, node: Return) -> None:
        if node.value is not None:
            self.expression(node.value)
        in_handler = self.place in ("http", "socket") and self.frame.outer is None
        if node.status is not None and not in_handler:
            self.report.add("status-outside-route", node.at)

    def _loop(self, at: Position, body: Block) -> None:
        if self.frame.loops == MAX_LOOPS:
            self.report.add("loops-too-deep", at, limit=MAX_LOOPS)
        self.frame.loops += 1
        self.block(body)
        self.frame.loops -= 1

    def _for(self, node: For) -> None:
        self.expression(node.iterable)
        self.blocks.push()
        for binding in (node.key, node.value):
            if binding is not None:
                self.bind(binding)
        self._loop(node.at, node.body)
        self.blocks.pop()

    def bind(self, binding: Binding) -> None:
        """Declare a name in the block that is open; the same name twice is one variable."""
        found = self.blocks.find_declared(binding.name) if self._is_here(binding.name) else None
        binding.variable = found or self.blocks.declare(binding.name)

    def _is_here(self, name: str) -> bool:
        return self.blocks.is_here(name)

    # --- expressions -----------------------------------------------------------------------------

    def expression(self, node: Expression) -> None:
        """An expression and everything in it, in the order of evaluation."""
        match node:
            case LiteralValue():
                pass
            case Name():
                self.name(node)
            case Field():
                self.field(node)
            case Call():
                self.call(node)
            case Index():
                self.expression(node.base)
                self.expression(node.index)
            case Binary():
                self.expression(node.first)
                for operation in node.rest:
                    self.expression(operation.right)
            case Logical():
                self._all(node.operands)
            case Unary():
                self.expression(node.operand)
            case ArrayLiteral():
                self._all(node.items)
            case ObjectLiteral():
                for _, value in node.entries:
                    self.expression(value)
            case Match():
                self._match(node)
            case Async():
                self._async(node)
            case Await():
                self.expression(node.value)

    def _all(self, nodes: Iterable[Expression]) -> None:
        for node in nodes:
            self.expression(node)

    def _match(self, node: Match) -> None:
        self.expression(node.subject)
        for case in node.cases:
            self.blocks.push()
            self._pattern(case.pattern)
            if case.guard is not None:
                self.expression(case.guard)
            self.expression(case.result)
            self.blocks.pop()

    def _pattern(self, node: Pattern) -> None:
        match node:
            case LiteralPattern():
                pass
            case Binding():
                if node.name != "_":
                    self.bind(node)
            case ObjectPattern():
                for _, pattern in node.entries:
                    self._pattern(pattern)
            case ArrayPattern():
                for item in node.items:
                    self._pattern(item)
                if node.rest is not None:
                    self._pattern(node.rest)

    def _async(self, node: Async) -> None:
        outer = self.frame
        self.frame = self.blocks.frame = Frame(outer)
        self.block(node.body)
        node.assigns = self.frame.assigns
        self.frame = self.blocks.frame = outer


def resolve_body(
    module: ModuleScope,
    report: Report,
    place: str,
    given: Iterable[str],
    own: Iterable[tuple[str, Position]] = (),
) -> BodyResolver:
    """A resolver for one body, with what the language gives it and the names it begins with.

    A name of `own` that comes twice is reported.
    """
    frame = Frame()
    resolver = BodyResolver(module, report, place, Blocks(frame, given), frame)
    resolver.blocks.push()
    for name, at in own:
        if resolver.blocks.is_here(name):
            report.add("already-declared", at, name=name)
        else:
            resolver.blocks.declare(name, "parameter")
    return resolver
