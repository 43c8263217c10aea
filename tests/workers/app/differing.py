"""A program that shows what it knows in the worker that is asked: variables, `get_*`, rooms."""

import os

from glyph_fast import Config, Server

server = Server(Config(client_commands=["join_room", "leave_room"]))
noted = {}


def note(text):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{text} {server.worker}\n")


@server.authenticate
def who_it_is(request):
    return request.query.get("user")


@server.on_startup
def begin():
    note("began")


@server.on_shutdown
def end():
    note("ended")


@server.on_event("who")
def who(ctx):
    return {"pid": os.getpid(), "id": ctx.conn.id}


@server.on_event("note")
def note_value(ctx):
    noted["value"] = ctx.message.data
    ctx.conn.set_data("value", ctx.message.data)
    return "noted"


@server.on_event("read")
def read(ctx):
    return [noted.get("value"), ctx.conn.get_data("value")]


@server.on_event("see")
def see(ctx):
    """What `hub.get_*`, `len(hub)` and iteration tell about a connection, a user and a room."""
    hub, asked = server.hub, ctx.message.data
    room = hub.get_room_manager().get_room(asked["room"])
    return {
        "connection": hub.get_connection(asked["id"]) is not None,
        "connections": sorted(conn.id for conn in hub.get_connections()),
        "count": hub.get_connection_count(),
        "len": len(hub),
        "of user": sorted(conn.id for conn in hub.get_user_connections(asked["user"])),
        "members": [] if room is None else sorted(conn.id for conn in room),
        "size": hub.get_room_manager().get_room_size(asked["room"]),
        "is there": asked["room"] in hub.get_room_manager().get_room_names(),
    }


@server.on_event("tell own")
def tell_own(ctx):
    for conn in server.hub.get_connections():
        conn.send_json(ctx.message.data)


@server.on_event("rooms")
def rooms(ctx):
    return [room.name for room in ctx.conn.get_rooms()]


@server.on_event("delete")
def delete(ctx):
    return server.hub.get_room_manager().delete_room(ctx.message.room)


@server.on_event("describe")
def describe(ctx):
    room = server.hub.get_room_manager().get_or_create_room(ctx.message.room)
    for key, value in ctx.message.data.items():
        room.set_metadata(key, object() if value == "no JSON" else value)
    return "described"


@server.on_event("described")
def described(ctx):
    room = server.hub.get_room_manager().get_room(ctx.message.room)
    return {} if room is None else {k: str(v)[:7] for k, v in room.get_all_metadata().items()}
