"""The link of whatever shard has a key, for who has only this one."""

from __future__ import annotations

from typing import Any

from ....errors import BrokerUnavailable
from ..connection import LOST, Answer, Connection
from ..login import Server
from ..scripts import Script
from .shard import Shard
from .shards import Shards
from .slots import slot_of


class Leading:
    """What a `Link` and its `Scripts` are to a lease, for a key of a cluster."""

    def __init__(self, shards: Shards, key: bytes) -> None:
        self._shards = shards
        self._slot = slot_of(key)

    @property
    def _shard(self) -> Shard | None:
        return self._shards.at[self._slot]

    @property
    def is_up(self) -> bool:
        """Whether the shard can be reached."""
        return self._shard is not None and self._shard.is_up

    @property
    def commands(self) -> Connection:
        """Its connection. Raises BrokerUnavailable."""
        return self._found.link.commands

    @property
    def server(self) -> Server:
        """Who it is. Raises BrokerUnavailable."""
        return self._found.link.server

    @property
    def _found(self) -> Shard:
        if self._shard is None:
            raise BrokerUnavailable(LOST)
        return self._shard

    def call(self, script: Script, parts: tuple[Any, ...], answer: Answer) -> None:
        """Call a script there."""
        self._found.streams.scripts.call(script, parts, answer)
