"""The Protobuf format: messages behind their lengths. Needs the extra `centrifuge`.

The classes of messages are made from the table of `fields.py`, so there is no generated module that
a newer library would refuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from ..json import loads
from .fields import MESSAGES
from .wireformat import MAX_MEMBERS, BadFrame, Fields, Read, WireFormat

PACKAGE = "glyph_fast.centrifuge"  # nobody else's, so that both may be in one process
_Field = descriptor_pb2.FieldDescriptorProto


class Protobuf(WireFormat):
    """Messages behind their lengths, which are varints. Data stands there as it is."""

    name = "protobuf"

    def read(self, payload: str | bytes) -> Iterator[Fields]:
        """The commands of a frame, each read when it is asked for. Raises BadFrame."""
        if isinstance(payload, str):
            raise BadFrame("a frame of the Protobuf protocol is binary")
        at = 0
        while at < len(payload):
            size, at = varint(payload, at)
            if size > len(payload) - at:
                raise BadFrame("a message is cut short")
            try:
                message = _CLASSES["Command"].FromString(payload[at : at + size])
            except (DecodeError, ValueError, RecursionError) as exc:
                raise BadFrame(str(exc)) from None
            yield _fields_of(message)
            at += size

    def read_one(self, message: str, payload: bytes) -> Fields:
        """A message that is alone. Raises BadFrame."""
        try:
            return _fields_of(_CLASSES[message].FromString(payload))
        except (DecodeError, ValueError, RecursionError) as exc:
            raise BadFrame(str(exc)) from None

    def write(self, message: str, fields: Fields) -> bytes:
        """A frame of one message."""
        made = _CLASSES[message]()
        _fill(made, fields)
        data: bytes = made.SerializeToString()
        return sized(data)

    def json(self, text: bytes) -> bytes:
        """The JSON as it is."""
        return text

    def binary(self, data: bytes) -> bytes:
        """The bytes as they are."""
        return data


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends. Raises BadFrame."""
    number = shift = 0
    while at < len(data) and shift < 35:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
    raise BadFrame("a length is cut short")


def sized(data: bytes) -> bytes:
    """A message behind its length."""
    size, head = len(data), bytearray()
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + data


def _fields_of(message: Any) -> Fields:
    found = Read()
    for field, value in message.ListFields():
        data = found[field.name] = _value_of(field, value)
        if field.name == "data" and not isinstance(data, bytes):
            found.written = value
    return found


def _value_of(field: Any, value: Any) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        if len(value) > MAX_MEMBERS:
            raise BadFrame(f"a map has more than {MAX_MEMBERS} members")
        inner = field.message_type.fields_by_name["value"]
        return {key: _value_of(inner, value[key]) for key in value}
    if field.message_type is not None:
        is_one = hasattr(value, "ListFields")
        return _fields_of(value) if is_one else [_fields_of(each) for each in value]
    if field.type == _Field.TYPE_BYTES:
        return _json_or_bytes(value)
    return value if isinstance(value, str | bool | int) else list(value)


def _json_or_bytes(data: bytes) -> Any:
    """The value of data that is JSON, and other data itself."""
    try:
        return loads(data)
    except ValueError:
        return data


def _fill(message: Any, fields: Fields) -> None:
    for name, value in fields.items():
        if isinstance(value, dict):
            _fill_part(message, name, value)
        elif isinstance(value, list):
            for each in value:
                _fill(getattr(message, name).add(), each)
        else:
            setattr(message, name, value)


def _fill_part(message: Any, name: str, value: dict[str, Any]) -> None:
    part = getattr(message, name)
    if hasattr(part, "SetInParent"):
        part.SetInParent()  # there is a result without content
        _fill(part, value)
        return
    for key, each in value.items():
        if isinstance(each, dict):
            _fill(part[key], each)
        else:
            part[key] = each


def _make_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="glyph_fast/centrifuge.proto", package=PACKAGE, syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (number, type_) in fields.items():
            _add_field(message, name, field_name, number, type_)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in MESSAGES
    }


def _add_field(message: Any, owner: str, name: str, number: int, type_: str) -> None:
    field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
    if type_.startswith("{}"):
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, owner, "key", 1, "string")
        _add_field(entry, owner, "value", 2, type_[2:])
        field.label, field.type = _Field.LABEL_REPEATED, _Field.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{owner}.{entry.name}"
        return
    if type_.startswith("[]"):
        field.label, type_ = _Field.LABEL_REPEATED, type_[2:]
    if type_ in MESSAGES:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{type_}"
    else:
        field.type = getattr(_Field, f"TYPE_{type_.upper()}")


_CLASSES = _make_classes()

__all__ = ["Protobuf", "sized", "varint"]
