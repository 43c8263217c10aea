"""A kitchen's orders: a FastAPI application and rooms on one port.

    cd examples/fastapi
    pip install -r requirements.txt
    glyph-fast serve main:server            # or --workers 4
    # then open http://127.0.0.1:8080/ twice

FastAPI does what it does anywhere: models check what comes, dependencies say who it is, and its own
WebSocket stays its own. The one thing added is that a route publishes into a room. The page takes
its orders from there; one that was away gets what it missed, on whatever worker it comes back.

    curl localhost:8080/orders/garden -H 'X-Waiter: Ada' \\
        -H 'Content-Type: application/json' -d '{"dish": "soup", "count": 2}'
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request, WebSocket
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from glyph_fast import Config, Connection, Server, current_server

PAGE = Path(__file__).with_name("index.html")


class Order(BaseModel):
    """What a guest wants."""

    dish: str = Field(min_length=1, max_length=80)
    count: int = Field(default=1, ge=1, le=20)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, list[str]]]:
    yield {"menu": ["bread", "curry", "soup"]}  # beside it the state has `glyph_fast`, the server


def waiter(x_waiter: Annotated[str, Header(max_length=40)]) -> str:
    """Who brings the order. A real application has sessions or tokens here."""
    return x_waiter


app = FastAPI(title="Orders", lifespan=lifespan)


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(PAGE)


@app.get("/menu")
async def menu(request: Request) -> Any:
    return request.state.menu


@app.post("/orders/{table}", status_code=201)
async def order(
    table: str, order: Order, waiter: Annotated[str, Depends(waiter)], request: Request
) -> dict[str, Any]:
    """Take an order, and show it to all who watch."""
    if order.dish not in request.state.menu:
        raise HTTPException(404, "no such dish")
    placed = {"table": table, "waiter": waiter, **order.model_dump()}
    position = await request.state.glyph_fast.hub.publish("orders", placed)
    return {**placed, "number": position.offset}


@app.post("/closing")
def closing(waiter: Annotated[str, Depends(waiter)]) -> dict[str, bool]:
    """Say that the kitchen closes. FastAPI runs a `def` in a thread: every hub method may be."""
    current_server().hub.broadcast_event("closing", {"by": waiter}, room="orders")
    return {"told": True}


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


server = Server(Config(serve_client=True))  # the page's script, /glyph-fast.js
server.room("orders", history_size=100, presence=True, client_join=True, client_publish=False)
server.mount("/", app)


@server.on_connect(route="/live")
def came(conn: Connection) -> None:
    """The page joins its room by itself."""


if __name__ == "__main__":
    server.run()
