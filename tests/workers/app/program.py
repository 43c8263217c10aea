"""A program that tells which of the workers does what."""

import asyncio
import os
import resource
import time

from glyph_fast import Config, MessageType, Server

server = Server(
    Config(client_commands=["join_room", "leave_room", "broadcast", "ping", "history", "presence"])
)
server.room("kept:*", history_size=1000, client_join=True)
server.room("here:*", presence=True, client_join=True)
server.events("/events")


@server.authenticate
def who_it_is(request):
    return request.query.get("user")


@server.on_event("who")
def who(ctx):
    ctx.reply_json({"pid": os.getpid(), "id": ctx.conn.id})


@server.on_event("say")
def say(ctx):
    result = server.hub.broadcast_json_to_room(ctx.message.room, ctx.message.data)
    if ctx.message.id is not None:
        ctx.reply_json({"sent": result.sent, "pending": result.pending})


@server.on_event("join again")
def join_again(ctx):
    ctx.conn.leave_room(ctx.message.room)
    ctx.conn.join_room(ctx.message.room)
    ctx.reply_json("joined")


@server.on_event("publish")
async def publish(ctx):
    asked = ctx.message.data
    position = await server.hub.publish(
        ctx.message.room, asked["data"], idempotency_key=asked["key"]
    )
    ctx.reply_json({"epoch": position.epoch, "offset": position.offset})


@server.on_event("remembered")
async def remembered(ctx):
    kept = await server.hub.history(ctx.message.room)
    ctx.reply_json({"offset": kept.position.offset, "data": [each.data for each in kept.messages]})


@server.on_event("delete")
def delete(ctx):
    server.hub.get_room_manager().delete_room(ctx.message.room)
    ctx.reply_json("deleted")


@server.on_event("count")
async def count(ctx):
    counts = [await server.hub.count(), await server.hub.count(ctx.message.room)]
    shown = ctx.message.room.startswith("here:")
    members = await server.hub.presence(ctx.message.room) if shown else []
    ctx.reply_json({"counts": counts, "present": [each.id for each in members]})


@server.on_event("describe")
def describe(ctx):
    room = server.hub.get_room_manager().get_or_create_room(ctx.message.room)
    room.set_metadata("topic", ctx.message.data)
    ctx.reply_json("described")


@server.on_event("topic")
def topic(ctx):
    room = server.hub.get_room_manager().get_room(ctx.message.room)
    ctx.reply_json(None if room is None else room.get_metadata("topic"))


@server.on_event("send out")
def send_out(ctx):
    ctx.reply_json(server.hub.disconnect_user(ctx.message.data, 4001, "out"))


@server.on_event("send to")
def send_to(ctx):
    result = server.hub.send_to(ctx.message.data, b"for you" if ctx.message.room else "for you")
    ctx.reply_json({"sent": result.sent, "pending": result.pending})


@server.on_event("worker")
def worker(ctx):
    ctx.reply_json([server.worker, ctx.conn.worker])


@server.on_event("to user")
def to_user(ctx):
    server.hub.send_to_user(ctx.message.data, "for you")


@server.on_event("everyone")
def everyone(ctx):
    server.hub.broadcast_json(ctx.message.data, exclude=ctx.conn)


@server.on_event("starve")
def starve(ctx):
    limit = ctx.message.data  # of descriptors; without one what there is now
    if limit is None:
        limit = len(os.listdir("/proc/self/fd")) - 1  # without the one that this look takes
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    ctx.reply_json(limit)


@server.on_event("block")
def block(ctx):
    time.sleep(ctx.message.data)


@server.on_event("wait")
async def wait(ctx):
    await asyncio.sleep(ctx.message.data)
    ctx.reply_json("waited")


@server.on_message(MessageType.TEXT)
def echo(ctx):
    ctx.conn.send(ctx.message.raw)


@server.get("/pid")
def pid(request):
    return {"pid": os.getpid()}
