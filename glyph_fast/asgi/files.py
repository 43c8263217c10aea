"""Files that an application lets the server send."""

from __future__ import annotations

import asyncio
import os
from typing import Any, BinaryIO

from ..http.pieces import FilePieces


async def file_pieces(path: str) -> FilePieces:
    """The file of that path, whole. Raises OSError when it cannot be read."""
    file = await asyncio.to_thread(open, path, "rb")
    return FilePieces(file, 0, os.fstat(file.fileno()).st_size)


class BorrowedPieces(FilePieces):
    """Bytes of a file that stays the application's, whose position is kept or moved on."""

    def __init__(self, file: BinaryIO, start: int, end: int, *, moves: bool) -> None:
        super().__init__(file, start, end)
        self._own_position = file.tell() if not moves else end
        self._borrowed = file

    async def close(self) -> None:
        """Put the file's position where the application expects it."""
        os.lseek(self._borrowed.fileno(), self._own_position, os.SEEK_SET)
        await super().close()


def borrowed_pieces(file: Any, offset: int | None, count: int | None) -> BorrowedPieces:
    """`count` bytes from `offset` of an open file or descriptor.

    None: from where it is, to its end. Raises OSError for what is no file.
    """
    descriptor = file if isinstance(file, int) else file.fileno()
    if offset is None and not isinstance(file, int):
        start = int(file.tell())  # what a buffered file has read ahead does not count
    else:
        start = os.lseek(descriptor, 0, os.SEEK_CUR) if offset is None else offset
    size = os.fstat(descriptor).st_size
    end = size if count is None else min(size, start + count)
    own = os.fdopen(os.dup(descriptor), "rb")  # which may be closed
    return BorrowedPieces(own, start, max(start, end), moves=offset is None)


__all__ = ["BorrowedPieces", "borrowed_pieces", "file_pieces"]
