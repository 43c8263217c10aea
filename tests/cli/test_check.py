"""`glyph-fast check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glyph_fast.cli import main

GOOD = "@ GET / {\n  > 1\n}\n"
BAD = "@ GET / {\n  > nope\n  ws.brodcast(1)\n}\n"


def test_clean_program_is_silent_and_succeeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "a.glyph"
    file.write_text(GOOD)
    assert main(["check", str(file)]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "no problems\n")


def test_every_error_is_shown_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "a.glyph"
    file.write_text(BAD)
    assert main(["check", str(file)]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        f"{file}:2:5: unknown name `nope`",
        "    2 |   > nope",
        "      |     ^^^^",
        "      = hint: declare it with `$ nope = …` before",
        f"{file}:3:6: unknown function `ws.brodcast`",
        "    3 |   ws.brodcast(1)",
        "      |      ^^^^^^^^",
        "      = hint: did you mean `ws.broadcast`?",
    ]
    assert captured.err == "2 errors\n"


def test_json_holds_what_an_editor_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "a.glyph"
    file.write_text(BAD)
    assert main(["check", "--json", str(file)]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert first == {
        "file": str(file),
        "line": 2,
        "column": 5,
        "end_column": 9,
        "severity": "error",
        "code": "unknown-name",
        "message": "unknown name `nope`",
        "hint": "declare it with `$ nope = …` before",
    }
    assert second["code"] == "unknown-ws-function"


def test_warnings_alone_succeed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "a.glyph"
    file.write_text(GOOD + '* "0 0 * * *" nightly {\n}\n')
    assert main(["check", str(file)]) == 0
    captured = capsys.readouterr()
    assert "warning: a cron task" in captured.out
    assert captured.err == "1 warning\n"


def test_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "none.glyph"
    assert main(["check", str(file)]) == 1
    expected = f"glyph-fast: could not read {file}: no such file or directory\n"
    assert capsys.readouterr().err == expected


def test_several_missing_files_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    files = [str(tmp_path / name) for name in ("none.glyph", "nil.glyph")]
    assert main(["check", *files]) == 1
    told = [f"could not read {file}: no such file or directory" for file in files]
    assert capsys.readouterr().err == f"glyph-fast: {'; '.join(told)}\n"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_the_others_are_checked_beside_a_missing_file(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    files = [tmp_path / name for name in ("none.glyph", "bad.glyph")]
    files[1].write_text("@ GET / { > nope }\n")
    assert main(["check", *options, *map(str, files)]) == 1
    captured = capsys.readouterr()
    assert "unknown name `nope`" in captured.out
    assert captured.err.endswith(
        f"glyph-fast: could not read {files[0]}: no such file or directory\n"
    )
    assert not options or json.loads(captured.out)


PARTLY = "@ GET /a {\n  % db: Database\n  > 1\n}\n@ GET /b { > 1 }\n"


def test_what_is_skipped_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "a.glyph"
    file.write_text(PARTLY)
    assert main(["check", str(file)]) == 1
    assert capsys.readouterr().err == "1 error\n"
    assert main(["check", "--skip-unsupported", str(file)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{file}:2:3: warning: providers are not supported")
    assert captured.err == "1 warning\n"
    monkeypatch.setenv("GLYPH_FAST_SKIP_UNSUPPORTED", "true")
    assert main(["check", str(file)]) == 0


def test_errors_beside_what_is_skipped_are_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "a.glyph"
    file.write_text(PARTLY + "const A = 1 / 0\n")
    assert main(["check", "--skip-unsupported", str(file)]) == 1
    assert capsys.readouterr().err == "1 error, 1 warning\n"
