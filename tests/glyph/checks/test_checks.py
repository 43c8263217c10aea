"""Checks of items, alone and compared with each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from glyph_fast.glyph.serving.load import GlyphLoadError, load_program
from tests.glyph.harness import headlines, problems


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


@pytest.mark.parametrize(
    ("middleware", "meant"),
    [
        ("auht(jwt)", "auth"),
        ("Auth(jwt)", "auth"),
        ("authenticate", "auth"),
        ("require_auth(admin)", "auth"),
        ("jwt", "auth"),
        ("apiKey", "auth"),
        ("rate_limit(5/min)", "ratelimit"),
        ("rateLimit(5/min)", "ratelimit"),
        ("ratelimt(5/min)", "ratelimit"),
        ("throttle(5/min)", "ratelimit"),
    ],
)
def test_a_route_that_was_to_be_protected_is_not_served_unprotected(
    middleware: str, meant: str
) -> None:
    (found,) = problems(f"@ GET /a {{\n  + {middleware}\n  > 1\n}}\n")
    assert (found.severity, found.code, found.line, found.column) == (
        "error", "misspelt-middleware", 2, 3,
    )  # fmt: skip
    assert found.hint == f"did you mean `+ {meant}(…)`?"


@pytest.mark.parametrize("middleware", ["cache(60)", "logging", "cors", "compress", "etag"])
def test_other_middlewares_may_be_those_of_another_server(middleware: str) -> None:
    (found,) = problems(f"@ GET /a {{\n  + {middleware}\n  > 1\n}}\n")
    assert (found.severity, found.code) == ("warning", "ignored-middleware")


@pytest.mark.parametrize("arguments", ["apiKey", "api_key", "APIKEY", "keys"])
def test_another_word_for_api_keys_would_ask_for_another_credential(arguments: str) -> None:
    (found,) = problems(f"@ GET /a {{\n  + auth({arguments})\n  > 1\n}}\n")
    assert (found.severity, found.hint) == ("error", "API keys are `+ auth(apikey)`")


@pytest.mark.parametrize("rate", ["0/min", "many", "5", "5 per minute"])
def test_a_rate_has_to_be_one(rate: str) -> None:
    assert [each.code for each in problems(f"@ GET /a {{\n + ratelimit({rate})\n > 1\n}}\n")] == [
        "bad-middleware"
    ]


@pytest.mark.parametrize("window", ["sec", "second", "s", "min", "minute", "hour", "hr", "d"])
def test_units_of_time_are_known(window: str) -> None:
    assert problems(f"@ GET /a {{\n + ratelimit(5/{window})\n > 1\n}}\n") == []


def test_an_empty_program_is_an_error_and_so_is_one_without_routes(tmp_path: Path) -> None:
    for text, code in (
        ("", "empty-program"),
        ("# soon\n\n", "empty-program"),
        ("! f() { > 1 }\n", "nothing-to-serve"),
        ('! greet name: str! {\n  > name\n}\n* "0 0 * * *" x { }\n', "nothing-to-serve"),
    ):
        (tmp_path / "app.glyph").write_text(text)
        with pytest.raises(GlyphLoadError) as caught:
            load_program(tmp_path / "app.glyph")
        errors = [each for each in caught.value.diagnostics if each.severity == "error"]
        assert [(each.code, each.line, each.column) for each in errors] == [(code, 1, 1)]


@pytest.mark.parametrize(
    "text",
    [
        "@ GET /a {\n  retrun 5\n}\n",
        "@ GET /a {\n  whlie true { }\n}\n",
        "@ GET /a {\n  swich 1 { }\n}\n",
        "@ GET /a {\n  fro x in [1] { }\n}\n",
        "@ GET /a {\n  while true { brek }\n}\n",
        "@ GET /a {\n  while true { contniue }\n}\n",
        "@ GET /a {\n  if true { > 1 } esle { > 2 }\n}\n",
        "@ GET /a {\n  > mach 1 { 1 => 2 }\n}\n",
        "@ GET /a {\n  > awiat async { > 1 }\n}\n",
        "@ GET /a {\n  > nul\n}\n",
        "@ GET /a {\n  > ture\n}\n",
        "@ GTE /a { > 1 }\n",
        "@ rout /a { > 1 }\n",
        "@ webscoket /a { }\n",
        '@ statc /a "x"\n',
        "@ ws /a { on mesage { } }\n",
        "@ ws /a { no message { } }\n",
        "@ route /a [GTE] { > 1 }\n",
        "cosnt A = 1\n@ GET /a { > A }\n",
        'imprt "./x"\n@ GET /a { > 1 }\n',
        "tpye T { }\n@ GET /a { > 1 }\n",
        "@ GET /a {\n  asert(true)\n}\n",
        "@ ws /a { on message { sw.send(1) } }\n",
        "@ ws /a { on message { ws.snd(1) } }\n",
    ],
)
def test_a_misspelt_word_is_an_error(text: str) -> None:
    found = problems(text)
    assert any(each.severity == "error" for each in found), [each.headline() for each in found]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ('lenght("x")', "lenght"),
        ('"x".lenght()', "lenght"),
        ("tme.now()", "tme.now"),
        ("helpr(1)", "helpr"),
        ("id |> uper", "uper"),
        ('Okk("x")', "Okk"),
        ("Ok(1).unwarp()", "unwarp"),
        ("len(id)", "len"),
        ("id.toUpperCase()", "toUpperCase"),
    ],
)
def test_a_slip_in_the_name_of_a_function_is_an_error(call: str, name: str) -> None:
    found = problems(f"! helper(x: any) {{ > x }}\n@ GET /x/:id {{\n  > {call}\n}}\n")
    assert [(each.severity, each.message) for each in found] == [
        ("error", f"unknown function `{name}`")
    ]
    assert found[0].hint.startswith("did you mean")


@pytest.mark.parametrize(
    "call",
    ["int(id)", "validate_length(id, 1)", "scan_xss(id)", 'crypto.hash("x")', "jwt.sign(id)",
     "print(id)", "jsonParse(id)", "random()", "values({})", "merge({}, {})"],
)  # fmt: skip
def test_a_function_of_another_server_is_a_warning(call: str) -> None:
    found = problems(f"@ GET /x/:id {{\n  > {call}\n}}\n")
    assert [(each.severity, each.code) for each in found] == [("warning", "unknown-function")]


def test_calls_of_providers_fail_where_they_are_called() -> None:
    text = "! lookUp(db: Database, id: str) { > db.users.fnd(id).lenght() }\n@ GET /a { > 1 }\n"
    assert {(each.severity, each.code) for each in problems(text)} == {
        ("warning", "unknown-function")
    }
