"""Recorded frames of libraries that are not run here: those for Dart, Swift and Java speak them."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from glyph_fast.centrifuge.fields import COMMANDS
from glyph_fast.centrifuge.protobuf import Protobuf, varint
from tests.centrifugal import vectors

client_pb2: Any = importlib.import_module("centrifuge.protocol.client_pb2")


def named(value: object) -> str:
    return "-".join(value)[:60] or "empty" if isinstance(value, dict) else ""


@pytest.mark.parametrize(("command", "data"), vectors.COMMANDS, ids=named)
def test_a_command_is_read(command: dict[str, Any], data: str) -> None:
    assert Protobuf().read(bytes.fromhex(data)) == [command]


@pytest.mark.parametrize(("reply", "data"), vectors.REPLIES, ids=named)
def test_a_reply_is_written(reply: dict[str, Any], data: str) -> None:
    recorded, written = bytes.fromhex(data), Protobuf().write("Reply", reply)
    assert len(written) == len(recorded)
    _, at = varint(written, 0)  # fields of a map and of messages may come in any order
    assert client_pb2.Reply.FromString(written[at:]) == client_pb2.Reply.FromString(recorded[at:])


def test_every_command_and_push_is_among_them() -> None:
    said = {kind for command, _ in vectors.COMMANDS for kind in command} - {"id"}
    assert said == set(COMMANDS) - {"ping"}
    answered = {kind for reply, _ in vectors.REPLIES for kind in reply} - {"id", "error", "push"}
    assert answered == said - {"send"}
    pushed = {kind for reply, _ in vectors.REPLIES for kind in reply.get("push", {})}
    assert pushed == {
        "channel", "pub", "join", "leave", "unsubscribe", "message", "subscribe"
    }  # fmt: skip
