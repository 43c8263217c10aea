"""Handlers that cannot work; each line marked is refused, and no other."""

from __future__ import annotations

from glyph_fast import Connection, MessageContext, MessageType, Request, Server

server = Server()


@server.on_connect  # refused: it is given one argument
def connected(conn: Connection, room: str) -> None: ...


@server.on_connect(route="/a")  # refused: it is given a connection
def connected_there(ctx: MessageContext) -> None: ...


@server.on_disconnect  # refused: the code comes before the reason
def gone(conn: Connection, reason: str) -> None: ...


@server.on_message  # refused: it is given a context
def anything(conn: Connection) -> None: ...


@server.on_message(MessageType.TEXT)  # refused: it is given one argument
async def text(ctx: MessageContext, data: str) -> None: ...


@server.on_event("typing")  # refused: it is given a context
def typing(data: dict[str, str]) -> None: ...


@server.on_join  # refused: it says nothing
def may_join(conn: Connection, room: str) -> None: ...


@server.on_join("a*")  # refused: the connection comes first
def may_join_there(room: str) -> bool:
    return True


@server.on_leave  # refused: the room is a name
def left(conn: Connection, room: int) -> None: ...


@server.on_error  # refused: it may be given a connection
def failed(ctx: MessageContext, exc: Exception) -> None: ...


@server.authenticate  # refused: it is given a request
def who(token: str) -> str:
    return token


@server.websocket("/count")  # refused: it is no `async def`
def count(conn: Connection) -> None: ...


@server.websocket("/read")  # refused: it is given a connection
async def read(ctx: MessageContext) -> None: ...


@server.on_startup  # refused: it is given nothing
def begin(server: Server) -> None: ...


@server.on_shutdown()  # refused: it is given nothing
async def end(server: Server) -> None: ...


@server.background  # refused: it is no `async def`
def tick() -> None: ...


@server.background  # refused: it is given nothing
async def tock(server: Server) -> None: ...


@server.get("/users/:id")  # refused: parameters are in `request.path_params`
async def user(request: Request, id: str) -> None: ...


@server.post("/users")  # refused: it is given a request
def save(ctx: MessageContext) -> None: ...


server.on_evnt("typing")  # refused: there is no such decorator
server.on_event(typing)  # refused: it needs a name
server.get(user)  # refused: it needs a path
