"""A place in the token list: looking ahead, taking tokens, and what to do when one is wrong.

The parser is recursive descent, written by hand: where a newline ends a statement, where it does
not, what `?`, `>` or `+` mean at the start of a statement, and where parsing goes on after an error
are each one `if` at the place they matter; in a generated parser they would be conventions spread
over a grammar, a lexer and a post-processor.

`Problem` unwinds to the nearest loop over statements or items, which skips the rest of what is
broken and goes on, so one run reports every independent error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

from .diagnostics import Problem, Report
from .habits import CONTINUES, DECLARES, OPERATORS, OURS, PREFIXES, WORDS
from .lexer import RESERVED, Token
from .rules import RULES
from .source import Position

MAX_NESTING = 100  # brackets, expressions and blocks inside each other; each costs stack
MAX_CHAIN = 300  # operands of one chain, postfix steps, else-if branches

_ITEM_STARTS = frozenset("@:!*~&")
_ITEM_WORDS = frozenset(
    "const import from module type test contract trait provider macro quote".split()
)
_T = TypeVar("_T")


class Cursor:
    """The tokens of one file and the current one."""

    def __init__(self, tokens: list[Token], report: Report) -> None:
        self.tokens = tokens
        self.report = report
        self.index = 0
        self.current = tokens[0]
        self.unsupported: str | None = None  # of the item being parsed: the first reason
        self._depth = 0
        # Where characters could not be read, what the parser makes of the rest is no news.
        self._unreadable = {found.line for found in report.diagnostics}

    # --- looking and taking ----------------------------------------------------------------------

    def peek(self, distance: int = 1) -> Token:
        """The token `distance` places ahead; the last one beyond the end."""
        return self.tokens[min(self.index + distance, len(self.tokens) - 1)]

    def advance(self) -> Token:
        """Take the current token."""
        token = self.current
        if token.kind != "end":
            self.index += 1
            self.current = self.tokens[self.index]
        return token

    def at(self, kind: str) -> bool:
        """Return whether the current token is of this kind (an operator's kind is its text)."""
        return self.current.kind == kind

    def at_word(self, text: str) -> bool:
        """Return whether the current token is this word."""
        return self.current.kind == "word" and self.current.text == text

    def at_double_colon(self) -> bool:
        """Return whether `::` follows, glued or not."""
        return self.current.kind == ":" and self.peek().kind == ":"

    def accept(self, kind: str) -> Token | None:
        """Take the current token if it is of this kind."""
        return self.advance() if self.current.kind == kind else None

    def accept_word(self, text: str) -> Token | None:
        """Take the current token if it is this word."""
        return self.advance() if self.at_word(text) else None

    def accept_glued(self, kind: str) -> bool:
        """Take a symbol, also where it is glued to a `=` that means something else (`int!=1`)."""
        token = self.current
        if token.kind == kind + "=":
            line, column, _ = token.position
            rest = Position(line, column + 1, 1)
            self.current = token._replace(kind="=", text="=", position=rest)
            return True
        return self.accept(kind) is not None

    def newlines(self) -> int:
        """Count the newlines here."""
        distance = 0
        while self.peek(distance).kind == "newline":
            distance += 1
        return distance

    def skip_newlines(self) -> None:
        """Take the newlines here."""
        while self.current.kind == "newline":
            self.advance()

    def expect(self, kind: str, wanted: str = "", hint: str | None = None) -> Token:
        """Take a token that must be of this kind."""
        if self.current.kind != kind:
            self.fail(wanted or f"`{kind}`", hint)
        return self.advance()

    def name(self, wanted: str) -> Token:
        """Take an identifier; reserved words are none."""
        token = self.current
        if token.kind != "word":
            self.fail(wanted)
        if token.text in RESERVED:
            self.error("reserved-word", token.position, word=token.text)
        return self.advance()

    def any_word(self, wanted: str) -> Token:
        """Take a word that may be reserved, as after a dot or as an object key."""
        return self.expect("word", wanted)

    # --- errors ----------------------------------------------------------------------------------

    def here(self) -> Position:
        """Return where an unexpected current token is reported.

        The first token of a line usually means that the line before lacks something, so then (and
        at the end of a line or of the file) it is the place behind the last token.
        """
        token = self.current
        if not (token.starts_line or token.kind in ("newline", "end")):
            return token.position
        index = self.index - 1
        while index >= 0 and self.tokens[index].kind == "newline":
            index -= 1
        return self.tokens[index].end if index >= 0 else token.position

    def fail(self, wanted: str, hint: str | None = None) -> NoReturn:
        """Report that `wanted` was expected here, and unwind.

        An operator or a word of another language is reported as that.
        """
        if self.at("=>") and self.index and self.tokens[self.index - 1].kind == "word":
            self.refuse("lambdas", self.tokens[self.index - 1].position)
            raise Problem
        self._fail_if_foreign()
        self.error("expected", self.here(), hint=hint, wanted=wanted, found=self.describe())

    def _fail_if_foreign(self) -> None:
        tokens, at = self.tokens, self.index
        for first in range(max(0, at - 2), min(at + 1, len(tokens) - 1)):
            left, right = tokens[first], tokens[first + 1]
            what = left.text + right.text
            if what in OPERATORS and left.end[:2] == right.position[:2]:
                self.foreign(what, OPERATORS[what], left.position)
        if self.current.kind in ("&", "|"):
            self.foreign(self.current.text, OPERATORS[self.current.text], self.current.position)
        before = tokens[at - 1] if at and not self.current.starts_line else self.current
        for token in (before, self.current):  # `not y`, `x and y`
            known = WORDS if token is self.current else PREFIXES
            if token.kind == "word" and token.text in known and not token.starts_line:
                self.foreign(token.text, WORDS[token.text], token.position)

    def foreign(self, what: str, instead: str, position: Position) -> NoReturn:
        """Report what another language has and Glyph does not, and unwind."""
        at = Position(position.line, position.column, len(what))
        if what in OURS:
            self.error("misplaced", at, what=what, instead=instead)
        self.error("not-in-glyph", at, what=what, instead=instead)

    def error(
        self, code: str, position: Position, *, hint: str | None = None, **gaps: object
    ) -> NoReturn:
        """Report a broken rule and unwind."""
        if position.line not in self._unreadable:
            self.report.add(code, position, hint=hint, **gaps)
        raise Problem

    def refuse(self, code: str, position: Position, **gaps: object) -> None:
        """Report something known and unsupported, and go on parsing."""
        self.report.add(code, position, hint=None, **gaps)
        if self.unsupported is None:
            self.unsupported = RULES[code].message.format_map(gaps)

    def describe(self) -> str:
        """The current token in words."""
        token = self.current
        if token.kind == "newline":
            return "the end of the line"
        if token.kind == "end":
            return "the end of the file"
        if token.kind == "string":
            return "a string"
        text = token.text if len(token.text) <= 30 else token.text[:30] + "…"
        return f"`{text}`"

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Count one level of nesting; too many are an error at the current token."""
        if self._depth >= MAX_NESTING:
            self.error("too-deep", self.current.position, limit=MAX_NESTING)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    # --- going on after an error -----------------------------------------------------------------

    def at_item_start(self) -> bool:
        """Return whether the current token can only begin a new top-level item."""
        token = self.current
        if not token.starts_line:
            return False
        if token.position.column > 1:
            return token.kind == "@"
        return token.kind in _ITEM_STARTS or token.text in _ITEM_WORDS

    def recover(self, depth: int, started: int) -> None:
        """Skip the rest of a broken statement in a block whose statements stand at `depth`.

        Stops at the newline that ends it, or at the brace that closes the block. The statement
        began at index `started`; the names it was to declare are known to be lost.
        """
        while not self.at("end") and not self.at_item_start():
            token = self.current
            if token.depth < depth or (token.kind == "newline" and token.depth == depth):
                if not self._goes_on():
                    break
            self.advance()
        self._lose(started)

    def _goes_on(self) -> bool:
        """Return whether the next line goes on with `else`, or the like, of a statement before."""
        distance = self.newlines()
        return distance > 0 and self.peek(distance).text in CONTINUES

    def _lose(self, started: int) -> None:
        skipped = self.tokens[started : self.index + 1]
        for token, following in zip(skipped, skipped[1:], strict=False):
            if following.kind == "word" and token.text in DECLARES:
                self.report.lost.add(following.text)

    def recover_item(self, started: int) -> None:
        """Skip to what looks like the next item; the broken one began at index `started`."""
        if self.index == started:
            self.advance()
        while not self.at("end") and not self.at_item_start():
            self.advance()
        self._lose(started)

    def listed(self, close: str, element: Callable[[], _T], wanted: str) -> list[_T]:
        """The elements up to the bracket `close`, separated by commas, one may trail."""
        elements: list[_T] = []
        with self.nested():
            self.skip_newlines()
            while not self.at(close):
                elements.append(element())
                self.skip_newlines()
                if not self.accept(","):
                    break
                self.skip_newlines()
            self.expect(close, wanted)
        return elements

    def skip_balanced(self) -> None:
        """Take a bracketed group, whatever is inside. The current token opens it."""
        depth = self.advance().depth
        while not self.at("end") and self.current.depth > depth:
            self.advance()
        if not self.at("end"):
            self.advance()
