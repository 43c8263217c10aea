"""Positions: what a subscriber missed, and what it is told of where it is."""

from __future__ import annotations

from typing import Any

from ..broker.history import Ask, Page
from ..hub.connection import Connection
from ..hub.joining import MAX_ANSWER
from ..wire import Position
from .publishing import Format
from .wireformat import Fields

REFUSE_UNRECOVERED = 2  # of the flags of a subscription


def ask_of(conn: Connection, name: str, fields: Fields) -> Ask:
    """Return what a subscription asks the history of its room for."""
    terms = conn._manager._terms(name)
    if terms is None or not fields.get("recover"):
        return Ask(limit=0)
    most = conn._manager._history_answer
    # All that is kept, as far as it may come: whether that is enough is told by the offsets, for
    # a client that has no epoch yet, or asks a room that keeps one message, gets what there is.
    return Ask(most=most, most_bytes=MAX_ANSWER)


def is_cache(conn: Connection, name: str) -> bool:
    """Return whether a room keeps one message, its newest: nobody can miss another."""
    terms = conn._manager._terms(name)
    return terms is not None and terms.history_size == 1


def missed(fields: Fields, page: Page, id: str = "") -> list[tuple[int, Any]] | None:
    """Return what came after the position that is asked for; None where that is not known."""
    offset, epoch = fields.get("offset", 0), fields.get("epoch", "")
    top = page.position
    if (epoch and epoch != top.epoch) or offset > top.offset:
        return None
    found = [each for each in page.messages if each[0] > offset]
    if len(found) != top.offset - offset:
        return None
    return found


def described(format: Format, fields: Fields, page: Page, *, cache: bool = False) -> Fields:
    """The `SubscribeResult` of a room with history, of one who asked by these fields."""
    top: Position = page.position
    result: Fields = {
        "recoverable": True, "positioned": True, "epoch": top.epoch, "offset": top.offset
    }  # fmt: skip
    if not fields.get("recover"):
        return result
    result["was_recovering"] = True
    found = missed(fields, page)
    if found is None and cache and page.messages:
        found = page.messages[-1:]
        fields = {"offset": found[0][0] - 1}
    if found is None:
        return result
    result |= {"recovered": True, "offset": fields.get("offset", 0)}
    if found:
        result["publications"] = [format.kept(offset, kept) for offset, kept in found]
    return result
