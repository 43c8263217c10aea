"""Which pages of other origins may use the HTTP routes, and what their browsers are told."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast import Config, GlyphServer, Response
from tests.engine.desk import Answer, Desk

PAGE = "https://app.example.com"
ALLOWED = [PAGE, "https://*.example.org"]
ASK = {"Origin": PAGE, "Access-Control-Request-Method": "PUT"}
ORIGIN, CREDENTIALS, METHODS, HEADERS, MAX_AGE = (
    f"access-control-{name}"
    for name in ("allow-origin", "allow-credentials", "allow-methods", "allow-headers", "max-age")
)


def desk_of(*allowed: str) -> Desk:
    desk = Desk(Config(allowed_origins=allowed))
    desk.websockets.add(None, "/ws", False)
    desk.get("/thing", lambda request: "thing")
    desk.route("PUT", "/thing", lambda request: None)
    desk.get("/own", lambda request: Response("", headers={"Access-Control-Allow-Origin": "x"}))
    desk.get("/varies", lambda request: Response("", headers={"Vary": "Cookie"}))
    desk.route("OPTIONS", "/asked", lambda request: Response("mine", 202))
    desk.route("PUT", "/asked", lambda request: None)
    desk.route("PUT", "/hidden", lambda request: None, hides_methods=True)
    desk.get("/fails", lambda request: 1 / 0)
    return desk


def cors(answer: Answer) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k.startswith("access-control")}


def test_without_allowed_origins_nothing_is_said_and_options_is_a_method_like_any_other() -> None:
    desk = desk_of()
    answer = desk.ask("GET /thing", {"Origin": "http://example.com"})
    assert answer.status == 200
    assert not cors(answer) and "vary" not in answer.headers
    answer = desk.ask("OPTIONS /thing", ASK)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, PUT")
    assert not cors(answer)


@pytest.mark.parametrize("origin", [PAGE, "https://a.example.org", "https://APP.example.com:443"])
@pytest.mark.parametrize("path", ["/thing", "/nowhere", "/fails", "/healthz", "/ws"])
def test_pages_that_are_listed_may_read_every_answer(origin: str, path: str) -> None:
    answer = desk_of(*ALLOWED).ask(f"GET {path}", {"Origin": origin})
    assert cors(answer) == {ORIGIN: origin, CREDENTIALS: "true"}
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://example.org", "http://app.example.com", "https://evil.example", "null", ""]
)
def test_others_are_told_nothing_but_get_their_answer(origin: str) -> None:
    desk = desk_of(*ALLOWED)
    answer = desk.ask("GET /thing", {"Origin": origin})
    assert (answer.status, answer.body) == (200, b"thing")
    assert not cors(answer)
    assert answer.headers["vary"] == "Origin"
    answer = desk.ask("OPTIONS /thing", {**ASK, "Origin": origin})
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, PUT")
    assert not cors(answer)


def test_an_answer_that_is_given_again_does_not_gather_fields() -> None:
    desk = desk_of(*ALLOWED)
    for page in (PAGE, "https://a.example.org", PAGE):
        answer = desk.ask("GET /healthz", {"Origin": page})
        assert cors(answer) == {ORIGIN: page, CREDENTIALS: "true"}


def test_everybody_may_read_without_credentials() -> None:
    desk = desk_of("*")
    for origin in (PAGE, "null", ""):
        answer = desk.ask("GET /thing", {"Origin": origin})
        assert cors(answer) == {ORIGIN: "*"}
        assert "vary" not in answer.headers
    answer = desk.ask("OPTIONS /thing", ASK)
    assert (answer.status, answer.headers[ORIGIN]) == (204, "*")
    assert CREDENTIALS not in answer.headers


def test_null_is_anybody_and_gets_no_credentials() -> None:
    answer = desk_of(PAGE, "null").ask("GET /thing", {"Origin": "null"})
    assert cors(answer) == {ORIGIN: "null"}


def test_what_a_handler_says_itself_stands() -> None:
    desk = desk_of(*ALLOWED)
    assert cors(desk.ask("GET /own", {"Origin": PAGE})) == {ORIGIN: "x"}
    answer = desk.ask("OPTIONS /asked", ASK)
    assert (answer.status, answer.body) == (202, b"mine")
    assert cors(answer) == {ORIGIN: PAGE, CREDENTIALS: "true"}


def test_a_preflight_request_is_answered_by_the_methods_of_the_path() -> None:
    desk = desk_of(*ALLOWED)
    names = "Authorization, x-request-id"
    answer = desk.ask("OPTIONS /thing", {**ASK, "Access-Control-Request-Headers": names})
    assert (answer.status, answer.body) == (204, b"")
    assert cors(answer) == {
        ORIGIN: PAGE, CREDENTIALS: "true", METHODS: "GET, HEAD, PUT", HEADERS: names,
        MAX_AGE: "600",
    }  # fmt: skip
    assert answer.headers["vary"] == "Origin, Access-Control-Request-Headers"
    assert answer.keeps_alive


@pytest.mark.parametrize("names", ["", "a b", "a,,b", "a: b", "é"])
def test_names_of_fields_that_are_none_are_not_repeated(names: str) -> None:
    answer = desk_of(*ALLOWED).ask(
        "OPTIONS /thing", {**ASK, "Access-Control-Request-Headers": names}
    )
    assert answer.status == 204
    assert HEADERS not in answer.headers


def test_a_preflight_request_reaches_routes_whose_other_methods_are_hidden() -> None:
    desk = desk_of(*ALLOWED)
    answer = desk.ask("OPTIONS /hidden", ASK)
    assert (answer.status, answer.headers[METHODS]) == (204, "PUT")
    assert desk.ask("OPTIONS /hidden").status == 404


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/ws", 405)])
def test_where_there_is_nothing_to_ask_for_the_answer_is_as_ever(path: str, status: int) -> None:
    desk = desk_of(*ALLOWED)
    assert desk.ask(f"OPTIONS {path}", ASK).status == status
    assert desk.ask(f"OPTIONS {path}", {"Origin": PAGE}).status == status


def test_vary_is_added_to_and_not_replaced() -> None:
    desk = desk_of(*ALLOWED)
    client = desk.client().send(b"GET /varies HTTP/1.1\r\nHost: a\r\n\r\n")
    assert bytes(client.pipe.data).count(b"Vary: Cookie\r\n") == 1
    assert bytes(client.pipe.data).count(b"Vary: Origin\r\n") == 1


def test_allowed_origins_take_the_place_of_the_variable(monkeypatch: Any) -> None:
    monkeypatch.setenv("GLYPH_CORS_ORIGIN", "https://a.example")
    assert GlyphServer()._cors
    server = GlyphServer(Config(allowed_origins=[PAGE]))
    assert (server._cors, server.config.allowed_origins) == ({}, (PAGE,))
    server = GlyphServer()
    server._configure(Config(allowed_origins=[PAGE]), {})
    assert (server._cors, server.config.allowed_origins) == ({}, (PAGE,))
    server = GlyphServer()
    server._configure(Config(port=0), {})
    assert server._cors and server.config.allowed_origins == ("https://a.example",)
