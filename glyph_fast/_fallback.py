"""The core in pure Python: the reference twin of `_core.pyx`, and the type declaration of both.

A `Connection` is a machine between bytes and messages. Bytes come in through `feed`, messages go to
the `Handler`; messages go out through `send`, bytes go to the `Sink`. It never waits, never reads a
clock of its own, and knows no loop. What the connections of one loop share lives in `Turn`: limits,
counters, and the list of connections that have something to write. One turn reads from many peers
and then writes once to each, so ten messages to one peer cost one system call.

How a connection ends (RFC 6455 §7), the whole of it:

    event             OPEN                      CLOSING               ENDING
    close()           queue close -> CLOSING    -                     -
    peer's close      echo it -> ENDING         -> ENDING             -
    violation         queue close -> ENDING*    -> ENDING*            -
    end of input      -> CLOSED, 1006           -> CLOSED             -> CLOSED
    all has left      -                         -                     -> CLOSED, or * below
    no progress       write timeout: 4008       close timeout: abort  close timeout: abort

    * lingers: the writing side is shut and input is thrown away until the peer closes too. Closing
      with unread input would make the kernel reset the connection, and that could destroy the
      close frame.
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import select
import socket
import sys
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from .errors import ConnectionClosed, ProtocolError, RoomFull
from .wire import (
    ABNORMAL,
    BINARY,
    BLOCK,
    BODY,
    CLIENT,
    CLOSE,
    CLOSE_REASONS,
    CLOSED,
    CLOSING,
    CONTINUATION,
    DISCONNECT,
    DROP_NEWEST,
    DROP_OLDEST,
    DROPPED,
    ENDING,
    HELD,
    INTERNAL_ERROR,
    INVALID_DATA,
    KEY,
    MAX_CLOSE_REASON,
    MAX_CONTROL_PAYLOAD,
    MAX_FIELDS,
    MAX_HEAD,
    MAX_REQUEST_LINE,
    MIN_BODY_RATE,
    NO_STATUS,
    NOBODY,
    NORMAL,
    OPEN,
    OPENING,
    PAUSE_HELD,
    PAUSE_TURN,
    PAUSE_WRITE,
    PING,
    POLICY_VIOLATION,
    PONG,
    PROTOCOL_ERROR,
    QUEUED,
    SENT,
    SERVER,
    SLOW_CONSUMER,
    TEXT,
    TOO_BIG,
    SendResult,
    is_sendable_code,
)

if TYPE_CHECKING:
    from .interfaces import Handler, Sink

HAS_POLLER: Final = hasattr(select, "epoll")

READ_SIZE = 256 * 1024  # bytes taken from one peer in one turn
GATHER_SIZE = 64 * 1024  # bytes of small frames joined for one write
MAX_FRAMES = 256  # frames of one peer handled in one turn
REQUEST_FRAMES = 8  # a request counts like so many
INFLATED_FRAME = 4096  # bytes inflated that count like one
MAX_EVENTS = 256  # descriptors served in one turn
MAX_ACCEPTS = 64  # connections accepted from one socket in one turn
MAX_ROUNDS = 8  # write, report, write again …: what is left then waits for the next turn
MAX_PONGS = 4096  # bytes of pongs that may leave with one write
ROUNDING = 1e-6  # seconds that adding up times may be off by
MAX_EMPTY_FRAGMENTS = 65536  # of one message; they cost no memory and need a bound of their own
HANDLER_SAMPLE = 16  # of so many calls one is timed: reading the clock twice is not free

_RESULTS = (SENT, QUEUED, DROPPED)
_ACCEPTED, _BEHIND, _REFUSED = 0, 1, 2  # indexes of _RESULTS


# --- frames -------------------------------------------------------------------------------------


def apply_mask(buffer: bytearray | memoryview, key: bytes, phase: int = 0) -> None:
    """Mask or unmask a writable buffer in place (RFC 6455 §5.3).

    `key` is four bytes; `phase` says how many bytes of the payload came before this buffer.
    Raises ValueError for a key of another length.
    """
    if len(key) != 4:
        raise ValueError(f"a masking key has 4 bytes, not {len(key)}")
    size = len(buffer)
    if size:
        buffer[:] = _masked(bytes(buffer), key, phase)


def _masked(data: bytes, key: bytes, phase: int = 0) -> bytes:
    phase &= 3
    size = len(data)
    pattern = (key[phase:] + key[:phase]) * (size // 4 + 1)
    number = int.from_bytes(data, sys.byteorder) ^ int.from_bytes(pattern[:size], sys.byteorder)
    return number.to_bytes(size, sys.byteorder)


def encode_frame(
    opcode: int,
    payload: bytes | str,
    *,
    fin: bool = True,
    rsv1: bool = False,
    key: bytes | None = None,
) -> bytes:
    """Return one frame (RFC 6455 §5.2), masked when `key` (four bytes) is given.

    A str payload is encoded as UTF-8. Raises ValueError for a control frame that is fragmented or
    longer than 125 bytes, and for an opcode outside 0 to 15.
    """
    data = payload.encode() if isinstance(payload, str) else bytes(payload)
    if not 0 <= opcode <= 15:
        raise ValueError(f"an opcode is between 0 and 15, not {opcode}")
    size = len(data)
    if opcode & 8 and (size > MAX_CONTROL_PAYLOAD or not fin):
        raise ValueError("a control frame has at most 125 bytes and is not fragmented")
    first = (0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode
    masked = 0x80 if key is not None else 0
    if size < 126:
        header = bytes((first, masked | size))
    elif size < 65536:
        header = bytes((first, masked | 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((first, masked | 127)) + size.to_bytes(8, "big")
    if key is None:
        return header + data
    if len(key) != 4:
        raise ValueError(f"a masking key has 4 bytes, not {len(key)}")
    return header + key + _masked(data, key)


def _close_payload(code: int, reason: str) -> bytes:
    """The payload of a close frame; a reason longer than 123 bytes is cut at a character."""
    if code == NO_STATUS:
        return b""
    text = reason.encode()[:MAX_CLOSE_REASON].decode(errors="ignore").encode()
    return code.to_bytes(2, "big") + text


class Frame:
    """One message, encoded once and shared by reference by everyone who receives it.

    `message` is str (a text frame), bytes (binary) or an object with `to_json() -> bytes` (text).
    Raises TypeError for anything else. `variants` is for codecs that keep their own encoding here.
    """

    __slots__ = ("data", "opcode", "payload", "variants")

    def __init__(self, message: Any) -> None:
        self.opcode, self.payload = _opcode_and_payload(message)
        self.data = encode_frame(self.opcode, self.payload)
        self.variants: dict[Any, bytes] | None = None


def _address_text(host: str) -> str:
    """An IPv4 address that came through an IPv6 socket reads as what it is."""
    return host.removeprefix("::ffff:") if "." in host else host


def _opcode_and_payload(message: Any) -> tuple[int, bytes]:
    if isinstance(message, str):
        return TEXT, message.encode()
    if isinstance(message, bytes | bytearray | memoryview):
        return BINARY, bytes(message)
    if hasattr(message, "to_json"):
        return TEXT, message.to_json()
    raise TypeError(f"a message is str, bytes or Message, not {type(message).__name__}")


# --- request heads --------------------------------------------------------------------------------

_PLAIN_HEAD = re.compile(
    rb"GET (/[!\"$&-~]*+) HTTP/1\.1\r\n((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[ -~]*+\r\n)*+)\r\n"
)
_PLAIN_FIELD = re.compile(rb"([^:]++): *+([^\r]*+)\r\n")
_PLAIN_AUTHORITY = re.compile(rb"[A-Za-z0-9\-.]+(?::[0-9]{0,5})?")  # RFC 3986 §3.2.2
_CONNECTIONS = (b"upgrade", b"keep-alive, upgrade")  # the latter is Firefox's
_DECIDING = {  # the fields that decide whether and how a WebSocket is opened
    b"host", b"upgrade", b"connection", b"sec-websocket-key", b"sec-websocket-version", b"origin",
    b"sec-websocket-protocol", b"sec-websocket-extensions", b"content-length", b"transfer-encoding",
}  # fmt: skip


def read_plain_head(
    head: bytes,
) -> tuple[str, list[tuple[bytes, bytes]], dict[bytes, bytes]] | None:
    """Target, fields as sent, and values by name in lower case of a plain request head, else None.

    Plain is a whole head of a GET in HTTP/1.1 whose target is a path in visible ASCII without
    escapes, whose fields are in printable ASCII, and in which no name stands twice (RFC 9112 §3,
    §5). It says nothing about what the fields mean. Other heads are not bad: nobody has read them.
    """
    plain = _plain_fields(head)
    if plain is None:
        return None
    target, fields = plain
    values = {name.lower(): value for name, value in fields}
    return (target, fields, values) if len(values) == len(fields) else None


def read_plain_upgrade(
    head: bytes,
) -> tuple[str, str, str, tuple[str, str, str | None, list[str], list[str]]] | None:
    """What a request says that asks soundly for a WebSocket, as nearly all clients do; else None.

    It says target, path and query, and in a tuple host, key, origin (None where no browser asks)
    and the values, none or one, of Sec-WebSocket-Protocol and Sec-WebSocket-Extensions; what those
    mean, nobody has looked at. The head is plain as for `read_plain_head`, but that fields which
    decide nothing may repeat; it is what RFC 6455 §4.2.1 asks for, and has no body. Other requests
    may be sound as well.
    """
    if b"websocket" not in bytes.lower(head):  # other requests are read by `read_plain_head`, once
        return None
    plain = _plain_fields(head)
    if plain is None or len(plain[1]) > MAX_FIELDS:
        return None
    target, fields = plain
    deciding = [(low, value) for name, value in fields if (low := name.lower()) in _DECIDING]
    values = dict(deciding)
    said = values.get
    host, key, origin = said(b"host"), said(b"sec-websocket-key"), said(b"origin")
    if (
        len(values) != len(deciding)
        or b"content-length" in values
        or b"transfer-encoding" in values
        or said(b"upgrade", b"").lower() != b"websocket"
        or said(b"sec-websocket-version") != b"13"
        or said(b"connection", b"").lower() not in _CONNECTIONS
        or host is None
        or not _PLAIN_AUTHORITY.fullmatch(host)
        or key is None
        or not KEY.fullmatch(key)
    ):
        return None
    path, _, query = target.partition("?")
    asked = (
        host.decode("ascii"),
        key.decode("ascii"),
        None if origin is None else origin.decode("ascii"),
        _texts(said(b"sec-websocket-protocol")),
        _texts(said(b"sec-websocket-extensions")),
    )
    return target, path, query, asked


def _texts(value: bytes | None) -> list[str]:
    return [] if value is None else [value.decode("ascii")]


def _plain_fields(head: bytes) -> tuple[str, list[tuple[bytes, bytes]]] | None:
    match = _PLAIN_HEAD.fullmatch(head) if len(head) <= MAX_HEAD else None
    if match is None or match.start(2) > MAX_REQUEST_LINE + 2:
        return None
    fields = [(name, value.rstrip(b" ")) for name, value in _PLAIN_FIELD.findall(match[2])]
    return match[1].decode("ascii"), fields


# --- what connections share ---------------------------------------------------------------------


class Limits:
    """The bounds of every connection of a server. Sizes are bytes, times are seconds, rates are per
    second; 0 is "off" for `ping_interval` and the two rates.

    A rate is a token bucket of `burst` tokens, which a message takes one of, or one for each byte.
    """

    __slots__ = (
        "_byte_depth",
        "_is_rated",
        "_message_depth",
        "byte_burst",
        "byte_rate",
        "close_timeout",
        "head_timeout",
        "max_message_size",
        "max_missed_pongs",
        "message_burst",
        "message_rate",
        "ping_interval",
        "queue_bytes",
        "queue_messages",
        "queue_policy",
        "rate_disconnects",
        "write_timeout",
    )

    def __init__(
        self,
        *,
        max_message_size: int = 512 * 1024,
        queue_messages: int = 256,
        queue_bytes: int = 1024 * 1024,
        queue_policy: int = DROP_OLDEST,
        write_timeout: float = 10.0,
        close_timeout: float = 5.0,
        head_timeout: float = 10.0,
        ping_interval: float = 30.0,
        max_missed_pongs: int = 3,
        message_rate: float = 0.0,
        message_burst: int = 1,
        byte_rate: float = 0.0,
        byte_burst: int = 1,
        rate_disconnects: bool = False,
    ) -> None:
        self.max_message_size = max_message_size
        self.queue_messages = queue_messages
        self.queue_bytes = queue_bytes
        self.queue_policy = queue_policy
        self.write_timeout = write_timeout
        self.close_timeout = close_timeout
        self.head_timeout = head_timeout
        self.ping_interval = ping_interval
        self.max_missed_pongs = max_missed_pongs
        self.message_rate = message_rate
        self.message_burst = message_burst
        self.byte_rate = byte_rate
        self.byte_burst = byte_burst
        self.rate_disconnects = rate_disconnects  # else what is beyond a rate is dropped
        self._is_rated = message_rate > 0 or byte_rate > 0
        # Seconds an empty bucket takes to fill.
        self._message_depth = message_burst / message_rate if message_rate > 0 else 0.0
        self._byte_depth = byte_burst / byte_rate if byte_rate > 0 else 0.0


class Histogram:
    """How often something took how long.

    `bounds` are seconds; `counts` has one more: an entry for each bound (durations up to it and
    above the one before), and one for what took longer than the last.
    """

    __slots__ = ("_buckets", "total")

    bounds = (
        1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3,
        5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    )  # fmt: skip

    def __init__(self) -> None:
        self._buckets = [0] * (len(self.bounds) + 1)
        self.total = 0.0  # seconds

    @property
    def counts(self) -> tuple[int, ...]:
        """How many durations fell between each bound and the one before."""
        return tuple(self._buckets)

    def observe(self, seconds: float, weight: int = 1) -> None:
        """Count a duration; as so many, when it stands for others that were not measured."""
        self._buckets[bisect_left(self.bounds, seconds)] += weight
        self.total += seconds * weight


class Counters:
    """Sums over all connections of a server since it started."""

    __slots__ = (
        "broadcast_seconds",
        "bytes_received",
        "bytes_sent",
        "dropped_block",
        "dropped_disconnect",
        "dropped_newest",
        "dropped_oldest",
        "dropped_rate",
        "handler_seconds",
        "messages_received",
        "messages_sent",
        "ping_rtt_seconds",
        "pings_sent",
        "pongs_missed",
        "pongs_received",
    )

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, Histogram() if name.endswith("_seconds") else 0)

    if TYPE_CHECKING:
        broadcast_seconds: Histogram
        handler_seconds: Histogram  # one call in HANDLER_SAMPLE, for as many
        ping_rtt_seconds: Histogram
        bytes_received: int
        bytes_sent: int
        dropped_block: int
        dropped_disconnect: int
        dropped_newest: int
        dropped_oldest: int
        dropped_rate: int
        messages_received: int
        messages_sent: int
        pings_sent: int
        pongs_missed: int
        pongs_received: int


class Turn:
    """What the connections of one loop share, and the work left for the end of its turn.

    `wake` asks the loop to call `flush` soon; `wake_threadsafe` does so from any thread.
    `connection_type(turn, sink)` makes the connections a `Poller` accepts. The thread that
    makes a Turn owns it until another calls `bind`.
    """

    __slots__ = (
        "_closed",
        "_connections",
        "_dirty",
        "_drained",
        "_inflated",
        "_poller",
        "_post_woken",
        "_posted",
        "_read_at",
        "_rested",
        "_resumed",
        "_scheduled",
        "_wake",
        "_wake_threadsafe",
        "clock",
        "connection_type",
        "counters",
        "current",
        "handler",
        "in_turn",
        "limits",
        "owner",
    )

    def __init__(
        self,
        limits: Limits,
        handler: Handler,
        *,
        connection_type: Callable[..., Connection] | None = None,
        wake: Callable[[], object] | None = None,
        wake_threadsafe: Callable[[], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.handler = handler
        self.connection_type = connection_type or Connection
        self.clock = clock
        self.counters = Counters()
        self.current: Connection | None = None  # whose message is being handled
        self.in_turn = False
        self.owner = threading.get_ident()
        self._wake = wake
        self._wake_threadsafe = wake_threadsafe
        self._scheduled = False
        self._connections: dict[Connection, None] = {}
        self._dirty: list[Connection] = []
        self._resumed: list[Connection] = []
        self._rested: list[Connection] = []  # they go on in the next turn
        self._read_at = 0.0  # clock reading of the latest read, where rates are limited
        self._inflated = 0  # bytes, of the connection whose input is being handled
        self._drained: list[Connection] = []
        self._closed: list[Connection] = []
        self._posted: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._post_woken = False  # `wake_threadsafe` was called and they were not run yet
        self._poller: Poller | None = None

    def __len__(self) -> int:
        """How many connections are not closed yet, in any phase."""
        return len(self._connections)

    def __iter__(self) -> Iterator[Connection]:
        """The connections that are not closed yet, as they are now."""
        return iter(list(self._connections))

    def bind(self) -> None:
        """Make the calling thread the owner: calls from others are handed over by `post`."""
        self.owner = threading.get_ident()

    def is_owner(self) -> bool:
        """Whether the caller runs in the owner's thread."""
        return threading.get_ident() == self.owner

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Call `function(*args)` in the owner's thread, in the order of the posts of each thread.

        What it raises goes to the handler's `failed`, but for ConnectionClosed, which nobody
        could answer any more.
        """
        self._posted.append((function, args))
        # After the append, and taken back before the posts are run: whoever finds it set is heard.
        if not self._post_woken and self._wake_threadsafe is not None:
            self._post_woken = True
            self._wake_threadsafe()

    def schedule(self) -> None:
        """See that `flush` is called: at the end of this turn, or soon."""
        if not self.in_turn and not self._scheduled:
            self._scheduled = True
            if self._wake is not None:
                self._wake()

    def flush(self) -> None:
        """Write once to every connection that has something to write, then report what happened.

        Reports (input held back, queues drained, connections closed) run user code, which may
        write again: so it goes in rounds, a bounded number of them.
        """
        is_nested = self.in_turn  # a handler may flush too
        self._scheduled = False
        self.in_turn = True
        try:
            for _ in range(MAX_ROUNDS):
                self._run_posted()
                self._write_all()
                if not (self._resumed or self._drained or self._closed or self._posted):
                    break
                self._report()
        finally:
            self.in_turn = is_nested
            if not is_nested and self._poller is not None:
                self._poller._close_retired()
        if self._rested and not is_nested:
            self._go_on()
        if self._dirty or self._resumed or self._drained or self._closed or self._posted:
            self.schedule()

    def _go_on(self) -> None:
        """Let those who had their share of this turn have one of the next."""
        rested, self._rested = self._rested, []
        for conn in rested:
            conn._resume(PAUSE_TURN)

    def _run_posted(self) -> None:
        self._post_woken = False
        for _ in range(len(self._posted)):
            function, args = self._posted.popleft()
            try:
                function(*args)
            except ConnectionClosed:
                pass
            except Exception as exc:
                self.handler.failed(None, exc)

    def _write_all(self) -> None:
        dirty, self._dirty = self._dirty, []
        for conn in dirty:
            conn._dirty = False
            if conn.phase != CLOSED:
                conn.flush()

    def _report(self) -> None:
        resumed, self._resumed = self._resumed, []
        for conn in resumed:
            conn._handle_held()
        drained, self._drained = self._drained, []
        for conn in drained:
            self._call(self.handler.drain, conn)
        closed, self._closed = self._closed, []
        for conn in closed:
            self._call(self.handler.close, conn, conn.close_code or ABNORMAL, conn.close_reason)

    def _call(self, method: Callable[..., Any], conn: Connection, *args: Any) -> Any:
        try:
            return method(conn, *args)
        except Exception as exc:
            self.handler.failed(conn, exc)
            return None

    def sweep(self, now: float) -> None:
        """Judge every deadline and send the pings that are due. `now` is `clock()`.

        The only place where time passes: a wait begins when a sweep first sees it, so a deadline
        is late by at most the time between two sweeps, and never early.
        """
        for conn in list(self._connections):
            conn._sweep(now)


# --- the connection -----------------------------------------------------------------------------


class Connection:
    """One peer, from the first byte of its request head to the last byte of its close frame.

    `sink` is None for a connection that a `Poller` accepted until it has a descriptor. A client
    role connection masks what it sends and refuses masked frames (RFC 6455 §5.1).
    """

    __slots__ = (
        "_begun",
        "_begun_frames",
        "_begun_offset",
        "_blocked",
        "_close_frame",
        "_decoder",
        "_dirty",
        "_empty_fragments",
        "_eof",
        "_full_at",
        "_linger",
        "_message",
        "_message_opcode",
        "_message_rsv1",
        "_inbox",
        "_pack",
        "_parts",
        "_paused",
        "_pending",
        "_ping",
        "_ping_at",
        "_ping_number",
        "_plan",
        "_pong",
        "_remaining",
        "_remaining_fin",
        "_remaining_key",
        "_remaining_phase",
        "_remote",
        "_resuming",
        "_ring",
        "_ring_bytes",
        "_shut",
        "_since",
        "_unsent",
        "_wants_drain",
        "bytes_received",
        "bytes_sent",
        "close_code",
        "close_reason",
        "codec",
        "id",
        "last_pong",
        "messages_dropped",
        "messages_received",
        "messages_sent",
        "missed_pongs",
        "opened",
        "opened_at",
        "peername",
        "phase",
        "ping_rtt",
        "ping_sent",
        "role",
        "sink",
        "turn",
    )

    def __init__(self, turn: Turn, sink: Sink | None = None, role: int = SERVER) -> None:
        self.turn = turn
        self.sink: Any = sink
        self.role = role
        self.id = ""  # set by the owner before the connection joins a room
        self._plan: Any = None  # of a Dispatch: which handlers run
        self._inbox: Any = None  # of a Dispatch: what waits for a handler; None while none runs
        self.codec: Any = None  # message compression, set by `use_codec`
        self._pack: Any = None  # the codec's, when frames are compressed as they leave
        self.peername: Any = None  # as socket.getpeername gives it
        self._remote: str | None = None  # as set
        self.phase = OPENING
        self.opened = False  # whether it ever was a WebSocket
        self.opened_at = 0.0  # clock reading of the upgrade; 0 before
        self.close_code = 0  # 0 until a close begins
        self.close_reason = ""
        self.last_pong = 0.0  # clock reading; 0 before the first
        self.missed_pongs = 0  # pings in a row without an answer
        self.ping_sent = 0.0  # clock reading of the latest ping
        self.ping_rtt = 0.0  # seconds; of the latest ping that was answered
        self.messages_received = 0
        self.messages_sent = 0
        self.messages_dropped = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        # Input.
        self._pending = bytearray()  # unparsed: part of a head, a header or a control frame
        self._paused = 0  # PAUSE_* bits
        self._resuming = False
        self._eof = False  # the peer ended its side while a request was being answered
        self._remaining = -1  # bytes of the data frame being read; -1 between frames
        self._remaining_fin = False
        self._remaining_key = b""
        self._remaining_phase = 0
        self._message_opcode = 0  # 0 between messages
        self._message_rsv1 = False
        self._message = bytearray()  # binary or compressed payload so far
        self._parts: list[str] = []  # text payload so far
        self._decoder: codecs.IncrementalDecoder | None = None
        self._empty_fragments = 0
        # When its buckets of messages and bytes are full again; None before the first message.
        self._full_at: tuple[float, float] | None = None
        # Output, in the order in which it leaves: begun, pong, ping, ring, close.
        self._begun: bytes = b""
        self._begun_offset = 0
        self._begun_frames = 0  # data frames in `_begun`; 0 for HTTP or a control frame
        self._pong: bytes | None = None
        self._ping: bytes | None = None
        self._ring: deque[bytes] = deque()
        self._ring_bytes = 0
        self._close_frame: bytes | None = None
        self._blocked = False  # the sink is full
        self._dirty = False
        self._wants_drain = False
        self._linger = False
        self._shut = False  # the writing side is ended
        # Time: when the present wait began, as a sweep saw it; -1 = begin at the next sweep.
        self._since = -1.0
        self._unsent = 0
        self._ping_at = -1.0
        self._ping_number = 0
        turn._connections[self] = None

    # Views.

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent: after the upgrade, before either side closes."""
        return self.phase == OPEN

    @property
    def queued_messages(self) -> int:
        """Messages that have not left, the one partly written included."""
        return len(self._ring) + self._begun_frames

    @property
    def queued_bytes(self) -> int:
        """Bytes of those messages that have not left."""
        begun = len(self._begun) - self._begun_offset if self._begun_frames else 0
        return self._ring_bytes + begun

    @property
    def is_full(self) -> bool:
        """Whether the queue has reached one of its limits."""
        limits = self.turn.limits
        return (
            self.queued_messages >= limits.queue_messages or self.queued_bytes >= limits.queue_bytes
        )

    @property
    def remote(self) -> str | None:
        """The client's address as text: what was set, else the peer's; None for a Unix socket."""
        if self._remote is not None:
            return self._remote
        return _address_text(self.peername[0]) if isinstance(self.peername, tuple) else None

    @remote.setter
    def remote(self, value: str | None) -> None:
        self._remote = value

    # Steps of the opening, for the handler's `request` and `data`.

    def write(self, data: bytes) -> None:
        """Send HTTP bytes. They leave before any frame and no queue limit applies to them."""
        if self.phase == CLOSED:
            return
        self._begun = self._begun[self._begun_offset :] + data
        self._begun_offset = 0
        self._mark()

    def upgrade(self) -> None:
        """From now on both sides speak frames (RFC 6455 §4.2.2, step 5)."""
        if self.phase > HELD:
            return
        self.phase = OPEN
        self.opened = True
        self.opened_at = self.turn.clock()
        self._since = -1.0
        self._resume(PAUSE_HELD)

    def use_codec(self, codec: Any) -> None:
        """Compress messages (RFC 7692). To be called before `upgrade`.

        `codec` has `encode(frame) -> bytes`, the frame to queue; `decode(payload, limit) -> bytes`;
        and, if it compresses frames as they leave, `pack(frame_bytes) -> bytes`.
        """
        self.codec = codec
        self._pack = getattr(codec, "pack", None)

    def write_through(self, fd: int, is_closing: Callable[[], bool] | None) -> None:
        """Write to the sink's descriptor first, and give the sink only what that does not take.

        To be taken back, with -1, while bytes wait in the sink. `is_closing()` says whether the
        sink has closed the descriptor or is about to.
        """
        # From Python the sink's own way is no longer.

    def expect_head(self) -> None:
        """The request is answered; read the next one. A peer that ended its side is closed."""
        if self._eof:
            self.finish()
        elif self.phase < OPEN:
            self.phase = OPENING
            self._since = -1.0
            self._resume(PAUSE_HELD)

    def expect_body(self) -> None:
        """What follows the head goes to the handler's `data`."""
        if self.phase > HELD:
            return
        self.phase = BODY
        self._since = -1.0
        self._resume(PAUSE_HELD)

    def hold(self, until_end: bool = False) -> None:
        """Keep what follows until the next step is known, and read no more.

        With `until_end` read on until something follows, to hear of the peer's end: one that ends
        its side before is closed. Else it may still read an answer, and its end waits.
        """
        if self.phase > HELD:
            return
        self.phase = HELD
        if not until_end:
            self.pause_reading(PAUSE_HELD)

    def finish(self) -> None:
        """Send what is queued, then close. For HTTP; a WebSocket is ended by `close`.

        One that waits for a request, with nothing asked or queued, is closed at once.
        """
        if self.phase < ENDING:
            is_idle = self.phase == OPENING and not self._pending and not self._has_output()
            self._end(linger=not is_idle)

    # Bytes in.

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes of the peer, in any pieces, and call the handler for each whole thing."""
        self.bytes_received += len(data)
        self.turn.counters.bytes_received += len(data)
        if self.phase >= ENDING:
            return
        if self.turn.limits._is_rated:
            self.turn._read_at = self.turn.clock()
        if self._pending:
            self._pending += data
            data = self._pending
            self._pending = bytearray()  # what calls below put back stands after what is left here
        pending = bytes(data)
        used = 0
        try:
            used = self._parse(pending)
        except ProtocolError as exc:
            self._fail(exc.code, exc.reason)
            return
        except Exception as exc:  # a codec's, or no memory: where the stream stands is not known
            self.turn.handler.failed(self, exc)
            self._fail(INTERNAL_ERROR, "internal error")
            return
        if self.phase < ENDING and used < len(pending):
            self._pending = bytearray(pending[used:]) + self._pending

    def _parse(self, data: bytes) -> int:
        """Go through `data` as far as possible and return how much of it was used.

        Tiny frames are many in one read, and compressed ones hold much; what a turn does for one
        peer is bounded by both, so that the others wait for a millisecond and not for all of it.
        """
        used = count = self.turn._inflated = 0
        while not self._paused:
            if count + self.turn._inflated // INFLATED_FRAME >= MAX_FRAMES and used < len(data):
                self.pause_reading(PAUSE_TURN)
                self.turn._rested.append(self)
                self.turn.schedule()
                break
            count += 1
            if self.phase == OPENING:
                taken = self._parse_head(data, used)
                count += REQUEST_FRAMES - 1
            elif self.phase == BODY:
                taken = self._parse_body(data, used)
            elif self.phase in (OPEN, CLOSING):
                taken = self._parse_frame(data, used)
            elif self.phase == HELD:  # something follows
                if used < len(data):
                    self.pause_reading(PAUSE_HELD)
                break
            else:
                return len(data)
            if not taken:
                break
            used += taken
        return used

    def _parse_head(self, data: bytes, start: int) -> int:
        # RFC 9112 §2.2: empty lines before a request line are ignored.
        skipped = start
        while data[skipped : skipped + 2] == b"\r\n":
            skipped += 2
        # A bare LF ends a line for us too, so that the parser of heads can refuse it at once.
        blank_lines = (b"\n\r\n", b"\n\n")
        found = [(data.find(text, skipped, skipped + MAX_HEAD), text) for text in blank_lines]
        end = min((at + len(text) for at, text in found if at >= 0), default=0)
        line = data.find(b"\n", skipped, skipped + MAX_REQUEST_LINE + 2)  # with its CRLF
        if line < 0 and len(data) - skipped >= MAX_REQUEST_LINE + 2:
            self._refuse(414)
        elif not end and len(data) - skipped >= MAX_HEAD:
            self._refuse(431)
        elif not end:
            return skipped - start
        elif self._answers_pile_up():
            self.pause_reading(PAUSE_WRITE)
            return skipped - start
        elif self.phase == OPENING:
            self._since = -1.0
            self.turn._call(self.turn.handler.request, self, data[skipped:end])
            return end - start
        return len(data) - start

    def _answers_pile_up(self) -> bool:
        """Whether the peer must read answers before it may ask more.

        Pipelined requests of one read are answered within one turn: what is ready to leave is
        bounded here, the peer's reading elsewhere.
        """
        if len(self._begun) - self._begun_offset >= GATHER_SIZE:
            self.flush()
        return self._blocked

    def _refuse(self, status: int) -> None:
        self.turn._call(self.turn.handler.refuse, self, status)
        self.finish()

    def _parse_body(self, data: bytes, start: int) -> int:
        if start == len(data):
            return 0
        taken: int = self.turn._call(self.turn.handler.data, self, data[start:]) or 0
        if taken > 0 and self._since >= 0:  # bytes buy time, and few buy little
            self._since += taken / MIN_BODY_RATE
        return min(max(taken, 0), len(data) - start)

    def _parse_frame(self, data: bytes, start: int) -> int:
        if self._remaining >= 0:
            return self._read_payload(data, start)
        header = self._parse_header(data, start)
        if header is None:
            return 0
        opcode, fin, rsv1, key, size, head = header
        if opcode & 8:
            end = start + head + size
            if len(data) < end:
                return 0
            payload = data[start + head : end]
            self._control(opcode, _masked(payload, key) if key else payload)
            return head + size
        end = start + head + size
        if fin and opcode and not rsv1 and len(data) >= end:  # the common case: all of it is here
            payload = data[start + head : end]
            if key:
                payload = _masked(payload, key)
            self._deliver(opcode, self._text(payload) if opcode == TEXT else payload, size)
            return head + size
        self._begin_payload(opcode, fin, rsv1, key, size)
        return head + (self._read_payload(data, start + head) if size else self._end_payload())

    def _parse_header(
        self, data: bytes, start: int
    ) -> tuple[int, bool, bool, bytes, int, int] | None:
        """Return opcode, fin, rsv1, key, payload size and header size, or None for "more bytes".

        Everything wrong with a frame that its header can tell is refused here, as early as its
        bytes allow, before anything is allocated for its payload.
        """
        available = len(data) - start
        if available < 1:
            return None
        first = data[start]
        opcode, fin, rsv1 = first & 0x0F, bool(first & 0x80), bool(first & 0x40)
        if first & 0x30 or (rsv1 and (self.codec is None or opcode & 8 or not opcode)):
            raise ProtocolError(PROTOCOL_ERROR, "reserved bits must be 0")
        if opcode in (3, 4, 5, 6, 7) or opcode > PONG:
            raise ProtocolError(PROTOCOL_ERROR, f"unknown opcode {opcode}")
        if opcode & 8 and not fin:
            raise ProtocolError(PROTOCOL_ERROR, "control frame is fragmented")
        if opcode == CONTINUATION and not self._message_opcode:
            raise ProtocolError(PROTOCOL_ERROR, "continuation without a message")
        if opcode in (TEXT, BINARY) and self._message_opcode:
            raise ProtocolError(PROTOCOL_ERROR, "new message inside a fragmented one")
        if available < 2:
            return None
        masked, size = data[start + 1] & 0x80, data[start + 1] & 0x7F
        if bool(masked) == (self.role == CLIENT):
            rule = "must not" if masked else "must"
            raise ProtocolError(PROTOCOL_ERROR, f"frame {rule} be masked")
        if opcode & 8 and size > MAX_CONTROL_PAYLOAD:
            raise ProtocolError(PROTOCOL_ERROR, "control frame is too long")
        extended = {126: 2, 127: 8}.get(size, 0)
        head = 2 + extended + (4 if masked else 0)
        if extended:
            if available < 2 + extended:
                return None
            size = int.from_bytes(data[start + 2 : start + 2 + extended], "big")
            if size < (126 if extended == 2 else 65536):
                raise ProtocolError(PROTOCOL_ERROR, "payload length is not in its shortest form")
            if size >> 63:
                raise ProtocolError(PROTOCOL_ERROR, "payload length has its highest bit set")
        if not opcode & 8 and size + len(self._message) > self._size_limit(rsv1):
            raise ProtocolError(TOO_BIG, self._too_big())
        if available < head:
            return None
        key = data[start + head - 4 : start + head] if masked else b""
        return opcode, fin, rsv1, key, size, head

    def _size_limit(self, rsv1: bool) -> int:
        """Of the payload as received: data that cannot be compressed grows by a little."""
        limit = self.turn.limits.max_message_size
        return limit + (limit >> 8) + 64 if rsv1 or self._message_rsv1 else limit

    def _too_big(self) -> str:
        return f"message is larger than {self.turn.limits.max_message_size} bytes"

    def _begin_payload(self, opcode: int, fin: bool, rsv1: bool, key: bytes, size: int) -> None:
        if opcode != CONTINUATION:
            self._message_opcode = opcode
            self._message_rsv1 = rsv1
            self._empty_fragments = 0
            self._message = bytearray()
            if opcode == TEXT and not rsv1:
                self._decoder = codecs.getincrementaldecoder("utf-8")()
        if not size and not fin:
            self._empty_fragments += 1
            if self._empty_fragments > MAX_EMPTY_FRAGMENTS:
                raise ProtocolError(POLICY_VIOLATION, "too many empty fragments")
        self._remaining = size
        self._remaining_fin = fin
        self._remaining_key = key
        self._remaining_phase = 0

    def _read_payload(self, data: bytes, start: int) -> int:
        """Take what is there of the frame's payload; text is checked as it comes."""
        chunk = data[start : start + self._remaining]
        if self._remaining_key:
            chunk = _masked(chunk, self._remaining_key, self._remaining_phase)
        self._remaining -= len(chunk)
        self._remaining_phase = (self._remaining_phase + len(chunk)) & 3
        self._message += chunk
        if self._decoder is not None:
            self._check_text(chunk, final=False)
        if not self._remaining:
            self._end_payload()
        return len(chunk)

    def _check_text(self, chunk: bytes, *, final: bool) -> None:
        assert self._decoder is not None
        try:
            self._parts.append(self._decoder.decode(chunk, final))
        except UnicodeDecodeError:
            raise ProtocolError(INVALID_DATA, "text is not UTF-8") from None
        # Of all the beginnings that lead nowhere, Python waits with one: that of a surrogate.
        if chunk[-1:] >= b"\xa0" and self._decoder.getstate()[0] == b"\xed" + chunk[-1:]:
            raise ProtocolError(INVALID_DATA, "text is not UTF-8")

    def _end_payload(self) -> int:
        self._remaining = -1
        if not self._remaining_fin:
            return 0
        opcode, payload = self._message_opcode, bytes(self._message)
        message: str | bytes = payload
        if self._message_rsv1:
            payload = self._inflate(payload)
            message = self._text(payload) if opcode == TEXT else payload
        elif opcode == TEXT:
            self._check_text(b"", final=True)
            message = "".join(self._parts)
        self._forget_message()
        self._deliver(opcode, message, len(payload))
        return 0

    def _deliver(self, opcode: int, message: str | bytes, size: int) -> None:
        # After our close frame, and after none, the peer's messages have no one to go to.
        if self.phase == OPEN:
            turn = self.turn
            self.messages_received += 1
            turn.counters.messages_received += 1
            if turn.limits._is_rated and not self._is_within_rates(size):
                return
            turn.current = self
            turn._call(turn.handler.message, self, opcode, message)
            turn.current = None

    def _is_within_rates(self, size: int) -> bool:
        """Take a message of so many bytes from the buckets; False for one that is to be dropped.

        A message larger than the burst needs a full bucket and leaves it in debt. Nothing is taken
        for a message that is dropped, so a client that goes on too fast keeps its rate.
        """
        limits, now = self.turn.limits, self.turn._read_at
        messages_full, bytes_full = (max(at, now) for at in self._full_at or (now, now))
        is_within = True
        if limits.message_rate > 0:
            messages_full += 1 / limits.message_rate
            is_within = messages_full - now <= limits._message_depth + ROUNDING
        if limits.byte_rate > 0:
            counted = bytes_full + min(size, limits.byte_burst) / limits.byte_rate
            is_within = is_within and counted - now <= limits._byte_depth + ROUNDING
            bytes_full += size / limits.byte_rate
        if is_within:
            self._full_at = messages_full, bytes_full
            return True
        self.turn.counters.dropped_rate += 1
        if limits.rate_disconnects:
            raise ProtocolError(POLICY_VIOLATION, "rate limit exceeded")
        return False

    def _inflate(self, payload: bytes) -> bytes:
        limit = self.turn.limits.max_message_size
        data: bytes = self.codec.decode(payload, limit)  # raises ProtocolError
        self.turn._inflated += len(data)
        return data

    def _text(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise ProtocolError(INVALID_DATA, "text is not UTF-8") from None

    def _forget_message(self) -> None:
        self._message_opcode = 0
        self._message_rsv1 = False
        self._message = bytearray()
        self._parts = []
        self._decoder = None

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._pong = self._pong_after(self._pong, self._encode(PONG, payload))
            self._mark()
        elif opcode == PONG:
            self._pong_received(payload)
        else:
            self._close_received(payload)

    def _pong_after(self, waiting: bytes | None, pong: bytes) -> bytes:
        """Every ping is answered while the sink takes bytes, and pings come at a sane rate.

        Else only the latest is, which RFC 6455 §5.5.3 allows, so that pongs need no queue.
        """
        if waiting is None or self._blocked or len(waiting) > MAX_PONGS:
            return pong
        return waiting + pong

    def _pong_received(self, payload: bytes) -> None:
        """A pong answers the ping whose number it carries, and all before that one."""
        if len(payload) != 4 or not self.missed_pongs:
            return
        number = int.from_bytes(payload, "big")
        if 0 <= self._ping_number - number < self.missed_pongs:
            self.last_pong = self.turn.clock()
            if number == self._ping_number:
                self.ping_rtt = self.last_pong - self.ping_sent
                self.turn.counters.ping_rtt_seconds.observe(self.ping_rtt)
            self.missed_pongs = 0
            self.turn.counters.pongs_received += 1

    def _close_received(self, payload: bytes) -> None:
        code, reason = NO_STATUS, ""
        if len(payload) == 1:
            raise ProtocolError(PROTOCOL_ERROR, "close frame has half a code")
        if payload:
            code = int.from_bytes(payload[:2], "big")
            if not is_sendable_code(code):
                raise ProtocolError(PROTOCOL_ERROR, f"close code {code} must not be sent")
            try:
                reason = payload[2:].decode()
            except UnicodeDecodeError:
                raise ProtocolError(INVALID_DATA, "close reason is not UTF-8") from None
        if self.phase == OPEN:
            # RFC 6455 §5.5.1: the endpoint typically echos the status code it received.
            self.close_code, self.close_reason = code, reason
            self._close_frame = self._encode(CLOSE, payload[:2])
        self._end(linger=self.role == CLIENT)  # RFC 6455 §7.1.1: the server closes TCP first

    def feed_eof(self) -> None:
        """The peer ended its side."""
        if self.phase == HELD and self._paused:
            self._eof = True
        elif self.phase == OPENING and self._begun:
            self.finish()  # a peer may shut its side after asking and still read the answer
        elif self.phase < CLOSED:
            self._close_now()

    def lost(self) -> None:
        """The transport is gone."""
        if self.phase < CLOSED:
            self._close_now()

    def pause_reading(self, why: int) -> None:
        """Handle no more input until `resume_reading` has been called for every PAUSE_* bit."""
        if not self._paused and not self._resuming and self.sink is not None:
            self.sink.pause_reading()
        self._paused |= why

    def resume_reading(self, why: int) -> None:
        """Take back one PAUSE_* bit. Held-back input is handled at the end of the turn.

        New input is let in only after that: else more could come between two turns than one of
        them handles, and what is held would grow.
        """
        self._resume(why)

    def _resume(self, why: int) -> None:
        if not self._paused & why:
            return
        self._paused &= ~why
        if not self._paused and not self._resuming and self.phase < ENDING:
            self._resuming = True
            self.turn._resumed.append(self)
            self.turn.schedule()

    def _handle_held(self) -> None:
        """Handle the input that was held back, then read on, unless it made us pause again."""
        self.feed(b"")
        self._resuming = False
        if not self._paused and self.phase < ENDING:
            if self._eof:  # heard while it was held, and nothing is left before it
                self._close_now()
            elif self.sink is not None:
                self.sink.resume_reading()

    # Messages out.

    def send(self, message: Any) -> SendResult | None:
        """Send str as a text frame, bytes as a binary one, a Message as its JSON.

        Never blocks; a full queue follows the queue policy. From another thread the message is
        handed over in order and None is returned. Raises ConnectionClosed when it is not open.
        """
        turn = self.turn
        if threading.get_ident() != turn.owner:
            turn.post(self.send, message)
            return None
        if self.phase != OPEN:
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        if self.codec is not None or self.role != CLIENT:
            data = self._data_of(Frame(message))
        else:  # the masked frame is the only one
            data = self._encode(*_opcode_and_payload(message))
        if not self.is_open:  # closed by the message's own `to_json`
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        return _RESULTS[self._push(data)]

    def ping(self) -> None:
        """Send a ping and count it as unanswered. A ping still waiting is replaced."""
        if self.phase == CLOSED:
            return
        self._ping_number = (self._ping_number + 1) & 0xFFFFFFFF
        self._ping = self._encode(PING, self._ping_number.to_bytes(4, "big"))
        self.missed_pongs += 1
        self.ping_sent = self.turn.clock()
        self.turn.counters.pings_sent += 1
        self._mark()

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin the closing handshake; what is queued leaves first. Does nothing when it has begun.

        A reason longer than 123 bytes of UTF-8 is cut. Raises ValueError for a code that may not
        be sent (RFC 6455 §7.4). May be called from any thread.
        """
        if not is_sendable_code(code):
            raise ValueError(f"close code {code} may not be sent")
        if not self.turn.is_owner():
            self.turn.post(self.close, code, reason)
        elif self.phase < OPEN:
            self.finish()
        elif self.phase == OPEN:
            self._begin_close(code, reason)

    def abort(self) -> None:
        """Drop the connection at once, without a close frame."""
        if self.phase < CLOSED:
            if self.sink is not None:
                self.sink.abort()
            self._close_now()

    def want_drain(self) -> None:
        """Have the handler's `drain` called once the queue has room again."""
        self._wants_drain = True

    def _encode(self, opcode: int, payload: bytes) -> bytes:
        key = os.urandom(4) if self.role == CLIENT else None
        return encode_frame(opcode, payload, key=key)

    def _data_of(self, frame: Frame) -> bytes:
        if self.codec is not None:
            data: bytes = self.codec.encode(frame)
            return data
        return self._encode(frame.opcode, frame.payload) if self.role == CLIENT else frame.data

    def _push(self, data: bytes) -> int:
        """Queue a frame; return the index of its SendResult. Runs no user code."""
        if self._is_full_for(len(data), 1):
            self.flush()
            if self.phase != OPEN:
                return _REFUSED
            if self._is_full_for(len(data), 1) and not self._make_room(len(data)):
                self.messages_dropped += 1
                return _REFUSED
        self._ring.append(data)
        self._ring_bytes += len(data)
        self._mark()
        return _BEHIND if self._blocked else _ACCEPTED

    def _is_full_for(self, size: int, times: int) -> bool:
        """Whether `size` more bytes break a limit. One message is always taken when none waits."""
        limits = self.turn.limits
        messages = self.queued_messages
        return messages >= limits.queue_messages * times or (
            messages > 0 and self.queued_bytes + size > limits.queue_bytes * times
        )

    def _make_room(self, size: int) -> bool:
        """Apply the policy to a queue the sink would not take; return whether there is room."""
        limits, counters = self.turn.limits, self.turn.counters
        self._wants_drain = True
        if limits.queue_policy == DROP_OLDEST:
            while self._ring and self._is_full_for(size, 1):
                self._ring_bytes -= len(self._ring.popleft())
                self.messages_dropped += 1
                counters.dropped_oldest += 1
            return True
        if limits.queue_policy == DROP_NEWEST:
            counters.dropped_newest += 1
            return False
        if limits.queue_policy == DISCONNECT:
            counters.dropped_disconnect += 1
            self._evict()
            return False
        assert limits.queue_policy == BLOCK
        if self._is_full_for(size, 2):
            counters.dropped_block += 1
            return False
        self.turn._call(self.turn.handler.full, self)
        return True

    def _evict(self) -> None:
        """Close a slow consumer: all but the frame begun is dropped."""
        self.messages_dropped += len(self._ring)
        self.turn.counters.dropped_disconnect += len(self._ring)
        self._ring.clear()
        self._ring_bytes = 0
        self._begin_close(SLOW_CONSUMER, CLOSE_REASONS[SLOW_CONSUMER])

    # Bytes out.

    def _mark(self) -> None:
        if not self._dirty:
            self._dirty = True
            self.turn._dirty.append(self)
            self.turn.schedule()

    def flush(self) -> bool:
        """Give the sink what is queued until it is full; return whether everything has left.

        Control frames go between data frames, never into one; the close frame goes last.
        """
        was_blocked, self._blocked = self._blocked, False
        try:
            while self._has_output() and not self._blocked:
                if self._pack is not None and self._ring and not self._begun:
                    self._pack_ring()
                buffers = self._gather()
                taken = self.sink.writev(buffers)
                if self.phase == CLOSED:  # a sink may say that by `lost`, too
                    return True
                self._blocked = taken < sum(map(len, buffers))
                self._taken(taken)
        except OSError:
            self._close_now()
            return True
        except Exception as exc:  # a codec's or the sink's: nothing can be sent any more
            self.turn.handler.failed(self, exc)
            self._close_now()
            return True
        if self._wants_drain and self._has_room():
            self._drained()
        if self._blocked != was_blocked:
            self._since = -1.0
        if self._blocked:
            return False
        self._resume(PAUSE_WRITE)
        if self.phase == ENDING:
            self._shut_down()
        return True

    def _has_room(self) -> bool:
        """Whether the queue is down to half its limits, so that a waiting publisher may go on."""
        limits = self.turn.limits
        return (
            self.queued_messages * 2 <= limits.queue_messages
            and self.queued_bytes * 2 <= limits.queue_bytes
        )

    def _has_output(self) -> bool:
        return bool(self._begun or self._pong or self._ping or self._ring or self._close_frame)

    def _gather(self) -> list[bytes | memoryview]:
        """The next things to write, in order, until they are worth one write."""
        buffers: list[bytes | memoryview] = []
        size = 0
        if self._begun:
            buffers.append(memoryview(self._begun)[self._begun_offset :])
            size = len(buffers[0])
        for control in (self._pong, self._ping):
            if control:
                buffers.append(control)
        if self._pack is not None and self._ring:
            return buffers
        for data in self._ring:
            if size >= GATHER_SIZE:
                return buffers
            buffers.append(data)
            size += len(data)
        if self._close_frame:
            buffers.append(self._close_frame)
        return buffers

    def _taken(self, taken: int) -> None:
        """Forget `taken` bytes, in the order of `_gather`."""
        if not taken:
            return
        self._since = -1.0
        self.bytes_sent += taken
        self.turn.counters.bytes_sent += taken
        if taken == self._ring_bytes and not (self._begun or self._pong or self._ping):
            self.messages_sent += len(self._ring)
            self.turn.counters.messages_sent += len(self._ring)
            self._ring.clear()
            self._ring_bytes = 0
            return
        if self._begun:
            left = len(self._begun) - self._begun_offset
            if taken < left:
                self._begun_offset += taken
                return
            taken -= left
            self._begun, self._begun_offset, self._begun_frames = b"", 0, 0
        while taken:
            data, frames = self._pop()
            if taken < len(data):
                self._begun, self._begun_offset, self._begun_frames = data, taken, frames
                return
            taken -= len(data)

    def _pop(self) -> tuple[bytes, int]:
        if self._pong:
            data, self._pong = self._pong, None
        elif self._ping:
            data, self._ping = self._ping, None
        elif self._ring:
            return self._pop_ring(), 1
        else:
            assert self._close_frame is not None
            data, self._close_frame = self._close_frame, None
        return data, 0

    def _pop_ring(self) -> bytes:
        data = self._ring.popleft()
        self._ring_bytes -= len(data)
        self.messages_sent += 1
        self.turn.counters.messages_sent += 1
        return data

    def _pack_ring(self) -> None:
        """Compress frames that leave now, for a codec whose output depends on what left before.

        Not earlier: a frame the queue policy displaces must not have touched the codec's context.
        """
        packed: list[bytes] = []
        size = 0
        while self._ring and size < GATHER_SIZE:
            packed.append(self._pack(self._pop_ring()))
            size += len(packed[-1])
        self._begun, self._begun_offset, self._begun_frames = b"".join(packed), 0, len(packed)

    def _drained(self) -> None:
        self._wants_drain = False
        self.turn._drained.append(self)
        self.turn.schedule()

    # The end.

    def _begin_close(self, code: int, reason: str) -> None:
        self.close_code, self.close_reason = code, reason
        self._close_frame = self._encode(CLOSE, _close_payload(code, reason))
        self.phase = CLOSING
        self._since = -1.0
        self._forget_wait()
        self._resume(self._paused)  # the peer's close frame must be read
        self._mark()

    def _fail(self, code: int, reason: str) -> None:
        """The peer broke the protocol (RFC 6455 §7.1.7)."""
        if self.phase >= ENDING:
            return
        if self.phase == OPEN:
            self.close_code, self.close_reason = code, reason
            self._close_frame = self._encode(CLOSE, _close_payload(code, reason))
        self._end(linger=True)

    def _end(self, *, linger: bool) -> None:
        self.phase = ENDING
        self._linger = linger
        self._since = -1.0
        self._pending = bytearray()
        self._forget_message()
        self._forget_wait()
        if (self._paused or self._resuming) and self.sink is not None:
            self.sink.resume_reading()  # to hear the peer's end
        self._paused = 0
        self._mark()

    def _shut_down(self) -> None:
        """Everything has left a connection that is ENDING."""
        if not self._linger:
            self._close_now()
        elif not self._shut:
            self._shut = True
            try:
                self.sink.shutdown()
            except OSError:
                self._close_now()

    def _forget_wait(self) -> None:
        """Whoever waits for room here waits no longer."""
        if self._wants_drain:
            self._drained()

    def _close_now(self) -> None:
        if self.phase == CLOSED:
            return
        if not self.close_code:
            self.close_code = ABNORMAL
        self.phase = CLOSED
        self._ring.clear()
        self._ring_bytes = 0
        self._begun, self._begun_offset, self._begun_frames = b"", 0, 0
        self._pong = self._ping = self._close_frame = None
        self._pending = bytearray()
        self._forget_message()
        self._blocked = False
        self._forget_wait()
        if self.sink is not None:
            self.sink.close()
        self.turn._connections.pop(self, None)
        self.turn._closed.append(self)
        self.turn.schedule()

    # Time.

    def _sweep(self, now: float) -> None:
        limits = self.turn.limits
        if self._blocked:
            unsent = self.sink.unsent()
            if unsent != self._unsent:
                self._unsent, self._since = unsent, -1.0
        if self._since < 0 or self._since > now:  # nobody has time in store
            self._since = now
        waited = now - self._since
        if self.phase == OPEN:
            if self._blocked and waited >= limits.write_timeout:
                self._evict()
            elif limits.ping_interval:
                self._keep_alive(now)
        elif self.phase in (CLOSING, ENDING):
            if waited >= limits.close_timeout:
                self.abort()
        elif self._blocked:
            if waited >= limits.write_timeout:
                self.abort()
        elif self.phase != HELD and waited >= limits.head_timeout:
            if self._pending or self.phase == BODY:
                self._refuse(408)
            else:
                self.finish()  # nothing was asked: nothing is answered

    def _keep_alive(self, now: float) -> None:
        interval = self.turn.limits.ping_interval
        if self._ping_at < 0:
            self._ping_at = now + interval
        elif now >= self._ping_at:
            self._ping_at = now + interval
            if self.missed_pongs:
                self.turn.counters.pongs_missed += 1
            if self.missed_pongs >= self.turn.limits.max_missed_pongs:
                self._begin_close(INTERNAL_ERROR, "keep-alive timed out")
            else:
                self.ping()


# --- the room -----------------------------------------------------------------------------------


class Room:
    """A set of connections that receive the same frames, in the same order.

    `limit` is the greatest number of members, 0 for none.
    """

    __slots__ = ("limit", "members")

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self.members: dict[str, Connection] = {}  # by id, in the order of joining

    def __len__(self) -> int:
        return len(self.members)

    def __contains__(self, conn: object) -> bool:
        return isinstance(conn, Connection) and self.members.get(conn.id) is conn

    def __iter__(self) -> Iterator[Connection]:
        """The members as they are now; the room may change meanwhile."""
        return iter(list(self.members.values()))

    def add(self, conn: Connection) -> None:
        """Add a member; adding it twice changes nothing. Raises RoomFull at the limit."""
        if conn.id not in self.members:
            if self.limit and len(self.members) >= self.limit:
                raise RoomFull("", self.limit)
            self.members[conn.id] = conn

    def discard(self, conn: Connection) -> None:
        """Remove a member, if it is one."""
        self.members.pop(conn.id, None)

    def publish(self, frame: Frame, exclude: str | Iterable[str] | None = None) -> SendResult:
        """Give every open member but those with an excluded id a reference to `frame`.

        Runs no user code, so the members cannot change meanwhile. Members that are closing are
        passed over and not counted.
        """
        counts = [0, 0, 0]
        started = time.perf_counter()
        excluded = () if exclude is None else (exclude,) if isinstance(exclude, str) else exclude
        skipped = frozenset(excluded)
        for name, conn in self.members.items():
            if conn.phase == OPEN and name not in skipped:
                counts[conn._push(conn._data_of(frame))] += 1
        if not any(counts):
            return NOBODY
        conn.turn.counters.broadcast_seconds.observe(time.perf_counter() - started)
        return SendResult(*counts)


# --- messages to handlers ------------------------------------------------------------------------


def read_plainly(metaclass: type) -> None:
    """Look up attributes of this metaclass's classes as `type` does, without its `__getattr__`."""
    # There is no way to that in Python.


class Message:
    """The members of a message; the application's `Message` tells of them and adds the rest."""

    __slots__ = (
        "_metadata",
        "_timestamp",
        "connection_id",
        "data",
        "event",
        "id",
        "is_envelope",
        "raw",
        "room",
        "target",
        "type",
    )

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        message = super().__new__(cls)
        message.type = message.data = message.raw = message.id = message._metadata = None
        message.event = message.room = message.target = ""
        message.connection_id = message._timestamp = ""
        message.is_envelope = False
        return message

    if TYPE_CHECKING:
        type: Any
        data: Any
        event: str
        room: str
        target: str
        connection_id: str
        id: Any
        raw: str | bytes | None
        is_envelope: bool
        _timestamp: str
        _metadata: dict[str, Any] | None


class Context:
    """A message with its connection; the application's `MessageContext` adds the rest."""

    __slots__ = ("conn", "hub", "message")

    def __init__(self, conn: Any, message: Any, hub: Any) -> None:
        self.conn = conn
        self.message = message
        self.hub = hub

    def reply(self, type: str, data: Any = None) -> SendResult | None:
        """Answer the sender.

        To a bare message, TEXT sends a str, BINARY bytes, and any other type the JSON of `data`.
        Raises ConnectionClosed, TypeError for data that does not go with the type, ValueError for
        an unknown type.
        """
        if not self.message.is_envelope and (
            type == "text"
            if isinstance(data, str)
            else type == "binary" and data.__class__ is bytes
        ):
            result: SendResult | None = self.conn.send(data)
            return result
        return self._reply(type, data)

    def _reply(self, type: str, data: Any) -> SendResult | None:
        raise NotImplementedError


class Plan:
    """Which handlers run for the messages of a connection; the application's `Plan` has the others.

    `text` and `binary` are the handlers of bare messages.
    """

    __slots__ = ("binary", "text")

    def __init__(self) -> None:
        self.text: tuple[Callable[..., Any], ...] = ()
        self.binary: tuple[Callable[..., Any], ...] = ()


class Dispatch:
    """From messages to handlers, for a connection none of whose handlers waits.

    `message_type` and `context_type` are the subclasses of `Message` and `Context` that handlers
    get; `text` and `binary` their two types of bare messages. A connection's `_plan` is a `Plan`;
    its `_inbox` is None while none of its handlers waits. A subclass has `_wait`, `_read`,
    `_unhandled`, `_go_on` and `_fail`.
    """

    __slots__ = ("_runs", "binary", "context_type", "hub", "message_type", "text")

    def __init__(
        self,
        hub: Any,
        message_type: Any,
        context_type: Any,
        text: Any,
        binary: Any,
    ) -> None:
        self.hub = hub
        self.message_type = message_type
        self.context_type = context_type
        self.text = text
        self.binary = binary
        self._runs = 0  # how often handlers were run

    def message(self, conn: Any, opcode: int, payload: str | bytes) -> None:
        """A message came: handle it now, or after those before it."""
        if conn._inbox is None:
            self.handle(conn, opcode, payload)
        else:
            self._wait(conn, opcode, payload)

    def handle(self, conn: Any, opcode: int, payload: Any) -> bool:
        """Run the handlers of a message; False when one waits."""
        if opcode == TEXT and payload.lstrip(" \t\n\r").startswith(("{", "[")):  # RFC 8259 §2
            message, calls = self._read(conn, payload)
        else:
            message = self.message_type.__new__(self.message_type)
            message.raw = message.data = payload
            message.connection_id = conn.id
            if opcode == TEXT:
                message.type, calls = self.text, conn._plan.text
            else:
                message.type, calls = self.binary, conn._plan.binary
        if not calls:
            self._unhandled()
            return True
        return self.run(conn, self.context_type(conn, message, self.hub), calls, 0)

    def run(self, conn: Any, ctx: Any, calls: tuple[Callable[..., Any], ...], index: int) -> bool:
        """Call handlers from `index` on; False when one waits, and the rest follows then."""
        call: Any = None
        self._runs += 1
        started = time.perf_counter() if self._runs % HANDLER_SAMPLE == 0 else 0.0
        try:
            while index < len(calls):
                call = calls[index]
                index += 1
                result = call(ctx)
                # A handler that ends in `ctx.reply(…)` may return what that returned.
                if result is not None and result.__class__ is not SendResult:
                    if not self._go_on(conn, ctx, calls, index, result):
                        return False
        except BaseException as exc:
            return self._fail(conn, ctx, call, exc)
        if started:
            seconds = time.perf_counter() - started
            conn.turn.counters.handler_seconds.observe(seconds, HANDLER_SAMPLE)
        return True

    # The subclass's part.

    def _wait(self, conn: Any, opcode: int, payload: Any) -> None:
        raise NotImplementedError

    def _read(self, conn: Any, payload: str) -> tuple[Any, tuple[Callable[..., Any], ...]]:
        raise NotImplementedError

    def _unhandled(self) -> None:
        raise NotImplementedError

    def _go_on(self, conn: Any, ctx: Any, calls: Any, index: int, result: Any) -> bool:
        raise NotImplementedError

    def _fail(self, conn: Any, ctx: Any, call: Any, exc: BaseException) -> bool:
        raise NotImplementedError


# --- the poller ---------------------------------------------------------------------------------


class _DescriptorSink:
    """The sink of a connection whose socket the poller owns."""

    __slots__ = ("conn", "is_full", "is_paused", "is_registered", "poller", "sock")

    def __init__(self, poller: Poller, sock: socket.socket) -> None:
        self.poller = poller
        self.sock = sock
        self.conn: Connection  # set once it exists: each is made with the other
        self.is_full = False
        self.is_paused = False
        self.is_registered = False

    def register(self) -> None:
        """Tell epoll what to wait for."""
        epoll = self.poller._epoll
        events = (0 if self.is_paused else select.EPOLLIN) | (
            select.EPOLLOUT if self.is_full else 0
        )
        if self.is_registered and events:
            epoll.modify(self.sock, events)
        elif events:
            epoll.register(self.sock, events)
        elif self.is_registered:
            # Not merely an empty mask: EPOLLHUP would still be reported, turn after turn.
            epoll.unregister(self.sock)
        self.is_registered = bool(events)

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        data = buffers[0] if len(buffers) == 1 else b"".join(buffers)
        try:
            taken = self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            taken = 0
        is_full = taken < len(data)
        if is_full != self.is_full:
            self.is_full = is_full
            self.register()
        return taken

    def unsent(self) -> int:
        return 0

    def pause_reading(self) -> None:
        if not self.is_paused:
            self.is_paused = True
            self.register()

    def resume_reading(self) -> None:
        if self.is_paused:
            self.is_paused = False
            self.register()

    def shutdown(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.poller._retire(self)

    def abort(self) -> None:
        linger = b"\1\0\0\0\0\0\0\0"  # on, for 0 seconds: the kernel sends a reset
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


class Poller:
    """The sockets of a native engine: accepts, reads, writes, through one epoll descriptor.

    The loop watches `fileno()` and calls `run_turn` when it is readable. `accept_failed(exc)` is
    called once each time accepting has to pause, with the OSError (EMFILE, ENFILE, …).
    """

    def __init__(self, turn: Turn, accept_failed: Callable[[OSError], object]) -> None:
        self.turn = turn
        turn._poller = self
        self.accept_failed = accept_failed
        self._epoll = select.epoll()
        self._listeners: dict[int, socket.socket] = {}
        self._resting: list[socket.socket] = []
        self._sinks: dict[int, _DescriptorSink] = {}
        self._retired: list[_DescriptorSink] = []

    def fileno(self) -> int:
        """The descriptor that becomes readable when a turn is due."""
        return self._epoll.fileno()

    def listen(self, sock: socket.socket) -> None:
        """Accept from a bound, listening, non-blocking socket. It stays the caller's to close."""
        self._listeners[sock.fileno()] = sock
        self._epoll.register(sock, select.EPOLLIN)

    def stop_listening(self) -> None:
        """Accept no more."""
        for sock in self._listeners.values():
            if sock not in self._resting:
                self._epoll.unregister(sock)
        self._listeners.clear()
        self._resting.clear()

    def resume_listening(self) -> None:
        """Try again to accept after a failure. For the owner's sweep."""
        for sock in self._resting:
            self._epoll.register(sock, select.EPOLLIN)
        self._resting.clear()

    def run_turn(self) -> None:
        """Accept, read and handle what is there, then write once to each connection.

        Peers that answer at once are often there again by then, so it looks once more before it
        goes back to the loop, which costs more; but it serves a bounded number of events, and
        looks again only while what came is little.
        """
        served = 0
        counters = self.turn.counters
        enough = counters.bytes_received + READ_SIZE
        while served < MAX_EVENTS and counters.bytes_received < enough and not self._epoll.closed:
            ready = self._epoll.poll(0, MAX_EVENTS)
            if not ready:
                break
            served += len(ready)
            self.turn.in_turn = True
            try:
                for fd, events in ready:
                    sock = self._listeners.get(fd)
                    if sock is not None:
                        self._accept(sock)
                    elif (sink := self._sinks.get(fd)) is not None:
                        self._serve(sink, events)
            finally:
                # A descriptor is closed at the end of its turn: its number must not be given to a
                # new connection while events of the old one may still be in this turn's list.
                self.turn.in_turn = False
                self.turn.flush()
            self._close_retired()  # `close` came meanwhile: the turn knows this poller no more

    def close(self) -> None:
        """Abort every connection and close the epoll descriptor."""
        self.stop_listening()
        for sink in list(self._sinks.values()):
            sink.conn.abort()
        self.turn.flush()  # closes descriptors too, unless a turn runs: then that one does
        self.turn._poller = None
        self._epoll.close()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(MAX_ACCEPTS):
            try:
                sock, peername = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                if exc.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._epoll.unregister(listener)
                    self._resting.append(listener)
                    self.accept_failed(exc)
                return
            sock.setblocking(False)
            sink = _DescriptorSink(self, sock)
            try:
                sink.conn = self.turn.connection_type(self.turn, sink)
            except Exception as exc:
                sock.close()
                self.turn.handler.failed(None, exc)
                return
            sink.conn.peername = peername
            self._sinks[sock.fileno()] = sink
            sink.register()

    def _serve(self, sink: _DescriptorSink, events: int) -> None:
        if events & select.EPOLLOUT:
            sink.conn.flush()
        if events & ~select.EPOLLOUT and not sink.is_paused and sink.conn.phase != CLOSED:
            try:
                data = sink.sock.recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                sink.conn.lost()
                return
            if data:
                sink.conn.feed(data)
            else:
                sink.conn.feed_eof()

    def _retire(self, sink: _DescriptorSink) -> None:
        if self._sinks.pop(sink.sock.fileno(), None) is not None:
            if sink.is_registered:
                self._epoll.unregister(sink.sock)
                sink.is_registered = False
            self._retired.append(sink)
            if not self.turn.in_turn:
                self._close_retired()

    def _close_retired(self) -> None:
        retired, self._retired = self._retired, []
        for sink in retired:
            sink.sock.close()
