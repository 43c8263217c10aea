"""The command `check` as functions."""

from __future__ import annotations

import json
from pathlib import Path

from glyph_fast.glyph.serving.check import as_json, as_text, check_files, has_errors, summary


def test_files_are_checked_together(tmp_path: Path) -> None:
    (tmp_path / "lib.glyph").write_text("! f() { > nope }\n")
    (tmp_path / "a.glyph").write_text('import "./lib"\n')
    (tmp_path / "b.glyph").write_text('import "./lib"\n* "c" x { }\n')
    found, _ = check_files([tmp_path / "a.glyph", tmp_path / "b.glyph"])
    assert [each.code for each in found] == [
        "unknown-name",
        "import-failed",
        "import-failed",
        "not-run",
    ]
    assert has_errors(found)
    assert summary(found) == "3 errors, 1 warning"
    assert as_text(found).count("hint:") == 3
    assert [each["severity"] for each in json.loads(as_json(found))] == ["error"] * 3 + ["warning"]


def test_clean_files_have_no_problems(tmp_path: Path) -> None:
    (tmp_path / "a.glyph").write_text("@ GET / { > 1 }\n")
    found, _ = check_files([tmp_path / "a.glyph"])
    assert (found, summary(found), as_text(found), json.loads(as_json(found))) == (
        [], "no problems", "", [],
    )  # fmt: skip


def test_file_that_is_not_utf_8_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "a.glyph").write_bytes(b"@ GET / {\n  > '\xff'\n}\n")
    (found,), _ = check_files([tmp_path / "a.glyph"])
    assert (found.code, found.line, found.column) == ("not-utf8", 2, 6)
    assert "byte 0xff" in found.message
