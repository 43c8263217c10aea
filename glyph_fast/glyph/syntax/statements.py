"""Parsing of statements and blocks."""

from __future__ import annotations

from typing import NoReturn

from .diagnostics import Problem
from .expressions import ExpressionParser
from .habits import ELSE_IF, FORMATTED, STATEMENTS, WORDS
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
    LiteralValue,
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
        hint = "a block stands in `{ }`" if self.at(":") or self.at("=>") else None
        opening = self.expect("{", "`{`", hint)
        statements: list[Statement] = []
        with self.nested():
            while self.next_statement(opening):
                started = self.index
                try:
                    statements.append(self.statement())
                except Problem:
                    self.recover(opening.depth + 1, started)
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
        if token.text == "const":
            self.foreign("const", STATEMENTS["const"], at)
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
        started = self.index
        value = self.expression()
        if self.at("="):
            if not isinstance(value, Name | Field | Index):
                self.error("bad-target", at)
            self.advance()
            return Assign(value, self.expression(), at=at)
        if isinstance(value, Name) and self.at(":"):
            self.report.lost.add(value.name)
            self.fail("`=`", "`$ name: Type = value` declares a variable with a type")
        if not isinstance(value, Call | Field | Await | Async | Match):
            self._fail_without_effect(value, at, self.tokens[started - 1])
        return Evaluate(value, at=at)

    def _fail_without_effect(self, value: Expression, at: Position, before: Token) -> NoReturn:
        """Report a value that stands alone: mostly a word of another language, or behind one."""
        if isinstance(value, Name) and value.name in STATEMENTS:
            if self.at("word"):
                self.report.lost.add(self.current.text)  # `var x`
            self.foreign(value.name, STATEMENTS[value.name], value.at)
        if before.kind == "word" and before.position.line == at.line:
            self.report.lost.add(before.text)
            if before.text in WORDS:
                self.foreign(before.text, WORDS[before.text], before.position)
            if isinstance(value, LiteralValue) and before.end[:2] == at[:2]:
                self.foreign(before.text + '"…"', FORMATTED, before.position)
        self.error("no-effect", at)

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
        starts_line = self.current.starts_line
        at = self.advance().position
        condition = self.expression()
        if self.at_double_colon():
            status = self._status()
            text = self.accept("string")
            return Guard(condition, status, str(text.value) if text else "", at=at)
        if self.at(":") and not starts_line:
            self.foreign("? :", "`if c { … } else { … }`, or `match c { true => a, _ => b }`", at)
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
            word = self.advance()
            if word.text in ELSE_IF:
                self.report.add(
                    "not-in-glyph", word.position, what=word.text, instead="write `else if`"
                )
            elif not self.accept_word("if"):
                return If(branches, self.block(), at=at)
            branches.append((self.expression(), self.block()))
            self.count(len(branches))
        return If(branches, None, at=at)

    def _else_follows(self) -> bool:
        distance = self.newlines()
        token = self.peek(distance)
        if token.text in ELSE_IF:
            return self._is_condition(distance + 1)
        return token.kind == "word" and token.text == "else"

    def _is_condition(self, distance: int) -> bool:
        """Return whether a condition and a block stand there; `elif` may be any name, too."""
        token = self.peek(distance)
        if token.kind != "(":
            return token.kind in ("word", "!", "-", "string", "int", "float")
        distance += 1
        while self.peek(distance).depth > token.depth and self.peek(distance).kind != "end":
            distance += 1
        return self.peek(distance + 1).kind == "{"

    def _for(self, at: Position) -> For:
        first = self._binding()
        second = self._binding() if self.accept(",") else None
        if not self.accept_word("in"):
            self.fail("`in`")
        iterable = self.expression()
        key, value = (None, first) if second is None else (first, second)
        return For(key, value, iterable, self.block(), at=at)

    def _binding(self) -> Binding:
        if self.at("("):
            self.fail("a name", "`for v in array { … }`, without parentheses")
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
    """Return the name of a call for a message, with what stands before its dot."""
    if isinstance(call.callee, Name):
        return call.callee.name
    if isinstance(call.callee, Field):
        base = call.callee.base
        prefix = f"{base.name}." if isinstance(base, Name) else ""
        return prefix + call.callee.name
    return "validation"
