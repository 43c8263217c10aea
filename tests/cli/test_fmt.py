"""`glyph-fast fmt`."""

from __future__ import annotations

from pathlib import Path

import pytest

from glyph_fast.cli import main

UGLY = "@GET / {\n> {a:1}\n}\n"
NEAT = "@ GET / {\n  > {a: 1}\n}\n"


def test_file_is_rewritten_with_its_permissions(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "a.glyph"
    file.write_text(UGLY)
    file.chmod(0o640)
    assert main(["fmt", str(file)]) == 0
    assert file.read_text() == NEAT
    assert file.stat().st_mode & 0o777 == 0o640
    assert capsys.readouterr().out == f"changed {file}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.glyph"]


def test_neat_file_is_not_mentioned(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "a.glyph"
    file.write_text(NEAT)
    assert main(["fmt", str(file)]) == 0
    assert capsys.readouterr().out == ""


def test_check_changes_nothing_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "a.glyph"
    file.write_text(UGLY)
    assert main(["fmt", "--check", str(file)]) == 1
    assert file.read_text() == UGLY
    assert capsys.readouterr().out == f"would change {file}\n"


def test_program_with_errors_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bad, ugly = tmp_path / "bad.glyph", tmp_path / "ugly.glyph"
    bad.write_text("@ GET / {\n  > (\n}\n")
    ugly.write_text(UGLY)
    assert main(["fmt", str(bad), str(ugly)]) == 1
    assert bad.read_text() == "@ GET / {\n  > (\n}\n"
    assert ugly.read_text() == NEAT
    assert f"{bad}:2:6: expected a value" in capsys.readouterr().err
