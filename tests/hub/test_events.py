"""Streams come into their rooms, also where the broker takes its time."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from glyph_fast.dialects.events import read_id
from glyph_fast.errors import ConnectionClosed, GlyphFastError
from glyph_fast.hub.connection import Connection
from glyph_fast.hub.events import EventCodecs, JoiningCodec, join_all
from glyph_fast.hub.remembering import MAX_HELD
from glyph_fast.options.config import Config
from glyph_fast.wire import EVENTS, Position
from tests.hub.slow import Slow
from tests.wired import Pipe, Site, spin

pytestmark = pytest.mark.both_cores
Run = Callable[..., Any]
ROOMS = {"kept:*": {"history_size": 2000}, "live:*": {"client_join": True}}


class Stream:
    """A stream, and its client's end."""

    def __init__(self, site: Site, since: Mapping[str, Position] | None = None) -> None:
        self.site = site
        self.pipe = Pipe()
        self.joining = JoiningCodec(since or {}, False)
        self.conn = conn = Connection(site.turn, self.pipe)
        conn._kept = b"GET / HTTP/1.1\r\n\r\n"
        conn._use_codec(self.joining)
        conn._upgrade(EVENTS)
        site.dispatcher.opened(conn)
        self.last_id = ""

    async def join(self, *names: str, counts: Counter[str] | None = None) -> None:
        codec = EventCodecs(self.site.hub.get_room_manager()).of(names, False)
        counts = Counter() if counts is None else counts
        await join_all(self.conn, names, self.joining, codec, counts)

    def events(self) -> list[tuple[str, Any]]:
        """What has come: the id, and of the data what the tests are about."""
        self.site.flush()
        found = []
        data, self.pipe.data = bytes(self.pipe.data), bytearray()
        for block in data.decode().split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n") if line != ":")
            self.last_id = fields.get("id", self.last_id)
            if "data" in fields:
                value = json.loads(fields["data"])
                found.append((fields.get("id", ""), value.get("data", value)))
        return found


def site_of(broker: Any = None) -> Site:
    return Site(Config(rooms=ROOMS), broker=broker)


def publish(site: Site, room: str, *texts: str) -> None:
    for text in texts:
        site.hub.broadcast_to_room(room, text)


def test_codecs_are_shared_while_somebody_uses_them(run: Run) -> None:
    site = site_of()
    codecs = EventCodecs(site.hub.get_room_manager())
    one = codecs.of(("a", "b"), True)
    assert codecs.of(("a", "b"), True) is one
    assert codecs.of(("a", "b"), False) is not one
    assert codecs.of(("a",), True) is not one
    del one
    assert len(codecs._known) == 0


def test_what_is_published_while_it_joins_comes_behind_what_was_missed(run: Run) -> None:
    async def main() -> None:
        broker = Slow()
        site = site_of(broker).on_loop()
        publish(site, "kept:a", "1", "2")
        publish(site, "kept:b", "1")
        epoch = {name: (await broker_position(site, name)).epoch for name in ("kept:a", "kept:b")}
        stream = Stream(site, {n: Position(e, 1) for n, e in epoch.items()})
        task = asyncio.ensure_future(stream.join("kept:a", "kept:b", "live:c"))
        await spin()
        publish(site, "kept:a", "3")
        publish(site, "kept:b", "2")
        publish(site, "live:c", "live")
        start = stream.joining.id.decode()
        assert stream.events() == [(start, "live")]
        broker.gate.set()
        await task
        found = stream.events()
        assert sorted(data for _, data in found) == ["2", "2", "3"]
        publish(site, "kept:b", "3")
        found += stream.events()
        at = {name: 1 for name in epoch}
        seen: list[tuple[str, Position]] = []
        for id, data in found:  # each id counts just what has come up to it
            positions = read_id(id, epoch)
            moved = [name for name in at if positions[name].offset != at[name]]
            assert len(moved) == 1
            at[moved[0]] += 1
            assert (positions[moved[0]].offset, data) == (at[moved[0]], str(at[moved[0]]))
            seen.append((moved[0], positions[moved[0]]))
        assert len(seen) == 4

    run(main())


async def broker_position(site: Site, name: str) -> Position:
    broker: Any = site.hub.get_room_manager()._broker
    position: Position = broker.histories.stream(name).position
    return position


def test_a_cut_anywhere_loses_nothing(run: Run) -> None:
    """Whatever prefix of the bytes came, its last id resumes to all that is missing, in order."""

    async def main() -> None:
        broker = Slow()
        site = site_of(broker).on_loop()
        rooms = ("kept:a", "kept:b")
        for room in rooms:
            publish(site, room, "1", "2")
        since = {r: Position((await broker_position(site, r)).epoch, 0) for r in rooms}
        stream = Stream(site, since)
        task = asyncio.ensure_future(stream.join(*rooms))
        await spin()
        for n in (3, 4):
            for room in rooms:
                publish(site, room, str(n))
        broker.gate.set()
        await task
        for n in (5, 6):
            for room in rooms:
                publish(site, room, str(n))
        site.flush()
        whole = bytes(stream.pipe.data)
        ends = [at + 2 for at in range(len(whole)) if whole.startswith(b"\n\n", at)]
        assert len(ends) == 13  # and one block that is no event
        for end in ends:
            before = Stream(site_of(), since)
            before.pipe.data += whole[:end]
            heard = Counter(data for _, data in before.events())
            again = Stream(site, read_id(before.last_id, rooms))
            await again.join(*rooms)
            heard.update(data for _, data in again.events())
            assert heard == Counter({str(n): 2 for n in range(1, 7)})

    run(main())


def test_a_room_that_begins_anew_is_told_with_its_place(run: Run) -> None:
    async def main() -> None:
        site = site_of().on_loop()
        stream = Stream(site)
        await stream.join("kept:a")
        publish(site, "kept:a", "1")
        broker: Any = site.hub.get_room_manager()._broker
        broker.forget("kept:a")
        publish(site, "kept:a", "new")
        found = stream.events()
        epoch = (await broker_position(site, "kept:a")).epoch
        assert [data for _, data in found] == ["1", {"epoch": epoch, "offset": 0}, "new"]
        places = [read_id(id, ["kept:a"])["kept:a"] for id, _ in found]
        assert places[1:] == [Position(epoch, 0), Position(epoch, 1)]

    run(main())


def test_too_much_while_it_joins_is_an_error(run: Run) -> None:
    async def main() -> None:
        broker = Slow()
        site = site_of(broker).on_loop()
        stream = Stream(site)
        task = asyncio.ensure_future(stream.join("kept:a"))
        await spin()
        publish(site, "kept:a", *["x"] * (MAX_HELD + 1))
        broker.gate.set()
        with pytest.raises(GlyphFastError, match="too many messages"):
            await task

    run(main())


def test_one_that_closes_while_it_joins_joins_no_more(run: Run) -> None:
    async def main() -> None:
        broker = Slow()
        site = site_of(broker).on_loop()
        stream = Stream(site)
        task = asyncio.ensure_future(stream.join("kept:a"))
        await spin()
        stream.conn._lost()
        site.flush()
        broker.gate.set()
        with pytest.raises((ConnectionClosed, GlyphFastError)):
            await task
        assert len(site.hub.get_room_manager()) == 0

    run(main())


def test_the_program_may_have_joined_it_before(run: Run) -> None:
    async def main() -> None:
        site = site_of().on_loop()
        stream = Stream(site)
        stream.conn.join_room("kept:a")
        publish(site, "kept:a", "1")
        await stream.join("kept:a")
        publish(site, "kept:a", "2")
        assert [data for _, data in stream.events()] == ["1", "2"]
        joined = await stream.conn.join("kept:b")
        publish(site, "kept:b", "3")
        assert joined.position.offset == 0
        assert [data for _, data in stream.events()] == ["3"]

    run(main())


def test_the_end_tells_why() -> None:
    assert JoiningCodec({}, False).end(1001, "going") == (
        b'event: close\ndata: {"code":1001,"reason":"going"}\n\n'
    )
    chunked = JoiningCodec({}, True).end(1001, "going")
    assert chunked.endswith(b"\r\n0\r\n\r\n") and chunked.startswith(b"33\r\nevent: close")
