"""Recorded frames of libraries that are not run here: those for Dart, Swift and Java speak them."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from glyph_fast.centrifuge.fields import COMMANDS
from glyph_fast.centrifuge.protobuf import Protobuf, sized, varint
from glyph_fast.testing import TestClient
from tests.centrifugal import vectors
from tests.centrifugal.speaking import PATH, server_of

client_pb2: Any = importlib.import_module("centrifuge.protocol.client_pb2")


def named(value: object) -> str:
    return "-".join(value)[:60] or "empty" if isinstance(value, dict) else ""


@pytest.mark.parametrize(("command", "data"), vectors.COMMANDS, ids=named)
def test_a_command_is_read(command: dict[str, Any], data: str) -> None:
    assert list(Protobuf().read(bytes.fromhex(data))) == [command]


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


def test_data_stays_as_it_was_written(run: Any) -> None:
    """By a client that speaks Protobuf, and to one."""

    async def main() -> None:
        async with TestClient(server_of()) as client:
            socket = await client.connect(f"{PATH}?cf_protocol=protobuf")
            ours = await client.connect()
            await ours.send_json({"type": "join_room", "room": "a"})
            await ours.receive()

            async def ask(**command: Any) -> Any:
                await socket.send(sized(client_pb2.Command(**command).SerializeToString()))
                return await reply()

            async def reply() -> Any:
                data = await socket.receive_bytes()
                _, at = varint(data, 0)
                return client_pb2.Reply.FromString(data[at:])

            assert (await ask(id=1, connect={})).connect.client
            await ask(id=2, subscribe={"channel": "a"})
            for n, data in enumerate((b'{ "x": 1.0,\t"y" :[] }', b"[ ]", b"\xff", b" 1")):
                push = (await ask(id=3 + n, publish={"channel": "a", "data": data})).push
                assert push.pub.data == data
                assert (await reply()).HasField("publish")
                await ours.receive_json()
            kept = (await ask(id=9, history={"channel": "a", "limit": 9})).history.publications
            assert kept[0].data == b'{ "x": 1.0,\t"y" :[] }' and kept[2].data == b"\xff"

    run(main())
