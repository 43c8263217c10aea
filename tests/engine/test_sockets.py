"""What every engine promises, on every backend, over real sockets."""

from __future__ import annotations

from engine.peers import BINARY, CLOSE, TEXT, Peer, Recorder, serving


def test_a_message_comes_back(backend, run):
    async def main():
        async with serving(backend, Recorder()) as server:
            peer = await Peer.connect(server.address)
            await peer.upgrade()
            peer.send(TEXT, "grüße".encode())
            assert await peer.frame() == (TEXT, "grüße".encode())
            peer.send(BINARY, b"\0" * 300_000)
            assert await peer.frame() == (BINARY, b"\0" * 300_000)
            peer.send(CLOSE, b"\x03\xe8bye")
            assert await peer.frame() == (CLOSE, b"\x03\xe8")
            assert await peer.rest() == b""
            await peer.close()
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(1000, "bye")]

    run(main())
