"""The keys that tokens are verified with: one secret, or a set of public keys that can change.

A set (RFC 7517 §5) is read from a file or fetched from a URL, in a thread, for the loop waits for
nobody. It is read again when it is old, and when a token names a key it does not have: that is how
a new key of the issuer is noticed. The second is bounded, for anybody can name a key.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jwt
from jwt.algorithms import HMACAlgorithm

from .. import json
from ..logs import SERVER, log

LIFETIME_S = 900.0  # after which a set is read again, while the old one still serves
MIN_INTERVAL_S = 10.0  # between two readings
MIN_RSA_BITS = 2048  # RFC 7518 §3.3
MAX_KEYS = 100  # of a set; the rest is passed over

# Type of key and curve of each algorithm (RFC 7518 §3.1, RFC 8037); None: any.
_FITTING: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", None),
}


class KeysUnavailable(Exception):
    """Which keys there are is not known, as nothing could be read yet."""


class PublicKey(NamedTuple):
    """One key of a set."""

    kid: str | None
    algorithms: tuple[str, ...]  # it may be used with
    key: Any


class Secret:
    """The one key of HMAC signatures. Raises ValueError for what is no secret but a public key."""

    def __init__(self, secret: str) -> None:
        try:
            self._secret = HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
        except jwt.InvalidKeyError:
            raise ValueError("expected a secret, found a key in PEM or SSH") from None

    def find(self, kid: str | None, algorithm: str) -> Any:
        """The secret, whatever a token calls it."""
        return self._secret


class KeySet:
    """Public keys of an issuer. `read` returns the JSON of the set, and may take its time."""

    def __init__(
        self,
        read: Callable[[], bytes],
        algorithms: Sequence[str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._algorithms = algorithms
        self._clock = clock
        self._keys: list[PublicKey] | None = None
        self._read_at = -float("inf")  # clock readings: of the latest success,
        self._tried_at = -float("inf")  # and of the latest attempt
        self._reading: asyncio.Task[None] | None = None

    def find(self, kid: str | None, algorithm: str) -> Any:
        """The key of that name, or None; without a name, the only one that fits the algorithm."""
        if self._clock() - self._read_at >= LIFETIME_S and self._keys is not None:
            self._read_again()
        found = [
            each.key
            for each in self._keys or ()
            if algorithm in each.algorithms and kid in (None, each.kid)
        ]
        return found[0] if len(found) == 1 else None

    async def find_again(self, kid: str | None, algorithm: str) -> Any:
        """Find a key as `find` does, after another look at the set. Raises KeysUnavailable."""
        task = self._read_again()
        if task is not None:
            # A client that leaves, or a server that ends, must not take the others' answer along.
            await asyncio.shield(task)
        if self._keys is None:
            raise KeysUnavailable
        return self.find(kid, algorithm)

    def load(self, data: bytes) -> None:
        """Use the keys of this JSON. Raises ValueError, and what was there stays."""
        self._keys = read_keys(data, self._algorithms)
        self._read_at = self._clock()

    async def read_first(self) -> None:
        """Try to read the set; the log says so if that fails."""
        self._tried_at = self._clock()
        await self._reload()

    async def close(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    def _read_again(self) -> asyncio.Task[None] | None:
        """The reading that is under way, or a new one; None when the latest was a moment ago."""
        if self._reading is None and self._clock() - self._tried_at >= MIN_INTERVAL_S:
            self._tried_at = self._clock()
            self._reading = asyncio.get_running_loop().create_task(self._reload())
            self._reading.add_done_callback(self._done)
        return self._reading

    def _done(self, task: asyncio.Task[None]) -> None:
        self._reading = None

    async def _reload(self) -> None:
        try:
            self.load(await asyncio.to_thread(self._read))
        except Exception as exc:  # whatever that is, what there was goes on
            has_keys = self._keys is not None
            log(SERVER, logging.WARNING, "cannot read the keys of tokens", reason=str(exc),
                keeps_the_old_ones=has_keys)  # fmt: skip


def read_keys(data: bytes, algorithms: Sequence[str]) -> list[PublicKey]:
    """The keys of a set that fit the algorithms; ValueError unless there is one.

    Others are passed over, as RFC 7517 §5 asks: other types, other uses, RSA below 2048 bits.
    """
    value = json.loads(data.removeprefix(codecs.BOM_UTF8))  # RFC 8259 §8.1 lets us ignore it
    entries = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        raise ValueError('not a set of keys: expected {"keys": [...]}')
    found = [_public_key(each, algorithms) for each in entries[:MAX_KEYS]]
    keys = [each for each in found if each is not None]
    if not keys:
        raise ValueError(f"no key of the set fits {', '.join(algorithms)}")
    return keys


def _public_key(entry: Any, algorithms: Sequence[str]) -> PublicKey | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    kind, curve, own = entry.get("kty"), entry.get("crv"), entry.get("alg")
    fitting = tuple(
        each
        for each in algorithms
        if _FITTING[each][0] == kind and _FITTING[each][1] in (None, curve) and own in (None, each)
    )
    kid = entry.get("kid")
    if not fitting or not isinstance(kid, str | None):
        return None
    try:
        key: Any = jwt.PyJWK(entry, fitting[0]).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if hasattr(key, "public_key"):
        key = key.public_key()  # somebody has published the private one
    if kind == "RSA" and key.key_size < MIN_RSA_BITS:
        return None
    return PublicKey(kid, fitting, key)
