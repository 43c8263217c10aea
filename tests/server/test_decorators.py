"""The decorators of a server: methods, which register with its dispatcher."""

from __future__ import annotations

import pydoc
from typing import Any

import pytest

from glyph_fast import GlyphServer, MessageContext, MessageType, Server

DECORATORS = [
    "on_connect", "on_disconnect", "on_message", "on_event", "on_join", "on_leave", "on_error",
    "websocket", "on_startup", "on_shutdown", "background", "authenticate", "route",
    "get", "post", "put", "patch", "delete", "options",
]  # fmt: skip


@pytest.mark.parametrize("kind", [Server, GlyphServer])
@pytest.mark.parametrize("name", DECORATORS)
def test_help_knows_each_decorator(kind: type[Server], name: str) -> None:
    assert callable(getattr(kind, name))
    assert f" {name}(self" in pydoc.plain(pydoc.render_doc(kind))
    assert getattr(kind, name).__doc__


@pytest.mark.parametrize(
    "name", ["on_connect", "on_disconnect", "on_message", "on_join", "on_leave", "on_error"]
)
def test_a_decorator_may_stand_bare_or_be_called(name: str) -> None:
    def handler() -> bool:
        return True

    decorator: Any = getattr(Server(), name)
    assert decorator(handler) is handler
    assert decorator()(handler) is handler


def test_handlers_are_planned_for_their_routes() -> None:
    server = Server()

    @server.on_message(MessageType.TEXT, route="/a")
    def text(ctx: MessageContext) -> None: ...

    @server.on_event("typing", route="/a")
    def typing(ctx: MessageContext) -> None: ...

    @server.websocket("/b")
    async def read(conn: object) -> None: ...

    plan = server._dispatcher.plan("/a")
    assert (plan.text, plan.events) == ((text,), {"typing": (typing,)})
    assert server._dispatcher.plan("/b").stream is read
