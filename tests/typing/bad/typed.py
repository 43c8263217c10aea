"""Typed handlers that cannot work; each line marked is refused, and no other."""

from __future__ import annotations

from dataclasses import dataclass

from glyph_fast import MessageContext, Request, Server

server = Server()


@dataclass
class Move:
    x: int


@server.on_event("move")  # refused: the context comes first
def move(data: Move, ctx: MessageContext) -> None: ...


@server.on_event("three")  # refused: there is no third
def three(ctx: MessageContext, data: Move, more: int) -> None: ...


@server.on_message("text")  # refused: only events have data of a declared type
def text(ctx: MessageContext, data: Move) -> None: ...


@server.post("/moves")  # refused: a body is called body
def create(request: Request, content: Move) -> None: ...
