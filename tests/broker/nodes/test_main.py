"""The main process of workers as a node: what it hands on, and what it does not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from glyph_fast.broker.crossing import pack
from glyph_fast.broker.nodes.main import Beyond
from glyph_fast.broker.nodes.receiving import frames_of
from glyph_fast.dialects.publication import EVERYONE, ROOM, publication
from tests.buses import Network


def beyond() -> tuple[Beyond, list[tuple[bytes, bytes]]]:
    bus = Network().bus()
    bus.is_up = True
    sent: list[tuple[bytes, bytes]] = []
    bus.publish = lambda subject, payload: sent.append((subject, payload))  # type: ignore[method-assign]
    return Beyond(cast(Any, SimpleNamespace()), bus), sent


def packed(text: str, room: str | None = "r") -> bytes:
    made = pack(publication(EVERYONE if room is None else ROOM, room, text))
    assert made is not None
    return made


def test_several_publications_for_one_room_leave_in_one_piece_while_they_fit() -> None:
    main, sent = beyond()
    run = packed("a") + packed("b")
    main.publish(run)
    assert [payload[14:] for _, payload in sent] == [run]


def test_those_that_do_not_fit_together_leave_one_by_one_and_what_never_does_is_counted() -> None:
    main, sent = beyond()
    main.nodes.bus.max_payload = 100  # type: ignore[misc]
    frames = [packed("a" * 60), packed("b" * 200), packed("c" * 60)]
    main.publish(b"".join(frames))
    assert [payload[14:] for _, payload in sent] == [frames[0], frames[2]]
    assert main.figures()["broker_invalid"] == 1


@pytest.mark.parametrize("cut", [1, 5, 10, -1])
def test_what_is_no_whole_frame_is_none(cut: int) -> None:
    with pytest.raises(ValueError, match="not a frame"):
        list(frames_of(packed("a") + packed("b")[:cut]))
