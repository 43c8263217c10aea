"""A program of several nodes that shares a NATS server."""

import os

from glyph_fast import Server

server = Server()
server.room("here:*", presence=True, client_join=True)
server.room("plain:*", client_join=True)
server.events("/events")


@server.authenticate
def who_it_is(request):
    return request.query.get("user")


@server.on_event("who")
def who(ctx):
    ctx.reply_json({"pid": os.getpid(), "id": ctx.conn.id})


@server.on_event("say")
def say(ctx):
    hub, about = server.hub, ctx.message.data
    if "room" in about:
        result = hub.broadcast_json_to_room(about["room"], about["say"])
    elif "user" in about:
        result = hub.send_to_user(about["user"], about["say"])
    elif "connection" in about:
        result = hub.send_to(about["connection"], about["say"])
    else:
        result = hub.broadcast_json(about["say"])
    ctx.reply_json({"pending": result.pending})


@server.on_event("large")
def large(ctx):
    try:
        server.hub.broadcast("x" * 2_000_000)
    except ValueError as exc:
        ctx.reply_json(str(exc))


@server.on_event("count")
async def count(ctx):
    room = ctx.message.data
    members = await server.hub.presence(room) if room.startswith("here:") else []
    counts = [await server.hub.count(), await server.hub.count(room)]
    ctx.reply_json({"counts": counts, "present": sorted(each.id for each in members)})


@server.on_event("describe")
def describe(ctx):
    room = server.hub.get_room_manager().get_or_create_room("plain:notes")
    room.set_metadata("topic", ctx.message.data)
    ctx.reply_json("described")


@server.on_event("topic")
def topic(ctx):
    room = server.hub.get_room_manager().get_room("plain:notes")
    ctx.reply_json(None if room is None else room.get_metadata("topic"))


@server.on_event("send out")
def send_out(ctx):
    server.hub.disconnect_user(ctx.message.data, 4001, "out")


app = server.asgi
