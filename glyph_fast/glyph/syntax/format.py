"""The command `fmt`: one layout for all programs.

Two blanks for each level, one between tokens where one belongs, at most one empty line, comments
kept. Lines stay where the author broke them: that is a matter of taste, and often says something.

The tokens are those of the lexer; what a symbol means (is this `<` a comparison or the start of
type arguments, is this brace a block or an object) is asked of the syntax tree. What comes out has
the same tokens as what went in, which is checked.
"""

from __future__ import annotations

from itertools import groupby

from .declarations import Declared, Middleware
from .diagnostics import Diagnostic, Report
from .lexer import Token, tokenize
from .nodes import (
    Guard,
    LiteralPattern,
    LiteralValue,
    Node,
    ObjectLiteral,
    ObjectPattern,
    Operation,
    Return,
    Unary,
    Validation,
)
from .parser import parse
from .source import Source
from .walk import walk

INDENT = "  "

# A bracket behind one of these is not a call or an index.
_KEYWORDS = frozenset(
    "if while for in match switch case when return await async else import from let".split()
)
_VALUE_ENDS = frozenset(("word", "string", "int", "float", ")", "]", "}"))
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")
_CONTINUES = frozenset(("&&", "||", "|>", "=>"))


class CannotFormat(Exception):
    """A program with syntax errors is left alone; `diagnostics` say which."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__("the program has errors")
        self.diagnostics = diagnostics


def format_source(source: Source) -> str:
    """The text of a program in the one layout. Raises CannotFormat."""
    report = Report(source)
    tree = parse(source, report)
    errors = [found for found in report.diagnostics if found.severity == "error"]
    if errors:
        raise CannotFormat(errors)
    text = _Layout(_tokens(source), _Roles(tree.items)).text()
    before, after = _tokens(source), _tokens(Source(source.name, text))
    if [token[:2] for token in before] != [token[:2] for token in after]:
        raise AssertionError("formatting would have changed the program")
    return text


def _tokens(source: Source) -> list[Token]:
    found = tokenize(source, Report(source), comments=True)
    return [token for token in found if token.kind not in ("newline", "end")]


class _Roles:
    """The roles of tokens that the tree knows, by their places."""

    def __init__(self, items: object) -> None:
        self.binary: set[tuple[int, int]] = set()
        self.unary: set[tuple[int, int]] = set()
        self.leading: set[tuple[int, int]] = set()  # symbols at the start of a statement
        self.objects: set[tuple[int, int]] = set()  # opening braces
        self.unparsed: set[int] = set()  # lines
        for node in walk(items):
            self._note(node)

    def _note(self, node: Node) -> None:
        place = node.at[:2]
        match node:
            case Operation():
                self.binary.add(place)
            case Unary() | LiteralValue() | LiteralPattern():
                self.unary.add(place)
            case Return() | Guard() | Validation() | Middleware():
                self.leading.add(place)
            case ObjectLiteral() | ObjectPattern():
                self.objects.add(place)
            case Declared():
                self.unparsed.update(range(place[0], node.last_line + 1))


class _Layout:
    def __init__(self, tokens: list[Token], roles: _Roles) -> None:
        self.tokens = tokens
        self.roles = roles
        self._open: list[tuple[int, bool]] = []  # line of each open bracket, whether an object

    def text(self) -> str:
        lines: list[str] = []
        last_number = index = 0
        previous: Token | None = None
        for number, group in groupby(self.tokens, key=lambda token: token.position.line):
            tokens = list(group)
            if previous is not None and number > last_number + 1:
                if previous.kind not in _OPENING and tokens[0].kind not in _CLOSING:
                    lines.append("")
            lines.append(self._indent(tokens, previous) + self._line(index, tokens))
            index += len(tokens)
            last_number, previous = number, tokens[-1]
        return "\n".join(lines) + "\n" if lines else ""

    def _indent(self, tokens: list[Token], previous: Token | None) -> str:
        """One level for each line that has left brackets open; closing ones end theirs first."""
        closed = 0
        while closed < min(len(tokens), len(self._open)) and tokens[closed].kind in _CLOSING:
            closed += 1
        still_open = self._open[: len(self._open) - closed]
        level = len({line for line, _ in still_open})
        if previous is not None and self._continues(previous):
            level += 1
        return INDENT * level

    def _continues(self, previous: Token) -> bool:
        return previous.kind in _CONTINUES or previous.position[:2] in self.roles.binary

    def _line(self, first: int, tokens: list[Token]) -> str:
        parts: list[str] = []
        for index, token in enumerate(tokens, first):
            if index > first:
                parts.append(self._gap(index))
            parts.append(token.text)
            self._track(token)
        return "".join(parts)

    def _track(self, token: Token) -> None:
        if token.kind in _OPENING:
            is_object = token.position[:2] in self.roles.objects
            self._open.append((token.position.line, is_object))
        elif token.kind in _CLOSING and self._open:
            self._open.pop()

    # --- blanks between two tokens of a line -----------------------------------------------------

    def _gap(self, index: int) -> str:
        before, token = self.tokens[index - 1], self.tokens[index]
        if token.kind == "comment":
            return "  "
        if token.position.line in self.roles.unparsed:
            return " " if before.end[:2] != token.position[:2] else ""
        return " " if self._is_apart(index, before, token) else ""

    def _is_apart(self, index: int, before: Token, token: Token) -> bool:
        following = self.tokens[index + 1 : index + 2]
        if token.kind == ":" and before.kind == ":":
            return False
        earlier = self.tokens[index - 2] if index > 1 else None
        if token.kind == ":" and following and following[0].kind == ":":
            return True  # the first colon of `::`
        if before.kind == ":" and earlier is not None and earlier.kind in ("{", ","):
            return False  # the older `{:key = value}`
        return not self._is_tight_behind(earlier, before) and not self._is_tight(before, token)

    def _is_tight_behind(self, earlier: Token | None, before: Token) -> bool:
        """Return whether nothing may stand behind `before`."""
        kind, place = before.kind, before.position[:2]
        if kind in ("(", "[", ".", "..."):
            return True
        if kind == "{":
            return place in self.roles.objects
        if kind in ("!", "-") and place in self.roles.unary:
            return True
        if kind == "@":
            return not before.starts_line
        if kind in ("<", ">"):
            is_symbol = place in self.roles.binary or place in self.roles.leading
            return kind == "<" and not is_symbol and not before.starts_line
        if kind == "/":
            return place not in self.roles.binary
        return False

    def _is_tight(self, before: Token, token: Token) -> bool:
        """Return whether nothing may stand before `token`."""
        kind, place = token.kind, token.position[:2]
        if kind == ":":
            return before.kind != ","
        if kind in (")", "]", ",", "."):
            return True
        if kind == "}":
            return bool(self._open) and self._open[-1][1]
        if kind in ("(", "["):
            is_keyword = before.kind == "word" and before.text in _KEYWORDS
            generic = kind == "(" and before.kind == ">" and self._is_type_bracket(before)
            return (before.kind in _VALUE_ENDS and not is_keyword) or generic
        if kind in ("!", "?"):
            unary = place in self.roles.unary or place in self.roles.leading
            return not unary and before.kind in _VALUE_ENDS | {"?", ">"} and not token.starts_line
        if kind in ("<", ">"):
            return self._is_type_bracket(token)
        if kind == "/":
            return place not in self.roles.binary
        return False

    def _is_type_bracket(self, token: Token) -> bool:
        place = token.position[:2]
        return place not in self.roles.binary and place not in self.roles.leading
