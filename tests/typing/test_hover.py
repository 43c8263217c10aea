"""What an editor shows: every public name is offered, with a signature and what it is for.

pyright's language server is asked, which is what VS Code and others run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import glyph_fast
from glyph_fast.options.given import Options
from tests.surface import ROWS, named
from tests.typing.language_server import LanguageServer

ROOT = Path(__file__).parents[2]
MAX_LINE = 200  # characters of a signature's line; an editor wraps them
# Of every mapping: what Python's own stubs say of these is their signature alone.
OF_MAPPINGS = {
    ("FormData", "get"),
    ("FormData", "items"),
    ("FormData", "keys"),
    ("FormData", "values"),
}


class Name(NamedTuple):
    kind: str  # the class; "" for the package
    name: str
    line: int

    def __str__(self) -> str:
        return f"{self.kind or 'glyph_fast'}.{self.name}"


def program() -> tuple[str, list[Name]]:
    """A program that uses every name, and where each stands."""
    lines, names = ["import glyph_fast as g"], []
    for kind in ROWS:
        lines.append(f"def use_{kind}(x: g.{kind}) -> None:")
        for name in sorted(named(kind)):
            names.append(Name(kind, name, len(lines)))
            lines.append(f"    x.{name}")
    for name in glyph_fast.__all__:
        if name != "__version__":
            names.append(Name("", name, len(lines)))
            lines.append(f"g.{name}")
    lines.append("g.Config(")
    return "\n".join(lines), names


TEXT, NAMES = program()


class Editor(NamedTuple):
    server: LanguageServer
    uri: str

    def hover(self, name: Name) -> tuple[str, str]:
        """The signature and the words beneath it."""
        shown = self.server.hover(self.uri, name.line, 6 if name.kind else 2).split("\n\n")
        size = 1
        while shown[size:] and re.match(r"def |\(", shown[size]):  # other ways of calling it
            size += 1
        return "\n".join(shown[:size]), "\n\n".join(shown[size:])

    def offered(self, line: int, column: int) -> set[str]:
        return set(self.server.completions(self.uri, line, column))


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    folder = tmp_path_factory.mktemp("ide")
    (folder / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    with LanguageServer(folder) as server:
        yield Editor(server, server.open("program.py", TEXT))


def test_every_name_has_a_signature_that_reads_well(editor: Editor) -> None:
    bad = {}
    for name in NAMES:
        signature, _ = editor.hover(name)
        longest = max(map(len, signature.split("\n")))
        if name.name not in signature or "Unknown" in signature or longest > MAX_LINE:
            bad[str(name)] = signature[:MAX_LINE]
    assert bad == {}


def test_every_name_says_what_it_is_for(editor: Editor) -> None:
    without = []
    for name in NAMES:
        words = editor.hover(name)[1].strip()
        if (name.kind, name.name) not in OF_MAPPINGS and not re.match(r"[A-Z`\d].{8,}", words):
            without.append(str(name))
    assert without == []


@pytest.mark.parametrize("kind", ROWS)
def test_completion_offers_the_public_names_and_no_other(editor: Editor, kind: str) -> None:
    line = next(name.line for name in NAMES if name.kind == kind)
    offered = {name for name in editor.offered(line, 6) if not name.startswith("_")}
    assert offered == named(kind)


def test_completion_offers_what_the_package_exports(editor: Editor) -> None:
    line = next(name.line for name in NAMES if not name.kind)
    assert editor.offered(line, 2) >= {*glyph_fast.__all__} - {"__version__"}


def test_completion_offers_every_option(editor: Editor) -> None:
    last = TEXT.count("\n")
    offered = editor.offered(last, len("g.Config("))
    assert {name.removesuffix("=") for name in offered} >= {*Options.__annotations__}
