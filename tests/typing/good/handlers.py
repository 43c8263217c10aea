"""Handlers as programs write them; both checkers accept them at their strictest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from glyph_fast import (
    Config,
    Connection,
    GlyphServer,
    MessageContext,
    MessageType,
    Request,
    Response,
    Server,
)

server = Server(Config(port=9000, ping_interval="20s", allowed_origins=["https://a.example"]))


@server.on_connect
def connected(conn: Connection) -> None:
    conn.join_room(conn.path_params["room"])


@server.on_connect(route="/chat/:room")
async def connected_there(conn: Connection, greeting: str = "hello") -> None:
    conn.send(greeting)


@server.on_connect()
def nothing_needed() -> None: ...


@server.on_close
async def asked(conn: Connection, code: int, reason: str) -> None:
    conn.close(4000, "bye")


@server.on_close(route="/chat/:room")
def asked_there(conn: Connection) -> None: ...


@server.on_disconnect
def gone(conn: Connection) -> None: ...


@server.on_disconnect(route="/chat/:room")
async def gone_there(conn: Connection, code: int, reason: str) -> None: ...


@server.on_disconnect
def gone_with_code(conn: Connection, code: int) -> None: ...


@server.on_message
def anything(ctx: MessageContext) -> int:
    return ctx.reply_json({"echo": ctx.message.data}).sent


@server.on_message(MessageType.TEXT, route="/chat/:room")
async def text(ctx: MessageContext) -> None: ...


@server.on_message("json")
def words(*arguments: object) -> None: ...


@server.on_event("typing")
@server.on_event("writing", route="/chat/:room")
def typing(ctx: MessageContext) -> None:
    ctx.broadcast_to_room(ctx.message.room, MessageType.JSON, {"typing": ctx.conn.id})


@server.on_join
def may_join(conn: Connection, room: str) -> bool:
    return conn.identity is not None


@server.on_join("private:*")
async def may_join_private(conn: Connection) -> bool:
    return True


@server.on_leave
def left(conn: Connection, room: str) -> None: ...


@server.on_error
def failed(where: MessageContext | Connection, exc: BaseException) -> None: ...


@server.on_error()
async def failed_too(where: object, exc: Exception) -> None: ...


@server.authenticate
async def who(request: Request) -> dict[str, str]:
    return {"name": request.query["name"]}


@server.websocket("/count")
async def count(conn: Connection) -> None:
    async for message in conn:
        conn.send(message)
        await conn.drain()


server.websocket("/bare")


@server.on_startup
async def begin() -> None: ...


@server.on_shutdown()
def end() -> None: ...


@server.background
async def tick() -> None: ...


@server.get("/users/:id")
async def user(request: Request) -> dict[str, str]:
    return {"id": request.path_params["id"], "agent": request.headers.get("user-agent", "")}


@server.post("/users")
@server.put("/users")
def save() -> Response:
    return Response({"saved": True}, 201)


@server.get("/rows")
def rows(request: Request) -> Iterator[str]:
    yield "n\n"


@server.get("/ticks")
async def ticks(request: Request) -> AsyncIterator[bytes]:
    yield b"1"


def logged(handler: Callable[[MessageContext], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def call(*args: Any) -> None:
        await handler(*args)

    return call


@server.on_message(MessageType.BINARY)
@logged
async def wrapped(ctx: MessageContext) -> None: ...


class Game:
    def steer(self, ctx: MessageContext, speed: float = 1.0) -> None: ...


server.on_message(MessageType.BINARY)(Game().steer)
server.on_event("steer")(partial(Game().steer, speed=2.0))

glyph = GlyphServer()
glyph.register_websocket_route("/chat", typing)
glyph.register_websocket_route("/ws", glyph.handle_websocket)
glyph.route("GET", "/users", user)


async def serve() -> None:
    await server.serve(port=0, trusted_proxies=["10.0.0.0/8"], log_level="warning")
    await server.serve(Config(), announce=print)


if __name__ == "__main__":
    server.run(port=8080, host=["127.0.0.1", "::1"], write_timeout=2.5, admin="127.0.0.1:9090")
