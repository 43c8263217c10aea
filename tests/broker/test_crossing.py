"""Publications that go to another process and come out as they were."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast.broker.crossing import pack, room_of, unpack
from glyph_fast.broker.frames import Kind, frame
from glyph_fast.dialects.message import Message
from glyph_fast.dialects.publication import (
    CONNECTION,
    EVERYONE,
    ROOM,
    ROOMS,
    USER,
    publication,
)
from glyph_fast.dialects.stream import kind_of


@pytest.mark.parametrize("exclude", [None, "a" * 32, ["a" * 32, "b" * 32]], ids=str)
@pytest.mark.parametrize(
    "message", ["grüße", "", b"\x00\xff", Message("json", {"a": [1]}, event="e")], ids=repr
)
@pytest.mark.parametrize(
    ("kind", "name"),
    [(EVERYONE, None), (ROOM, "chat:ä"), (ROOM, "\ud800"), (ROOMS, ("a", "b")), (USER, "ann")],
    ids=str,
)
def test_a_publication_crosses_unchanged(kind: str, name: Any, message: Any, exclude: Any) -> None:
    sent = publication(kind, name, message, exclude)
    packed = pack(sent)
    assert packed is not None
    came = unpack(packed)
    assert (came.kind, came.name or None) == (kind, name)
    assert (came.opcode, came.payload, came.data) == (sent.opcode, sent.payload, sent.data)
    expected = {sent.exclude} if isinstance(sent.exclude, str) else sent.exclude
    assert came.exclude == expected
    assert kind_of(came) == kind_of(sent)


def test_the_room_is_read_without_the_rest() -> None:
    to_room = pack(publication(ROOM, "chat:ä", "hi"))
    to_all = pack(publication(EVERYONE, None, "hi"))
    assert to_room is not None and to_all is not None
    assert room_of(to_room) == "chat:ä".encode()
    assert room_of(to_all) is None


def test_a_user_who_is_an_object_of_the_program_is_nobody_elsewhere() -> None:
    assert pack(publication(USER, object(), "hi")) is None


@pytest.mark.parametrize(
    "body", [b"", b"\x09\x01\0\0\0\0\0\0", b"\x01\x09\0\0\0\0\0\0", b"\x01\x01\xff\xff\0\0\0\0"]
)
def test_what_is_no_publication_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        unpack(frame(Kind.PUBLISH, body))


def test_names_that_are_too_long_reach_nobody_elsewhere_or_are_refused() -> None:
    for kind in (ROOM, USER, CONNECTION):
        assert pack(publication(kind, "x" * 65_535, "hi")) is not None
        assert pack(publication(kind, "x" * 65_536, "hi")) is None
    with pytest.raises(ValueError, match="at most 65535 bytes together"):
        pack(publication(ROOMS, ("x" * 60_000, "y" * 6_000), "hi"))
