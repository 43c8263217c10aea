"""What documents are made of: each event once, with what its handlers declare."""

from __future__ import annotations

import msgspec

from glyph_fast import MessageContext, Server
from glyph_fast.documents.asyncapi import asyncapi
from glyph_fast.documents.program import address_of, program_of
from glyph_fast.documents.typescript import typescript
from tests.documents.declared import Order, server


def test_each_event_is_there_once_with_what_its_handlers_declare() -> None:
    events = {each.name: each for each in program_of(server).events}
    assert list(events) == ["move", "order placed", "hello", "raw"]
    placed = events["order placed"]
    assert placed.takes is not None and placed.takes.type is Order
    assert placed.routes == ("/shop/:id", "/game/:room")
    assert (events["hello"].takes, events["hello"].answers) == (None, None)


def test_a_program_without_anything_has_the_default_route() -> None:
    assert program_of(Server()) == (("/ws",), (), ())


def test_an_address_has_its_parameters_in_braces() -> None:
    assert address_of("/a/:b/c/:d") == "/a/{b}/c/{d}"


class First(msgspec.Struct):
    a: int


class Second(msgspec.Struct):
    b: int


def test_an_event_that_differs_by_route_is_there_for_each() -> None:
    def first(ctx: MessageContext, data: First) -> int:
        return data.a

    def second(ctx: MessageContext, data: Second) -> str:
        return str(data.b)

    server = Server()
    server.on_event("order", route="/a")(first)
    server.on_event("order", route="/b")(second)
    server.websocket("/c")
    program = program_of(server)
    assert [(each.name, each.routes) for each in program.events] == [
        ("order", ("/a",)),
        ("order", ("/b",)),
    ]
    assert "  order(data: First | Second): number | string;" in typescript(program, title="x")
    operations = asyncapi(program, title="x", version="1")["operations"]
    named = {name: each["messages"][0]["$ref"] for name, each in operations.items()}
    assert named["order.a"] != named["order_2.b"]
