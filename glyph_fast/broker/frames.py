"""The frames that processes of one server exchange over a stream socket.

    uint32   bytes that follow these four, little-endian
    uint8    what the frame is about, of `Kind`
    …        as the kind has it

Both ends are processes of one installation: what does not fit ends the link, and nobody guesses.
"""

from __future__ import annotations

import json
import struct
from enum import IntEnum
from typing import Any

from ..errors import GlyphFastError

LARGEST = 256 * 2**20  # bytes of one frame; nothing that a server sends comes near
HEAD = struct.Struct("<IB")

# Of a PUBLISH, which those on the way look into.
PUBLISH_HEAD = struct.Struct("<IBBBHI")
NAME_AT = PUBLISH_HEAD.size
TO_ROOM = 1  # to whom it is: the second of `crossing`'s targets


# Of a LEAD: whether this machine runs what runs once on all of them, from now on.
LEADS, LEADS_NOT = b"\1", b"\0"


class Kind(IntEnum):
    """The subject of a frame between two processes of one server."""

    HELLO = 1  # worker: a pickled `Told`: its options and what its program declares
    START = 2  # main: listen on the sockets that are attached
    READY = 3  # worker: it accepts connections
    BEAT = 4  # worker: it is alive; its figures as JSON
    DRAIN = 5  # main: close with a code, within a time
    SUBSCRIBE = 6  # worker: a room has its first member there …
    UNSUBSCRIBE = 7  # … or its last has gone
    PUBLISH = 8  # a publication, from a worker or for one
    TELL = 9  # something all hubs are to do, as JSON: its name and arguments
    ASK = 10  # a question with a number, either way
    ANSWER = 11  # the answer to the question of that number
    ORDER = 12  # worker: a publication to a room that remembers, which wants a place
    PLACED = 13  # main: one that has its place
    POSITION = 14  # main: where a room that remembers is
    LEAD = 17  # main: run what runs once in a server; or, with a byte, what runs once on all
    PRESENCE = 15  # who is in a room, either way (`attendance.py`)
    # From a process to its successor (`estate.py`).
    HANDING = 16  # it gives no more places; what will come, as JSON
    IDS = 17  # ids under which was published, and their positions
    STREAMS = 18  # what rooms remember
    HANDED = 19  # that was all: the successor has the order


class BadFrame(GlyphFastError):
    """The other end of a link sends what is no frame."""


def frame(kind: Kind, *parts: bytes) -> bytes:
    """A frame of a kind, with its parts one after the other."""
    return HEAD.pack(1 + sum(map(len, parts)), kind) + b"".join(parts)


def frame_of_json(kind: Kind, value: Any) -> bytes:
    """A frame that holds a value as JSON."""
    return frame(kind, json.dumps(value, separators=(",", ":")).encode())
