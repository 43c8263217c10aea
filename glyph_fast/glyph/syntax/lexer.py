"""Text to tokens.

Two rules make this more than a table of patterns:

- A newline ends a statement, so it is a token, but not inside `( )` and `[ ]`, where nothing could
  end. The lexer keeps the stack of open brackets for that; a closing brace closes whatever round
  or square brackets were forgotten inside it, so that one missing `)` does not swallow the file.
- A path (`/rooms/:room`) is raw text, not operators and words. It can only stand after `@ WORD`,
  so that is where the lexer reads one.

Comments and blanks are no tokens; `comments=True` keeps the comments, for the formatter.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .diagnostics import Report
from .habits import FORMATTED
from .source import Position, Source

RESERVED = frozenset(
    "true false null while switch case default for in macro quote match when async await import "
    "from as module const assert break continue".split()
)

MAX_INT = 2**63 - 1

# Possessive quantifiers (`*+`): no text, however long or broken, makes the scanner backtrack.
_TOKEN = re.compile(
    r"""
    (?P<blank>[ \t\r]++)
  | (?P<newline>\n)
  | (?P<comment>(?:\#|//)[^\n]*+)
  | (?P<block_comment>/\*(?:[^*]++|\*(?!/))*+(?:\*/)?+)
  | (?P<float>[0-9]++\.[0-9]++)
  | (?P<int>[0-9]++)
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*+)
  | (?P<string>"(?:[^"\\\n]++|\\[^\n])*+" | '(?:[^'\\\n]++|\\[^\n])*+')
  | (?P<op>\.\.\.|&&|\|\||\|>|==|=>|!=|>=|<=|->|[-@:$+*/%><!?~&|=.,(){}\[\]])
  | (?P<other_string>[“”„«][^\n“”«»"]*+[”»“"] | [‘’‚´][^\n‘’´']*+[’‘´'] | `[^`]*+`)
  | (?P<open_string>["'“”„«‘’‚´`][^\n]*+)
    """,
    re.VERBOSE,
)
_PATH = re.compile(r"(?:(?!->)[^ \t\r\n{\[])*+")
_OTHER_PARAMETER = re.compile(r"(?<=/)[{<](?!return})(?:[a-z]+:)?([A-Za-z_][A-Za-z0-9_]*)[}>]")
_BAD_IN_PATH = re.compile(r"[^A-Za-z0-9_.~/:-]")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    '"': '"',
    "'": "'",
    "\\": "\\",
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
}
_BEHIND_STRING = " \t\r,)]}{"  # what an unclosed string may have swallowed at its end
_MAX_BEHIND_STRING = 50
_OPENS = frozenset("([{")
_CLOSES = {")": "(", "]": "[", "}": "{"}


class Token(NamedTuple):
    """One token. `kind` is `word int float string path comment newline end`, or the operator.

    `value` is the decoded string or the number; `starts_line` tells whether only blanks stand
    before it on its line; `depth` is the number of brackets around it.
    """

    kind: str
    text: str
    value: str | int | float | None
    position: Position
    starts_line: bool
    depth: int

    @property
    def end(self) -> Position:
        """The place just behind the token."""
        line, column, length = self.position
        return Position(line, column + length)


def tokenize(source: Source, report: Report, *, comments: bool = False) -> list[Token]:
    """The tokens of `source`, ending with one of kind `end`; what is wrong goes to `report`."""
    return _Lexer(source, report, comments).run()


class _Lexer:
    def __init__(self, source: Source, report: Report, keep_comments: bool) -> None:
        self.text = source.text
        self.report = report
        self.keep_comments = keep_comments
        self.tokens: list[Token] = []
        self.open: list[str] = []  # brackets not yet closed
        self.open_before = 0  # so many of them on earlier lines
        self.is_broken = False  # the line: a string on it is not closed
        self.line = 1
        self.line_start = 0  # offset of the current line
        self.starts_line = True

    def run(self) -> list[Token]:
        text, match = self.text, _TOKEN.match
        at = 0
        while at < len(text):
            if text[at] == "/" and self._expects_path() and text[at + 1 : at + 2] != "/":
                at = self._path(at)
                continue
            found = match(text, at)
            if found is None:
                at = self._unexpected(at)
                continue
            kind = found.lastgroup
            if kind == "blank":
                pass
            elif kind == "newline":
                self._newline(at)
            elif kind == "comment":
                if self.keep_comments:
                    self._add("comment", found.group().rstrip(), None, at)
            elif kind == "word":
                self._add("word", found.group(), None, at)
            elif kind == "op":
                self._operator(found.group(), at)
            elif kind == "int":
                self._integer(found.group(), at)
            elif kind == "float":
                self._add("float", found.group(), float(found.group()), at)
            elif kind == "block_comment":
                self.report.add("block-comment", self._position(at, 2))
                self._count_lines(found.group(), at)
            elif kind == "string":
                self._string(found.group(), at)
            elif kind == "other_string":
                self._other_string(found.group(), at)
            else:
                at += self._open_string(found.group(), at)
                continue
            at = found.end()
        self._add("end", "", None, len(text), length=1)
        return self.tokens

    def _position(self, at: int, length: int = 1) -> Position:
        return Position(self.line, at - self.line_start + 1, length)

    def _add(
        self, kind: str, text: str, value: str | int | float | None, at: int, length: int = 0
    ) -> None:
        position = self._position(at, length or len(text))
        token = Token(kind, text, value, position, self.starts_line, len(self.open))
        self.tokens.append(token)
        self.starts_line = False

    def _newline(self, at: int) -> None:
        if self.is_broken:  # where its string ends is not known, so its brackets end here
            while len(self.open) > self.open_before and self.open[-1] != "{":
                self.open.pop()
        # Inside ( ) and [ ] nothing can end, so the newline means nothing there.
        if self.keep_comments or not self.open or self.open[-1] == "{":
            self._add("newline", "\n", None, at)
        self.line += 1
        self.line_start = at + 1
        self.starts_line = True
        self.open_before = len(self.open)
        self.is_broken = False

    def _count_lines(self, text: str, at: int) -> None:
        """Count the lines that `text`, which began at `at`, goes over."""
        self.line += text.count("\n")
        if "\n" in text:
            self.line_start = at + text.rindex("\n") + 1

    def _operator(self, text: str, at: int) -> None:
        if text in _CLOSES:
            if text == "}":
                while self.open and self.open[-1] != "{":
                    self.open.pop()
            if self.open and self.open[-1] == _CLOSES[text]:
                self.open.pop()
                self.open_before = min(self.open_before, len(self.open))
        self._add(text, text, None, at)
        if text in _OPENS:
            self.open.append(text)

    def _integer(self, text: str, at: int) -> None:
        # Python refuses to convert numbers of many thousand digits, so the length is judged first.
        digits = text.lstrip("0") or "0"
        value = int(digits) if len(digits) <= 19 else MAX_INT + 1
        if value > MAX_INT:
            self.report.add("number-too-large", self._position(at, len(text)))
            value = MAX_INT
        self._add("int", text, value, at)

    def _expects_path(self) -> bool:
        """Return whether the tokens just before are `@ WORD`, on one line."""
        tokens = self.tokens
        return (
            len(tokens) >= 2
            and tokens[-1].kind == "word"
            and tokens[-2].kind == "@"
            and not self.starts_line
        )

    def _path(self, at: int) -> int:
        end = self._end_of_path(at)
        while (other := _OTHER_PARAMETER.match(self.text, end)) is not None:  # `/{id}`
            end = self._end_of_path(other.end())
        path = self.text[at:end]
        for other in _OTHER_PARAMETER.finditer(path):
            position = self._position(at + other.start(), len(other.group()))
            self.report.add("bad-path-parameter", position, segment=other.group())
        path = _OTHER_PARAMETER.sub(r":\1", path)
        bad = _BAD_IN_PATH.search(path)
        if bad is not None:
            position = self._position(at + bad.start())
            self.report.add("bad-path-character", position, character=bad.group())
        self._add("path", path, None, at)
        return end

    def _end_of_path(self, at: int) -> int:
        found = _PATH.match(self.text, at)
        assert found is not None
        return found.end()

    def _open_string(self, text: str, at: int) -> int:
        """A string that does not end on its line; returns how much of the line is taken for it."""
        if text[0] in "\"'":
            self.report.add("unterminated-string", self._position(at), quote=text[0])
        else:
            self._wrong_quote(text, at)
        self.is_broken = True
        size = max(1, len(text.rstrip(_BEHIND_STRING)), len(text) - _MAX_BEHIND_STRING)
        while not self._could_follow(text[size:]):
            size += 1
        self._add("string", text[:size], "", at)
        return size

    def _could_follow(self, tail: str) -> bool:
        """Return whether brackets of `tail` close those of this line, perhaps open a block."""
        opened = self.open[self.open_before :]
        for number, character in enumerate(tail):
            if character in _CLOSES:
                if not opened or opened.pop() != _CLOSES[character]:
                    return False
            elif character == "{":
                return opened[-1:] in ([], ["{"]) and not tail[number + 1 :].strip()
        return True

    def _other_string(self, text: str, at: int) -> None:
        """Take what stands between quotes that are none in this language."""
        self._wrong_quote(text, at)
        self._add("string", text, "", at)
        self._count_lines(text, at)

    def _wrong_quote(self, text: str, at: int) -> None:
        name, hint = f"the typographic quote {text[0]}", None
        if text[0] == "`":
            name, hint = "a backtick", f"write \" or '; {FORMATTED}"
        self.report.add("wrong-quote", self._position(at), quote=name, hint=hint)

    def _string(self, text: str, at: int) -> None:
        value = text[1:-1]
        if "\\" in value:
            value = self._unescape(value, at + 1)
        self._add("string", text, value, at)

    def _unescape(self, raw: str, at: int) -> str:
        def replace(found: re.Match[str]) -> str:
            byte, unit, other = found.groups()
            if byte is not None:
                return chr(int(byte, 16))
            if unit is not None:
                return chr(int(unit, 16))
            simple = _SIMPLE_ESCAPES.get(other)
            if simple is None:
                position = self._position(at + found.start(), 2)
                self.report.add("unknown-escape", position, escape=f"\\{other}")
                return ""
            return simple

        value = _ESCAPE.sub(replace, raw)
        if any("\ud800" <= c <= "\udfff" for c in value):
            # Two escapes may together be one character; half of one is no text.
            joined = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            if "\ufffd" in joined and "\ufffd" not in value:
                self.report.add("half-surrogate", self._position(at - 1, len(raw) + 2))
            value = joined
        return value

    def _unexpected(self, at: int) -> int:
        character = self.text[at]
        rule = "semicolon" if character == ";" else "unexpected-character"
        shown = character if character.isprintable() else f"U+{ord(character):04X}"
        hint = None
        if character == ";" and self.open[-1:] == ["("]:
            hint = "`for v in array { … }` goes over an array, `while` counts"
        elif character.isspace():
            hint = "write a plain blank or a line break"
        self.report.add(rule, self._position(at), character=shown, hint=hint)
        ends = character == ";" and (not self.open or self.open[-1] == "{")
        if ends:  # a statement, as it was meant to
            self._add("newline", "", None, at, length=1)
        self.starts_line = ends
        return at + 1
