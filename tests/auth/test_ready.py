"""Tokens at the door and afterwards, without sockets: `tests/test_authentication.py` has those."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import pytest

from glyph_fast import Config, ConfigError, Reject, Server
from glyph_fast.auth import ready as module
from glyph_fast.auth.ready import TokenAuthentication
from glyph_fast.testing import TestClient, UpgradeRefused
from tests.auth.signing import SECRET, Issuer, jwk, key_set, later, private_key, request, signed
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores


def bearer(token: str) -> Any:
    return request(f"Authorization: Bearer {token}")


class Guarded(Site):
    """A site whose peers have shown a token."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Config(**(options or {"jwt_secret": SECRET})))
        self.auth = TokenAuthentication(self.config, self.dispatcher)
        self.hub._expiry.clock = lambda: self.now
        self.now = 0.0

    def enter(self, **claims: Any) -> Peer:
        peer = self.connect(identity=None)
        peer.conn.identity = self.auth.authenticate(bearer(signed(**claims)))
        self.hub._users.add(peer.conn, claims.get("sub"))
        self.hub.expire(peer.conn, module.expires_at(peer.conn.identity))
        return peer

    def at(self, now: float) -> None:
        self.now = now
        self.hub._sweep()
        self.flush()


@pytest.fixture
def site() -> Guarded:
    return Guarded()


def refusal(auth: TokenAuthentication, request_: Any) -> Reject:
    with pytest.raises(Reject) as caught:
        auth.authenticate(request_)
    return caught.value


def refresh(token: Any) -> dict[str, Any]:
    return {"type": "json", "event": "auth_refresh", "data": {"token": token}, "id": "7"}


def answer(peer: Peer, message: Any) -> dict[str, Any]:
    peer.send(message)
    (found,) = peer.answers()
    assert found.pop("target") == peer.id
    return found


def test_the_claims_are_the_identity(site):
    claims = {"sub": "ada", "exp": later(), "role": "admin"}
    assert site.auth.authenticate(bearer(signed(**claims))) == claims


def test_no_token_is_a_challenge(site):
    found = refusal(site.auth, request())
    assert (found.status, found.body) == (401, {"error": "a token is required"})
    assert found.headers == {"WWW-Authenticate": 'Bearer realm="glyph-fast"'}


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("Authorization: Bearer", "no token follows Bearer"),
        ("Authorization: Bearer a.b.c", "the token is malformed"),
        (f"Authorization: Bearer {signed(exp=5)}", "the token has expired"),
        (f"Cookie: access_token={signed(exp=5)}", "the token has expired"),
    ],
)
def test_a_bad_token_is_refused_and_why_is_said(site, field, reason):
    found = refusal(site.auth, request(field, target=f"/ws?access_token={signed(sub='ada')}"))
    assert (found.status, found.body) == (401, {"error": reason})
    assert found.headers["WWW-Authenticate"] == (
        f'Bearer realm="glyph-fast", error="invalid_token", error_description="{reason}"'
    )


def test_a_token_is_chosen_as_no_subprotocol(site):
    assert site.auth.subprotocols == ("glyph-fast", "bearer")
    other = Guarded(jwt_secret=SECRET, subprotocols=["v2"]).auth
    assert other.subprotocols == ("v2", "glyph-fast", "bearer")


class TestRefreshing:
    def test_a_token_counts_like_a_request_in_its_sender_s_share(self, site):
        """To verify one takes as long, be it good or bad."""
        ada = site.enter(sub="ada", exp=later())
        for token in (signed(sub="ada", exp=later()), signed(sub="ada", exp=5)):
            before = ada.conn.messages_received
            ada.feed(*[refresh(token)] * 100)
            assert ada.conn.messages_received - before <= 256 // 32
            for _ in range(100):
                site.flush()
            assert ada.conn.messages_received - before == 100

    def test_a_newer_token_of_the_same_user_keeps_the_connection_open(self, site):
        end = later()
        ada = site.enter(sub="ada", exp=end)
        found = answer(ada, refresh(signed(sub="ada", exp=end + 100, role="admin")))
        data = {"type": "auth_refresh_success", "expires": end + 100}
        assert found == {"type": "json", "data": data, "id": "7"}
        assert ada.conn.identity["role"] == "admin"
        site.at(end + 50)
        assert ada.conn.is_open
        site.at(end + 105)
        assert ada.received() == []
        assert ada.close_code == 4401

    def test_a_token_that_never_ends_takes_the_end_away(self, site):
        ada = site.enter(sub="ada", exp=later())
        assert answer(ada, refresh(signed(sub="ada")))["data"] == {"type": "auth_refresh_success"}
        site.at(later(10**9))
        assert ada.conn.is_open

    @pytest.mark.parametrize(
        ("token", "reason"),
        [
            (signed(sub="eve", exp=later(9999)), "the token is not one of the same user"),
            (signed(exp=later(9999)), "the token is not one of the same user"),
            (signed(sub="ada", exp=5), "the token has expired"),
            ("a.b.c", "the token is malformed"),
            ("", "the token is malformed"),
            (None, "token is missing"),
            ({"a": 1}, "token must be text"),
            (7, "token must be text"),
        ],
    )
    def test_what_is_refused_leaves_the_former_token_in_force(self, site, token, reason):
        end = later()
        ada = site.enter(sub="ada", exp=end)
        found = answer(ada, refresh(token))
        assert found == {"type": "error", "data": {"error": reason}, "id": "7"}
        assert ada.conn.identity["sub"] == "ada"
        assert site.hub.metrics.commands_refused == 1
        assert site.hub.metrics.handler_errors == 0
        site.at(end + 4)
        assert ada.conn.is_open
        site.at(end + 5)
        assert not ada.conn.is_open

    @pytest.mark.parametrize("data", [None, [], "token", {"data": "x"}])
    def test_a_message_of_another_shape_is_refused(self, site, data):
        ada = site.enter(sub="ada")
        message = {"type": "json", "event": "auth_refresh", "data": data}
        assert answer(ada, message)["data"] == {"error": "token is missing"}

    def test_one_who_is_nobody_cannot_become_somebody(self, site):
        ghost = site.enter(exp=later())
        for token in (signed(sub="ada"), signed(exp=later(5000))):
            assert answer(ghost, refresh(token))["type"] == "error"

    def test_the_programs_handler_runs_after_a_success_only(self, site):
        seen: list[Any] = []
        site.dispatcher.on_event("auth_refresh")(lambda ctx: seen.append(ctx.conn.identity["n"]))
        site.dispatcher.on_message()(lambda ctx: pytest.fail("nobody else hears of tokens"))
        ada = site.enter(sub="ada", n=1)
        ada.send(refresh(signed(sub="eve", n=2)), refresh(signed(sub="ada", n=3)))
        assert seen == [3]

    def test_without_the_options_the_event_is_an_ordinary_one(self):
        site = Site()
        seen: list[Any] = []
        site.dispatcher.on_event("auth_refresh")(lambda ctx: seen.append(ctx.message.data))
        site.connect().send(refresh("x"))
        assert seen == [{"token": "x"}]


class TestPublishedKeys:
    def test_a_key_that_is_new_is_waited_for(self, run):
        async def main():
            with Issuer(jwk("ES256", "old")) as issuer:
                site = Guarded(jwt_jwks=issuer.url).on_loop()
                await site.auth.start()
                ada = site.connect()
                old = signed("ES256", key=private_key("ES256"), kid="old", sub="ada")
                ada.conn.identity = site.auth.authenticate(bearer(old))
                assert ada.conn.identity == {"sub": "ada"}
                issuer.body = key_set(jwk("ES256", "new", name="new"))
                site.auth._set._tried_at = -1e9  # long ago
                key = private_key("ES256", "new")
                new = signed("ES256", key=key, kid="new", sub="ada", exp=later())
                ada.send(refresh(new), {"type": "ping"})
                assert ada.received() == []  # what comes behind waits too
                while ada.conn._inbox is not None:
                    await asyncio.sleep(0.001)
                assert [each["type"] for each in ada.answers()] == ["json", "pong"]
                assert await site.auth._wait(_later(site.auth.authenticate(bearer(new))))
                assert issuer.asked == 2
                await site.auth.stop()

        run(main())

    def test_an_unknown_key_is_401_and_no_keys_at_all_503(self, run, caplog):
        async def main():
            with Issuer() as issuer:
                issuer.status = 500
                site = Guarded(jwt_jwks=issuer.url).on_loop()
                await site.auth.start()
                token = signed("ES256", key=private_key("ES256"), kid="one", sub="ada")
                with pytest.raises(Reject) as caught:
                    await site.auth.authenticate(bearer(token))
                assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "10"})
                ada = site.connect(identity={"sub": "ada"})
                ada.send(refresh(token))
                while ada.conn._inbox is not None:
                    await asyncio.sleep(0.001)
                assert ada.answers()[0]["data"] == {"error": "tokens cannot be verified now"}
                issuer.status, issuer.body = 200, key_set(jwk("ES256", "other"))
                site.auth._set._tried_at = -1e9
                with pytest.raises(Reject) as caught:
                    await site.auth.authenticate(bearer(token))
                assert caught.value.status == 401
                assert caught.value.body == {"error": "the token's key is unknown"}
                await site.auth.stop()

        run(main())

    def test_a_client_that_left_while_its_key_was_fetched_changes_nothing(self, run):
        async def main():
            with Issuer(jwk("ES256", "new")) as issuer:
                site = Guarded(jwt_jwks=issuer.url).on_loop()
                issuer.gate.clear()
                ada = site.connect(identity={"sub": "ada"})
                token = signed("ES256", key=private_key("ES256"), kid="new", sub="ada", exp=later())
                ada.send(refresh(token))
                ada.vanish()
                issuer.gate.set()
                while ada.conn._inbox is not None:
                    await asyncio.sleep(0.001)
                assert len(site.hub._expiry) == 0
                await site.auth.stop()

        run(main())

    def test_a_file_is_read_at_the_start_and_when_a_key_is_new(self, run, tmp_path):
        async def main():
            file = tmp_path / "keys.json"
            file.write_bytes(key_set(jwk("ES256", "one")))
            site = Guarded(jwt_jwks=str(file))
            await site.auth.start()
            token = signed("ES256", key=private_key("ES256", "two"), kid="two", sub="ada")
            file.write_bytes(key_set(jwk("ES256", "two", name="two")))
            assert await site.auth.authenticate(bearer(token)) == {"sub": "ada"}
            await site.auth.stop()

        run(main())

    @pytest.mark.parametrize("text", ["", "<html>", '{"keys": []}'])
    def test_a_file_without_keys_is_a_config_error(self, tmp_path, text):
        (tmp_path / "keys.json").write_text(text)
        with pytest.raises(ConfigError, match="cannot use the keys of .*keys.json"):
            Guarded(jwt_jwks=str(tmp_path / "keys.json"))

    def test_keys_from_afar_by_http_are_warned_of(self, run, caplog, monkeypatch):
        monkeypatch.setattr(module, "fetch", lambda url: key_set(jwk("ES256", "one")))
        for url in ("http://issuer.example/k", "https://issuer.example/k", "http://127.0.0.1:1/k"):
            run(Guarded(jwt_jwks=url).auth.start())
        assert [record.fields["url"] for record in caplog.records] == ["http://issuer.example/k"]

    def test_without_cryptography_it_is_a_config_error(self, monkeypatch, tmp_path):
        monkeypatch.setattr(module, "has_crypto", False)
        with pytest.raises(ConfigError, match=r"pip install 'glyph-fast\[jwt\]'"):
            Guarded(jwt_jwks="https://issuer.example/keys")


async def _later(value: Any) -> Any:
    return value


def test_a_key_is_no_secret():
    secret = "-----BEGIN PUBLIC KEY-----MFkwEwYHKoZIzj0CAQ-----END PUBLIC KEY-----"
    with pytest.raises(ConfigError, match="jwt_secret: expected a secret, found a key") as caught:
        Guarded(jwt_secret=secret)
    assert "MFk" not in str(caught.value)


def test_an_authenticator_of_the_programs_own_excludes_the_options(run):
    server = Server(Config(jwt_secret=SECRET, port=0))
    server.authenticate(lambda request: "ada")
    with pytest.raises(ConfigError, match="do not go with @server.authenticate"):
        run(server.serve())


def test_without_pyjwt_it_is_a_config_error(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "jwt", None)
    for name in [name for name in sys.modules if name.startswith("glyph_fast.auth.")]:
        monkeypatch.delitem(sys.modules, name)
    needed = r"^jwt_secret needs pyjwt: pip install 'glyph-fast\[jwt\]'$"
    with pytest.raises(ConfigError, match=needed):
        run(Server(Config(jwt_secret=SECRET, port=0)).serve())
    assert run(Server(Config(port=0)).shutdown()) is None


def test_without_the_options_nothing_of_it_is_loaded():
    import subprocess

    code = "import sys; from glyph_fast import Server; Server(); print('jwt' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n"


def test_a_test_client_lets_the_time_of_a_token_pass(run):
    server = Server(Config(jwt_secret=SECRET, ping_interval=0))

    async def main():
        async with TestClient(server) as client:
            token = signed(sub="ada", exp=later(600))
            fields = {"Authorization": f"Bearer {token}"}
            async with await client.connect(headers=fields) as ws:
                await client.advance(500)
                assert ws.is_open
                await client.advance(120)
                await ws.expect_close(4401)
            with pytest.raises(UpgradeRefused):
                await client.connect()

    run(main())
    assert server.hub._expiry.clock is time.time


# What others see.


def test_the_claim_info_is_what_others_see() -> None:
    async def main() -> None:
        server = Server(Config(jwt_secret=SECRET))
        server.websocket("/ws")
        async with TestClient(server) as client:
            headers = {"Authorization": f"Bearer {signed(sub='ada', info={'name': 'Ada'})}"}
            ws = await client.connect("/ws", headers=headers)
            assert ws.connection.info == {"name": "Ada"}

            async def renew(**claims: Any) -> Any:
                await ws.send_event("auth_refresh", {"token": signed(sub="ada", **claims)})
                answer = (await ws.receive_json())["data"]
                return answer.get("error", ws.connection.info)

            assert await renew(info={"name": "Ada", "since": 2}) == {"name": "Ada", "since": 2}
            ws.connection.info = "busy"
            assert await renew(info={"name": "Ada", "since": 2}) == "busy"  # nothing new is said
            assert await renew(info="x" * 5000) == (
                "info is 5002 bytes of JSON, at most 4096 are allowed"
            )
            assert ws.connection.info == "busy"
            assert await renew() is None

    asyncio.run(main())


def test_a_token_whose_info_is_too_large_is_refused(site: Guarded) -> None:
    reject = refusal(site.auth, bearer(signed(sub="ada", info="x" * 5000)))
    assert reject.status == 401
    assert reject.body == {"error": "info is 5002 bytes of JSON, at most 4096 are allowed"}
