"""One run of a server as a node of several, which share a broker."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial

from ..admin.calls import CLOSE, close_here
from ..admin.centrifugo.connections import ORDER, Here
from ..broker.choosing import broker_of
from ..broker.memory import MemoryBroker
from ..errors import ConfigError
from ..hub.hub import Hub
from ..options.broker import NATS, read_broker_url
from ..options.rooms import RoomDeclaration
from .background import CLUSTER, Wanted

LAYER = "glyph_fast.channels.Layer"


def check_joining(
    url: str, declared: Iterable[RoomDeclaration], background: Iterable[Wanted]
) -> None:
    """Raise ConfigError for what the broker of a URL cannot do."""
    _check_channels()
    if read_broker_url(url).kind != NATS:
        return
    for each in declared:
        if each.history_size:
            raise ConfigError(
                f"room {each.pattern!r} has a history, which NATS does not keep; Redis does"
            )
    if any(each.on == CLUSTER for each in background):
        raise ConfigError('background(…, on="cluster") needs Redis: NATS knows no leader')


def _check_channels() -> None:
    """Raise ConfigError where a project of Django has our layer, which is of one server."""
    django = sys.modules.get("django.conf")
    if django is None or not django.settings.configured:
        return
    layers = getattr(django.settings, "CHANNEL_LAYERS", None) or {}
    for name, layer in layers.items():
        if layer.get("BACKEND") == LAYER:
            raise ConfigError(
                f"channel layer {name!r}: {LAYER} reaches one server, not those of a broker; "
                "channels_redis reaches all"
            )


def hear_operators(hub: Hub) -> None:
    """Do what the operators' port of another node was asked for."""
    hub._orders[CLOSE] = partial(close_here, hub)
    hub._orders[ORDER] = Here(hub).obey


class Joining:
    """Has a hub publish by a broker, from when it is made until `close`."""

    def __init__(self, hub: Hub, url: str, prefix: str) -> None:
        self._hub = hub
        self._broker = broker_of(url, prefix)
        self._broker.count_here = self._broker.answers["count"] = hub._count_here
        self._broker.answers["take"] = hub._sessions.take
        hub._use(self._broker)

    async def start(self) -> None:
        """Join the others, or begin to wait for the broker. Raises BrokerRefused."""
        await self._broker.start()

    def seek_lease(self, changed: Callable[[bool], object]) -> None:
        """From `start` on, tell `changed` whenever this is the node that runs what runs once."""
        self._broker.seek_lease(changed)

    async def close(self) -> None:
        """Leave the others; another run begins with a broker of its own."""
        await self._broker.close()
        self._hub._use(MemoryBroker())
