"""What whoever watches connections open hears of them."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import pytest

from glyph_fast import Reject
from tests.engine.desk import Desk, upgrade


class Watch:
    """An `Observer` that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def route(self, match):
        self.heard.append(("route", match.pattern))
        return match

    @contextmanager
    def handshake(self, conn, request, route):
        self.heard.append(("handshake", route))
        yield
        self.heard.append(("decided",))

    def accepting(self, conn, request):
        self.heard.append(("accepting", request.path))

    def accepted(self, conn):
        self.heard.append(("accepted",))

    def refused(self, conn, request, status):
        self.heard.append(("refused", status))

    def left(self, conn):
        self.heard.append(("left",))


def no(request):
    raise Reject(401)


@pytest.mark.parametrize(
    ("path", "authenticate", "heard"),
    [
        ("/x", None, [("handshake", "/x"), ("accepting", "/x"), ("accepted",), ("decided",)]),
        ("/x", no, [("handshake", "/x"), ("refused", 401), ("decided",)]),
        ("/other", None, [("refused", 404)]),
    ],
    ids=["accepted", "refused", "no route"],
)
def test_a_handshake_is_told_from_its_beginning_to_its_end(path, authenticate, heard):
    watch = Watch()
    desk = Desk(authenticate=authenticate, observer=watch)
    desk.websockets.add(None, "/x", False)
    desk.client().send(upgrade(path))
    assert watch.heard == heard


def test_one_that_leaves_before_it_is_decided_is_told(run):
    async def main():
        watch, never = Watch(), asyncio.Event()
        desk = Desk(authenticate=lambda request: never.wait(), observer=watch)
        desk.websockets.add(None, "/x", False)
        client = desk.client().send(upgrade("/x"))
        await asyncio.sleep(0)
        client.conn._lost()
        desk.turn.flush()
        assert watch.heard == [("handshake", "/x"), ("decided",), ("left",)]

    run(main())


def test_an_http_handler_may_be_replaced():
    watch = Watch()
    watch.route = lambda match: match._replace(
        target=match.target._replace(call=lambda request: "watched")
    )
    desk = Desk(observer=watch)
    desk.get("/x", lambda request: "plain")
    assert desk.ask("GET /x").body == b"watched"
