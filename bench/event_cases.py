"""What an event of JSON costs from its bytes to those of its answer: for counting instructions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

from msgspec import Struct

from glyph_fast.handlers.context import MessageContext
from glyph_fast.wire import TEXT

from .cases import BATCH, KEY, Case, Operation
from .hub_cases import Hall

EVENT = (
    '{"type":"json","event":"move","data":{"player":"0f8fad5b-d9cb-469f-a165-70867728950e",'
    '"x":1024.5,"y":-77.25,"tags":["fast","blue"],"note":"and a few words to make it two hundred"}}'
)


class Move(Struct):
    """What the typed handler takes."""

    player: str
    x: float
    y: float
    tags: list[str]
    note: str


def _untyped(ctx: MessageContext) -> None:
    ctx.reply_json(ctx.message.data)


def _typed(ctx: MessageContext, data: Move) -> None:
    ctx.reply_json({"player": data.player, "x": data.x, "y": data.y, "tags": data.tags})


@contextmanager
def _events(core: ModuleType, handler: Callable[..., Any]) -> Iterator[Operation]:
    """Sixteen events of one read, each answered by `reply_json`, and their one write."""
    hall = Hall(members=1)
    hall.dispatcher.on_event("move")(handler)
    conn = hall.members[0]
    data = core.encode_frame(TEXT, EVENT, key=KEY) * BATCH

    def run() -> None:
        conn._feed(data)
        hall.turn.flush()

    def check() -> None:
        calls, size = conn._sink.calls, conn._sink.size
        run()
        assert conn._sink.size - size > 200 * BATCH
        assert conn._sink.calls - calls == 1

    yield Operation(run, check, BATCH)


EVENT_CASES = (
    Case("event", partial(_events, handler=_untyped)),
    Case("event-typed", partial(_events, handler=_typed)),
)
