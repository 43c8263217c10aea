"""A ticker: live prices, nothing missed while a page was away, who watches, and a question.

cd examples/ticker
glyph-fast serve ticker:server          # or: python ticker.py
# then open http://127.0.0.1:8080/
"""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path
from statistics import mean
from typing import Annotated, Literal

import msgspec

from glyph_fast import Config, MessageContext, Server

server = Server(Config(serve_client=True))
server.room("prices", client_join=True, client_publish=False, history_size=300, presence=True)
server.static("/", Path(__file__).with_name("page"))


class Average(msgspec.Struct):
    symbol: Literal["ACME", "GLYPH", "TEA"]
    last: Annotated[int, msgspec.Meta(ge=1, le=100)]


@server.background
async def trade() -> None:
    prices = {"ACME": 100.0, "GLYPH": 50.0, "TEA": 3.0}
    for number, symbol in enumerate(itertools.cycle(prices), 1):
        prices[symbol] *= random.uniform(0.99, 1.01)
        tick = {"number": number, "symbol": symbol, "price": round(prices[symbol], 2)}
        await server.hub.publish("prices", tick)
        await asyncio.sleep(0.2)


@server.on_event("average")
async def average(ctx: MessageContext, data: Average) -> float:
    ticks = [each.data for each in (await server.hub.history("prices")).messages]
    prices: list[float] = [tick["price"] for tick in ticks if tick["symbol"] == data.symbol]
    return mean(prices[-data.last :])


if __name__ == "__main__":
    server.run()
