"""A TLS client by hand: what it reads, and when, is up to the test.

client = SecuredSocket(sock, context)
await client.shake_hands()
client.sendall(UPGRADE % b"/")
data = client.recv(1000)            # what is there, or BlockingIOError
peer = Peer(client, client)         # as reader and writer of frames
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

READ_SIZE = 16 * 1024


class SecuredSocket:
    """The end of a client, over a socket that never waits."""

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        session: ssl.SSLSession | None = None,
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, server_hostname="localhost", session=session
        )
        self.came = 0  # bytes of ciphertext
        self._plain = bytearray()
        self._loop = asyncio.get_running_loop()

    async def shake_hands(self) -> None:
        """Return once both sides can speak."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._send(self.outgoing.read())
                self._take(await self._loop.sock_recv(self.sock, READ_SIZE))
        await self._send(self.outgoing.read())

    # As a socket.

    def setblocking(self, flag: bool) -> None:
        """It never blocks."""

    def encrypted(self, data: bytes) -> bytes:
        """The records of it, for a test that sends them itself."""
        self.tls.write(data)
        return self.outgoing.read()

    def sendall(self, data: bytes) -> None:
        """Send a little."""
        self.sock.sendall(self.encrypted(data))

    def recv(self, size: int) -> bytes:
        """Read at most so many bytes of the socket, and what they say."""
        if not self._plain:
            self._take(self.sock.recv(size))
            self._decrypt()
        if not self._plain:
            raise BlockingIOError
        data = bytes(self._plain[:size])
        del self._plain[:size]
        return data

    def close(self) -> None:
        """Close without a word."""
        self.sock.close()

    # As a reader and a writer.

    def write(self, data: bytes) -> None:
        """Send a little."""
        self.sendall(data)

    async def readexactly(self, size: int) -> bytes:
        """So many bytes."""
        while len(self._plain) < size:
            if not await self._more():
                raise asyncio.IncompleteReadError(bytes(self._plain), size)
        data = bytes(self._plain[:size])
        del self._plain[:size]
        return data

    async def readuntil(self, end: bytes) -> bytes:
        """Up to and with `end`."""
        while end not in self._plain:
            if not await self._more():
                raise asyncio.IncompleteReadError(bytes(self._plain), None)
        return await self.readexactly(self._plain.index(end) + len(end))

    async def read(self, size: int = -1) -> bytes:
        """What there is, b"" at the end of TLS. Raises SSLEOFError at an end without a word."""
        if not self._plain and not await self._more():
            return b""
        return await self.readexactly(len(self._plain))

    async def wait_closed(self) -> None:
        """It is."""

    def get_extra_info(self, name: str) -> Any:
        """The socket."""
        return {"socket": self.sock, "ssl_object": self.tls}[name]

    async def _more(self) -> bool:
        """Decrypt more; False at the end of TLS."""
        size = len(self._plain)
        while True:
            goes_on = self._decrypt()
            if len(self._plain) > size or not goes_on:
                return len(self._plain) > size
            self._take(await self._loop.sock_recv(self.sock, READ_SIZE))

    def _decrypt(self) -> bool:
        try:
            while data := self.tls.read(READ_SIZE):
                self._plain += data
            return False
        except ssl.SSLWantReadError:
            return True
        except ssl.SSLZeroReturnError:
            return False

    def _take(self, data: bytes) -> None:
        self.came += len(data)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    async def _send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.sock, data)
