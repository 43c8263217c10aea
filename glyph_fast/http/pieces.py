"""Bodies of answers that leave piece by piece: files, and what a program makes as it goes.

A piece is made when there is room for it, so the memory of an answer does not grow with its size.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any, BinaryIO, Protocol

PIECE = 64 * 1024  # bytes of a file read at a time

# Linux reads what the page cache holds without waiting for the disk, and says when it does not.
_READS_CACHED = hasattr(os, "preadv") and hasattr(os, "RWF_NOWAIT")
_END = object()


class Pieces(Protocol):
    """The body of one answer. Whoever sends it calls `close` in the end, whatever happened."""

    size: int | None  # bytes of all pieces; None: not known before the end
    is_endless: bool  # whether it may wait for something for ever

    async def read(self) -> bytes:
        """The next piece; empty at the end."""
        ...

    async def close(self) -> None:
        """Give back what the body holds."""
        ...


class FilePieces:
    """Bytes `start` to `end` of an open file, which is closed with it.

    A file that shrinks meanwhile raises EOFError: its end, once promised, cannot come.
    """

    is_endless = False

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file = file
        self._position = start
        self._end = end
        self.size: int | None = end - start
        self._reading: asyncio.Future[bytes] | None = None  # in a thread

    async def read(self) -> bytes:
        """The next piece; what is not in memory is read in a thread, for a disk may be slow."""
        size = min(PIECE, self._end - self._position)
        if not size:
            return b""
        piece = self._cached(size)
        if piece is None:
            loop = asyncio.get_running_loop()
            self._reading = loop.run_in_executor(None, self._read, size)
            piece = await asyncio.shield(self._reading)  # a thread cannot be stopped
        if not piece:
            raise EOFError("the file has become shorter while it was sent")
        self._position += len(piece)
        return piece

    async def close(self) -> None:
        """Close the file, once no thread reads it: its number may soon be another's."""
        if self._reading is not None and not self._reading.done():
            self._reading.add_done_callback(self._close)
        else:
            self._file.close()

    def _close(self, reading: asyncio.Future[bytes]) -> None:
        self._file.close()
        if not reading.cancelled():
            reading.exception()  # which nobody waits for any more

    def _cached(self, size: int) -> bytes | None:
        if not _READS_CACHED:
            return None
        buffer = bytearray(size)
        try:
            got = os.preadv(self._file.fileno(), [buffer], self._position, os.RWF_NOWAIT)
        except OSError:  # it would wait; or the file system cannot tell
            return None
        return bytes(memoryview(buffer)[:got]) or None

    def _read(self, size: int) -> bytes:
        self._file.seek(self._position)
        return self._file.read(size)


class IteratedPieces:
    """The pieces that an iterator or asynchronous iterator gives: bytes, or str as UTF-8.

    `size` is what the program has announced, if it has.
    """

    is_endless = True

    def __init__(self, body: Iterator[Any] | AsyncIterator[Any], size: int | None = None) -> None:
        self._body: Any = body.__aiter__() if hasattr(body, "__aiter__") else body
        self._is_async = hasattr(self._body, "__anext__")
        self.size = size

    async def read(self) -> bytes:
        """The next piece that is not empty."""
        while True:
            if self._is_async:
                value = await anext(self._body, _END)
            else:
                value = next(self._body, _END)
            if value is _END:
                return b""
            if piece := _bytes_of(value):
                return piece

    async def close(self) -> None:
        """End a generator, whose `finally` runs now."""
        if (close := getattr(self._body, "aclose", None)) is not None:
            await close()
        elif (close := getattr(self._body, "close", None)) is not None:
            close()


def is_iterated(body: object) -> bool:
    """Return whether a body is an iterator of pieces: lists and other JSON values are none."""
    return hasattr(body, "__aiter__") or hasattr(body, "__next__")


def _bytes_of(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"an answer's iterator gives str or bytes, not {type(value).__name__}")


__all__ = ["PIECE", "FilePieces", "IteratedPieces", "Pieces", "is_iterated"]
