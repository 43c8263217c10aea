"""The broker of a process that ends, and whose rooms go on elsewhere."""

from __future__ import annotations

from typing import Any

from glyph_fast.broker.frames import Kind
from glyph_fast.broker.handed_on import HandedOn


class Wire:
    """A link that keeps what is sent."""

    is_open = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_always(self, frame: bytes) -> None:
        self.sent.append(frame)

    def flush(self) -> None:
        pass


def test_what_ends_here_goes_on_there() -> None:
    wire: Any = Wire()
    broker = HandedOn(wire)
    broker.forget("kept")
    broker.forget_all()
    broker.tell("delete_room", "kept")
    assert wire.sent == []
    broker.tell("disconnect_user", "ann", 1000, "")
    assert [each[4] for each in wire.sent] == [Kind.TELL]
