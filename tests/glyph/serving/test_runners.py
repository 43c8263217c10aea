"""Handlers of a program's routes without a server; with one they are in test_glyph_server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from glyph_fast.glyph.runtime.failures import ProgramFailure
from glyph_fast.glyph.runtime.websocket import Site
from glyph_fast.glyph.serving.load import load_program
from glyph_fast.glyph.serving.runners import HttpRunner, Incoming, ProgramFiles, SocketRunner
from glyph_fast.http.head import parse_head
from glyph_fast.http.request import Request
from glyph_fast.hub.hub import Hub
from glyph_fast.logs import qualified_name

PROGRAM = """\
@ GET /double/:n { > {twice: parseInt(n) * 2} }
@ POST /sum { > {sum: input.a + input.b} }
@ ws /fails {
  on message { ws.send(parseInt("none") + 1) }
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Any:
    (tmp_path / "app.glyph").write_text(PROGRAM)
    return load_program(str(tmp_path / "app.glyph"))


def asked(line: str, *fields: str, body: bytes = b"", **params: str) -> Request:
    head = "\r\n".join([f"{line} HTTP/1.1", "Host: a", *fields, "", ""])
    request = parse_head(head.encode(), "192.0.2.7")
    request.path_params = params
    request._attach_body(body)
    return request


def test_what_a_program_sees_of_a_request() -> None:
    incoming = Incoming(asked("GET /x?a=1&b", "X-Key: k"), b"")
    assert (incoming.method, incoming.query_string) == ("GET", "a=1&b")
    assert (incoming.header("x-key"), incoming.header("none")) == ("k", "")
    assert incoming.remote == "192.0.2.7"


class TestHttp:
    def function(self, program: Any, index: int, failures: list[Any]) -> Any:
        def report(*failure: Any) -> None:
            failures.append(failure)

        return HttpRunner(Site(Hub()), report, program, program.http[index]).function()

    def test_the_body_is_read_only_where_there_may_be_one(self, program: Any) -> None:
        answer, add = (self.function(program, index, []) for index in (0, 1))
        assert not asyncio.iscoroutinefunction(answer)
        assert answer(asked("GET /double/4", n="4")).content == b'{"twice":8}\n'
        fields = ("Content-Type: application/json", "Content-Length: 13")
        given = asked("POST /sum", *fields, body=b'{"a":1,"b":2}')
        assert asyncio.run(add(given)).content == b'{"sum":3}\n'

    def test_another_method_of_the_path_does_not_exist(self, program: Any) -> None:
        answer = self.function(program, 0, [])
        assert answer(asked("HEAD /double/4", n="4")).status == 404

    def test_a_failure_is_reported_by_its_place(self, program: Any) -> None:
        failures: list[Any] = []
        answer = self.function(program, 0, failures)
        assert answer(asked("GET /double/x", n="x")).status == 500
        ((code, failure, route),) = failures
        assert isinstance(failure, ProgramFailure)
        assert (qualified_name(code), route) == ("app.glyph:GET", "/double/:n")


def test_a_handler_of_messages_is_told_as_what_it_is_in_the_program(program: Any) -> None:
    runner = SocketRunner(Site(Hub()), lambda *failure: None, program, program.sockets[0])
    assert qualified_name(runner.message()) == "app.glyph:on message"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/s/a.txt", 200), ("/s/none", 404), ("/s/.hidden", 403), ("/s/%2e%2e/secret", 403)],
)
def test_files_that_may_not_be_seen_are_forbidden(tmp_path: Path, path: str, status: int) -> None:
    public = tmp_path / "public"
    public.mkdir()
    for name in ("public/a.txt", "public/.hidden", "secret"):
        (tmp_path / name).write_text("x")
    files = ProgramFiles("/s", public)
    answer = files.respond(asked(f"GET {path}"))
    assert answer is not None and answer.status == status
    assert files.respond(asked("GET /other")) is None
