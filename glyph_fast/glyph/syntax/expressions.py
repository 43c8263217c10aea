"""Parsing of types, expressions and patterns."""

from __future__ import annotations

from typing import NoReturn

from .cursor import MAX_CHAIN, Cursor
from .diagnostics import Problem
from .nodes import (
    ArrayLiteral,
    ArrayPattern,
    ArrayType,
    Async,
    Await,
    Binary,
    Binding,
    Block,
    Call,
    Expression,
    Field,
    FunctionType,
    Index,
    LiteralPattern,
    LiteralValue,
    Logical,
    Match,
    MatchCase,
    Name,
    NamedType,
    ObjectLiteral,
    ObjectPattern,
    Operation,
    OptionalType,
    Pattern,
    Scalar,
    TypeExpression,
    Unary,
    UnionType,
)
from .source import Position

# Loosest first; the comparisons are one level: `1 < 2 == true` is `(1 < 2) == true`.
_LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"||"}),
    frozenset({"&&"}),
    frozenset({"==", "!=", "<", "<=", ">", ">="}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)
_MAX_TYPE_SUFFIXES = 10
_WORD_LITERALS: dict[str, Scalar] = {"true": True, "false": False, "null": None}


class ExpressionParser(Cursor):
    """The part of the parser for everything inside statements."""

    _in_guard = False  # of a match case, not counting what is in brackets there

    def block(self) -> Block:
        """A block of statements; the statement parser provides it."""
        raise NotImplementedError

    # --- expressions -----------------------------------------------------------------------------

    def expression(self) -> Expression:
        """An expression; pipes are the loosest operator."""
        with self.nested():
            if self.at_word("await"):
                at = self.advance().position
                return Await(self.expression(), at=at)
            left = self._binary(0)
            steps = 0
            while self.at("|>"):
                left = self._pipe(left)
                steps = self.count(steps)
            return left

    def _pipe(self, value: Expression) -> Expression:
        """`value |> f` and `value |> f(a)` are calls with `value` as the first argument."""
        at = self.advance().position
        self.skip_newlines()
        step = self._postfix()
        if isinstance(step, Call):
            step.arguments.insert(0, value)
            step.piped = True
            return step
        if isinstance(step, Name | Field):
            return Call(step, [value], piped=True, at=step.at)
        self.error("bad-pipe", at)

    def _binary(self, level: int) -> Expression:
        if level == len(_LEVELS):
            return self._unary()
        first = self._binary(level + 1)
        operators = _LEVELS[level]
        if self.current.kind not in operators:
            return first
        rest: list[Operation] = []
        while self.current.kind in operators:
            token = self.advance()
            self.skip_newlines()
            rest.append(Operation(token.kind, self._binary(level + 1), at=token.position))
            self.count(len(rest))
        if level == 0:
            return Logical("||", [first, *(step.right for step in rest)], at=rest[0].at)
        if level == 1:
            return Logical("&&", [first, *(step.right for step in rest)], at=rest[0].at)
        return Binary(first, rest, at=rest[0].at)

    def _unary(self) -> Expression:
        token = self.current
        if token.kind == "!" or token.kind == "-":
            self.advance()
            with self.nested():
                operand = self._unary()
            if token.kind == "-" and isinstance(operand, LiteralValue):
                number = operand.value
                if isinstance(number, int | float) and not isinstance(number, bool):
                    return LiteralValue(-number, at=token.position)
            return Unary("!" if token.kind == "!" else "-", operand, at=token.position)
        return self._postfix()

    def _postfix(self) -> Expression:
        value = self._primary()
        steps = 0
        while True:
            token = self.current
            if token.kind == ".":
                self.advance()
                name = self.any_word("a field name")
                value = Field(value, name.text, at=name.position)
            elif token.kind == "[":
                self.advance()
                with self.nested():
                    index = self.expression()
                self.expect("]")
                value = Index(value, index, at=token.position)
            elif token.kind == "(":
                value = self._call(value)
            else:
                return value
            steps = self.count(steps)

    def _call(self, callee: Expression) -> Call:
        opening = self.advance()
        arguments = self.listed(")", self.expression, "`,` or `)`")
        at = callee.at if isinstance(callee, Name | Field) else opening.position
        return Call(callee, arguments, at=at)

    def count(self, steps: int) -> int:
        """One more step of a chain; too many are an error."""
        if steps >= MAX_CHAIN:
            self.error("chain-too-long", self.current.position, limit=MAX_CHAIN)
        return steps + 1

    def _primary(self) -> Expression:
        token = self.current
        at = token.position
        if token.kind in ("int", "float", "string"):
            self.advance()
            return LiteralValue(token.value, at=at)
        if token.kind == "word":
            return self._word()
        if token.kind == "(":
            return self._parenthesis()
        if token.kind == "[":
            self.advance()
            return ArrayLiteral(self.listed("]", self.expression, "`,` or `]`"), at=at)
        if token.kind == "{":
            return self._object()
        self.fail("a value")

    def _word(self) -> Expression:
        token = self.current
        word, at = token.text, token.position
        if word in _WORD_LITERALS:
            self.advance()
            return LiteralValue(_WORD_LITERALS[word], at=at)
        if word == "match":
            return self._match()
        if word == "async":
            self.advance()
            return Async(self.block(), at=at)
        if word == "await":
            self.advance()
            return Await(self.expression(), at=at)
        if word == "quote":
            self.stop_at_unsupported("macros", at)
        following = self.peek()
        if following.kind == "!" and self.peek(2).kind == "(":
            self.advance()
            self.advance()
            self.stop_at_unsupported("macros", at)
        return Name(self.name("a value").text, at=at)

    def stop_at_unsupported(self, code: str, position: Position) -> NoReturn:
        """Report something known and unsupported whose rest cannot be parsed, and unwind."""
        self.refuse(code, position)
        raise Problem

    def _parenthesis(self) -> Expression:
        opening = self.advance()
        if self.at(")") and self.peek().kind == "=>":
            self.stop_at_unsupported("lambdas", opening.position)
        in_guard, self._in_guard = self._in_guard, False
        with self.nested():
            value = self.expression()
        self._in_guard = in_guard
        # `(x) => e` is a lambda, but `when (x) => e` a guard and its result.
        if self.at(",") or (not in_guard and self.at(")") and self.peek().kind == "=>"):
            self.stop_at_unsupported("lambdas", opening.position)
        self.expect(")")
        return value

    def _object(self) -> ObjectLiteral:
        at = self.advance().position
        hint = "entries of an object are separated by commas"
        entries: list[tuple[str, Expression]] = []
        with self.nested():
            self.skip_newlines()
            while not self.at("}"):
                place = self.current.position
                entry = self._entry()
                if any(key == entry[0] for key, _ in entries):
                    self.report.add("duplicate-key", place, key=entry[0])
                entries.append(entry)
                self.skip_newlines()
                if not self.accept(","):
                    break
                self.skip_newlines()
            if not self.at("}"):
                self.fail("`,` or `}`", hint if self.current.kind in ("word", "string") else None)
            self.advance()
        return ObjectLiteral(entries, at=at)

    def _entry(self) -> tuple[str, Expression]:
        """`key: value`, `"key": value`, or the older `:key = value`."""
        if self.accept(":"):
            key = self.any_word("a key").text
            self.expect("=")
            return key, self.expression()
        key = self._key()
        self.expect(":", "`:` after the key")
        self.skip_newlines()
        return key, self.expression()

    def _key(self) -> str:
        if self.at("string"):
            return str(self.advance().value)
        return self.any_word("a key").text

    # --- match -----------------------------------------------------------------------------------

    def _match(self) -> Match:
        at = self.advance().position
        subject = self.expression()
        self.skip_newlines()
        self.expect("{", "`{` after the value to match")
        cases: list[MatchCase] = []
        with self.nested():
            self.skip_newlines()
            while not self.at("}"):
                cases.append(self._case())
                self.accept(",")
                self.skip_newlines()
            self.advance()
        return Match(subject, cases, at=at)

    def _case(self) -> MatchCase:
        at = self.current.position
        pattern = self.pattern()
        guard = self._guard_of_case() if self.accept_word("when") else None
        self.expect("=>", "`=>` after the pattern")
        self.skip_newlines()
        return MatchCase(pattern, guard, self.expression(), at=at)

    def _guard_of_case(self) -> Expression:
        self._in_guard = True
        try:
            return self.expression()
        finally:
            self._in_guard = False

    def pattern(self) -> Pattern:
        """A pattern of a match case."""
        token = self.current
        at = token.position
        with self.nested():
            if token.kind in ("int", "float", "string"):
                self.advance()
                return LiteralPattern(token.value, at=at)
            if token.kind == "-" and self.peek().kind in ("int", "float"):
                self.advance()
                number = self.advance().value
                assert isinstance(number, int | float)
                return LiteralPattern(-number, at=at)
            if token.kind == "word":
                self.advance()
                if token.text in _WORD_LITERALS:
                    return LiteralPattern(_WORD_LITERALS[token.text], at=at)
                return Binding(token.text, at=at)
            if token.kind == "{":
                self.advance()
                return ObjectPattern(self.listed("}", self._pattern_entry, "`,` or `}`"), at=at)
            if token.kind == "[":
                return self._array_pattern()
            self.fail("a pattern")

    def _pattern_entry(self) -> tuple[str, Pattern]:
        token = self.current
        key = self._key()
        if self.accept(":"):
            return key, self.pattern()
        return key, Binding(key, at=token.position)

    def _array_pattern(self) -> ArrayPattern:
        at = self.advance().position
        items: list[Pattern] = []
        rest: Binding | None = None
        while not self.at("]"):
            if self.accept("..."):
                name = self.name("a name for the rest")
                rest = Binding(name.text, at=name.position)
                break
            items.append(self.pattern())
            if not self.accept(","):
                break
        self.expect("]", "`]` after the rest" if rest else "`,` or `]`")
        return ArrayPattern(items, rest, at=at)

    # --- types -----------------------------------------------------------------------------------

    def type_expression(self) -> TypeExpression:
        """A type, unions included."""
        first = self._single_type()
        if not self.at("|"):
            return first
        members = [first]
        while self.accept("|"):
            members.append(self._single_type())
        return UnionType(members, at=first.at)

    def _single_type(self) -> TypeExpression:
        token = self.current
        with self.nested():
            kind: TypeExpression
            if token.kind == "[":
                self.advance()
                kind = ArrayType(self.type_expression(), at=token.position)
                self.expect("]")
            elif token.kind == "(":
                self.advance()
                self.listed(")", self.type_expression, "`,` or `)`")
                self.expect("->", "`->` and the result type")
                self.type_expression()
                kind = FunctionType(at=token.position)
            else:
                kind = self._named_type()
            steps = 0
            while True:
                if self.at("[") and self.peek().kind == "]":
                    self.advance()
                    self.advance()
                    kind = ArrayType(kind, at=token.position)
                elif self.accept("?"):
                    kind = OptionalType(kind, at=token.position)
                else:
                    return kind
                steps += 1
                if steps > _MAX_TYPE_SUFFIXES:
                    self.error("too-deep", self.current.position, limit=_MAX_TYPE_SUFFIXES)

    def _named_type(self) -> NamedType:
        token = self.name("a type")
        named = NamedType(token.text, at=token.position)
        if self.at(".") and self.peek().kind == "word":
            self.advance()
            named.module, named.name = named.name, self.advance().text
        if self.at("<"):
            self.advance()
            while True:
                named.arguments.append(self.type_expression())
                if not self.accept(","):
                    break
            self.close_angle()
        elif self.at("[") and self.peek().kind != "]":
            self.advance()
            named.arguments = self.listed("]", self.type_expression, "`,` or `]`")
        return named

    def close_angle(self) -> None:
        """The `>` of type arguments, also where it is glued to a following `=`."""
        if not self.accept_glued(">"):
            self.expect(">", "`,` or `>`")
