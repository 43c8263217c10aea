"""Parsing of statements and blocks."""

from __future__ import annotations

from .diagnostics import Problem
from .expressions import ExpressionParser
from .lexer import Token
from .nodes import (
    Assert,
    Assign,
    Async,
    Await,
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
    Match,
    Name,
    Return,
    Statement,
    Switch,
    Validation,
    While,
)
from .source import Position

_STATEMENT_WORDS = ("if", "while", "for", "switch", "let", "return", "break", "continue", "assert")


class StatementParser(ExpressionParser):
    """The part of the parser for the bodies of routes, events and functions."""

    def block(self) -> Block:
        """`{ statements }`; the brace may stand on the next line."""
        self.skip_newlines()
        opening = self.expect("{", "`{`")
        statements: list[Statement] = []
        with self.nested():
            while self.next_statement(opening):
                try:
                    statements.append(self.statement())
                except Problem:
                    self.recover(opening.depth + 1)
        return Block(statements, at=opening.position)

    def next_statement(self, opening: Token) -> bool:
        """Skip newlines; True at another entry of the block, False behind its closing brace."""
        self.skip_newlines()
        if self.current.depth <= opening.depth and self.accept("}"):
            return False
        if self.at("end") or self.at_item_start():
            # The brace is missing. Every block around this one would say the same.
            self.fail("`}`", f"the `{{` of line {opening.position.line} has no `}}`")
        return True

    def statement(self) -> Statement:
        """One statement."""
        token = self.current
        at = token.position
        match token.kind:
            case "$":
                self.advance()
                return self._let(at)
            case ">":
                self.advance()
                return self._return(at, self.expression())
            case "?":
                return self._guard()
            case "word":
                # `if = 1` assigns: these words are reserved only where they begin a statement.
                if token.text in _STATEMENT_WORDS and self.peek().kind != "=":
                    return self._worded(token.text, at)
                if token.text == "yield" and self.peek().kind not in (".", "[", "(", "="):
                    self.stop_at_unsupported("server-sent-events", at)
        if token.kind in ("+", "%", "<"):
            self.error("not-in-this-body", at, entry=token.kind)
        if token.kind not in ("word", "(", "[", "{", "string", "int", "float"):
            self.fail("a statement")
        return self._assignment_or_call(at)

    def _worded(self, word: str, at: Position) -> Statement:
        self.advance()
        match word:
            case "if":
                return self._if(at)
            case "while":
                return While(self.expression(), self.block(), at=at)
            case "for":
                return self._for(at)
            case "switch":
                return self._switch(at)
            case "let":
                return self._let(at)
            case "break":
                return Break(at=at)
            case "continue":
                return Continue(at=at)
            case "assert":
                return self._assert(at)
        nothing = self.at("newline") or self.at("}") or self.at("end")
        return self._return(at, None if nothing else self.expression())

    # --- values ----------------------------------------------------------------------------------

    def _let(self, at: Position) -> Statement:
        name = self.name("a variable name")
        if self.at(".") or self.at("["):
            target = self._target(Name(name.text, at=name.position))
            self.expect("=")
            return Assign(target, self.expression(), at=at)
        declared = self.type_expression() if self.accept(":") else None
        value: Expression | None = None
        if declared is None:
            self.expect("=")
            value = self.expression()
        elif self.accept("="):
            value = self.expression()
        return Let(name.text, declared, value, at=name.position)

    def _target(self, base: Expression) -> Field | Index:
        """The fields and indexes behind a name that is assigned to."""
        steps = 0
        while True:
            token = self.current
            if self.accept("."):
                name = self.any_word("a field name")
                base = Field(base, name.text, at=name.position)
            elif self.accept("["):
                base = Index(base, self.expression(), at=token.position)
                self.expect("]")
            else:
                assert isinstance(base, Field | Index)
                return base
            steps = self.count(steps)

    def _assignment_or_call(self, at: Position) -> Statement:
        value = self.expression()
        if self.at("="):
            if not isinstance(value, Name | Field | Index):
                self.error("bad-target", at)
            self.advance()
            return Assign(value, self.expression(), at=at)
        if isinstance(value, Name) and self.at(":"):
            self.fail("`=`", "`$ name: Type = value` declares a variable with a type")
        if not isinstance(value, Call | Field | Await | Async | Match):
            self.error("no-effect", at)
        return Evaluate(value, at=at)

    def _return(self, at: Position, value: Expression | None) -> Return:
        status: int | None = None
        if self.at_double_colon():
            status = self._status()
        return Return(value, status, at=at)

    def _status(self) -> int:
        self.advance()
        self.advance()
        token = self.expect("int", "a status code")
        assert isinstance(token.value, int)
        if not 100 <= token.value <= 599:
            self.error("bad-status", token.position, status=token.value)
        return token.value

    def _guard(self) -> Statement:
        at = self.advance().position
        condition = self.expression()
        if self.at_double_colon():
            status = self._status()
            text = self.accept("string")
            return Guard(condition, status, str(text.value) if text else "", at=at)
        if not isinstance(condition, Call):
            self.fail(
                "`::` and a status",
                '`? condition :: 404 "text"` is a guard, `? check(value)` a validation',
            )
        return Validation(condition, _called(condition), at=at)

    def _assert(self, at: Position) -> Assert:
        self.expect("(")
        arguments = self.listed(")", self.expression, "`,` or `)`")
        if not 1 <= len(arguments) <= 2:
            self.error("bad-assert", at)
        return Assert(arguments[0], arguments[1] if len(arguments) == 2 else None, at=at)

    # --- control flow ----------------------------------------------------------------------------

    def _if(self, at: Position) -> If:
        branches = [(self.expression(), self.block())]
        while self._else_follows():
            self.skip_newlines()
            self.advance()
            if not self.accept_word("if"):
                return If(branches, self.block(), at=at)
            branches.append((self.expression(), self.block()))
            self.count(len(branches))
        return If(branches, None, at=at)

    def _else_follows(self) -> bool:
        distance = 0
        while self.peek(distance).kind == "newline":
            distance += 1
        token = self.peek(distance)
        return token.kind == "word" and token.text == "else"

    def _for(self, at: Position) -> For:
        first = self._binding()
        second = self._binding() if self.accept(",") else None
        if not self.accept_word("in"):
            self.fail("`in`")
        iterable = self.expression()
        key, value = (None, first) if second is None else (first, second)
        return For(key, value, iterable, self.block(), at=at)

    def _binding(self) -> Binding:
        token = self.name("a name")
        return Binding(token.text, at=token.position)

    def _switch(self, at: Position) -> Switch:
        subject = self.expression()
        self.skip_newlines()
        opening = self.expect("{", "`{` after the value to switch on")
        cases: list[tuple[Expression, Block]] = []
        default: Block | None = None
        with self.nested():
            while self.next_statement(opening):
                token = self.current
                if self.accept_word("case"):
                    cases.append((self.expression(), self.block()))
                    self.count(len(cases))
                elif self.accept_word("default"):
                    if default is not None:
                        self.error("second-default", token.position)
                    default = self.block()
                else:
                    self.fail("`case`, `default` or `}`")
        return Switch(subject, cases, default, at=at)


def _called(call: Call) -> str:
    """What a call is called in a message: the name, with what stands before its dot."""
    if isinstance(call.callee, Name):
        return call.callee.name
    if isinstance(call.callee, Field):
        base = call.callee.base
        prefix = f"{base.name}." if isinstance(base, Name) else ""
        return prefix + call.callee.name
    return "validation"
