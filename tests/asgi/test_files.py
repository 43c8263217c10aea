"""Files that an application lets the server send."""

from __future__ import annotations

import asyncio
import os

import pytest

from glyph_fast.asgi.files import borrowed_pieces, file_pieces


async def read_all(pieces):
    content = b""
    while piece := await pieces.read():
        content += piece
    await pieces.close()
    return content


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "file"
    found.write_bytes(bytes(range(200)))
    return found


def test_a_path_is_the_whole_file(path):
    async def main():
        pieces = await file_pieces(str(path))
        assert pieces.size == 200
        assert await read_all(pieces) == bytes(range(200))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("offset", "count", "found"),
    [(0, None, range(200)), (10, 5, range(10, 15)), (190, 50, range(190, 200)), (500, 1, range(0))],
)
def test_a_part_of_an_open_file_moves_nothing(path, offset, count, found):
    async def main():
        with path.open("rb") as file:
            file.seek(7)
            assert await read_all(borrowed_pieces(file, offset, count)) == bytes(found)
            assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 7
            assert not file.closed

    asyncio.run(main())


def test_without_an_offset_the_file_is_read_on(path):
    async def main():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            assert await read_all(borrowed_pieces(descriptor, None, 3)) == bytes(range(3))
            assert await read_all(borrowed_pieces(descriptor, None, 3)) == bytes(range(3, 6))
        finally:
            os.close(descriptor)

    asyncio.run(main())
