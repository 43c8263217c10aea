"""Publications that go to main for a place and come back with it."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast.broker.frames import Kind, frame
from glyph_fast.broker.ordering import order, placed, read_order, read_placed
from glyph_fast.dialects.message import Message
from glyph_fast.dialects.publication import ROOM, json_publication, publication
from glyph_fast.dialects.stream import kept_frame

MESSAGES = [
    "grüße", "", b"\x00\xff", b"x" * 70_000,
    Message("json", {"a": [1]}, event="e"),
    Message("text", "x", target="somebody", id=7, room="another"),
]  # fmt: skip


@pytest.mark.parametrize("exclude", [None, "a" * 32, ["a" * 32, "b" * 32]], ids=str)
@pytest.mark.parametrize("user", [None, "", "ann ü"], ids=repr)
@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: repr(each)[:20])
def test_a_publication_comes_back_as_it_was_with_its_place(
    message: Any, user: str | None, exclude: Any
) -> None:
    sent = publication(ROOM, "chat:ä", message, exclude)
    sent.answered = "c" * 32
    asked = order(sent, user, number=7, id="ann\0key")
    read = read_order(asked)
    frame, kind = kept_frame(sent)
    excluded = sent.exclude
    assert (read.number, read.name, read.user, read.id) == (7, "chat:ä", user, "ann\0key")
    assert (read.kind, read.frame, read.exclude) == (kind, frame, excluded)
    came = read_placed(placed(asked, "epoch", 12, 1.5))
    assert (came.kind, came.name, came.position) == ("placed", "chat:ä", ("epoch", 12))
    assert (came.opcode, came.payload, came.data) == (sent.opcode, sent.payload, sent.data)
    assert came.kept == (frame, 1.5, kind, excluded, user)
    assert (came.exclude, came.answered) == (excluded, "c" * 32)


def test_the_bare_json_of_a_value_is_sent_once() -> None:
    sent = json_publication(ROOM, "r", '{"n":1}')
    asked = order(sent, None)
    assert asked.count(b'{"n":1}') == 1
    assert read_order(asked).frame == sent.data


@pytest.mark.parametrize("size", range(0, 60, 7))
def test_what_ends_too_early_is_refused(size: int) -> None:
    whole = order(publication(ROOM, "room", "message", "a" * 32), "user", id="id")
    cut = frame(Kind.ORDER, whole[5:][:size])
    with pytest.raises(ValueError):
        read_order(cut)
    with pytest.raises(ValueError):
        read_placed(frame(Kind.PLACED, placed(whole, "e", 1, 0.0)[5:][:size]))


@pytest.mark.parametrize("user", [None, "ann", "bob"], ids=repr)
@pytest.mark.parametrize("name", ["room", "moor"])
@pytest.mark.parametrize("message", ["text", b"text"], ids=repr)
def test_what_is_kept_at_hand_of_sizes_is_that_of_the_same_sizes(
    message: Any, name: str, user: str | None
) -> None:
    for _ in range(2):
        came = read_placed(placed(order(publication(ROOM, name, message), user), "e", 1, 0.0))
        assert (came.name, came.data) == (name, publication(ROOM, name, message).data)
        assert came.kept[4] == user


def test_a_text_that_is_no_utf_8_is_refused() -> None:
    asked = order(publication(ROOM, "room", "text"), None).replace(b"text", b"te\xff\xfe")
    with pytest.raises(ValueError):
        read_placed(placed(asked, "e", 1, 0.0))
