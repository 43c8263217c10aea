"""The dashboard's WebSocket: figures once a second to everybody who may see them.

With a token, the first message must be `{"token": TOKEN}`; a browser cannot send the header that
other clients send. Nothing else is listened to.
"""

from __future__ import annotations

import asyncio
import itertools

from .. import json
from ..handlers.context import MessageContext
from ..handlers.dispatcher import Dispatcher
from ..hub.connection import Connection
from ..hub.hub import Hub
from ..wire import POLICY_VIOLATION
from .access import Access
from .stats import Stats
from .timeline import STEP_S

PATH = "/live"
WATCHERS = "watchers"
INTERVAL_S = 1.0
TOKEN_WAIT_S = 10.0  # for the first message


class Live:
    """Registers the handlers of the route; `publish` is its background task."""

    def __init__(self, hub: Hub, dispatcher: Dispatcher, access: Access, stats: Stats) -> None:
        self._hub = hub
        self._access = access
        self._stats = stats
        dispatcher.add_route(PATH)
        dispatcher.on_connect(self._connected)
        dispatcher.on_message()(self._received)

    async def publish(self) -> None:
        """Send the figures, and note them, as long as the port is open."""
        for second in itertools.count():
            is_step = not second % round(STEP_S / INTERVAL_S)
            self.close_silent()
            if is_step or self._hub.get_room_manager().get_room_size(WATCHERS):
                figures = await self._stats.live(is_step=is_step)
                self._hub.broadcast_json_to_room(WATCHERS, figures)
            await asyncio.sleep(INTERVAL_S)

    async def _connected(self, conn: Connection) -> None:
        if not self._access.needs_token:
            await self._admit(conn)

    async def _received(self, ctx: MessageContext) -> None:
        conn = ctx.conn
        if conn.is_in_room(WATCHERS):
            return
        try:
            first = json.loads(ctx.message.raw or "")
        except ValueError:
            first = None
        if isinstance(first, dict) and self._access.is_token(first.get("token")):
            await self._admit(conn)
        else:
            conn.close(POLICY_VIOLATION, "wrong token")

    async def _admit(self, conn: Connection) -> None:
        conn.join_room(WATCHERS)
        figures = await self._stats.beginning()
        if conn.is_open:
            conn.send_json(figures)

    def close_silent(self) -> None:
        """Close whoever has not sent the token in time."""
        for conn in self._hub.get_connections():
            if conn.stats["seconds"] > TOKEN_WAIT_S and not conn.is_in_room(WATCHERS):
                conn.close(POLICY_VIOLATION, "no token came")
