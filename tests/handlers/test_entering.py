"""Streams at the door: which rooms they may be in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast.errors import HandshakeError, Reject
from glyph_fast.handlers.entering import Entrance
from glyph_fast.hub.connection import Connection
from glyph_fast.hub.sessions import GONE, TAKEN
from glyph_fast.options.config import Config
from tests.wired import Pipe, Site

pytestmark = pytest.mark.both_cores
Run = Callable[..., Any]


def entering(**options: Any) -> tuple[Site, Entrance, Connection]:
    rooms = {"open:*": {"client_join": True}, "small": {"client_join": True, "max_members": 1}}
    site = Site(Config(rooms=rooms, **options))
    return site, Entrance(site.hub, site.dispatcher), Connection(site.turn, Pipe())


async def status_of(entrance: Entrance, conn: Connection, *names: str) -> int:
    try:
        await entrance.judge(conn, names)
    except HandshakeError as exc:
        return exc.status
    return 200


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (("open:1",), 200),
        ((), 200),
        (("open:1", "other"), 403),
        (("",), 400),
        (("open:\0",), 400),
        (("open:" + "x" * 200,), 400),
        (("open:1", "open:2", "open:3"), 400),
        (("yes:1",), 200),
        (("no:1",), 403),
        (("reject:1",), 403),
        (("raise:1",), 403),
    ],
)
def test_rooms_are_judged_before_a_stream_opens(
    run: Run, names: tuple[str, ...], status: int
) -> None:
    async def main() -> None:
        site, entrance, conn = entering(max_rooms_per_connection=2)
        ids = []
        site.dispatcher.on_join("yes:*")(lambda conn, room: ids.append(conn.id) or True)
        site.dispatcher.on_join("no:*")(lambda conn, room: False)

        @site.dispatcher.on_join("reject:*")
        def reject(conn: Connection, room: str) -> bool:
            raise Reject(401, "no")

        @site.dispatcher.on_join("raise:*")
        def fail(conn: Connection, room: str) -> bool:
            raise RuntimeError("on purpose")

        assert await status_of(entrance, conn, *names) == status
        assert ids == ([conn.id] if "yes:1" in names else [])
        assert site.hub.metrics.handler_errors == ("raise:1" in names)

    run(main())


def test_a_full_room_is_503(run: Run) -> None:
    async def main() -> None:
        site, entrance, conn = entering()
        site.connect().conn.join_room("small")
        assert await status_of(entrance, conn, "small") == 503

    run(main())


def test_a_session_of_this_process_is_known_for_certain(run: Run) -> None:
    async def main() -> None:
        site, entrance, _ = entering()
        session = entrance.begin_session(site.connect().conn)
        assert entrance.may_know(session)
        assert not entrance.may_know("0." + "x" * 32) and not entrance.may_know("x")
        assert entrance.may_know("2." + "x" * 32)
        assert await entrance.take(session, "{}") == TAKEN
        assert await entrance.take("2." + "x" * 32, "{}") == GONE
        assert await entrance.take("x", "{}") == GONE

    run(main())
