"""What a server writes JSON with."""

from __future__ import annotations

from decimal import Decimal

from glyph_fast.dialects import bare
from glyph_fast.dialects.message import Message
from glyph_fast.dialects.publication import EVERYONE, publication
from glyph_fast.dialects.writer import PLAIN, Writer
from glyph_fast.wire import MessageType

MESSAGE = Message(MessageType.JSON, Decimal("1.5"), timestamp="2031-05-06T07:08:09Z")
ENVELOPE = '{"type":"json","data":"1.5","timestamp":"2031-05-06T07:08:09Z"}'


def test_without_a_default_it_is_the_plain_functions() -> None:
    assert (PLAIN.json_text, PLAIN.publication) == (bare.json_text, publication)
    assert not PLAIN.knows_more


def test_with_one_values_and_messages_are_written_by_it() -> None:
    writer = Writer(str)
    assert writer.knows_more
    assert writer.json_text([Decimal("1.5")]) == '["1.5"]'
    assert writer.as_sent(MESSAGE) == ENVELOPE
    assert (writer.as_sent("a"), writer.as_sent(b"b")) == ("a", b"b")


def test_a_publication_keeps_the_message_it_was_made_of() -> None:
    made = Writer(str).publication(EVERYONE, None, MESSAGE, "id")
    assert (bytes(made.payload), made.message, made.exclude) == (ENVELOPE.encode(), MESSAGE, "id")
