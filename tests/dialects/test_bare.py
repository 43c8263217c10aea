"""The bare format."""

from __future__ import annotations

import pytest

from glyph_fast.dialects.bare import JsonText, json_text, reply
from glyph_fast.wire import MessageType


def test_json_text_is_encoded_when_it_is_made() -> None:
    value = {"a": 1}
    text = JsonText(value)
    value["a"] = 2
    assert text.to_json() == b'{"a":1}'


def test_a_reply_is_what_it_is_of() -> None:
    assert reply(MessageType.TEXT, "hi") == "hi"
    assert reply(MessageType.BINARY, bytearray(b"hi")) == b"hi"
    assert reply(MessageType.JSON, {"a": "é"}) == json_text({"a": "é"}) == '{"a":"é"}'
    assert reply(MessageType.PONG, None) == "null"


@pytest.mark.parametrize(
    ("type_", "data", "complaint"),
    [
        (MessageType.TEXT, b"hi", "a text reply is a str, not bytes"),
        (MessageType.BINARY, "hi", "a binary reply is bytes, not str"),
    ],
)
def test_data_of_another_type_is_refused(type_: MessageType, data: object, complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        reply(type_, data)
