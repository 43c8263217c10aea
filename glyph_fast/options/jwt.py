"""The options of JSON Web Tokens: what each accepts, and which go together.

Which algorithms a server accepts is pinned before any token is looked at (RFC 8725 §3.1). A secret
goes with HMAC alone and published keys with signatures alone: were both accepted, a public key
could be taken for a secret, and anybody could sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from ..urls import is_sound_url

MIN_SECRET = {"HS256": 32, "HS384": 48, "HS512": 64}  # bytes, RFC 7518 §3.2
HMAC = tuple(MIN_SECRET)
SIGNATURES = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
ALGORITHMS = (*HMAC, *SIGNATURES)


class JwtOptions(NamedTuple):
    """The options `jwt_…` of a server."""

    secret: str | None
    jwks: str | None
    audience: str | None
    algorithms: tuple[str, ...]

    @property
    def is_set(self) -> bool:
        """Return whether tokens are asked for."""
        return self.secret is not None or self.jwks is not None

    @property
    def accepted(self) -> tuple[str, ...]:
        """The algorithms that are accepted: those named, else HS256 or every kind of signature."""
        return self.algorithms or (("HS256",) if self.secret is not None else SIGNATURES)


def algorithm(raw: object) -> str:
    """The name of an algorithm (RFC 7518 §3.1, RFC 8037 §3.1); `none` is no algorithm."""
    if raw not in ALGORITHMS:
        raise ValueError(f"some of {', '.join(ALGORITHMS)}")
    return str(raw)


def is_url(source: str) -> bool:
    """Return whether the keys are fetched rather than read from a file."""
    return "://" in source


def unusable_tokens(given: JwtOptions, named: Callable[[str], str]) -> Iterator[str]:
    """Yield what is wrong with the combination; `named` gives the name an option came under."""
    for name, value in (("jwt_audience", given.audience), ("jwt_algorithms", given.algorithms)):
        if value and not given.is_set:
            yield f"{named(name)} needs {named('jwt_secret')} or {named('jwt_jwks')}"
    if given.secret is not None and given.jwks is not None:
        yield f"{named('jwt_secret')} and {named('jwt_jwks')} do not go together"
    elif given.secret is not None:
        yield from _unusable_secret(given, len(given.secret.encode()), named)
    elif given.jwks is not None:
        yield from _unusable_keys(given, given.jwks, named)


def _unusable_secret(given: JwtOptions, size: int, named: Callable[[str], str]) -> Iterator[str]:
    for each in given.accepted:
        if each not in MIN_SECRET:
            yield f"{named('jwt_algorithms')}: {each} needs {named('jwt_jwks')}"
        elif size < MIN_SECRET[each]:
            yield (
                f"{named('jwt_secret')}: {each} needs a secret of at least {MIN_SECRET[each]} "
                f"bytes (RFC 7518 §3.2), found {size}"
            )


def _unusable_keys(given: JwtOptions, source: str, named: Callable[[str], str]) -> Iterator[str]:
    for each in given.accepted:
        if each in HMAC:
            yield f"{named('jwt_algorithms')}: {each} needs {named('jwt_secret')}"
    if not is_url(source):
        if not Path(source).is_file():
            yield f"{named('jwt_jwks')}: no such file: {source}"
    elif not _is_http(source):
        yield f"{named('jwt_jwks')}: expected a file, or a URL of http or https, found {source!r}"


def _is_http(url: str) -> bool:
    return is_sound_url(url, ("http", "https")) and urlsplit(url).username is None
