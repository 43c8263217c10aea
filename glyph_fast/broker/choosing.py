"""The broker that a URL asks for, where its library is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError, needs
from ..options.broker import CLUSTER, NATS, read_broker_url

if TYPE_CHECKING:
    from .redis.broker import RedisBroker


def broker_of(text: str, prefix: str) -> RedisBroker:
    """The broker of a URL, which is not started. Raises ConfigError."""
    url = read_broker_url(text)
    if url.kind in (NATS, CLUSTER):
        raise ConfigError(f"--broker: {url.kind} is not available in this version")
    try:
        from .redis.broker import RedisBroker
    except ModuleNotFoundError as exc:
        if exc.name != "hiredis":
            raise
        raise ConfigError(needs("--broker redis://", "hiredis", "redis")) from None
    return RedisBroker(url, prefix)
