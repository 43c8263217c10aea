"""The part that both wire formats of the protocol share, and JSON, the first of them.

A command or a reply is a dict with the names of `fields.py`, without what is empty. What is `bytes`
there holds in a command any value of JSON, or bytes where it is none; in a reply what
`WireFormat.json` or `WireFormat.binary` made of it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from ..json import dumps, loads
from .fields import MESSAGES

Fields: TypeAlias = dict[str, Any]


class Read(dict[str, Any]):
    """Fields as they were read; `written` is the JSON of their data as it came, if it came so."""

    written: bytes | None = None


MAX_DEPTH = 16  # of messages in messages
MAX_MEMBERS = 10_000  # of a map


class BadFrame(Exception):
    """A frame that holds no commands, or none of right form."""


class WireFormat:
    """A format in which commands are read and replies are written."""

    name: str

    def read(self, payload: str | bytes) -> Iterator[Fields]:
        """The commands of a frame, each read when it is asked for. Raises BadFrame.

        A frame has room for a million commands, and others have their turn between them.
        """
        raise NotImplementedError

    def read_one(self, message: str, payload: bytes) -> Fields:
        """A message that is alone, as the body of a request may be. Raises BadFrame."""
        raise NotImplementedError

    def write(self, message: str, fields: Fields) -> str | bytes:
        """A frame of one message, as a rule a `Reply`."""
        raise NotImplementedError

    def json(self, text: bytes) -> bytes:
        """Data that is JSON, for a field of bytes."""
        raise NotImplementedError

    def binary(self, data: bytes) -> bytes:
        """Data that is not."""
        raise NotImplementedError


class Json(WireFormat):
    """Objects in lines. Data stands there as JSON."""

    name = "json"

    def read(self, payload: str | bytes) -> Iterator[Fields]:
        """The commands of a frame, each read when it is asked for. Raises BadFrame."""
        if isinstance(payload, bytes):
            raise BadFrame("a frame of the JSON protocol is text")
        for line in filter(None, payload.split("\n")):
            try:
                command = _read("Command", loads(line), 0)
            except ValueError as exc:
                raise BadFrame(str(exc)) from None
            yield command

    def read_one(self, message: str, payload: bytes) -> Fields:
        """A message that is alone. Raises BadFrame."""
        try:
            return _read(message, loads(payload), 0)
        except ValueError as exc:
            raise BadFrame(str(exc)) from None

    def write(self, message: str, fields: Fields) -> str:
        """A frame of one message."""
        return _write(fields).decode()

    def json(self, text: bytes) -> bytes:
        """The JSON in one line: a line is where a message ends."""
        return dumps(loads(text)) if b"\n" in text or b"\r" in text else text

    def binary(self, data: bytes) -> bytes:
        """A text in base64."""
        return b'"%b"' % b64encode(data)


def _write(value: Any) -> bytes:
    if isinstance(value, dict):
        parts = [b"%b:%b" % (dumps(name), _write(each)) for name, each in value.items()]
        return b"{%b}" % b",".join(parts)
    if isinstance(value, list):
        return b"[%b]" % b",".join(map(_write, value))
    return value if isinstance(value, bytes) else dumps(value)


def _whole(least: int, most: int) -> Callable[[Any], Any]:
    def read(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise BadFrame("a number is missing or out of its range")
        return value

    return read


def _of(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise BadFrame(f"a field is no {kind.__name__}")
        return value

    return read


_SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "string": _of(str),
    "bool": _of(bool),
    "uint32": _whole(0, 2**32 - 1),
    "uint64": _whole(0, 2**64 - 1),
    "int32": _whole(-(2**31), 2**31 - 1),
    "int64": _whole(-(2**63), 2**63 - 1),
    "bytes": lambda value: value,
}


def _read(message: str, value: Any, depth: int) -> Fields:
    """Read an object as a message; members that are none of its fields are ignored."""
    if not isinstance(value, dict) or depth > MAX_DEPTH:
        raise BadFrame(f"{message} is no object")
    known, found = MESSAGES[message], {}
    for name, each in value.items():
        field = known.get(name)
        if field is not None and (each is not None or field[1] == "bytes"):
            found[name] = _read_field(field[1], each, depth + 1)
    return found


def _read_field(type_: str, value: Any, depth: int) -> Any:
    if (scalar := _SCALARS.get(type_)) is not None:
        return scalar(value)
    if type_.startswith("[]"):
        items: Iterable[Any] = _of(list)(value)
        return [_read_field(type_[2:], each, depth) for each in items]
    if type_.startswith("{}"):
        members = _of(dict)(value)
        if len(members) > MAX_MEMBERS:
            raise BadFrame(f"a map has more than {MAX_MEMBERS} members")
        return {name: _read_field(type_[2:], each, depth) for name, each in members.items()}
    return _read(type_, value, depth)
