"""Both wire formats say the same, and what is no command is refused."""

from __future__ import annotations

import base64
import importlib
import json
from typing import Any

import pytest
from google.protobuf import json_format

from glyph_fast.centrifuge.fields import COMMANDS, MESSAGES
from glyph_fast.centrifuge.protobuf import Protobuf, sized
from glyph_fast.centrifuge.wireformat import BadFrame, Json, WireFormat

client_pb2: Any = importlib.import_module("centrifuge.protocol.client_pb2")  # of the library

TYPES = {
    3: "int64", 4: "uint64", 5: "int32", 8: "bool", 9: "string", 12: "bytes", 13: "uint32",
}  # fmt: skip


@pytest.mark.parametrize("name", [*MESSAGES])
def test_the_fields_are_those_of_the_protocol(name: str) -> None:
    """Against the schema that the Python library carries."""
    theirs = client_pb2.DESCRIPTOR.message_types_by_name[name]
    for field_name, (number, type_) in MESSAGES[name].items():
        field = theirs.fields_by_name.get(field_name)
        if field is None:  # newer than the library
            continue
        assert field.number == number
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        assert type_.startswith("{}") == bool(is_map)
        if is_map:
            field = field.message_type.fields_by_name["value"]
        own = type_.lstrip("[]{}")
        found = TYPES.get(field.type) or field.message_type.name
        assert own == found


def test_every_command_has_a_result() -> None:
    assert set(COMMANDS) == MESSAGES["Command"].keys() - {"id"}
    assert set(COMMANDS) - {"send"} <= MESSAGES["Reply"].keys()


COMMANDS_SAID: list[dict[str, Any]] = [
    {},
    {"id": 1, "connect": {}},
    {
        "id": 1,
        "connect": {
            "token": "t", "data": {"a": 1}, "name": "js", "version": "5",
            "subs": {"x": {"recover": True, "offset": 2**63, "epoch": "e"}}, "headers": {"a": "b"},
        },
    },
    {"id": 2, "subscribe": {"channel": "ü", "token": "t", "recover": True, "offset": 7}},
    {"id": 2, "subscribe": {"channel": "x", "join_leave": True, "delta": "fossil", "flag": 2}},
    {"id": 3, "unsubscribe": {"channel": "x"}},
    {"id": 4, "publish": {"channel": "x", "data": [1, 2.5, None, "ü"]}},
    {"id": 5, "presence": {"channel": "x"}},
    {"id": 6, "presence_stats": {"channel": "x"}},
    {"id": 7, "history": {"channel": "x", "limit": -1, "since": {"offset": 1, "epoch": "e"}}},
    {"id": 7, "history": {"channel": "x", "limit": 5, "reverse": True}},
    {"send": {"data": {"a": 1}}},
    {"id": 8, "rpc": {"method": "m", "data": "text"}},
    {"id": 9, "refresh": {"token": "t"}},
    {"id": 4294967295, "sub_refresh": {"channel": "x", "token": "t"}},
]  # fmt: skip


def to_protobuf(command: dict[str, Any]) -> bytes:
    """A command as the library of others writes it."""
    text: dict[str, Any] = json.loads(json.dumps(command))
    for fields in text.values():
        if isinstance(fields, dict) and "data" in fields:
            fields["data"] = base64.b64encode(json.dumps(fields["data"]).encode()).decode()
    return sized(json_format.ParseDict(text, client_pb2.Command()).SerializeToString())


@pytest.mark.parametrize("command", COMMANDS_SAID, ids=lambda each: "-".join(each) or "pong")
def test_a_command_reads_the_same_in_both(command: dict[str, Any]) -> None:
    assert list(Json().read(json.dumps(command))) == [command]
    assert list(Protobuf().read(to_protobuf(command))) == [command]


def test_one_frame_holds_many() -> None:
    assert list(Json().read('{"id":1,"connect":{}}\n{"id":2,"rpc":{}}\n')) == [
        {"id": 1, "connect": {}}, {"id": 2, "rpc": {}}
    ]  # fmt: skip
    frames = b"".join(map(to_protobuf, COMMANDS_SAID))
    assert list(Protobuf().read(frames)) == COMMANDS_SAID


@pytest.mark.parametrize(
    ("wire", "frame"), [(Json(), "{}\n{"), (Protobuf(), b"\0\xff")], ids=["json", "protobuf"]
)
def test_each_is_read_when_its_turn_comes(wire: WireFormat, frame: str | bytes) -> None:
    commands = wire.read(frame)  # a million in one frame would take seconds
    assert next(commands) == {}
    with pytest.raises(BadFrame):
        next(commands)


def test_data_that_is_no_json_is_bytes() -> None:
    command = client_pb2.Command(id=1, publish={"channel": "x", "data": b"\xff\x00"})
    read = list(Protobuf().read(sized(command.SerializeToString())))
    assert read == [{"id": 1, "publish": {"channel": "x", "data": b"\xff\x00"}}]


BAD_JSON = [
    "{", "[]", "1", '"a"', "null", '{"id":-1}', '{"id":4294967296}', '{"id":1.5}', '{"id":true}',
    '{"id":"1"}', '{"id":1,"connect":[]}', '{"id":1,"connect":5}',
    '{"id":1,"subscribe":{"channel":1}}', '{"id":1,"subscribe":{"channel":"x","offset":-1}}',
    '{"id":1,"subscribe":{"channel":"x","offset":18446744073709551616}}',
    '{"id":1,"subscribe":{"channel":"x","recover":1}}', '{"id":1,"connect":{"subs":[]}}',
    '{"id":1,"connect":{"subs":{"a":1}}}', '{"id":1,"connect":{"headers":{"a":1}}}',
    '{"id":1,"history":{"channel":"x","since":1}}', '{"id":1,"connect":{}}\n{',
    "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: text[:40])
def test_what_is_no_command_in_json(text: str) -> None:
    with pytest.raises(BadFrame):
        list(Json().read(text))


BAD_PROTOBUF = [
    b"\x05", b"\x02\x08", b"\xff", b"\xff\xff\xff\xff\xff\xff", b"\x80\x80\x80\x80\x80\x01",
    b"\x01\xff", b"\x03\x22\x05a", sized(b"\x2a\x03\x0a\x01\xff"), b"\x00\x07",
]  # fmt: skip


@pytest.mark.parametrize("data", BAD_PROTOBUF, ids=bytes.hex)
def test_what_is_no_command_in_protobuf(data: bytes) -> None:
    with pytest.raises(BadFrame):
        list(Protobuf().read(data))


def test_a_map_has_only_so_many_members() -> None:
    many = {"id": 1, "connect": {"headers": dict.fromkeys(map(str, range(10_001)), "x")}}
    with pytest.raises(BadFrame):
        list(Json().read(json.dumps(many)))
    with pytest.raises(BadFrame):
        list(Protobuf().read(to_protobuf(many)))


def test_filters_are_passed_over() -> None:
    command = {"id": 1, "subscribe": {"channel": "x", "tf": {"nodes": [{}] * 9}}}
    without = [{"id": 1, "subscribe": {"channel": "x"}}]
    assert list(Json().read(json.dumps(command))) == without
    assert list(Protobuf().read(to_protobuf(command))) == without


@pytest.mark.parametrize("wire", [Json(), Protobuf()], ids=lambda each: each.name)
def test_a_frame_of_the_other_kind(wire: WireFormat) -> None:
    with pytest.raises(BadFrame):
        list(wire.read(b"{}" if wire.name == "json" else "{}"))


REPLY: dict[str, Any] = {
    "id": 5,
    "subscribe": {
        "recoverable": True, "epoch": "e", "offset": 3,
        "publications": [{"data": b'{"a":1}', "offset": 3, "tags": {"event": "x"},
                          "info": {"user": "u", "client": "c", "conn_info": b"{}"}}],
    },
}  # fmt: skip


def test_a_reply_in_json() -> None:
    assert json.loads(Json().write("Reply", REPLY)) == {
        "id": 5,
        "subscribe": {
            "recoverable": True, "epoch": "e", "offset": 3,
            "publications": [{"data": {"a": 1}, "offset": 3, "tags": {"event": "x"},
                              "info": {"user": "u", "client": "c", "conn_info": {}}}],
        },
    }  # fmt: skip


def test_a_reply_in_protobuf_is_what_the_library_of_others_reads() -> None:
    data = Protobuf().write("Reply", REPLY)
    reply = client_pb2.Reply.FromString(data[1:])
    assert data[0] == len(data) - 1
    (publication,) = reply.subscribe.publications
    assert (reply.id, reply.subscribe.offset, reply.subscribe.epoch) == (5, 3, "e")
    assert publication.data == b'{"a":1}' and publication.tags == {"event": "x"}
    assert publication.info.conn_info == b"{}"


def test_a_result_without_content_is_there() -> None:
    assert Json().write("Reply", {"id": 1, "publish": {}}) == '{"id":1,"publish":{}}'
    data = Protobuf().write("Reply", {"id": 1, "publish": {}})
    assert client_pb2.Reply.FromString(data[1:]).HasField("publish")
    assert Protobuf().write("Reply", {}) == b"\0" and Json().write("Reply", {}) == "{}"


def test_a_map_of_messages_and_long_frames() -> None:
    subs = {f"room {n}": {"epoch": "e" * n} for n in range(40)}
    data = Protobuf().write("Reply", {"id": 1, "connect": {"client": "c", "subs": subs}})
    size, at = int(data[0] & 0x7F | data[1] << 7), 2
    assert size == len(data) - at
    reply = client_pb2.Reply.FromString(data[at:])
    assert {name: {"epoch": sub.epoch} for name, sub in reply.connect.subs.items()} == {
        name: {"epoch": sub["epoch"]} for name, sub in subs.items()
    }


def test_json_stays_in_one_line() -> None:
    assert Json().json(b'{\n "a": "x\\ny"\r\n}') == b'{"a":"x\\ny"}'
    assert Json().binary(b"\xff") == b'"/w=="' and Protobuf().binary(b"\xff") == b"\xff"
