"""A program that declares much, for the documents of it."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import msgspec
import pydantic

from glyph_fast import MessageContext, Request, Server

server = Server()


class Move(msgspec.Struct, rename="camel"):
    piece_id: str
    at: tuple[int, int]
    kind: Literal["walk", "jump"] = "walk"


class Board(msgspec.Struct):
    moves: list[Move]
    by_player: dict[str, Move | None] = {}


@dataclasses.dataclass
class Page:
    number: int
    tags: list[str] = dataclasses.field(default_factory=list)


class Line(pydantic.BaseModel):
    symbol: str
    amount: int = pydantic.Field(gt=0)


class Order(pydantic.BaseModel):
    lines: list[Line]


@server.on_event("move")
def move(ctx: MessageContext, data: Move) -> Board:
    """Move a piece.

    More is not told.
    """
    return Board([data])


@server.on_event("order placed", route="/shop/:id")
async def order(ctx: MessageContext, data: Order) -> int:
    return len(data.lines)


@server.on_event("order placed")
def count_orders(ctx: MessageContext) -> None: ...


@server.on_event("hello")
def hello(ctx: MessageContext) -> None: ...


@server.on_event("raw")
def raw(ctx: MessageContext, data: Any) -> dict[str, list[int]]:
    return {}


server.websocket("/game/:room")


@server.get("/moves/:room")
def moves(request: Request, query: Page) -> list[Move]:
    """The moves of a room."""
    return []


@server.post("/orders")
async def place(body: Order) -> Order:
    return body


@server.delete("/orders")
def forget(request: Request) -> str:
    return "gone"


class Note(msgspec.Struct):
    text: str


@server.post("/notes")
async def note(form: Note) -> None: ...
