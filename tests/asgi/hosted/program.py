"""A program with something of everything, for other servers to run as `app`."""

import asyncio

from glyph_fast import Config, Reject, Response, Server, current_server

server = Server(Config(ping_interval=0.2, close_timeout=1))
server.room("kept", history_size=100, client_join=True)
server.room("chat", client_join=True)
seen = []  # what happened, for `/seen`


@server.authenticate
def who(request):
    if request.query.get("user") == "nobody":
        raise Reject(403, {"error": "not you"})
    return request.query.get("user")


@server.on_startup
async def started():
    await asyncio.sleep(0)
    seen.append("startup")


@server.on_connect(route="/plain")
async def plain(conn):
    conn.send_json({"remote": conn.request.remote, "path": conn.request.path})


@server.on_connect(route="/live")
def live(conn):
    """Talks by envelopes."""


@server.on_message(route="/plain")
def echo(ctx):
    if ctx.message.raw == "close":
        ctx.conn.close(4001, "enough")
    elif ctx.message.raw == "flood":
        for n in range(50):
            ctx.conn.send("x" * 10_000 + str(n))
    elif ctx.message.raw == "cut":
        ctx.conn.abort()
    else:
        ctx.conn.send(ctx.message.raw)


@server.on_disconnect
def left(conn, code, reason):
    seen.append(["left", conn.path_params.get("none", ""), code, reason])


@server.on_event("add")
def add(ctx):
    ctx.reply_json(sum(ctx.message.data))


@server.get("/seen")
def tell(request):
    return seen


@server.get("/hello/:name")
def hello(request):
    own = current_server() is server
    return {
        "name": request.path_params["name"], "query": request.query_string, "own": own,
        "remote": request.remote, "scheme": request.scheme, "header": request.headers.get("x-a"),
    }  # fmt: skip


@server.post("/publish")
async def publish(request):
    position = await server.hub.publish("kept", await request.json())
    return {"offset": position.offset}


@server.post("/size", max_body=64 * 2**20)
async def size(request):
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
    return {"size": total}


@server.get("/stream")
async def stream(request):
    async def pieces():
        for n in range(3):
            yield f"{n},"
            await asyncio.sleep(0.01)

    return Response(pieces())


@server.get("/broken")
async def broken(request):
    async def pieces():
        yield "some"
        await asyncio.sleep(0.01)
        raise LookupError("as the test wants it")

    return Response(pieces())


@server.get("/endless")
async def endless(request):
    async def pieces():
        try:
            while True:
                yield "x" * 10_000
                await asyncio.sleep(0.01)
        finally:
            seen.append("endless is over")

    return Response(pieces())


@server.get("/fails")
def fails(request):
    raise LookupError("as the test wants it")


app = server.asgi
