"""The frames between processes of one server."""

from __future__ import annotations

from glyph_fast.broker.frames import Kind, frame, frame_of_json


def test_a_frame_has_its_length_and_its_kind_before_its_parts() -> None:
    assert frame(Kind.SUBSCRIBE, b"bl", b"ue") == b"\x05\0\0\0\x06blue"
    assert frame_of_json(Kind.BEAT, {"a": 1}) == b"\x08\0\0\0\x04" + b'{"a":1}'
