"""Statements to Python statements."""

from __future__ import annotations

import ast
from typing import Literal

from ..syntax.nodes import (
    Assert,
    Assign,
    Block,
    Break,
    Continue,
    Evaluate,
    Field,
    For,
    Guard,
    If,
    Let,
    Name,
    Node,
    Return,
    Statement,
    Switch,
    Validation,
    While,
)
from ..syntax.scopes import Variable
from ..syntax.source import Position
from . import emit
from .bodies import Body, cost_of
from .expressions import ExpressionCompiler

# How a guard that is not met ends the code: by an answer, silently, or through its caller.
Ending = Literal["answer", "silence", "stop"]


class StatementCompiler(ExpressionCompiler):
    """Compiles one body to the statements of a Python function."""

    def __init__(self, body: Body, ending: Ending, result: str | None = None) -> None:
        self.body = body
        self.ending: Ending = ending
        self.result = result  # the name of the check every returned value has to pass
        self._before: list[ast.stmt] = []  # functions to define before the current statement

    def block(self, block: Block) -> list[ast.stmt]:
        """The statements of a block."""
        compiled: list[ast.stmt] = []
        for node in block.statements:
            statement = self._statement(node)
            compiled += self.take_before()
            compiled += statement
        return compiled

    def take_before(self) -> list[ast.stmt]:
        """The functions that have to be defined before the expressions compiled so far."""
        before, self._before = self._before, []
        return before

    def _inner(self, block: Block) -> list[ast.stmt]:
        """A block inside a statement; what waits to stand before that statement keeps waiting."""
        waiting, self._before = self._before, []
        compiled = self.block(block)
        self._before = waiting
        return compiled

    def _statement(self, node: Statement) -> list[ast.stmt]:
        at = node.at
        match node:
            case Let():
                assert node.variable is not None
                value = emit.constant(None, at)
                if node.value is not None:
                    value = self.expression(node.value)
                return [emit.store(node.variable.python_name, value, at)]
            case Assign():
                return [self._assign(node)]
            case Return():
                return [self._return(node)]
            case Guard():
                unmet = emit.negation(self.condition(node.condition), at)
                text = emit.constant(node.text, at)
                return [emit.when(unmet, [self._end(node.status, text, at)], [], at)]
            case Validation():
                return self._validation(node)
            case If():
                return self._if(node)
            case While():
                return self._while(node)
            case For():
                return self._for(node)
            case Switch():
                return self._switch(node)
            case Break():
                return [ast.Break(**emit.place(at))]
            case Continue():
                return [ast.Continue(**emit.place(at))]
            case Assert():
                return [self._assert(node)]
            case Evaluate():
                return [emit.evaluate(self.expression(node.value), at)]

    # --- values ----------------------------------------------------------------------------------

    def _assign(self, node: Assign) -> ast.stmt:
        value, target = self.expression(node.value), node.target
        if isinstance(target, Name):
            assert target.variable is not None
            return emit.store(target.variable.python_name, value, target.at)
        base = self.expression(target.base)
        if isinstance(target, Field):
            name = emit.constant(target.name, target.at)
            return emit.evaluate(emit.call("set_field", [value, base, name], target.at), node.at)
        arguments = [value, base, self.expression(target.index)]
        return emit.evaluate(emit.call("set_element", arguments, target.at), node.at)

    def _return(self, node: Return) -> ast.stmt:
        at = node.at
        value = emit.constant(None, at) if node.value is None else self.expression(node.value)
        if node.status is not None and self.ending == "answer":
            value = emit.call("with_status", [value, emit.constant(node.status, at)], at)
        elif self.result is not None:
            value = emit.call(self.result, [value], at)
        return emit.give_back(value, at)

    def _end(self, status: int, text: ast.expr, at: Position) -> ast.stmt:
        """End the code for a guard that is not met."""
        if self.ending == "silence":
            return emit.give_back(emit.constant(None, at), at)
        arguments = [emit.constant(status, at), text]
        if self.ending == "answer":
            return emit.give_back(emit.call("refusal", arguments, at), at)
        return emit.evaluate(emit.call("stop", arguments, at), at)

    def _validation(self, node: Validation) -> list[ast.stmt]:
        at = node.at
        function = self._define([emit.give_back(self.expression(node.call), at)], at)
        message = self.body.temporary()
        arguments = [emit.load(function, at), emit.constant(node.name, at)]
        check = emit.store(message, emit.call("validation_error", arguments, at), at)
        nothing = emit.constant(None, at)
        failed = emit.compare(emit.load(message, at), ast.IsNot(), nothing, at)
        return [check, emit.when(failed, [self._end(400, emit.load(message, at), at)], [], at)]

    def _assert(self, node: Assert) -> ast.stmt:
        at = node.at
        message = [self.expression(node.message)] if node.message else []
        failed = emit.evaluate(emit.call("assertion_failed", message, at), at)
        return emit.when(emit.negation(self.condition(node.condition), at), [failed], [], at)

    # --- control flow ----------------------------------------------------------------------------

    def _if(self, node: If) -> list[ast.stmt]:
        otherwise = self._inner(node.otherwise) if node.otherwise else []
        for condition, block in reversed(node.branches):
            test = self.condition(condition)
            otherwise = [emit.when(test, self._inner(block), otherwise, condition.at)]
        return otherwise

    def _while(self, node: While) -> list[ast.stmt]:
        self.body.needs_steps = True
        test = self.condition(node.condition)
        body = [*self._turn(node.at, [node.condition, node.body]), *self._inner(node.body)]
        return [ast.While(test, body, [], **emit.place(node.at))]

    def _for(self, node: For) -> list[ast.stmt]:
        self.body.needs_steps = True
        where = emit.place(node.at)
        names = [binding for binding in (node.key, node.value) if binding is not None]
        targets: list[ast.expr] = [
            ast.Name(_python_name(binding.variable), ast.Store(), **where) for binding in names
        ]
        target = targets[0] if len(targets) == 1 else ast.Tuple(targets, ast.Store(), **where)
        helper = "values" if len(targets) == 1 else "pairs"
        iterable = emit.call(helper, [self.expression(node.iterable)], node.iterable.at)
        body = [*self._turn(node.at, [node.body]), *self._inner(node.body)]
        return [ast.For(target, iterable, body, [], **where)]

    def _turn(self, at: Position, parts: list[Node]) -> list[ast.stmt]:
        """Return what begins a turn of a loop: a step, and the charge for the values it makes."""
        return [emit.take_step(at), *emit.charge(cost_of(parts), at)]

    def _switch(self, node: Switch) -> list[ast.stmt]:
        subject = self.body.temporary()
        store = emit.store(subject, self.expression(node.subject), node.at)
        otherwise = self._inner(node.default) if node.default else []
        for value, block in reversed(node.cases):
            arguments = [emit.load(subject, value.at), self.expression(value)]
            test = emit.call("equal", arguments, value.at)
            otherwise = [emit.when(test, self._inner(block), otherwise, value.at)]
        return [store, *otherwise]

    # --- functions inside the body ---------------------------------------------------------------

    def block_function(self, block: Block, assigns: list[Variable], at: Position) -> str:
        """Define a function of an async block before the current statement."""
        inner = StatementCompiler(self.body, "stop")
        statements: list[ast.stmt] = []
        if assigns:
            names = sorted(variable.python_name for variable in assigns)
            statements.append(ast.Nonlocal(names, **emit.place(at)))
        return self._define([*statements, *inner.block(block)], at)

    def _define(self, statements: list[ast.stmt], at: Position) -> str:
        name = self.body.temporary()
        self._before.append(emit.function(name, [], statements, at))
        return name


def _python_name(variable: Variable | None) -> str:
    assert variable is not None
    return variable.python_name
