"""Keys: which of a set count, and when the set is read again."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from glyph_fast.auth.keys import (
    LIFETIME_S,
    MAX_KEYS,
    MIN_INTERVAL_S,
    KeySet,
    KeysUnavailable,
    Secret,
    read_keys,
)
from glyph_fast.options.jwt import SIGNATURES
from tests.auth.signing import SECRET, jwk, key_set, private_key


class Source:
    """A source of keys that is counted, and a clock."""

    def __init__(self, *keys: Any) -> None:
        self.data = key_set(*keys)
        self.error: Exception | None = None
        self.read = 0
        self.now = 1000.0
        self.gate = threading.Event()
        self.gate.set()
        self.threads: set[int] = set()
        self.set = KeySet(self._read, SIGNATURES, clock=lambda: self.now)

    def _read(self) -> bytes:
        self.read += 1
        self.threads.add(threading.get_ident())
        self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return self.data


def test_a_set_of_keys_may_begin_with_a_byte_order_mark():
    assert len(read_keys(b"\xef\xbb\xbf" + key_set(jwk("ES384", "a")), SIGNATURES)) == 1


def test_a_secret_is_the_key_of_every_token():
    assert Secret(SECRET).find(None, "HS256") == Secret(SECRET).find("x", "HS256")
    public = private_key("RS256").public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(ValueError, match="expected a secret"):
        Secret(pem)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "key",
        {},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "one"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "one", "alg": "RS256"},
        {"kty": "RSA", "kid": "one"},
        {"kty": "RSA", "n": "!!", "e": "AQAB", "kid": "one"},
        {"kty": ["RSA"], "kid": "one"},
        jwk("ES256", "one", use="enc"),
        jwk("ES256", "one", crv="P-384"),
        jwk("ES256", "one", crv="secp256k1"),
        jwk("ES256", "one", alg="ES512"),
        jwk("ES256", "one", alg="HS256"),
        {**jwk("ES256"), "kid": 7},
        json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key())),
    ],
)
def test_entries_that_are_of_no_use_are_passed_over(entry):
    with pytest.raises(ValueError, match="no key of the set fits"):
        read_keys(key_set(entry), SIGNATURES)
    assert len(read_keys(key_set(entry, jwk("ES384", "good")), SIGNATURES)) == 1


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"keys": 5}', b"<html>", b'{"keys": {}}'])
def test_what_is_no_set_is_a_valueerror(data):
    with pytest.raises(ValueError):
        read_keys(data, SIGNATURES)


def test_a_private_key_by_mistake_is_used_as_the_public_one():
    entry = {**json.loads(RSAAlgorithm.to_jwk(private_key("RS256"))), "kid": "one"}
    entry.pop("key_ops")
    (key,) = read_keys(key_set(entry), ["RS256"])
    assert key.key.public_numbers() == private_key("RS256").public_key().public_numbers()


def test_a_set_has_a_greatest_size():
    keys = [jwk("ES256", str(n)) for n in range(MAX_KEYS + 5)]
    assert len(read_keys(key_set(*keys), SIGNATURES)) == MAX_KEYS


def test_a_key_is_found_by_its_name_and_algorithm():
    source = Source()
    source.set.load(key_set(jwk("ES256", "one"), jwk("RS256", "two"), jwk("RS256", "one")))
    assert source.set.find("one", "ES256").curve.name == "secp256r1"
    assert source.set.find("one", "RS256").key_size == 2048
    assert source.set.find("two", "ES256") is None
    assert source.set.find("three", "ES256") is None


def test_without_a_name_the_only_key_that_fits_is_it():
    source = Source()
    source.set.load(key_set(jwk("ES256", "one"), jwk("RS256", "two"), jwk("RS256", "three")))
    assert source.set.find(None, "ES256") is not None
    assert source.set.find(None, "RS256") is None  # which of the two?


def test_an_unknown_name_leads_to_another_reading_and_no_more_for_a_while(run):
    async def main():
        source = Source(jwk("ES256", "old"))
        source.set.load(source.data)
        source.data = key_set(jwk("ES256", "old"), jwk("ES256", "new", name="new"))
        assert source.set.find("new", "ES256") is None
        assert await source.set.find_again("new", "ES256") is not None
        assert source.read == 1
        for n in range(100):
            assert await source.set.find_again(f"guess {n}", "ES256") is None
        assert source.read == 1
        source.now += MIN_INTERVAL_S
        assert await source.set.find_again("guess", "ES256") is None
        assert source.read == 2
        assert threading.get_ident() not in source.threads

    run(main())


def test_those_who_come_meanwhile_share_the_reading(run):
    async def main():
        source = Source(jwk("ES256", "new"))
        source.gate.clear()
        waiting = [asyncio.create_task(source.set.find_again("new", "ES256")) for _ in range(20)]
        await asyncio.sleep(0)
        waiting.pop().cancel()  # one leaves; the others do not suffer
        source.gate.set()
        found = await asyncio.gather(*waiting)
        assert None not in found
        assert source.read == 1

    run(main())


def test_before_anything_was_read_nothing_is_known(run, caplog):
    async def main():
        source = Source(jwk("ES256", "one"))
        source.error = OSError("no route to the issuer")
        await source.set.read_first()
        with pytest.raises(KeysUnavailable):
            await source.set.find_again("one", "ES256")
        assert source.read == 1
        source.error = None
        source.now += MIN_INTERVAL_S
        assert await source.set.find_again("one", "ES256") is not None

    run(main())
    assert [record.event for record in caplog.records] == ["cannot read the keys of tokens"]


@pytest.mark.parametrize("error", [OSError("gone"), None, RuntimeError("what is that")])
def test_what_was_read_goes_on_when_the_source_fails(run, caplog, error):
    async def main():
        source = Source(jwk("ES256", "one"))
        source.set.load(source.data)
        source.error, source.data = error, b"<html>we are down"
        source.now += LIFETIME_S
        assert source.set.find("one", "ES256") is not None
        await source.set.find_again("two", "ES256")
        assert source.read == 1
        assert source.set.find("one", "ES256") is not None

    run(main())
    assert len(caplog.records) == 1


def test_an_old_set_is_read_again_while_it_still_serves(run):
    async def main():
        source = Source(jwk("ES256", "one"))
        source.set.load(source.data)
        source.data = key_set(jwk("ES256", "two"))
        source.now += LIFETIME_S
        source.gate.clear()
        assert source.set.find("one", "ES256") is not None  # nobody waits
        source.gate.set()
        while source.set.find("one", "ES256") is not None:  # withdrawn
            await asyncio.sleep(0.001)
        assert source.set.find("two", "ES256") is not None
        assert source.read == 1

    run(main())


def test_close_ends_a_reading(run):
    async def main():
        source = Source()
        source.gate.clear()
        waiting = asyncio.create_task(source.set.find_again("one", "ES256"))
        while not source.read:
            await asyncio.sleep(0.001)
        await source.set.close()
        source.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await source.set.close()

    run(main())
