"""Live polls: rooms, events and HTTP routes in one program.

    cd examples/rooms_events_http
    glyph-fast serve app:server             # or: python app.py

Every poll is a room. Programs make polls and read them over HTTP; people follow and vote over a
WebSocket, and everybody in the room sees each vote at once:

    curl -X POST localhost:8080/polls/lunch -d '{"choices": ["soup", "curry"]}'
    python -m websockets ws://127.0.0.1:8080/polls/lunch
        {"event": "vote", "data": {"choice": "soup"}}
    curl localhost:8080/polls/lunch

A room that carries metadata stays when its last member leaves: the poll and its votes live there.
"""

from __future__ import annotations

from glyph_fast import Connection, MessageContext, Reject, Request, Response, Room, Server

server = Server()


def find(poll: str) -> Room | None:
    """The room of a poll; a room without choices is none."""
    room = server.hub.get_room_manager().get_room(poll)
    if room is None or not room.get_metadata("choices"):
        return None
    return room  # false while it is empty, like a list: ask `is None`


def tally(room: Room) -> dict[str, object]:
    """Who is there and how the votes stand; a connection has one vote."""
    votes: dict[str, str] = room.get_metadata("votes")
    given = list(votes.values())
    counts = {choice: given.count(choice) for choice in room.get_metadata("choices")}
    return {"poll": room.name, "votes": counts, "people": len(room)}


# HTTP: for programs ------------------------------------------------------------------------------


@server.post("/polls/:poll")
async def create(request: Request) -> Response:
    """Make a poll: 201, or 409 when there is one of that name."""
    poll, body = request.path_params["poll"], await request.json()
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices or not all(isinstance(c, str) for c in choices):
        return Response({"error": "choices: a list of words"}, 400)
    if find(poll) is not None:
        return Response({"error": "that poll exists"}, 409)
    room = server.hub.get_room_manager().get_or_create_room(poll)
    room.set_metadata("votes", {})
    room.set_metadata("choices", choices)
    return Response(tally(room), 201)


@server.get("/polls")
def index(request: Request) -> list[dict[str, object]]:
    """All polls."""
    names = server.hub.get_room_manager().get_room_names()
    return [tally(room) for room in map(find, sorted(names)) if room is not None]


@server.get("/polls/:poll")
def read(request: Request) -> Response:
    """How one poll stands."""
    room = find(request.path_params["poll"])
    if room is None:
        return Response({"error": "no such poll"}, 404)
    return Response(tally(room))


@server.delete("/polls/:poll")
def close(request: Request) -> Response:
    """End a poll: its members hear the result and leave the room."""
    room = find(request.path_params["poll"])
    if room is None:
        return Response({"error": "no such poll"}, 404)
    result = tally(room)
    server.hub.broadcast_event("closed", result, room=room.name)
    server.hub.get_room_manager().delete_room(room.name)
    return Response(result)


# WebSocket: for people ---------------------------------------------------------------------------


@server.on_connect(route="/polls/:poll")
def follow(conn: Connection) -> None:
    """Join the room of the poll in the address, and see how it stands."""
    room = find(conn.path_params["poll"])
    if room is None:
        raise Reject(404, "no such poll")
    conn.join_room(room.name)
    conn.send_event("tally", tally(room))


@server.on_join()
def may_join(conn: Connection, room: str) -> bool:
    """Follow another poll on the same connection: {"type": "join_room", "room": "dinner"}."""
    return find(room) is not None


@server.on_event("vote")
def vote(ctx: MessageContext) -> None:
    """Count a vote, in the poll of the address or the `room` of the message, and tell the room."""
    name = ctx.message.room or ctx.conn.path_params["poll"]
    room = find(name)
    if room is None or not ctx.conn.is_in_room(name):
        ctx.reply_error(f"not following {name}")
        return
    match ctx.message.data:
        case {"choice": str(choice)} if choice in room.get_metadata("choices"):
            room.get_metadata("votes")[ctx.conn.id] = choice
            server.hub.broadcast_event("tally", tally(room), room=name)
        case _:
            ctx.reply_error("no such choice")


if __name__ == "__main__":
    server.run()
