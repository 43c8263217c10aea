"""The TextMate grammar agrees with the lexer; the snippets are programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glyph_fast.glyph.checks.signatures import BUILTINS, SOCKET
from glyph_fast.glyph.syntax.diagnostics import Report
from glyph_fast.glyph.syntax.lexer import tokenize
from glyph_fast.glyph.syntax.source import Source
from tests.glyph.harness import problems

ROOT = Path(__file__).parents[2]
VSCODE = ROOT / "editors" / "vscode"
GRAMMAR = json.loads((VSCODE / "syntaxes" / "glyph.tmLanguage.json").read_text())
SNIPPETS = json.loads((VSCODE / "snippets" / "glyph.json").read_text())
SAMPLES = [*sorted((Path(__file__).parent / "cases").glob("*.glyph")),
           ROOT / "examples" / "websocket-chat" / "main.glyph"]  # fmt: skip

SCOPES = {
    "string": "string.quoted",
    "comment": "comment.line",
    "int": "constant.numeric.integer",
    "float": "constant.numeric.float",
    "path": "string.unquoted.path",
}


def rules(patterns: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for pattern in patterns:
        if "include" in pattern:
            included = GRAMMAR["repository"][pattern["include"][1:]]
            yield from rules([included] if "match" in included else included["patterns"])
        else:
            yield pattern


RULES = [(re.compile(rule["match"]), rule) for rule in rules(GRAMMAR["patterns"])]


def scopes_of(line: str) -> list[str]:
    """The scope of each character of a line: the first rule that matches earliest wins."""
    scopes = [""] * len(line)
    at = 0
    while at < len(line):
        found = [(m.start(), i, m) for i, (regex, _) in enumerate(RULES)
                 if (m := regex.search(line, at)) and m.end() > m.start()]  # fmt: skip
        if not found:
            break
        _, index, match = min(found, key=lambda each: each[:2])
        rule = RULES[index][1]
        for place in range(match.start(), match.end()):
            scopes[place] = rule.get("name", "")
        for group, capture in rule.get("captures", {}).items():
            for place in range(*match.span(int(group))):
                scopes[place] = capture.get("name", scopes[place])
        at = match.end()
    return scopes


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_grammar_colours_what_the_lexer_reads(path: Path) -> None:
    source = Source(path.name, path.read_text())
    lines = source.text.split("\n")
    for token in tokenize(source, Report(source), comments=True):
        expected = SCOPES.get(token.kind)
        if expected is None:
            continue
        line, column, length = token.position
        scopes = scopes_of(lines[line - 1])[column - 1 : column - 1 + length]
        assert all(scope.startswith(expected) for scope in scopes), (lines[line - 1], token.text)


@pytest.mark.parametrize(
    ("line", "word", "scope"),
    [
        ("@ ws /rooms/:room {", "ws", "keyword.control.directive"),
        ("  on message { ws.send(input) }", "message", "entity.name.function.event"),
        ("  on message { ws.send(input) }", "send", "support.function.ws"),
        ("  on message { ws.send(input) }", "input", "variable.language"),
        (": User {", "User", "entity.name.type"),
        ("! gross(net: float!) {", "gross", "entity.name.function"),
        ("  > upper(name)", "upper", "support.function.builtin"),
        ("  > own(name)", "own", "entity.name.function"),
        ("  if x { break }", "break", "keyword.control"),
        ("  > null", "null", "constant.language"),
        ("  + auth(jwt)", "auth", "support.function.middleware"),
        ('  > "50% # off" # note', "note", "comment.line"),
        ('  > "never closed', "never", "invalid.illegal"),
        ("const MAX = 5", "MAX", "variable.other.constant"),
        ("  > {type: 1}", "type", "support.type.property-name"),
        ("  > o.default", "default", "variable.other.member"),
    ],
)
def test_words_have_their_scope(line: str, word: str, scope: str) -> None:
    assert scopes_of(line)[line.index(word)].startswith(scope)


def test_grammar_knows_every_function() -> None:
    text = json.dumps(GRAMMAR)
    for name in [*BUILTINS, *SOCKET]:
        if name != "time.now":
            assert re.search(rf"[(|]{name}[|)]", text), name


def test_scopes_are_named_for_the_language() -> None:
    names = re.findall(
        r'"name": "([a-z.-]+)"', (VSCODE / "syntaxes/glyph.tmLanguage.json").read_text()
    )
    assert names and all(name.endswith(".glyph") for name in names)


@pytest.mark.parametrize("name", SNIPPETS)
def test_snippets_are_programs(name: str) -> None:
    body = "\n".join(SNIPPETS[name]["body"]) + "\n"
    text = re.sub(r"\$\{\d+:([^{}]*)\}", r"\1", body)
    text = re.sub(r"\$\d+", "", text)
    errors = [found.headline() for found in problems(text) if found.severity != "warning"]
    assert errors == []


def test_extension_names_files_that_exist() -> None:
    manifest = json.loads((VSCODE / "package.json").read_text())
    paths = re.findall(r'"\./([^"]+)"', json.dumps(manifest))
    assert paths and all((VSCODE / path).is_file() for path in paths)
    json.loads((VSCODE / "language-configuration.json").read_text())


def test_problem_matcher_reads_the_messages_of_check() -> None:
    manifest = json.loads((VSCODE / "package.json").read_text())
    (matcher,) = manifest["contributes"]["problemMatchers"]
    pattern = re.compile(matcher["pattern"]["regexp"])
    error, warning = problems('@ GET / { > nope }\n* "c" nightly { }\n')
    assert pattern.match(error.headline()).groups() == (  # type: ignore[union-attr]
        "app.glyph", "1", "13", None, "unknown name `nope`",
    )  # fmt: skip
    assert pattern.match(warning.headline())[4] == "warning"  # type: ignore[index]
