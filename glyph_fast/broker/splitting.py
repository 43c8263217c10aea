# cython: annotation_typing=False
"""Cuts what comes over a link into its frames.

Main hands a publication on as it came, so it does not need each alone: those for one room that come
one after the other stay together, as a run, and are handed on in one piece.

`splitting.pxd` types this; it is compiled where the core is.
"""

from __future__ import annotations

from .frames import HEAD, LARGEST, NAME_AT, TO_ROOM, BadFrame, Kind

# Numbers of C where this is compiled.
_HEAD = HEAD.size
_LARGEST = LARGEST
_PUBLISH = int(Kind.PUBLISH)
_TO_ROOM = TO_ROOM
_NAME_AT = NAME_AT


class Splitter:
    """Cuts a stream into whole frames, each with its head; into runs, where it `joins`."""

    def __init__(self, *, joins: bool = False) -> None:
        self._joins = joins
        self._parts: list[bytes] = []  # of a frame that has not come whole
        self._size = 0
        self._needed = 0

    def split(self, data: bytes) -> list[bytes]:
        """The frames that are whole with `data`. Raises BadFrame."""
        if self._parts:
            self._parts.append(data)
            self._size += len(data)
            if self._size < self._needed:
                return []  # joined once, however many pieces a large frame comes in
            data = b"".join(self._parts)
            self._parts.clear()
        frames = []
        begin = at = 0  # of the run, and of the frame
        end, needed, name = len(data), _HEAD, b""
        view = data  # where this is compiled, the bytes themselves
        while end - at >= _HEAD:
            needed = _size_of(data, at)
            if end - at < needed:
                break
            if self._joins:
                if name and _is_for(data, at, needed, name):
                    at += needed
                    needed = _HEAD
                    continue
                name = _room_in(data, at, needed)
            if at > begin:
                frames.append(view[begin:at])
                begin = at
            at += needed
            needed = _HEAD
        if at > begin:
            frames.append(view[begin:at] if begin or at < end else data)
        if at < end:
            self._parts.append(view[at:end])
            self._size = end - at
            self._needed = needed
        return frames


def count(run: bytes) -> int:
    """Count the frames, one after the other."""
    at = found = 0
    while at < len(run):
        at += _size_of(run, at)
        found += 1
    return found


def _size_of(data: bytes, at: int) -> int:
    """The bytes of the frame that begins there, its length included. Raises BadFrame."""
    high = data[at + 3]
    length = data[at] | data[at + 1] << 8 | data[at + 2] << 16 | high << 24
    if not 0 < length <= _LARGEST:
        raise BadFrame(f"a frame of {length} bytes")
    return 4 + length


def _room_in(data: bytes, at: int, size: int) -> bytes:
    """The name of the room of a frame; empty where it is for others than one room's members."""
    if size < _NAME_AT or data[at + 4] != _PUBLISH or data[at + 5] != _TO_ROOM:
        return b""
    length = data[at + 7] | data[at + 8] << 8
    view = data
    return view[at + _NAME_AT : at + _NAME_AT + length] if _NAME_AT + length <= size else b""


def _is_for(data: bytes, at: int, size: int, name: bytes) -> bool:
    """Return whether a frame is for the members of the room of that name."""
    length = len(name)
    return (
        size >= _NAME_AT + length
        and data[at + 4] == _PUBLISH
        and data[at + 5] == _TO_ROOM
        and (data[at + 7] | data[at + 8] << 8) == length
        and data.startswith(name, at + _NAME_AT)
    )
