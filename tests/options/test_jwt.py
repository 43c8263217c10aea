"""The options of tokens: what goes together."""

from __future__ import annotations

import pytest

from glyph_fast import Config, ConfigError
from glyph_fast.options.jwt import ALGORITHMS, SIGNATURES, JwtOptions

SECRET = "x" * 32
URL = "https://issuer.example/keys"


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.json").write_text("what is in it is judged when the server starts")


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        ({"jwt_secret": SECRET}, ("HS256",)),
        ({"jwt_secret": "ü" * 16}, ("HS256",)),
        ({"jwt_secret": "x" * 64, "jwt_algorithms": "HS512,HS256"}, ("HS512", "HS256")),
        ({"jwt_jwks": "keys.json"}, SIGNATURES),
        ({"jwt_jwks": URL, "jwt_audience": "chat", "jwt_algorithms": ["ES256"]}, ("ES256",)),
    ],
)
def test_algorithms_are_pinned_by_the_kind_of_key(options, accepted):
    assert Config(**options).jwt.accepted == accepted
    assert Config(**options).jwt.is_set


def test_without_a_key_no_tokens_are_asked_for():
    assert not Config().jwt.is_set


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jwt_secret": SECRET, "jwt_jwks": URL}, "jwt_secret and jwt_jwks do not go together"),
        ({"jwt_audience": "chat"}, "jwt_audience needs jwt_secret or jwt_jwks"),
        ({"jwt_algorithms": "HS256"}, "jwt_algorithms needs jwt_secret or jwt_jwks"),
        ({"jwt_secret": SECRET, "jwt_algorithms": "RS256"}, "jwt_algorithms: RS256 needs jwt_jwks"),
        ({"jwt_jwks": URL, "jwt_algorithms": "RS256,HS256"},
         "jwt_algorithms: HS256 needs jwt_secret"),
        ({"jwt_secret": "x" * 31}, "jwt_secret: HS256 needs a secret of at least 32 bytes "
         "(RFC 7518 §3.2), found 31"),
        ({"jwt_secret": SECRET, "jwt_algorithms": "HS256,HS512"},
         "jwt_secret: HS512 needs a secret of at least 64 bytes (RFC 7518 §3.2), found 32"),
        ({"jwt_jwks": "none.json"}, "jwt_jwks: no such file: none.json"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        Config(**options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example/k", "https://", "file:///k", "https://u:p@a.example", "https://[::1/k",
     "https://a.example:0/"],
)  # fmt: skip
def test_keys_come_by_http(url):
    with pytest.raises(ConfigError, match="jwt_jwks: expected a file, or a URL of http or https"):
        Config(jwt_jwks=url)


@pytest.mark.parametrize("name", ["none", "None", "HS1", "hs256", "ES256K", ""])
def test_other_algorithms_are_unknown(name):
    with pytest.raises(ConfigError, match="jwt_algorithms: expected some of HS256"):
        Config(jwt_secret=SECRET, jwt_algorithms=[name])


def test_no_algorithm_is_named_none():
    assert not {name.lower() for name in ALGORITHMS} & {"none", ""}
    assert JwtOptions(None, None, None, ()).accepted  # whatever happens, never an empty list
