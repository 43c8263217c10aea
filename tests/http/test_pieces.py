"""Bodies in pieces: files, and what iterators give."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from glyph_fast.http import pieces
from glyph_fast.http.pieces import PIECE, FilePieces, IteratedPieces, Pieces, is_iterated

DATA = os.urandom(3 * PIECE + 7)


async def all_of(body: Pieces) -> list[bytes]:
    found = []
    while piece := await body.read():
        found.append(piece)
    await body.close()
    return found


@pytest.fixture(params=["cached", "in a thread"])
def path(request, monkeypatch, tmp_path: Path) -> Path:
    if request.param == "in a thread":
        monkeypatch.setattr(pieces, "_READS_CACHED", False)
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize(
    ("start", "end"), [(0, len(DATA)), (5, len(DATA)), (PIECE, 2 * PIECE), (7, 8), (9, 9)]
)
def test_a_part_of_a_file_comes_in_pieces(run, path, start, end):
    file = open(path, "rb", buffering=0)
    body = FilePieces(file, start, end)
    assert body.size == end - start
    found = run(all_of(body))
    assert b"".join(found) == DATA[start:end]
    assert all(len(piece) <= PIECE for piece in found)
    assert file.closed


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_is_removed_or_replaced_is_sent_as_it_was(run, path, is_replaced):
    body = FilePieces(open(path, "rb", buffering=0), 0, len(DATA))

    async def main():
        first = await body.read()
        if is_replaced:
            other = path.with_name("other")
            other.write_bytes(b"another")
            os.replace(other, path)
        else:
            os.unlink(path)
        assert first + b"".join(await all_of(body)) == DATA

    run(main())


def test_a_file_that_shrinks_has_no_end(run, path):
    file = open(path, "rb", buffering=0)
    body = FilePieces(file, 0, len(DATA))
    os.truncate(path, PIECE)

    async def main():
        assert await body.read() == DATA[:PIECE]
        with pytest.raises(EOFError, match="shorter"):
            await body.read()
        await body.close()

    run(main())


def test_a_file_is_not_closed_under_a_thread_that_reads_it(run, path, monkeypatch):
    monkeypatch.setattr(pieces, "_READS_CACHED", False)
    begun, gate = threading.Event(), threading.Event()
    file = open(path, "rb", buffering=0)
    body = FilePieces(file, 0, len(DATA))
    read = body._read

    def slow(size: int) -> bytes:
        begun.set()
        gate.wait(10)
        return read(size)

    monkeypatch.setattr(body, "_read", slow)

    async def main():
        reading = asyncio.ensure_future(body.read())
        await asyncio.to_thread(begun.wait, 10)
        reading.cancel()
        await asyncio.wait([reading])
        await body.close()
        assert not file.closed
        gate.set()
        async with asyncio.timeout(10):
            while not file.closed:
                await asyncio.sleep(0.001)

    run(main())


async def some():
    yield "grüße"
    yield b""
    yield bytearray(b"two")
    yield memoryview(b"three")


@pytest.mark.parametrize(
    "body", [some, lambda: iter(["grüße", "", bytearray(b"two"), memoryview(b"three")])]
)
def test_iterators_give_text_and_bytes(run, body):
    assert run(all_of(IteratedPieces(body()))) == ["grüße".encode(), b"two", b"three"]


@pytest.mark.parametrize("value", [1, None, ["x"], {"a": 1}])
def test_nothing_else_is_a_piece(run, value):
    with pytest.raises(TypeError, match="str or bytes, not"):
        run(all_of(IteratedPieces(iter([value]))))


@pytest.mark.parametrize("is_async", [True, False])
def test_a_generator_is_ended_with_the_answer(run, is_async):
    ended = []

    def numbers():
        try:
            yield b"1"
            yield b"2"
        finally:
            ended.append("sync")

    async def later():
        try:
            yield b"1"
            yield b"2"
        finally:
            ended.append("async")

    async def main():
        body = IteratedPieces(later() if is_async else numbers())
        assert await body.read() == b"1"
        await body.close()

    run(main())
    assert ended == ["async" if is_async else "sync"]


@pytest.mark.parametrize("body", [[], {}, "text", b"bytes", None, 1, (1, 2), {"a": [1]}])
def test_values_are_no_iterators(body):
    assert not is_iterated(body)
