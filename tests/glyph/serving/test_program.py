"""What a server finds in a program."""

from __future__ import annotations

from pathlib import Path

from glyph_fast.glyph.serving.load import load_program


def test_program_lists_its_routes_files_and_warnings(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "lib.glyph").write_text("! f() { > 1 / 0 }\n")
    path = tmp_path / "app.glyph"
    path.write_text(
        'import "./lib"\n@ POST /a/:b { > lib.f() }\n@ ws /c/:d { on connect { } on error { } }\n'
        '@ static /s "public"\n* "0 0 * * *" nightly { }\n'
    )
    program = load_program(path)
    assert [(e.method, e.pattern, e.parameters) for e in program.http] == [("POST", "/a/:b", ["b"])]
    assert [(s.pattern, s.parameters, list(s.events)) for s in program.sockets] == [
        ("/c/:d", ["d"], ["connect", "error"])
    ]
    assert [(s.prefix, s.directory) for s in program.statics] == [("/s", tmp_path / "public")]
    assert [file.name for file in program.files] == ["lib.glyph", "app.glyph"]
    assert [warning.code for warning in program.warnings] == ["not-run"]
    assert program.sources == {str(path), str(tmp_path / "lib.glyph")}
