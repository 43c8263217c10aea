"""One WebSocket of a client: the opening handshake, the frames, the end.

The frames are read and written by the core in client role, which judges the server as strictly as
a server judges its clients. Nothing a server does may hold up or end this program but by a line:
the opening has a deadline, heads and messages have limits, and every other end is a Failure.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import h11

from .. import core
from ..engine.base import new_turn
from ..errors import HandshakeError
from ..urls import WebSocketUrl
from ..websocket.handshake import Accepted, check_accept, client_request, new_key
from ..wire import ABNORMAL, CLIENT, CLOSED, CLOSING, ENDING, NORMAL, TOO_BIG
from . import Failure, why

MAX_HEAD = 64 * 1024  # bytes of an answer's head
MAX_EARLY = 8  # informational answers (103, say) before the one that counts
MAX_ANSWER = 200  # characters of a refusal's body that are shown
BODY_WAIT_S = 1.0  # for that body
CLOSE_WAIT_S = 5.0  # for the answer to a close frame
READ_SIZE = 256 * 1024
_NO_LIMIT = 1 << 40
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?\r\n")
_MOST_UNSENT = 256 * 1024  # bytes in the transport, from which on the rest waits in the core
_OWN_CLOSE = 8  # bytes of a masked close frame without a reason


class Opening(NamedTuple):
    """How to open a connection; `timeout` is for all of it, in seconds."""

    url: WebSocketUrl
    headers: Sequence[tuple[str, str]] = ()
    origin: str | None = None
    subprotocols: Sequence[str] = ()
    tls: ssl.SSLContext | None = None
    max_size: int = _NO_LIMIT
    timeout: float = 10.0


class Dialogue:
    """A connection that is open. `heard(payload)` is called with each message: str, or bytes."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        accepted: Accepted,
        max_size: int,
    ) -> None:
        self.subprotocol = accepted.subprotocol
        self.ended = asyncio.Event()
        self.close_info: tuple[int, str] | None = None
        self.heard: Callable[[str | bytes], object] = lambda payload: None
        self.is_closing = False  # the close is ours
        self._reader = reader
        self._writer = writer
        self._is_unanswered = False  # our close frame
        self._leaving: asyncio.TimerHandle | None = None
        self._draining: asyncio.Task[None] | None = None
        limits = core.Limits(
            max_message_size=max_size,
            queue_messages=_NO_LIMIT,
            queue_bytes=_NO_LIMIT,
            ping_interval=0,
        )
        turn = new_turn(asyncio.get_running_loop(), limits, _Events(self))  # type: ignore[arg-type]
        self._sink = _Sink(writer.transport, self._drain_later)
        self._conn = core.Connection(turn, self._sink, CLIENT)
        self._conn._upgrade()

    async def listen(self, first: bytes) -> None:
        """Hear what comes, `first` before the rest, until the end. Raises Failure for a bad one."""
        try:
            data = first or await self._reader.read(READ_SIZE)
            while data and not self.ended.is_set():
                self._conn._feed(data)
                self._conn._flush()  # before an end of the server's takes what is to be said away
                self._leave_in_time()
                await self._sink.may_read.wait()
                data = await self._reader.read(READ_SIZE)
        except OSError:
            self._conn._lost()
        self._conn._feed_eof()
        await self.ended.wait()
        self._writer.transport.abort()
        if self._sink.has_complained:
            code, reason = self.close_info or (0, "")
            if code == TOO_BIG:
                raise Failure(f"the server sent too much: {reason} (--max-size)")
            raise Failure(f"the server broke the protocol: {reason} ({code})")

    def _leave_in_time(self) -> None:
        """Once the end is agreed on, the server closes first; but it is not waited for for long."""
        if self._sink.has_complained:
            self.leave()
        elif self._conn._phase == ENDING and self._leaving is None:
            self._leaving = asyncio.get_running_loop().call_later(CLOSE_WAIT_S, self.leave)

    def send(self, text: str) -> None:
        """Send a message, if the connection is still open."""
        if self._conn.is_open:
            self._conn.send(text)

    async def drain(self) -> None:
        """Wait until the network has taken what was sent."""
        with suppress(OSError):
            await self._writer.drain()
            while self._conn.queued_bytes and not self.ended.is_set():
                self._conn._flush()
                await self._writer.drain()

    def _drain_later(self) -> None:
        """Go on once the transport has taken what it has."""
        if self._draining is None or self._draining.done():
            self._draining = asyncio.get_running_loop().create_task(self._write_on())

    async def _write_on(self) -> None:
        with suppress(OSError):
            await self._writer.drain()
        self._draining = None
        self._conn._flush()

    def close(self) -> None:
        """Begin the closing handshake; a server that does not answer it is left."""
        if self._conn._phase < ENDING:
            self.is_closing = True
            self._conn.close(NORMAL)
            asyncio.get_running_loop().call_later(CLOSE_WAIT_S, self.leave)

    def leave(self) -> None:
        """End it without another word."""
        self._is_unanswered = self._conn._phase == CLOSING
        if self._conn._phase < CLOSED:
            self._conn.abort()

    def over(self, code: int, reason: str) -> None:
        """The core's last call."""
        self.close_info = (ABNORMAL, "") if self._is_unanswered else (code, reason)
        if self._draining is not None:
            self._draining.cancel()
        self._sink.may_read.set()
        self.ended.set()


class _Events:
    """The core's `Handler` of the one connection."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue

    def message(self, conn: Any, opcode: int, payload: str | bytes) -> None:
        self._dialogue.heard(payload)

    def close(self, conn: Any, code: int, reason: str) -> None:
        self._dialogue.over(code, reason)

    def full(self, conn: Any) -> None:
        """Never: there are no limits on this side."""

    drain = full

    def failed(self, conn: Any, exc: BaseException) -> None:
        raise exc


class _Sink:
    """Takes the core's bytes to the transport, until that is full: then `drain_later` is called.

    The rest waits in the core, which keeps one pong for all pings that came meanwhile.
    """

    def __init__(
        self, transport: asyncio.WriteTransport, drain_later: Callable[[], object]
    ) -> None:
        self._transport = transport
        self._drain_later = drain_later
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.unsent = transport.get_write_buffer_size
        self.close = transport.close
        self.abort = transport.abort
        self.has_complained = False  # of the server: only then has our close frame a reason

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        if self._transport.is_closing():
            raise BrokenPipeError
        if self._transport.get_write_buffer_size() > _MOST_UNSENT:
            self._drain_later()
            return 0
        last = buffers[-1]
        if last[0] == 0x88 and len(last) > _OWN_CLOSE:
            self.has_complained = True
        data = b"".join(buffers)
        self._transport.write(data)
        return len(data)

    def shutdown(self) -> None:
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:  # TLS
            self._transport.close()

    def pause_reading(self) -> None:
        """Of small frames the core handles so many in a turn, and keeps what it is given."""
        self.may_read.clear()

    def resume_reading(self) -> None:
        self.may_read.set()


async def open_dialogue(opening: Opening) -> tuple[Dialogue, bytes]:
    """Connect and shake hands; also return what came behind the answer. Raises Failure."""
    url = opening.url
    try:
        async with asyncio.timeout(opening.timeout):
            reader, writer = await asyncio.open_connection(
                url.host,
                url.port,
                limit=READ_SIZE,
                ssl=opening.tls if url.is_secure else None,
                server_hostname=url.server_name if url.is_secure else None,
            )
            try:
                accepted, rest = await _shake_hands(opening, reader, writer)
            except BaseException:
                writer.transport.abort()
                raise
    except TimeoutError as exc:
        text = f"no answer within {opening.timeout:g} s" if exc.errno is None else why(exc)
        raise Failure(f"cannot connect to {url.text}: {text}") from exc
    except HandshakeError as exc:
        raise Failure(f"cannot connect to {url.text}: {exc.reason}") from exc
    except (OSError, ValueError) as exc:
        text = why(exc) if isinstance(exc, OSError) else str(exc)
        raise Failure(f"cannot connect to {url.text}: {text}") from exc
    return Dialogue(reader, writer, accepted, opening.max_size), rest


async def _shake_hands(
    opening: Opening, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[Accepted, bytes]:
    key = new_key()
    writer.write(_request(opening, key))
    data = bytearray()
    for _ in range(MAX_EARLY):
        head = await _head(reader, data)
        found = _STATUS_LINE.match(head)
        if found is None:
            raise HandshakeError(400, f"its answer is not HTTP: {head[:24]!r}")
        status = int(found[1])
        if status == 101:
            return _accepted(opening, head, key), bytes(data)
        if status >= 200:
            raise HandshakeError(status, await _refusal(status, head, bytes(data), reader))
    raise HandshakeError(400, "it gives no final answer")


def _request(opening: Opening, key: str) -> bytes:
    fields = list(opening.headers)
    hosts = [value for name, value in fields if name.lower() == "host"]
    fields = [(name, value) for name, value in fields if name.lower() != "host"]
    if opening.url.authorization and not _has(fields, "authorization"):
        fields.append(("Authorization", opening.url.authorization))
    return client_request(
        hosts[0] if hosts else opening.url.host_field,
        opening.url.target,
        key,
        origin=opening.origin,
        subprotocols=opening.subprotocols,
        headers=fields,
    )


def _has(fields: Iterable[tuple[str, str]], name: str) -> bool:
    return any(each.lower() == name for each, _ in fields)


async def _head(reader: asyncio.StreamReader, data: bytearray) -> bytes:
    """The next head of an answer, taken out of `data`, which what comes is added to."""
    seen = 0
    while (end := data.find(b"\r\n\r\n", max(0, seen - 3))) < 0:
        if not b"HTTP/".startswith(data[:5]):
            raise HandshakeError(400, f"its answer is not HTTP: {bytes(data[:24])!r}")
        if len(data) > MAX_HEAD:
            raise HandshakeError(400, f"the head of its answer is longer than {MAX_HEAD} bytes")
        seen = len(data)
        chunk = await reader.read(READ_SIZE)
        if not chunk:
            what = "in the middle of its answer" if data else "without an answer"
            raise HandshakeError(400, f"the server closed the connection {what}")
        data += chunk
    head = bytes(data[: end + 4])
    del data[: end + 4]
    return head


def _accepted(opening: Opening, head: bytes, key: str) -> Accepted:
    """What a 101 agrees to; HandshakeError when that is not what was asked for."""
    try:
        accepted = check_accept(head, key)
        if accepted.extensions:
            raise HandshakeError(400, "it agrees to an extension that was not offered")
        offered = {*opening.subprotocols}
        for name, value in opening.headers:
            if name.lower() == "sec-websocket-protocol":
                offered.update(map(str.strip, value.split(",")))
        if accepted.subprotocol and accepted.subprotocol not in offered:
            raise HandshakeError(
                400, f"it chose the subprotocol {accepted.subprotocol!r}, which was not offered"
            )
    except HandshakeError as exc:
        raise HandshakeError(400, f"its answer is unsound: {exc.reason}") from None
    return accepted


async def _refusal(status: int, head: bytes, data: bytes, reader: asyncio.StreamReader) -> str:
    """What an answer says that is no 101: where it leads to, or the beginning of its body."""
    text = f"the server answered {status}"
    with suppress(h11.RemoteProtocolError, OSError, TimeoutError, UnicodeError):
        answer = h11.Connection(h11.CLIENT)
        answer.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        answer.send(h11.EndOfMessage())
        answer.receive_data(head + data)
        event = answer.next_event()
        assert isinstance(event, h11.Response)
        where = dict(event.headers).get(b"location")
        if where is not None and 300 <= status < 400:
            return f"{text}, which leads to {where.decode(errors='replace')[:MAX_ANSWER]}"
        text += f" {event.reason.decode(errors='replace')}".rstrip()
        said = await _body(answer, reader)
        if said:
            return f"the server answered {status}: {said}"
    return text


async def _body(answer: h11.Connection, reader: asyncio.StreamReader) -> str:
    """The beginning of a body, of as much as comes within a moment."""
    body = b""
    with suppress(h11.RemoteProtocolError, OSError, TimeoutError):
        async with asyncio.timeout(BODY_WAIT_S):
            while len(body) < 4 * MAX_ANSWER:
                event = answer.next_event()
                if isinstance(event, h11.Data):
                    body += event.data[: 4 * MAX_ANSWER]
                elif event is h11.NEED_DATA:
                    answer.receive_data(await reader.read(READ_SIZE))
                else:
                    break
    return " ".join(body.decode(errors="replace").split())[:MAX_ANSWER]
