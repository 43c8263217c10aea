"""What nodes say to each other, as bytes.

    uint8    the version of what follows
    uint8    what it is, of `Said`
    12       the id of the node that says it
    …        a frame PUBLISH of `crossing.py`, or JSON

A node reads its own version and the two beside it, so those of neighbouring releases work together:
a new version may append to what is said and add kinds, and nothing else. What it does not know it
passes over. All of it comes from a broker that others may write to, so it is checked like any
input, and it is never a pickle.
"""

from __future__ import annotations

import json
import secrets
import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Any

from ..presence import Diff, Entry, Snapshot

VERSION = 1
HEAD = struct.Struct("<BB12s")
_BODY_AT = HEAD.size
PART = 128 * 1024  # bytes of members that one message lists, about


class Said(IntEnum):
    """What a message between nodes is."""

    PUBLISH = 1  # a publication
    BEAT = 2  # I am there
    LEAVE = 3  # I go
    TELL = 4  # what all hubs are to do: its name and arguments
    ASK = 5  # a number, a question and its arguments
    ANSWER = 6  # the number, and the answer
    DIFF = 7  # who came and went in a room
    SNAPSHOT = 8  # who is in a room, or a part of them
    WANT = 9  # send me a snapshot
    GONE = 10  # a process of mine has ended


class BadMessage(ValueError):
    """What has come is nothing that a node says."""


def new_id() -> bytes:
    """The id of a node, for as long as nobody takes it for dead."""
    return secrets.token_hex(6).encode()


def head(said: Said, node: bytes, version: int = VERSION) -> bytes:
    """How a message begins."""
    return HEAD.pack(version, said, node)


def message(said: Said, node: bytes, value: Any, version: int = VERSION) -> bytes:
    """A message that holds a value as JSON. Raises TypeError and ValueError for what is none."""
    return head(said, node, version) + json.dumps(value, separators=(",", ":")).encode()


def read(payload: bytes) -> tuple[int, bytes, bytes]:
    """What a message is, of which node, and what it holds. Raises BadMessage."""
    if len(payload) < _BODY_AT:
        raise BadMessage("too short")
    if payload[0] != VERSION and not VERSION - 1 <= payload[0] <= VERSION + 1:
        raise BadMessage(f"version {payload[0]}")
    return payload[1], payload[2:_BODY_AT], payload[_BODY_AT:]


def value_of(body: bytes) -> Any:
    """The JSON that a message holds. Raises BadMessage."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BadMessage("not JSON") from None


# Who is in rooms.


def diff_value(room: str, author: str, diff: Diff) -> list[Any]:
    """What a DIFF holds."""
    return [room, author, diff.seq, diff.after, _listed(diff.joined.items()), list(diff.left)]


def read_diff(value: Any) -> tuple[str, str, Diff]:
    """The room, whose members it is about, and who came and went. Raises BadMessage."""
    room, author, seq, after, joined, left, *_ = _checked(value, 6)
    if not (isinstance(left, list) and all(isinstance(each, str) for each in left)):
        raise BadMessage("ids")
    return (
        _text(room),
        _text(author),
        Diff(_number(seq), _number(after), _read(joined), tuple(left)),
    )


def snapshot_values(room: str, snapshot: Snapshot) -> Iterator[list[Any]]:
    """What the SNAPSHOTs hold that tell who is in a room: one, or more where these are many."""
    parts, size = [[]], 0  # type: list[list[tuple[str, Entry]]], int
    for id, entry in snapshot.members.items():
        if size > PART:
            parts.append([])
            size = 0
        parts[-1].append((id, entry))
        size += len(id) + len(entry.text) + 16
    for number, part in enumerate(parts):
        yield [room, snapshot.node, snapshot.seq, number, len(parts), _listed(part)]


class Assembling:
    """Snapshots whose parts come one by one."""

    def __init__(self) -> None:
        self._parts: dict[tuple[bytes, str, str], tuple[int, dict[str, Entry]]] = {}

    def take(self, node: bytes, value: Any) -> tuple[str, Snapshot] | None:
        """The room and the snapshot that are whole with this part. Raises BadMessage."""
        room, author, seq, number, of, listed, *_ = _checked(value, 6)
        key = node, _text(room), _text(author)
        members = _read(listed)
        if _number(number) > 0:
            known = self._parts.pop(key, None)
            if known is None or known[0] != seq:
                return None  # the first was lost: it will be asked for again
            members = known[1] | members
        if number + 1 < _number(of):
            self._parts[key] = seq, members
            return None
        return room, Snapshot(author, _number(seq), members)

    def forget(self, node: bytes) -> None:
        """That node says no more."""
        for key in [each for each in self._parts if each[0] == node]:
            del self._parts[key]


def _listed(members: Iterable[tuple[str, Entry]]) -> dict[str, list[Any]]:
    return {id: [entry.user, entry.text.decode()] for id, entry in members}


def _read(listed: Any) -> dict[str, Entry]:
    if not isinstance(listed, dict):
        raise BadMessage("members")
    members = {}
    for id, each in listed.items():
        user, text, *_ = _checked(each, 2)
        if user is not None:
            _text(user)
        value_of(_text(text).encode("utf-8", "surrogatepass"))  # clients get it as it is
        members[id] = Entry(user, text.encode("utf-8", "surrogatepass"))
    return members


def _checked(value: Any, length: int) -> list[Any]:
    if not isinstance(value, list) or len(value) < length:
        raise BadMessage(f"not {length} values")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadMessage("not a text")
    return value


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise BadMessage("not a number")
    return value
