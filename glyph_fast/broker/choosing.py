"""The broker that a URL asks for, where its library is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError, needs
from ..options.broker import CLUSTER, NATS, read_broker_url

if TYPE_CHECKING:
    from .nodes.broker import NodesBroker
    from .nodes.main import Beyond
    from .redis.broker import RedisBroker
    from .switchboard import Switchboard


def beyond_of(text: str, prefix: str, switchboard: Switchboard) -> Beyond | None:
    """The other nodes of a server with workers; None where the broker is of another kind."""
    url = read_broker_url(text)
    if url.kind != NATS:
        return None
    from .nats.bus import NatsBus
    from .nodes.main import Beyond

    return Beyond(switchboard, NatsBus(url), prefix)


def broker_of(text: str, prefix: str) -> RedisBroker | NodesBroker:
    """The broker of a URL, which is not started. Raises ConfigError."""
    url = read_broker_url(text)
    if url.kind == NATS:
        from .nats.bus import NatsBus
        from .nodes.broker import NodesBroker

        return NodesBroker(NatsBus(url), prefix)
    if url.kind == CLUSTER:
        raise ConfigError(f"--broker: {url.kind} is not available in this version")
    try:
        from .redis.broker import RedisBroker
    except ModuleNotFoundError as exc:
        if exc.name != "hiredis":
            raise
        raise ConfigError(needs("--broker redis://", "hiredis", "redis")) from None
    return RedisBroker(url, prefix)
