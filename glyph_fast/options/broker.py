"""The URL of a broker: what it says, and a text of it that may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from .values import Address, bracketed

REDIS, SENTINEL, CLUSTER, NATS = "redis", "sentinel", "cluster", "nats"

# By scheme: the kind of broker, whether TLS is spoken, and the usual port.
_SCHEMES = {
    "redis": (REDIS, False, 6379),
    "rediss": (REDIS, True, 6379),
    "redis+sentinel": (SENTINEL, False, 26379),
    "rediss+sentinel": (SENTINEL, True, 26379),
    "redis+cluster": (CLUSTER, False, 6379),
    "rediss+cluster": (CLUSTER, True, 6379),
    "nats": (NATS, False, 4222),
    "tls": (NATS, True, 4222),
}
DEFAULT_PREFIX = "glyph"
_EXPECTED = "a URL such as redis://HOST:6379/0 or nats://HOST:4222"


@dataclass(frozen=True)
class BrokerUrl:
    """The parts of a broker's URL. Neither its text nor its `repr` shows a password."""

    kind: str
    is_tls: bool
    addresses: tuple[Address, ...]
    user: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    service: str = ""  # the name under which Sentinels know the primary

    def __str__(self) -> str:
        scheme = next(s for s, (kind, tls, _) in _SCHEMES.items() if (kind, tls) == self._speech)
        places = ",".join(f"{bracketed(each.host)}:{each.port}" for each in self.addresses)
        path = f"/{self.service}" if self.service else ""
        if self.database:
            path += f"/{self.database}"
        return f"{scheme}://{places}{path}"

    @property
    def _speech(self) -> tuple[str, bool]:
        return self.kind, self.is_tls


def read_broker_url(text: str) -> BrokerUrl:
    """Read the URL of a broker. Raises ValueError, whose text never shows a part of it."""
    try:
        scheme, place, path, query, fragment = urlsplit(text)
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if scheme not in _SCHEMES or query or fragment:
        raise ValueError(_EXPECTED)
    kind, is_tls, port = _SCHEMES[scheme]
    login, at, hosts = place.rpartition("@")
    user, _, password = login.partition(":")
    if at and not password and kind != NATS:  # as redis-cli has it: a password needs a colon
        raise ValueError("a URL whose password stands behind a colon: redis://:PASSWORD@HOST")
    database, service = _path(kind, path)
    return BrokerUrl(
        kind,
        is_tls,
        tuple(_address(each, port) for each in hosts.split(",")),
        unquote(user),
        unquote(password),
        database,
        service,
    )


def broker_url(raw: object) -> str | None:
    """A URL of one of the brokers; None for "off"."""
    if raw is None or raw == "off":
        return None
    if not isinstance(raw, str) or not raw.isprintable():
        raise ValueError(_EXPECTED)
    read_broker_url(raw)
    return raw


def broker_prefix(raw: object) -> str:
    """Read the prefix of subjects and keys."""
    if not isinstance(raw, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", raw):
        raise ValueError("1 to 64 letters, digits, dashes and underscores")
    return raw


def _path(kind: str, path: str) -> tuple[int, str]:
    """The number of the database, and the name of the service of Sentinels."""
    parts = path.strip("/").split("/") if path.strip("/") else []
    service = ""
    if kind == SENTINEL:
        if not parts:
            raise ValueError("a URL such as redis+sentinel://HOST:26379/NAME")
        service = unquote(parts.pop(0))
    if kind in (REDIS, SENTINEL) and len(parts) == 1 and re.fullmatch("[0-9]{1,5}", parts[0]):
        return int(parts[0]), service
    if parts:
        raise ValueError("a URL whose path is the number of a database, if anything")
    return 0, service


def _address(text: str, port: int) -> Address:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+)(?::([0-9]{1,5}))?", text)
    if match is None or int(match[2] or 0) > 65535:
        raise ValueError(_EXPECTED)
    return Address(match[1].strip("[]"), int(match[2]) if match[2] else port)
