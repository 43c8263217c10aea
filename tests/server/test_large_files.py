"""Files that are larger than memory should be, sent by a real server to many readers."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.serving import serving

PROGRAM = "from glyph_fast import Server\nserver = Server()\nserver.static('/files', 'files')\n"
SIZE = 2**30
READERS = 100
# How much more memory 100 readers may take than one; a transport holds 64 KiB and more for each.
MORE = {"native": 32 * 2**20, "asyncio": 48 * 2**20}


def resident(pid: int) -> int:
    """Bytes of memory a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def reader(port: int, stack: ExitStack) -> socket.socket:
    """One that has asked for the file, and has read its beginning."""
    sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
    sock.sendall(b"GET /files/big.bin HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"200 OK" in read(sock, 2**20)
    return sock


def read(sock: socket.socket, size: int) -> bytes:
    """The next `size` bytes."""
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece
        data += piece
    return bytes(data)


@pytest.mark.parametrize("engine", MORE)
def test_a_hundred_readers_of_a_gibibyte_take_little_more_memory_than_one(
    tmp_path: Path, engine: str
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "program.py").write_text(PROGRAM)
    with (tmp_path / "files/big.bin").open("wb") as file:
        file.truncate(SIZE)
    with (
        serving("program:server", "--engine", engine, cwd=tmp_path) as server,
        ExitStack() as stack,
    ):
        pid = server.process.pid
        reader(server.port, stack)
        of_one = resident(pid)
        readers = [reader(server.port, stack) for _ in range(READERS - 1)]
        most = resident(pid)
        for _ in range(3):
            for each in readers:
                read(each, 2**20)
            most = max(most, resident(pid))
        for each in readers:
            each.close()
        assert most - of_one < MORE[engine], f"{(most - of_one) / 2**20:.1f} MiB more"
