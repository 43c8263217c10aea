"""The broker that a URL asks for, where its library is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import ConfigError, needs
from ..options.broker import NATS, read_broker_url

if TYPE_CHECKING:
    from .nodes.broker import NodesBroker
    from .nodes.main import Beyond
    from .redis.broker import RedisBroker
    from .switchboard import Switchboard


def beyond_of(text: str, prefix: str, switchboard: Switchboard) -> Beyond:
    """The other nodes of a server with workers. Raises ConfigError."""
    url = read_broker_url(text)
    if url.kind == NATS:
        from .nats.bus import NatsBus
        from .nodes.main import Beyond

        return Beyond(switchboard, NatsBus(url), prefix)
    with _redis():
        from .redis.beyond import RedisBeyond
    return RedisBeyond(switchboard, url, prefix)


def broker_of(text: str, prefix: str) -> RedisBroker | NodesBroker:
    """The broker of a URL, which is not started. Raises ConfigError."""
    url = read_broker_url(text)
    if url.kind == NATS:
        from .nats.bus import NatsBus
        from .nodes.broker import NodesBroker

        return NodesBroker(NatsBus(url), prefix)
    with _redis():
        from .redis.broker import RedisBroker
    return RedisBroker(url, prefix)


@contextmanager
def _redis() -> Iterator[None]:
    """For what is imported where Redis is asked for. Raises ConfigError."""
    try:
        yield
    except ModuleNotFoundError as exc:
        if exc.name != "hiredis":
            raise
        raise ConfigError(needs("--broker redis://", "hiredis", "redis")) from None
