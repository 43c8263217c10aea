"""Which tokens are good."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from glyph_fast.auth.keys import KeySet, Secret
from glyph_fast.auth.tokens import LEEWAY_S, MAX_TOKEN, InvalidToken, Tokens, expires_at
from glyph_fast.options.jwt import SIGNATURES
from tests.auth.signing import SECRET, UNSIGNED, jwk, key_set, later, private_key, signed

OTHER = "another secret, which is long enough as well"


def by_secret(**options: Any) -> Tokens:
    return Tokens(Secret(SECRET), ["HS256"], **options)


def by_keys(*keys: Any, algorithms: Any = SIGNATURES) -> Tokens:
    found = KeySet(lambda: b"", algorithms)
    found.load(key_set(*keys))
    return Tokens(found, algorithms)


def encoded(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def refusal(tokens: Tokens, token: str) -> str:
    with pytest.raises(InvalidToken) as caught:
        tokens.verify(token)
    assert token not in str(caught.value) or not token
    return str(caught.value)


def test_the_claims_of_a_good_token_are_returned():
    claims = {"sub": "ada", "exp": later(), "role": "admin"}
    assert by_secret().verify(signed(**claims)) == claims


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": later(-60)}, "the token has expired"),
        ({"nbf": later()}, "the token is not valid yet"),
        ({"iat": later()}, "the token is not valid yet"),
        ({"aud": "somebody"}, "the token is for another audience"),
        ({"exp": "soon"}, "the token is malformed"),
        ({"exp": [1]}, "the token is malformed"),
        ({"exp": float("inf")}, "the token is malformed"),
        ({"exp": float("nan")}, "the token is malformed"),
        ({"exp": None}, "the token is malformed"),
        ({"exp": True}, "the token has expired"),
        ({"exp": -(10**30)}, "the token has expired"),
        ({"exp": 10**400}, "the token is malformed"),
        ({"exp": 1e308}, "the token is malformed"),
        ({"exp": 2**53 + 1}, "the token is malformed"),
        ({"sub": 7}, "the token is malformed"),
    ],
)
def test_claims_that_do_not_hold_are_refused(claims, reason):
    payload = encoded({"sub": "ada", **claims})
    message = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{payload}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        message.encode(), SECRET.encode()
    )
    assert refusal(by_secret(), f"{message}.{encoded(signature)}") == reason


def test_clocks_may_differ_a_little():
    now = time.time()
    assert by_secret().verify(signed(sub="a", exp=int(now - LEEWAY_S + 2), nbf=int(now + 2)))


@pytest.mark.parametrize("audience", ["chat", ["news", "chat"]])
def test_the_audience_must_be_this_server(audience):
    tokens = by_secret(audience="chat")
    assert tokens.verify(signed(sub="ada", aud=audience))
    assert refusal(tokens, signed(sub="ada", aud="news")) == "the token is for another audience"
    assert refusal(tokens, signed(sub="ada")) == "the token is for another audience"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "the token is malformed"),
        ("a.b", "the token is malformed"),
        ("a.b.c", "the token is malformed"),
        ("é.é.é", "the token is malformed"),
        ("." * 100, "the token is malformed"),
        ("x" * (MAX_TOKEN + 1), "the token is too long"),
        (f"{encoded([])}.e30.e30", "the token is malformed"),
        (f"{encoded({'alg': 'HS256', 'kid': 7})}.e30.e30", "the token is malformed"),
        (f"{encoded(b'[' * 9000)}.e30.e30", "the token is malformed"),
        (f"{encoded({'alg': ['HS256']})}.e30.e30", "the token's algorithm is not accepted"),
        (UNSIGNED, "the token's algorithm is not accepted"),
        (UNSIGNED.replace("bm9uZSI", "Tk9ORSI"), "the token's algorithm is not accepted"),
        (signed("HS512", sub="ada"), "the token's algorithm is not accepted"),
        (signed(key=OTHER, sub="ada"), "the token's signature is wrong"),
        (signed(sub="ada")[:-3], "the token's signature is wrong"),
        (signed(sub="ada").rpartition(".")[0] + ".", "the token's signature is wrong"),
    ],
)
def test_what_is_no_token_of_ours_is_refused(token, reason):
    assert refusal(by_secret(), token) == reason


@pytest.mark.parametrize("more", [{"crit": ["x"], "x": 1}, {"crit": ["b64"], "b64": False}])
def test_a_token_that_demands_what_is_not_understood_is_refused(more):
    token = jwt.encode({"sub": "ada"}, SECRET, "HS256", headers=more)
    assert refusal(by_secret(), token) == "the token is malformed"


def test_a_token_may_last_for_ages():
    assert expires_at(by_secret().verify(signed(exp=2**53))) == 2**53 + LEEWAY_S


@pytest.mark.parametrize("name", SIGNATURES)
def test_published_keys_verify_every_kind_of_signature(name):
    tokens = by_keys(jwk(name, "one"), algorithms=[name])
    token = signed(name, key=private_key(name), kid="one", sub="ada")
    assert tokens.verify(token) == {"sub": "ada"}
    forged = signed(name, key=private_key(name, "other"), kid="one", sub="ada")
    assert refusal(tokens, forged) == "the token's signature is wrong"


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
def test_a_public_key_is_no_secret(form):
    """Algorithm confusion: sign with HMAC, and the published key as the secret."""
    public = private_key("RS256").public_key()
    secret = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(jwk("RS256", "one")).encode(),
    }[form]
    message = f"{encoded({'alg': 'HS256', 'kid': 'one'})}.{encoded({'sub': 'ada'})}"
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    token = f"{message}.{encoded(hmac.sign(message.encode(), secret))}"
    tokens = by_keys(jwk("RS256", "one"))
    assert refusal(tokens, token) == "the token's algorithm is not accepted"


def test_unsigned_tokens_are_refused_with_published_keys_too():
    tokens = by_keys(jwk("ES256", "one"))
    assert refusal(tokens, UNSIGNED) == "the token's algorithm is not accepted"


def test_a_key_serves_its_own_algorithm_alone():
    token = signed("PS256", key=private_key("PS256"), kid="one", sub="ada")
    assert refusal(by_keys(jwk("RS256", "one")), token) == "the token's key is unknown"
    assert by_keys(jwk("RS256", "one", alg=None)).verify(token) == {"sub": "ada"}


def test_only_accepted_algorithms_count_whatever_the_key_can():
    tokens = by_keys(jwk("RS256", "one", alg=None), algorithms=["RS256"])
    token = signed("RS512", key=private_key("RS512"), kid="one", sub="ada")
    assert refusal(tokens, token) == "the token's algorithm is not accepted"


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.binary().map(lambda data: f"{encoded(data)}.e30.AAAA")))
def test_no_text_is_more_than_an_invalid_token(token):
    with pytest.raises(InvalidToken):
        by_secret().verify(token)


@pytest.mark.parametrize(
    ("claims", "at"), [({}, None), ({"exp": 100}, 100 + LEEWAY_S), ({"exp": 100.9}, 100 + LEEWAY_S)]
)
def test_a_token_says_when_it_ends(claims, at):
    assert expires_at(claims) == at
