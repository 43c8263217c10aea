"""The server that the client libraries are tested with."""

from __future__ import annotations

import asyncio
import os
from typing import Any, NoReturn

from glyph_fast import (
    BrokerUnavailable,
    Config,
    Connection,
    MessageContext,
    Reject,
    Request,
    Response,
    Server,
)

server = Server(Config(handler_grace="5s"))
server.room("chat:*", client_join=True, history_size=50_000, history_bytes="64MiB", presence=True)
server.room("brief:*", client_join=True, history_size=3)
server.room("plain:*", client_join=True)
server.events("/events")


@server.on_event("double")
def double(ctx: MessageContext) -> None:
    ctx.reply_json(int(ctx.message.data) * 2)


@server.on_event("show")
def show(ctx: MessageContext) -> None:
    ctx.conn.info = ctx.message.data
    ctx.reply_json(True)


@server.on_event("quote")
def quote(ctx: MessageContext) -> None:
    ctx.reply_json(7)


@server.on_event("fail")
def fail(ctx: MessageContext) -> None:
    ctx.reply_error("not today")


@server.on_event("ask me")
async def ask_me(ctx: MessageContext) -> None:
    ctx.reply_json(await ctx.conn.call("confirm", {"question": "really?"}, timeout=30))


@server.on_event("count")
def count(ctx: MessageContext) -> None:
    """Notes a call where every process of the server does, so that none is made twice unseen."""
    with open(os.environ["CLIENT_CALLS"], "a") as calls:
        calls.write(f"{ctx.message.data}\n")
    ctx.reply_json(True)


@server.on_event("tell all")
def tell_all(ctx: MessageContext) -> None:
    ctx.hub.broadcast_event("notice", ctx.message.data)
    ctx.reply_json(True)


@server.on_event("ask back")
async def ask_back(ctx: MessageContext) -> None:
    ctx.reply_json(await ctx.conn.call("confirm", {"question": ctx.message.data}, timeout=30))


class Away:
    """A broker that is away: nothing has a place, and no history can be read."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker

    def __getattr__(self, name: str) -> Any:
        return getattr(self.broker, name)

    async def publish_once(self, *_: object) -> NoReturn:
        raise BrokerUnavailable("away")

    history = publish_once


@server.on_event("away")
def away(ctx: MessageContext) -> None:
    """Have the broker away from now on, or back."""
    rooms = ctx.hub.get_room_manager()
    rooms._broker = Away(rooms._broker) if ctx.message.data else rooms._broker.broker  # type: ignore
    ctx.reply_json(True)


@server.on_event("hang up")
def hang_up(ctx: MessageContext) -> None:
    ctx.conn.close(ctx.message.data)


@server.on_message("json")
def bare(ctx: MessageContext) -> None:
    if not ctx.message.event:
        ctx.conn.send_json({"heard": ctx.message.data})


@server.on_connect
def welcome(conn: Connection) -> None:
    if conn.request.query.get("no") == "entry":
        raise Reject(403, "no entry")


go_on = asyncio.Event()


@server.get("/wait")
async def wait(request: Request) -> str:
    """An answer that comes once somebody has said "go on"."""
    await go_on.wait()
    return ""


@server.on_event("go on")
def let_go_on(ctx: MessageContext) -> None:
    go_on.set()
    ctx.reply_json(True)


@server.get("/")
def page(request: Request) -> Response:
    """A page that may do nothing but what a library needs."""
    policy = "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:"
    policy += "; require-trusted-types-for 'script'; trusted-types 'none'"
    html = '<!doctype html><title>client</title><link rel="icon" href="data:,">'
    html += '<script src="/glyph-fast.js"></script>'
    fields = {"Content-Type": "text/html", "Content-Security-Policy": policy}
    return Response(html, 200, fields)
