"""From a file to a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from glyph_fast.glyph.serving.load import GlyphLoadError, diagnose, load_program, load_source
from glyph_fast.glyph.syntax.source import Source
from tests.glyph.harness import World

PARTLY = (
    "@ GET /db {\n  % db: Database\n  > db.all()\n}\n"
    "@ sse /events {\n  yield 1\n}\n"
    '@ POST /out { > http.get("x") }\n'
    "@ ws /bad { on message { log!(input) } }\n"
    "! helper(x: any) { > http.post(x) }\n"
    "@ GET /ok { > 1 }\n@ ws /good { on message { ws.send(1) } }\n@ GET /calls { > helper(1) }\n"
)


def test_unsupported_items_are_errors_with_their_place() -> None:
    with pytest.raises(GlyphLoadError) as caught:
        load_source(Source("app.glyph", PARTLY))
    assert [(found.line, found.code) for found in caught.value.diagnostics] == [
        (2, "providers"),
        (5, "server-sent-events"),
        (6, "server-sent-events"),
        (8, "http-client"),
        (9, "macros"),
        (10, "http-client"),
    ]


def test_unsupported_routes_can_be_skipped() -> None:
    world = World(PARTLY, skip_unsupported=True)
    assert [(u.method, u.pattern) for u in world.program.unsupported] == [
        ("GET", "/db"),
        ("GET", "/events"),
        ("POST", "/out"),
        ("ws", "/bad"),
    ]
    assert world.program.unsupported[0].reason == "providers are not supported: `% db`"
    assert world.get("/ok").json == 1
    assert world.connect("/good").says("x") == ["1"]
    assert world.get("/calls").status == 500
    assert {found.severity for found in world.program.warnings} == {"unsupported"}


def test_errors_are_errors_also_where_the_unsupported_is_skipped() -> None:
    with pytest.raises(GlyphLoadError):
        World("@ GET /a { % db: Database }\n@ GET /b { > nope }\n", skip_unsupported=True)


def test_missing_files_are_os_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_program(tmp_path / "none.glyph")
    with pytest.raises(IsADirectoryError):
        load_program(tmp_path)


def test_diagnose_says_everything_at_once() -> None:
    codes = [d.code for d in diagnose(Source("a", '@ GET /a { > x }\n* "c" y { }\n'))]
    assert codes == ["unknown-name", "not-run"]
    assert diagnose(Source("a", "const A = 1 / 0\n"))[0].code == "constant-failed"


def test_thousand_lines_load_in_reasonable_steps() -> None:
    route = (
        "@ GET /r{0}/:id {{\n  ? page: int = 1\n  $ total = 0\n  for item in [1, 2, 3] {{\n"
        "    if item > 1 {{ total = total + item * {0} }}\n  }}\n"
        "  > {{id: id, page: page, total: total}}\n}}\n"
    )
    world = World("".join(route.format(number) for number in range(125)))
    assert world.get("/r124/x").json == {"id": "x", "page": 1, "total": 620}
