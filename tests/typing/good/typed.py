"""Handlers that declare types of events, bodies and queries; both checkers accept them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from glyph_fast import MessageContext, Request, Response, Server

server = Server()


@dataclass
class Move:
    x: int


class Search(TypedDict):
    word: str


@server.on_event("move")
def move(ctx: MessageContext, data: Move) -> Move:
    return Move(data.x + 1)


@server.on_event("search", route="/ws")
async def search(ctx: MessageContext, data: list[Search] | None = None) -> int:
    return len(data or ())


@server.on_event("anything")
def anything(ctx: MessageContext, data: Any) -> None: ...


@server.post("/moves")
async def create(request: Request, body: Move) -> Move:
    return body


@server.get("/moves")
def find(query: Search) -> list[str]:
    return [query["word"]]


@server.put("/moves")
def replace(request: Request, query: Search, body: Move) -> Response:
    return Response({"x": body.x, "word": query["word"], "at": request.path})
