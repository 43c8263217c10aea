"""Who reads much at once and then rests gets all of a file, an answer, a message; by TLS too.

So a proxy looks that reads at its client's pace, and so does curl with `--limit-rate`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest

from glyph_fast.http.response import Response
from glyph_fast.server.server import Server
from glyph_fast.wire import BINARY, CLOSE
from tests.engine.certificates import shared_certificate
from tests.engine.peers import UPGRADE, Peer
from tests.running import running

pytestmark = pytest.mark.over_tls

SIZE = 8 << 20
STEP = 2 << 20
TIMEOUT_S = 0.25  # for writing and for closing; twelve times that may be stored
REST_S = 2.5 * TIMEOUT_S
BODY = bytes(range(256)) * (SIZE // 256)


def site(folder) -> Server:
    (folder / "file").write_bytes(BODY)
    server = Server()
    server.static("/files", folder)
    server.get("/answer")(lambda request: Response(BODY))

    @server.get("/pieces")
    def pieces(request):
        return Response(BODY[at : at + 65536] for at in range(0, SIZE, 65536))

    @server.websocket("/message")
    async def message(conn):
        conn.send(BODY[10:])  # with its header as long as the others
        conn.close(4000)

    return server


async def client(url, *, secure: bool) -> Peer:
    """One whose kernel takes little by itself."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.connect(url.address)
    tls = {}
    if secure:
        context = ssl.create_default_context(cafile=shared_certificate().cert)
        tls = {"ssl": context, "server_hostname": "localhost"}
    return Peer(*await asyncio.open_connection(sock=sock, limit=4096, **tls))


async def in_steps(peer: Peer, size: int) -> bytes:
    """So many bytes, as one reads who rests between."""
    data = await peer.reader.readexactly(STEP)
    while len(data) < size:
        await asyncio.sleep(REST_S)
        data += await peer.reader.readexactly(min(STEP, size - len(data)))
    return data


async def download(peer: Peer, path: str, fields: str) -> None:
    peer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
    head = await peer.head()
    if b"chunked" in head:
        size = SIZE + SIZE // 65536 * len(b"10000\r\n\r\n") + len(b"0\r\n\r\n")
        data = await in_steps(peer, size)
        assert data.endswith(BODY[-65536:] + b"\r\n0\r\n\r\n")
    else:
        assert await in_steps(peer, SIZE) == BODY


async def message(peer: Peer) -> None:
    peer.write(UPGRADE % b"/message")
    await peer.head()
    frame = await in_steps(peer, SIZE)
    assert (frame[0] & 15, frame[10:]) == (BINARY, BODY[10:])
    assert await peer.frame() == (CLOSE, b"\x0f\xa0")


def test_all_of_it_is_read(backend, run, tmp_path):
    async def main():
        times = {"write_timeout": TIMEOUT_S, "close_timeout": TIMEOUT_S}
        if backend.tls:
            cert, key = shared_certificate()
            times |= {"tls_cert": cert, "tls_key": key}
        async with running(site(tmp_path), backend, **times) as url:
            peers = [await client(url, secure=backend.tls) for _ in range(5)]
            await asyncio.gather(
                download(peers[0], "/files/file", ""),
                download(peers[1], "/files/file", "Connection: close\r\n"),
                download(peers[2], "/answer", "Connection: close\r\n"),
                download(peers[3], "/pieces", ""),
                message(peers[4]),
            )
            for peer in peers:
                await peer.close()

    run(main(), deadline=60)
