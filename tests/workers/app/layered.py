"""A program that does with a layer of Channels what it is asked, in the worker that is asked."""

import asyncio
import os

from channels.exceptions import ChannelFull
from django.conf import settings

from glyph_fast import Server
from glyph_fast.channels import Layer

settings.configure()
server = Server()
layer = Layer(capacity=3)


@server.on_event("who")
def who(ctx):
    ctx.reply_json({"pid": os.getpid(), "id": ctx.conn.id})


@server.on_event("do")
async def do(ctx):
    call, *args = ctx.message.data
    try:
        async with asyncio.timeout(0.05 if call == "cancelled" else None):
            result = await getattr(layer, "receive" if call == "cancelled" else call)(*args)
    except (ChannelFull, TimeoutError, ValueError) as exc:
        result = type(exc).__name__
    ctx.reply_json(result)
