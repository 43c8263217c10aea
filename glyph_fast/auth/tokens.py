"""The check of a token: signed with an accepted algorithm and key, in time, for this audience.

The work is PyJWT's. What is decided here is what an attacker could turn against it: the algorithm
and the key come from the options, never from the token, whose header only chooses among them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import jwt

LEEWAY_S = 5.0  # by which the clocks of issuer and server may differ
MAX_TOKEN = 16 * 1024  # characters; more than any header field of a proxy may have
MAX_TIME = 2**53  # seconds; beyond it a time is no number that every reader of JSON understands

Claims: TypeAlias = dict[str, Any]


class InvalidToken(Exception):
    """A token that is not accepted; its text says why, without quoting the token."""


class ExpiredToken(InvalidToken):
    """A token that was good until a while ago."""


class Keys(Protocol):
    """The keys by which tokens are checked: see `keys.py`."""

    def find(self, kid: str | None, algorithm: str) -> Any:
        """The key a token was signed with, or None."""
        ...


class RenewableKeys(Keys, Protocol):
    """Keys among which a new one may turn up."""

    async def find_again(self, kid: str | None, algorithm: str) -> Any:
        """Find a key as `find` does, after another look. Raises KeysUnavailable."""
        ...


class Tokens:
    """Verifies tokens. `renewable` is `keys` once more, if a second look at them may help."""

    def __init__(
        self,
        keys: Keys,
        algorithms: Sequence[str],
        *,
        audience: str | None = None,
        renewable: RenewableKeys | None = None,
    ) -> None:
        self._keys = keys
        self._algorithms = tuple(algorithms)
        self._audience = audience
        self._renewable = renewable

    def verify(self, token: str) -> Claims | Awaitable[Claims]:
        """The claims of a token. Only for a key that is unknown so far, something to wait for.

        Raises InvalidToken, or the awaitable does, and KeysUnavailable.
        """
        kid, algorithm = self._header(token)
        key = self._keys.find(kid, algorithm)
        if key is not None:
            return self._decode(token, key, algorithm)
        if self._renewable is None:
            raise InvalidToken("the token's key is unknown")
        return self._verify_later(self._renewable, token, kid, algorithm)

    async def _verify_later(
        self, keys: RenewableKeys, token: str, kid: str | None, algorithm: str
    ) -> Claims:
        key = await keys.find_again(kid, algorithm)
        if key is None:
            raise InvalidToken("the token's key is unknown")
        return self._decode(token, key, algorithm)

    def _header(self, token: str) -> tuple[str | None, str]:
        if len(token) > MAX_TOKEN:
            raise InvalidToken("the token is too long")
        try:
            header: Mapping[str, Any] = jwt.get_unverified_header(token)
        except Exception:  # whatever a hostile header brings a parser to
            raise InvalidToken("the token is malformed") from None
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise InvalidToken("the token's algorithm is not accepted")
        # What is critical must be understood (RFC 7515 §4.1.11); PyJWT before 2.12 did not ask.
        if not isinstance(kid, str | None) or "crit" in header:
            raise InvalidToken("the token is malformed")
        return kid, algorithm

    def _decode(self, token: str, key: Any, algorithm: str) -> Claims:
        try:
            claims: Claims = jwt.decode(
                token, key, algorithms=[algorithm], audience=self._audience, leeway=LEEWAY_S
            )
            if int(claims.get("exp", 0)) > MAX_TIME:
                raise OverflowError("exp is beyond all ages")
            return claims
        except jwt.ExpiredSignatureError:
            raise ExpiredToken("the token has expired") from None
        except jwt.ImmatureSignatureError:
            raise InvalidToken("the token is not valid yet") from None
        except (jwt.InvalidAudienceError, jwt.MissingRequiredClaimError):
            raise InvalidToken("the token is for another audience") from None
        except jwt.InvalidSignatureError:
            raise InvalidToken("the token's signature is wrong") from None
        except Exception:  # claims of wrong kinds, some beyond what PyJWT expects
            raise InvalidToken("the token is malformed") from None


def expires_at(claims: Claims) -> float | None:
    """Return when connections with these claims end, in seconds since the epoch; None for never."""
    return None if claims.get("exp") is None else int(claims["exp"]) + LEEWAY_S
