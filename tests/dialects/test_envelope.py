"""The envelope, where it is written without a `Message`; the rest is in `test_message.py`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import glyph_fast
from glyph_fast.dialects import envelope
from glyph_fast.dialects.envelope import rfc3339_now
from glyph_fast.dialects.message import Message
from glyph_fast.wire import MessageType


@pytest.mark.parametrize("data", [None, 0, "", b"\x00", {"a": [1]}])
@pytest.mark.parametrize("id", [None, "7", 0, {"a": 1}])
def test_a_reply_is_the_envelope_of_a_message_with_its_members(data: object, id: object) -> None:
    answer = json.loads(envelope.reply(MessageType.JSON, data, "me", id))
    message = Message("json", data, target="me", id=id, timestamp=answer["timestamp"])
    assert answer == json.loads(message.to_json())


def test_every_member_is_written_under_its_name() -> None:
    message = Message(
        "json", 1, event="e", room="r", target="t", connection_id="c", metadata={"m": 1}, id=7
    )
    assert json.loads(message.to_json()).keys() == envelope.MEMBERS | {"id"}


def test_time_goes_on() -> None:
    texts = [rfc3339_now() for _ in range(50)]
    assert texts == sorted(texts)


def test_nothing_else_of_the_server_builds_an_envelope() -> None:
    """Its members that are no words of anything else are written in that module alone."""
    package = Path(glyph_fast.__file__).parent
    server = (
        "dialects",
        "broker",
        "hub",
        "handlers",
        "opening",
        "server",
        "admin",
        "glyph/serving",
    )
    found = {
        path.relative_to(package).as_posix()
        for folder in server
        for path in (package / folder).rglob("*.py")
        if '["target"] =' in (text := path.read_text()) or '"target":' in text
    }
    assert found == {"dialects/envelope.py"}
