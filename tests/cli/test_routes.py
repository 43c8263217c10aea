"""`glyph-fast routes`: names of handlers, the table, the JSON."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field

import pytest

from glyph_fast.cli import main
from glyph_fast.cli import routes as routes_module
from glyph_fast.cli.routes import handler_name
from glyph_fast.options.config import Config


@dataclass
class Route:
    kind: str
    method: str
    pattern: str
    handlers: list[object] = field(default_factory=list)


def hello() -> None: ...


@functools.wraps(hello)
def wrapping() -> None: ...


class Handlers:
    def greet(self) -> None: ...

    def __call__(self) -> None: ...


def line(function: object) -> int:
    return function.__code__.co_firstlineno  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (hello, f"hello:{line(hello)}"),
        (wrapping, f"hello:{line(hello)}"),
        (functools.partial(hello), f"hello:{line(hello)}"),
        (Handlers().greet, f"Handlers.greet:{line(Handlers.greet)}"),
        (Handlers(), f"Handlers:{line(Handlers.__call__)}"),
    ],
)
def test_handler_is_named_by_module_name_and_line(handler, name):
    assert handler_name(handler) == f"{__name__}:{name}"


def test_handler_without_python_code_has_no_line():
    assert handler_name(len) == "builtins:len"


def test_words_for_a_handler_stand_for_themselves():
    assert handler_name("chat.glyph:3 on message") == "chat.glyph:3 on message"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path) -> list[Route]:
    routes: list[Route] = []

    class FakeServer:
        config = Config()

        def routes(self) -> list[Route]:
            return routes

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(routes_module, "load_target", lambda target, config: FakeServer())
    return routes


def test_what_is_declared_about_rooms_follows_the_file_s_first(served, capsys, tmp_path):
    (tmp_path / "glyph-fast.toml").write_text(
        '[rooms."*"]\n[rooms."chat:*"]\nclient_join = true\nmax_members = 5\n'
    )
    served += [Route("ws", "GET", "/ws", ["a:b:1"]), Route("room", "", "mine", ["max_members=1"])]
    assert main(["routes", "app:server"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "KIND  METHOD  PATTERN  HANDLERS",
        "ws    GET     /ws      a:b:1",
        "room          chat:*   client_join=True, max_members=5",
        "room          *        as by default",
        "room          mine     max_members=1",
    ]


def test_table_has_aligned_columns_and_a_handler_a_line(served, capsys):
    served += [
        Route("ws", "GET", "/chat/:room", ["app:join:3", "app:say:9"]),
        Route("http", "POST", "/", ["app:post:20"]),
        Route("ws", "GET", "/ws"),
    ]
    assert main(["routes", "app:server"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "KIND  METHOD  PATTERN      HANDLERS",
        "ws    GET     /chat/:room  app:join:3",
        "                           app:say:9",
        "http  POST    /            app:post:20",
        "ws    GET     /ws          –",
    ]


def test_json_holds_the_same(served, capsys):
    served.append(Route("ws", "GET", "/ws", [hello, "x"]))
    assert main(["routes", "app:server", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "kind": "ws",
            "method": "GET",
            "pattern": "/ws",
            "handlers": [f"{__name__}:hello:{line(hello)}", "x"],
        }
    ]


def test_a_server_without_routes_is_an_empty_list(served, capsys):
    assert main(["routes", "app:server", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["routes", "app:server"]) == 0
    assert capsys.readouterr().out == "KIND  METHOD  PATTERN  HANDLERS\n"


def test_routes_needs_a_target(capsys):
    assert main(["routes"]) == 2
    assert capsys.readouterr().err == "glyph-fast: Missing argument 'TARGET'.\n"


def test_routes_of_a_program_that_is_served_in_part(tmp_path, capsys):
    file = tmp_path / "a.glyph"
    file.write_text("@ GET /a {\n  % db: Database\n  > 1\n}\n@ GET /b { > 1 }\n")
    assert main(["routes", str(file)]) == 1
    capsys.readouterr()
    assert main(["routes", "--skip-unsupported", "--json", str(file)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["method"], row["pattern"]) for row in found] == [("GET", "/b"), ("GET", "/a")]
