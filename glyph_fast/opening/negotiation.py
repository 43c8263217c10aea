"""The terms that a client and the server agree on: subprotocol and extensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..options.config import Config
from ..websocket.handshake import Upgrade, check_number, choose_subprotocol
from ..wire import CLIENT_SUBPROTOCOL

if TYPE_CHECKING:
    from ..websocket.deflate import Agreement, Deflate


class Terms(NamedTuple):
    """The terms that were agreed on; None for what was not."""

    subprotocol: str | None
    extensions: Agreement | None


NO_TERMS = Terms(None, None)


class Negotiation:
    """The server's side of it. `subprotocols` are offered instead of the options'.

    That of our client libraries is chosen wherever it is offered and none of the others is: a
    browser fails where it offers some and none is chosen (WHATWG WebSockets §2.2).
    """

    def __init__(self, config: Config, subprotocols: Sequence[str] | None = None) -> None:
        own = config.subprotocols if subprotocols is None else subprotocols
        self._subprotocols = (*own, CLIENT_SUBPROTOCOL)
        self._deflate: Deflate | None = None
        if config.compression != "off":
            from ..websocket.deflate import Deflate  # for those who compress

            self._deflate = Deflate(config.compression, config.compression_min_size)

    def agree(self, upgrade: Upgrade) -> Terms:
        """The answer to what a client offers; HandshakeError 400 where the grammar is broken."""
        if not upgrade.subprotocols and not upgrade.extensions:
            return NO_TERMS
        return Terms(
            choose_subprotocol(upgrade.subprotocols, self._subprotocols),
            self.agree_on_extensions(upgrade),
        )

    def check(self, upgrade: Upgrade) -> None:
        """Judge what a client offers, where an application chooses later. HandshakeError 400."""
        check_number(upgrade.subprotocols)
        if self._deflate is not None:
            self._deflate.check(upgrade.extensions)

    def agree_on_extensions(self, upgrade: Upgrade) -> Agreement | None:
        """Agree on extensions; without any of ours nobody reads the offers."""
        return None if self._deflate is None else self._deflate.agree(upgrade.extensions)


__all__ = ["NO_TERMS", "Negotiation", "Terms"]
