"""The program of `bench/workers.py`: a room that says what a member says, and an echo."""

from glyph_fast import Config, MessageType, Server

server = Server(Config(max_rooms_per_connection=1000, max_room_members=2000, allowed_origins=["*"]))


@server.on_connect(route="/room/:room")
def join(conn):
    if not conn.request.query_string:
        conn.join_room(conn.path_params["room"])
    conn.send(str(server.worker))


@server.on_message(MessageType.TEXT, route="/room/:room")
def say(ctx):
    server.hub.broadcast_to_room(ctx.conn.path_params["room"], ctx.message.raw)


@server.on_connect(route="/fill/:first/:count")
def fill(conn):
    first, count = int(conn.path_params["first"]), int(conn.path_params["count"])
    for number in range(first, first + count):
        conn.join_room(f"filled-{number}")
    conn.send(str(server.worker))


@server.on_message(MessageType.TEXT, route="/echo")
def echo(ctx):
    ctx.conn.send(ctx.message.raw)
