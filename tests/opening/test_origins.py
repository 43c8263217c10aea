"""Pages that may open a WebSocket, and what they may bring."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from glyph_fast import Config
from glyph_fast.http.forwarded import Proxies
from glyph_fast.http.head import parse_head
from glyph_fast.opening.admission import Refusal
from glyph_fast.opening.origins import Origins
from tests.engine.desk import desk_with_route, head, upgrade

COOKIE = {"Cookie": "session=s"}
OWN, FOREIGN, NAMED = "http://example.com", "https://evil.example", "https://app.example.org"


def brings(origin: str | None, *allowed: str, proxy: bool = False, **fields: str) -> str | None:
    """The session cookie that is left of a request; Refusal when the page may not connect."""
    proxies = ["192.0.2.7"] if proxy else []
    config = Config(allowed_origins=allowed, trusted_proxies=proxies)
    request = parse_head(head("GET /ws", {**COOKIE, **fields}), "192.0.2.7")
    conn = SimpleNamespace(remote="192.0.2.7")
    Origins(config, Proxies(config.trusted_proxies)).check(conn, request, origin)
    return request.cookies.get("session")


@pytest.mark.parametrize(
    ("origin", "allowed", "cookie"),
    [
        (None, [], "s"),
        (OWN, [], "s"),
        (NAMED, [NAMED], "s"),
        (NAMED, ["https://*.example.org"], "s"),
        (None, ["*"], "s"),
        (OWN, ["*"], "s"),
        (NAMED, ["*", NAMED], "s"),
        (FOREIGN, ["*", NAMED], None),
        (FOREIGN, ["*"], None),
        ("null", ["*"], None),
        ("null", ["null"], None),
        (NAMED, ["null", NAMED], "s"),
    ],
)
def test_cookies_count_for_the_servers_own_pages_and_those_that_are_named(
    origin: str | None, allowed: list[str], cookie: str | None
) -> None:
    assert brings(origin, *allowed) == cookie


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(FOREIGN, []), ("null", []), (OWN, [NAMED]), (FOREIGN, [NAMED]), (FOREIGN, ["null"])],
)
def test_other_pages_are_refused(origin: str, allowed: list[str]) -> None:
    with pytest.raises(Refusal) as caught:
        brings(origin, *allowed)
    assert (caught.value.status, caught.value.metric) == (403, "origin")


def test_behind_a_proxy_the_servers_own_origin_is_that_of_the_clients() -> None:
    fields = {"X-Forwarded-Host": "chat.example", "X-Forwarded-Proto": "https"}
    for allowed in ((), ("*",)):
        assert brings("https://chat.example", *allowed, proxy=True, **fields) == "s"
    assert brings("http://example.com", "*", proxy=True, **fields) is None
    assert brings("https://chat.example", "*", **fields) is None  # nobody is trusted


def test_the_operator_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    desk = desk_with_route(Config(allowed_origins=["*"]))
    desk.answer(upgrade(Origin=FOREIGN))
    assert caplog.records == []  # nothing was taken away
    for _ in range(3):
        assert desk.answer(upgrade(Origin=FOREIGN, **COOKIE)).status == 101
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.fields["origin"] == FOREIGN  # type: ignore[attr-defined]


def test_neither_authenticator_nor_handlers_see_what_does_not_count() -> None:
    seen: list[Any] = []

    def who(request: Any) -> str:
        seen.extend([request.cookies, request.headers.get("authorization")])
        return "somebody"

    desk = desk_with_route(Config(allowed_origins=["*"]), authenticate=who)
    fields = {**COOKIE, "Authorization": "Basic YTpi"}
    assert desk.answer(upgrade(Origin=FOREIGN, **fields)).status == 101
    assert seen == [{}, None]
    assert desk.opened[0].request.cookies == {}
    desk.answer(upgrade(Origin=OWN, **fields))
    assert seen[2:] == [{"session": "s"}, "Basic YTpi"]


def test_a_client_certificate_is_no_identity_for_everybodys_page() -> None:
    desk = desk_with_route(Config(allowed_origins=["*"]))
    desk.opening._scheme = "https"  # as with TLS, whose session the sink has

    def identity(origin: str) -> Any:
        client = desk.client()
        client.pipe.tls = SimpleNamespace(identity="ada")  # type: ignore[attr-defined]
        client.send(upgrade(Origin=origin))
        return desk.opened[-1].identity

    assert identity(OWN.replace("http:", "https:")) == "ada"
    assert identity(FOREIGN) is None


@pytest.mark.parametrize("origin", ["https://example.com:99999", "https://[:::]", "https://", ""])
@pytest.mark.parametrize("allowed", [[], [NAMED], ["file://"], ["*"]])
def test_an_origin_that_is_none_is_judged_like_any_other(origin: str, allowed: list[str]) -> None:
    desk = desk_with_route(Config(allowed_origins=allowed))
    request = upgrade("/ws", Origin=origin or " ")
    assert desk.answer(request).status == (101 if "*" in allowed else 403)


@pytest.mark.parametrize("origin", ["file://", "app://."])
def test_an_origin_without_a_host_can_be_named(origin: str) -> None:
    assert (
        desk_with_route(Config(allowed_origins=[origin]))
        .answer(upgrade("/ws", Origin=origin))
        .status
        == 101
    )
    assert (
        desk_with_route(Config(allowed_origins=[NAMED]))
        .answer(upgrade("/ws", Origin=origin))
        .status
        == 403
    )
