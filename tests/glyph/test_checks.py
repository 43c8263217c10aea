"""Checks of items, alone and compared with each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from glyph.harness import headlines, problems

from glyph_fast.glyph.load import load_program


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLYPH_JWT_SECRET", "s")
    monkeypatch.delenv("GLYPH_API_KEYS", raising=False)


def test_websocket_routes_must_differ_in_more_than_names_of_parameters() -> None:
    text = "@ ws /a/:x { }\n@ ws /a/b { }\n@ ws /a/:y/ { }\n@ GET /a/:z { > 1 }\n"
    assert headlines(text) == ["app.glyph:3:6: another WebSocket route has the path /a/:y"]


def test_second_http_route_of_a_shape_is_warned_about() -> None:
    text = "@ GET /a/:x { > 1 }\n@ POST /a/:x { > 1 }\n@ get /a/:y { > 2 }\n"
    assert headlines(text) == ["app.glyph:3:7: warning: an earlier route answers every GET /a/:y"]


def test_auth_without_credentials_in_the_environment_is_warned_about() -> None:
    text = "@ GET /a {\n  + auth(jwt)\n}\n@ GET /b {\n  + auth(apikey)\n}\n"
    (found,) = problems(text)
    assert found.line == 5 and "GLYPH_API_KEYS is not set" in found.message


@pytest.mark.parametrize("arguments", ["", "()", "(5)", "(a/b)", "(10)", '("x/min")'])
def test_rate_limits_must_be_written_as_such(arguments: str) -> None:
    assert (
        "`+ ratelimit` is not complete"
        in headlines(f"@ GET /a {{\n  + ratelimit{arguments}\n}}\n")[0]
    )


def test_duplicate_functions_types_and_constants_are_errors() -> None:
    text = "! f() { }\n! f() { }\n: T { }\n: T { }\nconst A = 1\nconst A = 2\n! A() { }\n"
    assert [line.split(": ")[0] for line in headlines(text)] == [
        "app.glyph:2:1",
        "app.glyph:4:1",
        "app.glyph:5:7",
        "app.glyph:6:7",
    ]


def test_static_directory_is_looked_for_beside_the_program(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "app.glyph").write_text('@ static /a "public"\n')
    (static,) = load_program(tmp_path / "app.glyph").statics
    assert static.directory == tmp_path / "public"


def test_unsupported_routes_are_not_checked_further() -> None:
    (found,) = problems("@ GET /a {\n  % db: Database\n  > db.users.all() + nope\n}\n")
    assert (found.severity, found.code) == ("unsupported", "providers")
