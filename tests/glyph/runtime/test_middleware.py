"""`+ ratelimit` and `+ auth`."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast.glyph.runtime import middleware
from glyph_fast.glyph.runtime.middleware import Credentials, RateLimit, bearer_token, per_minute
from tests.glyph.harness import World

SECRET = {"Authorization": "Bearer s3cret"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLYPH_JWT_SECRET", "s3cret")
    monkeypatch.setenv("GLYPH_API_KEYS", "k1, k2,,")


@pytest.mark.parametrize(
    ("text", "budget"),
    [("100/min", 100), ("5/sec", 300), ("2/s", 120), ("1000/hour", 17), ("60/h", 1), ("1/hr", 1),
     ("9/day", 1), ("2880/d", 2), ("7/fortnight", 7), ("0/min", 1), ("3/SECOND", 180)],
)  # fmt: skip
def test_every_window_becomes_a_budget_for_a_minute(text: str, budget: int) -> None:
    assert per_minute(text) == budget


def test_budget_is_the_burst_and_is_refilled_evenly() -> None:
    clock = Clock()
    limit = RateLimit(6, clock)
    assert [limit.allows("a") for _ in range(7)] == [True] * 6 + [False]
    clock.now += 10
    assert [limit.allows("a") for _ in range(2)] == [True, False]
    clock.now += 3600
    assert [limit.allows("a") for _ in range(7)] == [True] * 6 + [False]


def test_clients_have_budgets_of_their_own_and_the_oldest_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(middleware, "_MAX_CLIENTS", 2)
    limit = RateLimit(1, Clock())
    assert [limit.allows(client) for client in ("a", "b", "a", "c", "a", "b")] == [
        True, True, False, True, False, True,
    ]  # fmt: skip


def test_rate_limit_of_a_route() -> None:
    world = World(
        "@ GET /a {\n  + ratelimit(2/min)\n  > 1\n}\n@ GET /b {\n  + ratelimit(1/min)\n}\n"
    )
    assert [world.get("/a").status for _ in range(3)] == [200, 200, 429]
    assert world.get("/a", remote="192.0.2.9").status == 200
    assert world.get("/b").status == 200
    assert world.get("/b").json == {"code": 429, "error": True, "message": "rate limit exceeded"}


def test_routes_without_configured_credentials_refuse_everybody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("GLYPH_JWT_SECRET", "GLYPH_API_KEYS"):
        monkeypatch.setenv(name, " ,")
    world = World("@ GET /a {\n + auth(apikey)\n}\n")
    answer = world.get("/a", headers={"X-API-Key": ""})
    assert (answer.status, answer.json["message"]) == (401, "unauthorized")
    monkeypatch.delenv("GLYPH_JWT_SECRET")
    assert World("@ GET /a {\n + auth(jwt)\n}\n").get("/a", headers=SECRET).status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (SECRET, 200),
        ({"Authorization": "bearer s3cret"}, 200),
        ({"Authorization": "s3cret"}, 401),
        ({"Authorization": "Bearer s3cret2"}, 401),
        ({"Authorization": "Bearer é"}, 401),
        ({"X-API-Key": "s3cret"}, 401),
    ],
)
def test_bearer_tokens(configured: None, headers: dict[str, str], status: int) -> None:
    world = World("@ GET /a {\n  + auth(jwt, role: admin)\n  > 1\n}\n")
    assert world.get("/a", headers=headers).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-API-Key": "k1"}, 200),
        ({"X-API-Key": " k2 "}, 200),
        ({"Authorization": "Bearer k2"}, 200),
        ({"X-API-Key": "k3"}, 401),
        ({"X-API-Key": "k1, k2"}, 401),
    ],
)
def test_api_keys(configured: None, headers: dict[str, str], status: int) -> None:
    world = World("@ GET /a {\n  + auth(apikey)\n  > 1\n}\n")
    assert world.get("/a", headers=headers).status == status


def test_refusals_say_what_is_missing(configured: None) -> None:
    world = World("@ GET /a {\n  + auth(apikey)\n}\n@ GET /b {\n  + auth(jwt)\n}\n")
    wrong = {"Authorization": "Bearer x"}
    assert [world.get(p, headers=h).json["message"] for p in ("/a", "/b") for h in ({}, wrong)] == [
        "unauthorized: missing API key",
        "unauthorized: invalid API key",
        "unauthorized: missing token",
        "unauthorized: invalid token",
    ]


NOBODY = {"user": {"id": 0, "username": "", "role": ""}, "token": "", "expiresAt": 0}


class Caller:
    def __init__(self, token: str, remote: str = "192.0.2.1") -> None:
        self.token = token
        self.remote = remote

    def header(self, name: str) -> str:
        return f"Bearer {self.token}" if name == "Authorization" and self.token else ""


def test_repeated_bad_tokens_lock_an_address_out_for_longer_and_longer() -> None:
    clock = Clock()
    guard = Credentials(["good"], wants_key=False, clock=clock)

    def status(token: str, remote: str = "192.0.2.1") -> Any:
        refused = guard(Caller(token, remote))
        return refused.status if refused else 200

    assert [status("bad") for _ in range(6)] == [401] * 5 + [429]
    assert status("good") == 429
    assert status("good", "192.0.2.2") == 200
    clock.now += 61
    assert status("bad") == 401
    clock.now += 61
    assert status("bad") == 429
    clock.now += 60
    assert status("good") == 200
    assert status("bad") == 401


def test_missing_tokens_lock_nobody_out() -> None:
    guard = Credentials(["good"], wants_key=False, clock=Clock())
    for _ in range(20):
        refused = guard(Caller(""))
        assert refused is not None and refused.status == 401
    assert guard(Caller("good")) is None


def test_bad_tokens_of_long_ago_are_forgotten() -> None:
    clock = Clock()
    guard = Credentials(["good"], wants_key=False, clock=clock)
    for _ in range(20):
        refused = guard(Caller("bad"))
        assert refused is not None and refused.status == 401
        clock.now += 901


def test_the_limit_is_asked_before_the_credentials(configured: None) -> None:
    world = World("@ GET /a {\n  + auth(jwt)\n  + ratelimit(1/min)\n  > 1\n}\n")
    assert [world.get("/a").status, world.get("/a", headers=SECRET).status] == [401, 429]


def test_auth_is_a_dummy_user_or_that_of_a_demo_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLYPH_JWT_SECRET", "demo-token-7-ann-lee")
    world = World("@ GET /a {\n  + auth(jwt)\n  > auth\n}\n")
    answer = world.get("/a", headers={"Authorization": "Bearer demo-token-7-ann-lee"})
    assert answer.json == {
        "user": {"id": 7, "username": "ann-lee", "role": ""},
        "token": "demo-token-7-ann-lee",
        "expiresAt": 0,
    }
    monkeypatch.setenv("GLYPH_JWT_SECRET", "other")
    world = World("@ GET /a {\n  + auth(jwt)\n  > auth\n}\n")
    assert world.get("/a", headers={"Authorization": "Bearer other"}).json == NOBODY


FORGED = {"Authorization": "Bearer demo-token-1-admin"}


def test_auth_does_not_believe_a_token_that_nobody_has_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GLYPH_API_KEYS", "k1,demo-token-2-bob")
    monkeypatch.setenv("GLYPH_JWT_SECRET", "demo-token-3-cyd")
    world = World(
        "@ GET /key {\n  + auth(apikey)\n  > auth\n}\n"
        "@ GET /both {\n  + auth(apikey)\n  + auth(jwt)\n  > auth.user.username\n}\n"
        "@ GET /late {\n  + auth(apikey)\n  > let(auth)\n}\n! let(a: any) { > a.user }\n"
    )
    assert world.get("/key", headers={"X-API-Key": "k1", **FORGED}).json == NOBODY
    assert world.get("/late", headers={"X-API-Key": "k1", **FORGED}).json == NOBODY["user"]
    assert world.get("/key", headers=FORGED).status == 401
    bob = {"Authorization": "Bearer demo-token-2-bob"}
    assert world.get("/key", headers=bob).json["user"]["username"] == "bob"
    cyd = {"X-API-Key": "k1", "Authorization": "Bearer demo-token-3-cyd"}
    assert world.get("/both", headers=cyd).json == "cyd"
    assert world.get("/both", headers={"X-API-Key": "k1", **FORGED}).status == 401


ONE, SAME, OTHER = "2001:db8:0:1::1", "2001:db8:0:1:ffff::2%eth0", "2001:db8:0:2::1"


def test_an_ipv6_network_counts_as_one_client() -> None:
    world = World("@ GET /a {\n  + ratelimit(2/min)\n  > 1\n}\n")
    assert [world.get("/a", remote=r).status for r in (ONE, SAME, SAME, ONE)] == [
        200,
        200,
        429,
        429,
    ]
    assert world.get("/a", remote=OTHER).status == 200
    guard = Credentials(["good"], wants_key=False, clock=Clock())
    for number in range(5):
        assert guard(Caller("bad", f"2001:db8:0:1::{number:x}"))
    for remote, status in ((ONE, 429), (OTHER, 401)):
        refused = guard(Caller("bad", remote))
        assert refused is not None and refused.status == status


def test_bearer_token_of_a_header() -> None:
    assert [bearer_token(t) for t in ("Bearer  a b ", "BEARER x", "Basic x", "Bearer", "")] == [
        "a b", "x", "", "", "",
    ]  # fmt: skip


def test_other_middlewares_have_no_effect() -> None:
    assert World("@ GET /a {\n  + cache(60)\n  + log\n  > 1\n}\n").get("/a").status == 200
