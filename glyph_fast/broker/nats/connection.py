"""One connection to a NATS server: its lines in and out.

The protocol is read here and not by a client library, for it is the way of every message: in the
run in which this took 1.0 µs for one, the parser of nats-py alone took 2.7, and behind it are a
queue and a task for each subscription.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Callable
from typing import Any

from ...errors import BrokerRefused, BrokerUnavailable
from ...options.broker import BrokerUrl
from ...options.values import Address

CONNECT_S = 5.0
LIMIT = 64 * 2**20  # bytes that may wait for the server
LONGEST_LINE = 64 * 1024
# What the server says when another try would end the same way.
_FINAL = re.compile("authorization|authentication|account|credentials|tls required", re.I)

Heard = Callable[[bytes, bytes], object]


class Connection(asyncio.Protocol):
    """Gives what comes to `heard`, and says once by `lost` that it is gone."""

    def __init__(self, heard: Heard, lost: Callable[[Connection], object]) -> None:
        self._heard = heard
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._rest = b""
        self._out: list[bytes] = []
        self._pongs: list[asyncio.Future[None]] = []
        self.info: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self.error = ""  # the latest that the server said
        self.unanswered = 0  # pings
        self.dropped = 0
        self.is_open = True

    # In.

    def connection_made(self, transport: Any) -> None:
        """Remember the transport, which another is put in the place of for TLS."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take every line and message that is whole."""
        if self._rest:
            data = self._rest + data
        at, heard = 0, self._heard
        while (end := data.find(b"\r\n", at)) >= 0:
            if data.startswith(b"MSG ", at):
                words = data[at + 4 : end].split()
                try:
                    size = int(words[-1])
                except (ValueError, IndexError):
                    size = -1
                if size < 0 or len(words) < 3:
                    self.abort()
                    return
                stop = end + 2 + size
                if len(data) < stop + 2:
                    break
                heard(words[0], data[end + 2 : stop])
                at = stop + 2
            else:
                self._line(data[at:end])
                at = end + 2
        self._rest = data[at:]
        if end < 0 and len(self._rest) > LONGEST_LINE:
            self.abort()

    def _line(self, line: bytes) -> None:
        word, _, more = line.partition(b" ")
        word = word.upper()
        if word == b"PING":
            self.write(b"PONG\r\n")
        elif word == b"PONG":
            self.unanswered = 0
            if self._pongs and not (pong := self._pongs.pop(0)).done():
                pong.set_result(None)
        elif word == b"INFO":
            try:
                info = json.loads(more)
            except ValueError:
                self.abort()
                return
            if not self.info.done() and isinstance(info, dict):
                self.info.set_result(info)
        elif word == b"-ERR":
            self.error = more.decode("utf-8", "replace").strip("'")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits that it is in vain."""
        self.is_open = False
        gone = BrokerUnavailable(self.error or "the connection has ended")
        waiting: list[asyncio.Future[Any]] = [self.info, *self._pongs]
        for each in waiting:
            if not each.done():
                each.set_exception(gone)
                each.exception()  # somebody may not wait
        self._lost(self)

    # Out.

    def write(self, piece: bytes) -> None:
        """Send with what else is sent in this turn."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(piece)

    def publish(self, subject: bytes, payload: bytes) -> None:
        """Publish with what else is sent in this turn."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(b"PUB %b %d\r\n%b\r\n" % (subject, len(payload), payload))

    def _flush(self) -> None:
        out, self._out = self._out, []
        if not self.is_open:
            return
        if self._transport.get_write_buffer_size() > LIMIT:
            self.dropped += sum(each.startswith(b"PUB ") for each in out)
            out = [each for each in out if not each.startswith(b"PUB ")]
        self._transport.write(b"".join(out))

    def ping(self) -> asyncio.Future[None]:
        """Return a future done when the server has read all before. BrokerUnavailable."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._pongs.append(future)
        self.unanswered += 1
        self.write(b"PING\r\n")
        return future

    def close(self) -> None:
        """End it once what was sent has left."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()


async def connect(url: BrokerUrl, address: Address, heard: Heard, lost: Any) -> Connection:
    """A connection on which the server has greeted us.

    Raises BrokerRefused where it does not want us, and OSError or BrokerUnavailable where it cannot
    be reached now.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_S):  # TimeoutError is an OSError
        transport, conn = await loop.create_connection(
            lambda: Connection(heard, lost), address.host, address.port
        )
        try:
            info = await conn.info
            if url.is_tls:
                context = ssl.create_default_context()
                secure = await loop.start_tls(
                    transport, conn, context, server_hostname=address.host
                )
                conn.connection_made(secure)
            elif info.get("tls_required"):
                raise BrokerRefused("it speaks TLS: the URL begins with tls://")
            conn.write(b"CONNECT %b\r\n" % json.dumps(_greeting(url)).encode())
            await conn.ping()
        except ssl.SSLCertVerificationError as exc:
            conn.abort()
            raise BrokerRefused(f"its certificate is not good: {exc.verify_message}") from None
        except BrokerUnavailable as exc:
            if _FINAL.search(str(exc)):
                raise BrokerRefused(str(exc).lower()) from None
            raise
        except BaseException:
            conn.abort()
            raise
    return conn


def _greeting(url: BrokerUrl) -> dict[str, Any]:
    greeting = {
        "verbose": False, "pedantic": False, "echo": True, "protocol": 1, "headers": False,
        "lang": "python", "name": "glyph-fast", "version": "1", "tls_required": url.is_tls,
    }  # fmt: skip
    if url.password:
        greeting |= {"user": url.user, "pass": url.password}
    elif url.user:
        greeting["auth_token"] = url.user
    return greeting
