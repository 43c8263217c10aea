"""The ticker without rooms that remember, without declared types and without the client library.

cd examples/ticker/by_hand
glyph-fast serve ticker:server          # or: python ticker.py
"""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
from collections import deque
from pathlib import Path
from statistics import mean
from typing import Any

from glyph_fast import Connection, MessageContext, Reject, Server

SYMBOLS = ("ACME", "GLYPH", "TEA")

server = Server()
server.static("/", Path(__file__).with_name("page"))
epoch = secrets.token_hex(8)
offsets = itertools.count(1)
kept: deque[dict[str, Any]] = deque(maxlen=300)


def publish(data: dict[str, Any]) -> None:
    offset = next(offsets)
    message = {"type": "tick", "offset": offset, "data": data}
    kept.append(message)
    server.hub.broadcast_json_to_room("prices", message)


def tell_watchers() -> None:
    count = server.hub.get_room_manager().get_room_size("prices")
    server.hub.broadcast_json_to_room("prices", {"type": "watchers", "count": count})


@server.on_connect(route="/ws")
def enter(conn: Connection) -> None:
    query = conn.request.query
    since = int(query["offset"]) if query.get("offset", "").isdecimal() else 0
    oldest = kept[0]["offset"] if kept else 1
    resumed = query.get("epoch") == epoch and oldest - 1 <= since
    messages = [each for each in kept if each["offset"] > since] if resumed else list(kept)[-50:]
    position = {"epoch": epoch, "offset": kept[-1]["offset"] if kept else 0}
    conn.send_json({"type": "joined", "resumed": resumed, "messages": messages, **position})
    conn.join_room("prices")
    tell_watchers()


@server.on_disconnect(route="/ws")
def leave() -> None:
    tell_watchers()


@server.background
async def trade() -> None:
    prices = {"ACME": 100.0, "GLYPH": 50.0, "TEA": 3.0}
    for number, symbol in enumerate(itertools.cycle(prices), 1):
        prices[symbol] *= random.uniform(0.99, 1.01)
        publish({"number": number, "symbol": symbol, "price": round(prices[symbol], 2)})
        await asyncio.sleep(0.2)


def check(data: object) -> tuple[str, int]:
    if not isinstance(data, dict):
        raise Reject(400, "data: expected object")
    symbol, last = data.get("symbol"), data.get("last")
    if symbol not in SYMBOLS:
        raise Reject(400, f"data.symbol: invalid enum value {symbol!r}")
    if not isinstance(last, int) or isinstance(last, bool):
        raise Reject(400, "data.last: expected int")
    if not 1 <= last <= 100:
        raise Reject(400, "data.last: expected int from 1 to 100")
    return symbol, last


@server.on_event("average")
def average(ctx: MessageContext) -> float:
    symbol, last = check(ctx.message.data)
    prices: list[float] = [
        each["data"]["price"] for each in kept if each["data"]["symbol"] == symbol
    ]
    return mean(prices[-last:])


if __name__ == "__main__":
    server.run()
