"""A program that says who was let in, for limits of the whole server."""

import os

from glyph_fast import RoomFull, Server

server = Server()


@server.authenticate
def who_it_is(request):
    return request.query.get("user")


@server.on_connect
def welcome(conn):
    conn.send_json({"pid": os.getpid()})


@server.on_startup
async def count():
    assert await server.hub.count() >= 0  # main answers a worker that does not serve yet


server.room("kept:*", history_size=100, client_join=True, max_members=20)
server.room("here:*", presence=True, client_join=True, max_members=20)
server.room("remembering:*", history_size=100, client_join=True)
server.room("plain:*", client_join=True)
server.events("/events")


@server.post("/body")
async def body(request):
    return {"bytes": len(await request.body())}


@server.on_event("publish")
async def publish(ctx):
    await server.hub.publish(ctx.message.room, ctx.message.data)
    return "published"


@server.on_event("kept")
async def kept(ctx):
    return len((await server.hub.history(ctx.message.room)).messages)


@server.on_event("join")
async def join(ctx):
    try:
        await ctx.conn.join(ctx.message.room)
    except RoomFull as exc:
        return str(exc)
    return "joined"


@server.on_event("declare")
def declare(ctx):
    server.room(ctx.message.room, presence=True, client_join=True, max_members=6)
    return "declared"


@server.on_event("join at once")
def join_at_once(ctx):
    try:
        ctx.conn.join_room(ctx.message.room)
    except RoomFull as exc:
        return str(exc)
    return "joined"
