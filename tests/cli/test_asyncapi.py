"""`glyph-fast asyncapi`: three documents, and clear words where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glyph_fast.cli import main

TARGET = "tests.documents.declared:server"


def test_each_document_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["asyncapi", TARGET, "--title", "A game", "--api-version", "3.1"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["asyncapi"], document["info"]) == (
        "3.0.0",
        {"title": "A game", "version": "3.1"},
    )
    assert main(["asyncapi", TARGET, "--openapi"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["openapi"], document["info"]["title"]) == ("3.1.1", TARGET)
    assert main(["asyncapi", TARGET, "--typescript"]) == 0
    assert "export interface Events {" in capsys.readouterr().out


def test_a_program_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["asyncapi", "nowhere:server"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_glyph_program_has_its_routes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "app.glyph"
    program.write_text("@ ws /chat/:room {\n  on message { ws.send(input) }\n}\n")
    assert main(["asyncapi", str(program)]) == 0
    channels = json.loads(capsys.readouterr().out)["channels"]
    assert [each["address"] for each in channels.values()] == ["/chat/{room}"]
