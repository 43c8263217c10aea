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

    Where `_holds_close` is set, the peer's close leads from OPEN to ANSWERING: input is thrown
    away, nothing is sent, and the handler's `closing` decides. From there `close()` answers by what
    it is given, `_answer_close()` and the close timeout by an echo, all -> ENDING; end of input ->
    CLOSED.

    * lingers: the writing side is shut and input is thrown away until the peer closes too. Closing
      with unread input would make the kernel reset the connection, and that could destroy the
      close frame.
"""

from __future__ import annotations

import codecs
import os
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import ConnectionClosed, ProtocolError
from ..wire import (
    ABNORMAL,
    ANSWER_WINDOW,
    ANSWERING,
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
    EVENTS,
    HELD,
    INTERNAL_ERROR,
    INVALID_DATA,
    MAX_CONTROL_PAYLOAD,
    MAX_HEAD,
    MAX_REQUEST_LINE,
    MIN_BODY_RATE,
    MIN_READ_RATE,
    NO_STATUS,
    NORMAL,
    OPEN,
    OPENING,
    PAUSE_BODY,
    PAUSE_HELD,
    PAUSE_TURN,
    PAUSE_WRITE,
    PENDING,
    PING,
    POLICY_VIOLATION,
    PONG,
    PROTOCOL_ERROR,
    QUEUED,
    SENT,
    SERVER,
    SLOW_CONSUMER,
    TEXT,
    TIMES_STORED,
    TOO_BIG,
    TRANSLATED,
    WEBSOCKET,
    SendResult,
    is_sendable_code,
)
from .frames import Frame, _close_payload, _masked, _opcode_and_payload, encode_frame
from .sockets import _address_text

if TYPE_CHECKING:
    from ..interfaces import Sink
    from .turn import Turn

GATHER_SIZE = 64 * 1024  # bytes of small frames joined for one write

_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_NO_REQUEST = re.compile(rb"[^!-~\r\n]")  # begins so: with a byte of no method and no empty line

_ASKED = 1  # a request has come

_RESTING = 2  # a sweep saw the connection wait for the next

# What came is being handled, and more has come meanwhile: a handler runs a loop in the server's.
_READING, _INTERRUPTED = 1, 2

MAX_FRAMES = 256  # frames of one peer handled in one turn

REQUEST_FRAMES = 32  # a request counts like so many

INFLATED_FRAME = 1024  # bytes inflated that count like one

MAX_PONGS = 4096  # bytes of pongs that may leave with one write

ROUNDING = 1e-6  # seconds that adding up times may be off by

MAX_EMPTY_FRAGMENTS = 65536  # of one message; they cost no memory and need a bound of their own

_RESULTS = (SENT, QUEUED, DROPPED)

_ACCEPTED, _BEHIND, _REFUSED = 0, 1, 2  # indexes of _RESULTS


class Connection:
    """One peer, from the first byte of its request head to the last byte of its close frame.

    `sink` is None for a connection that a `Poller` accepted until it has a descriptor. A client
    role connection masks what it sends and refuses masked frames (RFC 6455 §5.1).
    """

    __slots__ = (
        "_acknowledged",
        "_asked",
        "_begun",
        "_begun_frames",
        "_begun_offset",
        "_blocked",
        "_bought_until",
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
        "_ping_frame",
        "_ping_at",
        "_ping_number",
        "_plan",
        "_pong",
        "_reading",
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
        "_wants_drain",
        "bytes_received",
        "bytes_sent",
        "close_code",
        "close_reason",
        "_codec",
        "id",
        "_kind",
        "_last_pong",
        "messages_dropped",
        "messages_received",
        "messages_sent",
        "missed_pongs",
        "_holds_close",
        "_opened",
        "_opened_at",
        "peername",
        "_phase",
        "_ping_rtt",
        "_ping_sent",
        "_role",
        "_sink",
        "_spent",
        "_turn",
    )

    def __init__(self, turn: Turn, sink: Sink | None = None, role: int = SERVER) -> None:
        self._turn = turn
        self._sink: Any = sink
        self._role = role
        self._kind = WEBSOCKET  # of wire, once it is open
        self.id = ""  # set by the owner before the connection joins a room
        self._plan: Any = None  # of a Dispatch: which handlers run
        self._inbox: Any = None  # of a Dispatch: what waits for a handler; None while none runs
        self._codec: Any = None  # message compression, set by `use_codec`
        self._pack: Any = None  # the codec's, when frames are compressed as they leave
        self.peername: Any = None  # as socket.getpeername gives it
        self._remote: str | None = None  # as set
        self._phase = OPENING
        self._opened = False  # whether it ever was a WebSocket
        self._holds_close = False  # whether the handler answers the peer's close
        self._asked = 0  # or whether something was asked, and it rests since
        self._opened_at = 0.0  # clock reading of the upgrade; 0 before
        self.close_code = 0  # 0 until a close begins
        self.close_reason = ""
        self._last_pong = 0.0  # clock reading; 0 before the first
        self.missed_pongs = 0  # pings in a row without an answer
        self._ping_sent = 0.0  # clock reading of the latest ping
        self._ping_rtt = 0.0  # seconds; of the latest ping that was answered
        self.messages_received = 0
        self.messages_sent = 0
        self.messages_dropped = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        # Input.
        self._pending = bytearray()  # unparsed: part of a head, a header or a control frame
        self._paused = 0  # PAUSE_* bits
        self._resuming = False
        self._spent = 0  # frames of its share that were used before it was held
        self._reading = 0  # or _READING, _INTERRUPTED
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
        self._begun_frames = 0  # data frames in `_begun`, or 1 piece of an HTTP answer
        self._pong: bytes | None = None
        self._ping_frame: bytes | None = None
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
        self._bought_until = 0.0  # by what the peer took: no wait begins before
        self._acknowledged = 0  # of `bytes_sent`, by the peer, when we last looked
        self._ping_at = -1.0
        self._ping_number = 0
        turn._connections[self] = None

    # Views.

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent: after the upgrade, before either side closes."""
        return self._phase == OPEN

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
    def _is_full(self) -> bool:
        """Whether the queue has reached one of its limits."""
        return self._is_full_for(1)

    @property
    def _needs_drain(self) -> bool:
        """Whether `drain` waits: more than half of a limit has not left."""
        limits = self._turn.limits
        return (
            self.queued_messages * 2 > limits.queue_messages
            or self.queued_bytes * 2 > limits.queue_bytes
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

    def _write(self, data: bytes) -> bool:
        """Send HTTP bytes behind those that wait; return whether more may be written at once.

        They are taken in any case, and leave before any frame. After False the writer should wait
        until the handler's `drain`, which it asks for by `want_drain`.
        """
        self._turn.check_thread("write")
        if self._phase >= OPEN:
            return True
        self._ring.append(data)
        self._ring_bytes += len(data)
        self._mark()
        if self.queued_bytes >= ANSWER_WINDOW:
            self._flush()
        return self.queued_bytes < ANSWER_WINDOW

    def _upgrade(self, kind: int = WEBSOCKET) -> None:
        """From now on both sides speak frames (RFC 6455 §4.2.2, step 5).

        With kind EVENTS it stays an HTTP answer, whose head was written: messages leave as its
        codec writes them, a ping is the codec's `comment`, the end its `end(code, reason)`, and
        what the peer sends means nothing any more: its messages come by `receive`. With TRANSLATED
        both speak frames, and the codec writes ours, pings (of which none is sent unasked) and the
        end too; a queue that stays full ends the connection, whatever the policy. The last two hold
        for an HTTP answer with TRANSLATED_EVENTS.
        """
        self._turn.check_thread("upgrade")
        if self._phase > HELD:
            return
        if kind != WEBSOCKET and self._codec is None:
            raise RuntimeError("a wire of that kind needs a codec")
        self._keep_answer_apart()
        self._kind = kind
        self._phase = OPEN
        self._opened = True
        self._opened_at = self._turn.clock()
        self._since = -1.0
        self._resume(PAUSE_HELD)

    def _keep_answer_apart(self) -> None:
        """Take what HTTP has queued out of the ring, which is the messages' from now on.

        No limit, policy or codec of theirs touches it there, and no pong goes before it.
        """
        self._begun = b"".join([self._begun[self._begun_offset :], *self._ring])
        self._begun_offset = self._begun_frames = 0
        self._ring.clear()
        self._ring_bytes = 0

    def _use_codec(self, codec: Any) -> None:
        """Compress messages (RFC 7692), or write events. Of a WebSocket called before `upgrade`.

        `codec` has `encode(frame) -> bytes`, the frame to queue; `decode(payload, limit) -> bytes`;
        and, if it compresses frames as they leave, `pack(frame_bytes) -> bytes`.
        """
        self._turn.check_thread("use_codec")
        self._codec = codec
        self._pack = getattr(codec, "pack", None)

    def _write_through(self, fd: int, is_closing: Callable[[], bool] | None) -> None:
        """Write to the sink's descriptor first, and give the sink only what that does not take.

        To be taken back, with -1, while bytes wait in the sink. `is_closing()` says whether the
        sink has closed the descriptor or is about to.
        """
        self._turn.check_thread("write_through")
        # From Python the sink's own way is no longer.

    def _expect_head(self) -> None:
        """The request is answered; read the next one. A peer that ended its side is closed."""
        self._turn.check_thread("expect_head")
        if self._eof:
            self._finish()
        elif self._phase < OPEN:
            self._phase = OPENING
            self._since = -1.0
            self._resume(PAUSE_HELD)

    def _expect_body(self) -> None:
        """What follows the head goes to the handler's `data`."""
        self._turn.check_thread("expect_body")
        if self._phase > HELD:
            return
        self._phase = BODY
        self._since = -1.0
        self._resume(PAUSE_HELD)

    def _hold(self) -> None:
        """Keep what follows until the next step is known, and read no more once something does.

        Until then the peer's end is heard, and told to the handler by `ended`: a peer may end its
        side and still read an answer.
        """
        self._turn.check_thread("hold")
        if self._phase <= HELD:
            self._phase = HELD

    def _finish(self) -> None:
        """Send what is queued, then close. For HTTP; a WebSocket is ended by `close`.

        One that waits for a request, with nothing asked or queued, is closed at once.
        """
        self._turn.check_thread("finish")
        if self._phase < ENDING:
            is_idle = self._phase == OPENING and not self._pending and not self._has_output()
            self._end(linger=not is_idle)

    # Bytes in.

    def _feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes of the peer, in any pieces, and call the handler for each whole thing."""
        self._turn.check_thread("feed")
        self.bytes_received += len(data)
        self._turn.counters.bytes_received += len(data)
        if self._phase >= ENDING:
            return
        if self._reading:
            self._pending += data
            self._interrupt()
            return
        if self._turn.limits._is_rated:
            self._turn._read_at = self._turn.clock()
        self._reading = _READING
        try:
            if self._pending:
                self._pending += data
                data = self._pending
                self._pending = bytearray()  # what calls below put back stands after what is left
            pending = bytes(data)
            used = self._parse(pending)
            if self._phase < ENDING and used < len(pending):
                self._pending = bytearray(pending[used:]) + self._pending
        except ProtocolError as exc:
            self._fail_or_cut(exc.code, exc.reason)
        except BaseException as exc:  # a codec's, no memory: where the stream stands is unknown
            self._turn._failed(self, exc)
            self._fail_or_cut(INTERNAL_ERROR, "internal error")
        finally:
            was_interrupted = self._reading == _INTERRUPTED
            self._reading = 0
        if was_interrupted and self._phase < ENDING:
            self._turn._note(self._turn._resumed, self)
            self._turn.schedule()

    def _interrupt(self) -> None:
        """Have `_handle_held` come once what is being read is handled, and no input before it."""
        self._reading = _INTERRUPTED
        if not self._resuming:
            self._resuming = True
            if not self._paused and self._sink is not None:
                self._sink.pause_reading()

    def _parse(self, data: bytes) -> int:
        """Go through `data` as far as possible and return how much of it was used.

        Tiny frames are many in one read, compressed ones hold much, and some ask for much; what a
        turn does for one peer is bounded by all of it, counted in frames (`Turn.charge`), so that
        the others wait for a millisecond and not for all that came. A request that is held goes on
        with the share it has begun: its answer may come within the turn, and then the next.
        """
        count, self._spent = self._spent, 0
        used = self._turn.weight = 0
        while not self._paused:
            if count + self._turn.weight >= MAX_FRAMES and used < len(data):
                self._pause_reading(PAUSE_TURN)
                self._turn._note(self._turn._rested, self)
                self._turn.schedule()
                break
            count += 1
            if self._phase == OPENING:
                taken = self._parse_head(data, used)
                count += REQUEST_FRAMES - 1
            elif self._phase == BODY:
                taken = self._parse_body(data, used)
                if self._phase == BODY and taken < len(data) - used:
                    count += MAX_FRAMES  # the handler gave it the share that is its
            elif self._phase in (OPEN, CLOSING):
                if self._kind & EVENTS:
                    return len(data)
                taken = self._parse_frame(data, used)
            elif self._phase == HELD:  # something follows
                if used < len(data):
                    self._pause_reading(PAUSE_HELD)
                    self._spent = count - 1 + self._turn.weight
                break
            else:
                return len(data)
            if not taken:
                break
            used += taken
        return used

    def _parse_head(self, data: bytes, start: int) -> int:
        # RFC 9112 §2.2: empty lines before a request line are ignored.
        blank = _EMPTY_LINES.match(data, start)
        skipped = start if blank is None else blank.end()
        # A bare LF ends a line for us too, so that the parser of heads can refuse it at once.
        blank_lines = (b"\n\r\n", b"\n\n")
        found = [(data.find(text, skipped, skipped + MAX_HEAD), text) for text in blank_lines]
        end = min([at + len(text) for at, text in found if at >= 0], default=0)
        line = data.find(b"\n", skipped, skipped + MAX_REQUEST_LINE + 2)  # with its CRLF
        if _NO_REQUEST.match(data, skipped):
            # The hello of TLS, say, which has no line that ends: its first byte is refused at once.
            line, end = skipped, skipped + 1
        if line < 0 and len(data) - skipped >= MAX_REQUEST_LINE + 2:
            self._refuse(414)
        elif not end and len(data) - skipped >= MAX_HEAD:
            self._refuse(431)
        elif not end:
            return skipped - start
        elif self._answers_pile_up():
            self._pause_reading(PAUSE_WRITE)
            return skipped - start
        elif self._phase == OPENING:
            self._since = -1.0
            self._asked = _ASKED
            self._turn._call(self._turn.handler.request, self, data[skipped:end])
            return end - start
        return len(data) - start

    def _answers_pile_up(self) -> bool:
        """Whether the peer must read answers before it may ask more.

        Pipelined requests of one read are answered within one turn: what is ready to leave is
        bounded here, the peer's reading elsewhere.
        """
        if self._ring_bytes >= GATHER_SIZE:
            self._flush()
        return self._blocked

    def _refuse(self, status: int) -> None:
        self._turn._call(self._turn.handler.refuse, self, status)
        self._finish()

    def _parse_body(self, data: bytes, start: int) -> int:
        if start == len(data):
            return 0
        taken: int = self._turn._call(self._turn.handler.data, self, data[start:]) or 0
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
        if first & 0x30 or (rsv1 and (self._codec is None or opcode & 8 or not opcode)):
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
        if bool(masked) == (self._role == CLIENT):
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
        limit = self._turn.limits.max_message_size
        return limit + (limit >> 8) + 64 if rsv1 or self._message_rsv1 else limit

    def _too_big(self) -> str:
        return f"message is larger than {self._turn.limits.max_message_size} bytes"

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
        if self._phase == OPEN:
            turn = self._turn
            self.messages_received += 1
            turn.counters.messages_received += 1
            if turn.limits._is_rated and not self._is_within_rates(size):
                return
            turn.current = self
            turn._call(turn.handler.message, self, opcode, message)
            turn.current = None

    def _receive(self, message: str | bytes) -> bool:
        """Take a message of the peer's that came by another way than this wire.

        False when it is not to come now, because reading is paused or the rate is used up: nothing
        has happened then. Raises ConnectionClosed when not open.
        """
        turn = self._turn
        turn.check_thread("receive")
        if self._phase != OPEN:
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        if self._paused:
            return False
        size = len(message.encode() if isinstance(message, str) else message)
        if turn.limits._is_rated:
            turn._read_at = turn.clock()
            try:
                if not self._is_within_rates(size):
                    return False
            except ProtocolError as exc:
                self._begin_close(exc.code, exc.reason)
                return False
        self.bytes_received += size
        turn.counters.bytes_received += size
        self.messages_received += 1
        turn.counters.messages_received += 1
        before, turn.current = turn.current, self
        opcode = TEXT if isinstance(message, str) else BINARY
        turn._call(turn.handler.message, self, opcode, message)
        turn.current = before
        return True

    def _is_within_rates(self, size: int) -> bool:
        """Take a message of so many bytes from the buckets; False for one that is to be dropped.

        A message larger than the burst needs a full bucket and leaves it in debt. Nothing is taken
        for a message that is dropped, so a client that goes on too fast keeps its rate.
        """
        limits, now = self._turn.limits, self._turn._read_at
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
        self._turn.counters.dropped_rate += 1
        if limits.rate_disconnects:
            raise ProtocolError(POLICY_VIOLATION, "rate limit exceeded")
        return False

    def _inflate(self, payload: bytes) -> bytes:
        limit = self._turn.limits.max_message_size
        data: bytes = self._codec.decode(payload, limit)  # raises ProtocolError
        self._turn.weight += len(data) // INFLATED_FRAME
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
            self._last_pong = self._turn.clock()
            if number == self._ping_number:
                self._ping_rtt = self._last_pong - self._ping_sent
                self._turn.counters.ping_rtt_seconds.observe(self._ping_rtt)
            self.missed_pongs = 0
            self._turn.counters.pongs_received += 1

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
        if self._phase == OPEN:
            # RFC 6455 §5.5.1: the endpoint typically echos the status code it received. So browsers
            # tell their page the reason it gave, and other servers have it.
            self.close_code, self.close_reason = code, reason
            if self._holds_close:
                self._phase = ANSWERING
                self._since = -1.0
                self._forget_message()
                self._forget_wait()
                self._turn._call(self._turn.handler.closing, self, code, reason)
                return
            said = payload if self._role == SERVER else payload[:2]
            self._close_frame = self._encode(CLOSE, said)
        self._end(linger=self._role == CLIENT)  # RFC 6455 §7.1.1: the server closes TCP first

    def _feed_eof(self) -> None:
        """The peer ended its side."""
        self._turn.check_thread("feed_eof")
        if self._eof:
            return
        if self._phase == HELD:
            self._eof = True
            self._pause_reading(PAUSE_HELD)  # there is nothing more to read
            self._turn._call(self._turn.handler.ended, self)
        elif self._reading and self._phase < ENDING:
            self._eof = True
            self._interrupt()
        elif self._phase == OPENING and (self._begun or self._ring):
            self._finish()  # a peer may shut its side after asking and still read the answer
        elif self._phase < CLOSED:
            self._close_now()

    def _lost(self) -> None:
        """The transport is gone."""
        self._turn.check_thread("lost")
        if self._phase < CLOSED:
            self._close_now()

    def _pause_reading(self, why: int) -> None:
        """Handle no more input until `resume_reading` has been called for every PAUSE_* bit."""
        self._turn.check_thread("pause_reading")
        if not self._paused and not self._resuming and self._sink is not None:
            self._sink.pause_reading()
        self._paused |= why

    def _resume_reading(self, why: int) -> None:
        """Take back one PAUSE_* bit. Held-back input is handled at the end of the turn.

        New input is let in only after that: else more could come between two turns than one of
        them handles, and what is held would grow.
        """
        self._turn.check_thread("resume_reading")
        self._resume(why)

    def _resume(self, why: int) -> None:
        if not self._paused & why:
            return
        if why & PAUSE_BODY:
            self._since = -1.0  # what was not read meanwhile was not late
        self._paused &= ~why
        if not self._paused and not self._resuming and self._phase < ENDING:
            self._resuming = True
            self._turn._note(self._turn._resumed, self)
            self._turn.schedule()

    def _handle_held(self) -> None:
        """Handle the input that was held back, then read on, unless it made us pause again."""
        if self._reading:
            self._interrupt()
            return
        self._feed(b"")
        self._resuming = False
        if not self._paused and self._phase < ENDING:
            if self._eof:  # heard while it was held, and nothing is left before it
                self._close_now()
            elif self._sink is not None:
                self._sink.resume_reading()

    # Messages out.

    def send(self, message: Any) -> SendResult:
        """Send str as a text frame, bytes as a binary one, a Message as its JSON.

        Never blocks; a full queue follows the queue policy. From another thread the message is
        handed over in order, and the result is pending. Raises ConnectionClosed when not open.
        """
        turn = self._turn
        if threading.get_ident() != turn.owner:
            turn.post(self.send, message)
            return PENDING
        if self._phase != OPEN:
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        if self._codec is not None or self._role != CLIENT:
            data = self._data_of(Frame(message))
        else:  # the masked frame is the only one
            data = self._encode(*_opcode_and_payload(message))
        if not self.is_open:  # closed by the message's own `to_json`
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        turn._displaced = 0
        result = _RESULTS[self._push(data)]
        return SendResult(*result, displaced=turn._displaced) if turn._displaced else result

    def _answer(self, message: Any) -> bool:
        """Send what must not be lost: no policy drops it, nor what waits before it.

        While it waits for a peer that does not read, nothing is read from that. Returns whether
        more may be sent so; after False whoever does should `drain` first, for there is no limit.
        Raises ConnectionClosed when not open.
        """
        self._turn.check_thread("answer")
        if self._phase != OPEN:
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        data = self._data_of(Frame(message))
        if not self.is_open:  # closed by the message's own `to_json`
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        self._ring.append(data)
        self._ring_bytes += len(data)
        try:
            self._keep_ring()
        except BaseException as exc:  # a codec's: nothing can be sent any more
            self._turn._failed(self, exc)
            self._close_now()
            return False
        self._mark()
        if self._blocked or len(self._begun) - self._begun_offset >= GATHER_SIZE:
            self._flush()
            if self._blocked:
                self._pause_reading(PAUSE_WRITE)
                return False
        return True

    def _keep_ring(self) -> None:
        """Take what is queued for begun, so that it leaves whatever comes."""
        parts = [self._begun[self._begun_offset :]]
        frames = self._begun_frames + len(self._ring)
        while self._ring:
            data = self._pop_ring()
            parts.append(data if self._pack is None else self._pack(data))
        self._begun, self._begun_offset, self._begun_frames = b"".join(parts), 0, frames

    def _ping(self) -> None:
        """Send a ping and count it as unanswered. A ping still waiting is replaced.

        Does nothing unless the connection is open. May be called from any thread.
        """
        if self._turn.hand_over(self._ping) or self._phase != OPEN:
            return
        if self._kind == WEBSOCKET:
            self._ping_number = (self._ping_number + 1) & 0xFFFFFFFF
            self._ping_frame = self._encode(PING, self._ping_number.to_bytes(4, "big"))
            self.missed_pongs += 1
        else:  # which no pong answers
            self._ping_frame = self._codec.comment
        self._ping_sent = self._turn.clock()
        self._turn.counters.pings_sent += 1
        self._mark()

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin the closing handshake; what is queued leaves first. Does nothing when it has begun.

        It answers the peer's close where that waits for an answer, see `Handler.closing`. A reason
        longer than 123 bytes of UTF-8 is cut. Raises ValueError for a code that may not be sent
        (RFC 6455 §7.4). May be called from any thread.
        """
        if not is_sendable_code(code):
            raise ValueError(f"close code {code} may not be sent")
        if not self._turn.is_owner():
            self._turn.post(self.close, code, reason)
        elif self._phase < OPEN:
            self._finish()
        elif self._phase == OPEN:
            self._begin_close(code, reason)
        elif self._phase == ANSWERING:
            self._answer_close_by(code, reason)

    def _answer_close(self) -> None:
        """Answer the peer's close by what it said, if the handler's `closing` left it unanswered.

        May be called from any thread.
        """
        if not self._turn.hand_over(self._answer_close) and self._phase == ANSWERING:
            self._answer_close_by(self.close_code, self.close_reason)

    def abort(self) -> None:
        """Drop the connection at once, without a close frame. May be called from any thread."""
        if not self._turn.hand_over(self.abort) and self._phase < CLOSED:
            if self._sink is not None:
                self._sink.abort()
            self._close_now()

    def _want_drain(self) -> None:
        """Have the handler's `drain` called once the queue has room again."""
        self._turn.check_thread("want_drain")
        self._wants_drain = True

    def _encode(self, opcode: int, payload: bytes) -> bytes:
        key = os.urandom(4) if self._role == CLIENT else None
        return encode_frame(opcode, payload, key=key)

    def _data_of(self, frame: Frame) -> bytes:
        if self._codec is not None and not frame.is_final:
            data: bytes = self._codec.encode(frame)
            return data
        return self._encode(frame.opcode, frame.payload) if self._role == CLIENT else frame.data

    def _push(self, data: bytes) -> int:
        """Queue a frame; return the index of its SendResult. Runs no user code."""
        if self._is_full_for(1):
            self._flush()
            if self._phase != OPEN:
                return _REFUSED
            if self._is_full_for(1) and not self._make_room():
                self.messages_dropped += 1
                return _REFUSED
        self._ring.append(data)
        self._ring_bytes += len(data)
        self._mark()
        return _BEHIND if self._blocked else _ACCEPTED

    def _push_or_cut(self, frame: Frame) -> int:
        """As `_push`, for one of many: without memory this one ends, and the others get theirs."""
        try:
            return self._push(self._data_of(frame))
        except MemoryError as exc:
            self._turn._failed(self, exc)
            self._close_now()
            return _REFUSED

    def _is_full_for(self, times: int) -> bool:
        """Whether the queue has reached so many times one of its limits.

        Bytes of what is being sent do not count, for its reader takes them: it is one message. Nor
        do those of the newest message that alone is larger than the limit: it comes next, or soon,
        and until then it must not make those that follow it displace each other.
        """
        limits, waiting = self._turn.limits, self._ring_bytes
        if len(self._ring) + bool(self._begun_frames) >= limits.queue_messages * times:
            return True
        if waiting < limits.queue_bytes * times:
            return False
        large = self._outsize()
        if large >= 0:
            waiting -= len(self._ring[large])
        return waiting >= limits.queue_bytes * times

    def _outsize(self) -> int:
        """Where the newest frame is that is larger than `queue_bytes`; -1: there is none."""
        limit, place = self._turn.limits.queue_bytes, len(self._ring)
        for data in reversed(self._ring):
            place -= 1
            if len(data) > limit:
                return place
        return -1

    def _displace(self) -> None:
        """Drop the oldest message that counts against the limits."""
        place = 1 if len(self._ring) > 1 and self._outsize() == 0 else 0
        self._ring_bytes -= len(self._ring[place])
        del self._ring[place]
        self.messages_dropped += 1
        self._turn._displaced += 1
        self._turn.counters.dropped_oldest += 1

    def _make_room(self) -> bool:
        """Apply the policy to a queue the sink would not take; return whether there is room."""
        limits, counters = self._turn.limits, self._turn.counters
        policy = DISCONNECT if self._kind & TRANSLATED else limits.queue_policy
        self._wants_drain = True
        if policy == DROP_OLDEST:
            while self._ring and self._is_full_for(1):
                self._displace()
            return True
        if policy == DROP_NEWEST:
            counters.dropped_newest += 1
            return False
        if policy == DISCONNECT:
            counters.dropped_disconnect += 1
            self._turn._displaced += len(self._ring)
            self._evict()
            return False
        assert policy == BLOCK
        if self._is_full_for(2):
            counters.dropped_block += 1
            return False
        self._turn._call(self._turn.handler.full, self)
        return True

    def _evict(self) -> None:
        """Close a slow consumer: all but the frame begun is dropped."""
        self.messages_dropped += len(self._ring)
        self._turn.counters.dropped_disconnect += len(self._ring)
        self._ring.clear()
        self._ring_bytes = 0
        self._bought_until = 0.0
        self._begin_close(SLOW_CONSUMER, CLOSE_REASONS[SLOW_CONSUMER])

    # Bytes out.

    def _mark(self) -> None:
        if not self._dirty:
            self._dirty = self._turn._note(self._turn._dirty, self)
            self._turn.schedule()

    def _flush(self) -> bool | None:
        """Give the sink what is queued until it is full; return whether everything has left.

        Control frames go between data frames, never into one; the close frame goes last. From
        another thread the call is handed over and None is returned.
        """
        if self._turn.hand_over(self._flush):
            return None
        was_blocked, self._blocked = self._blocked, False
        try:
            while self._has_output() and not self._blocked:
                if self._pack is not None and self._ring and not self._begun:
                    self._pack_ring()
                buffers = self._gather()
                taken = self._sink.writev(buffers)
                if self._phase == CLOSED:  # a sink may say that by `lost`, too
                    return True
                self._blocked = taken < sum(map(len, buffers))
                self._taken(taken)
        except OSError:
            self._close_now()
            return True
        except BaseException as exc:  # a codec's or the sink's: nothing can be sent any more
            self._turn._failed(self, exc)
            self._close_now()
            return True
        if self._wants_drain and self._has_room():
            self._drained()
        if self._blocked != was_blocked:
            self._since = -1.0
        if self._blocked:
            return False
        self._resume(PAUSE_WRITE)
        if self._phase == ENDING:
            self._shut_down()
        return True

    def _has_room(self) -> bool:
        """Whether the queue is down to a quarter of its limits: who waits for room may go on."""
        limits = self._turn.limits
        if not self._opened:
            return self.queued_bytes * 2 <= ANSWER_WINDOW
        return (
            self.queued_messages * 4 <= limits.queue_messages
            and self.queued_bytes * 4 <= limits.queue_bytes
        )

    def _has_output(self) -> bool:
        return bool(
            self._begun or self._pong or self._ping_frame or self._ring or self._close_frame
        )

    def _gather(self) -> list[bytes | memoryview]:
        """The next things to write, in order, until they are worth one write."""
        buffers: list[bytes | memoryview] = []
        size = 0
        if self._begun:
            buffers.append(memoryview(self._begun)[self._begun_offset :])
            size = len(buffers[0])
        for control in (self._pong, self._ping_frame):
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
        self._turn.counters.bytes_sent += taken
        if taken == self._ring_bytes and not (self._begun or self._pong or self._ping_frame):
            if self._opened:
                self.messages_sent += len(self._ring)
                self._turn.counters.messages_sent += len(self._ring)
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
        elif self._ping_frame:
            data, self._ping_frame = self._ping_frame, None
        elif self._ring:
            return self._pop_ring(), 1
        else:
            assert self._close_frame is not None
            data, self._close_frame = self._close_frame, None
        return data, 0

    def _pop_ring(self) -> bytes:
        data = self._ring.popleft()
        self._ring_bytes -= len(data)
        if self._opened:
            self.messages_sent += 1
            self._turn.counters.messages_sent += 1
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
        self._wants_drain = not self._turn._note(self._turn._drained, self)
        self._turn.schedule()

    # The end.

    def _set_close(self, code: int, reason: str) -> None:
        if self._kind == WEBSOCKET:
            self._close_frame = self._encode(CLOSE, _close_payload(code, reason))
        else:
            self._close_frame = self._codec.end(code, reason)

    def _begin_close(self, code: int, reason: str) -> None:
        self._set_close(code, reason)
        self.close_code, self.close_reason = code, reason
        if self._kind & EVENTS:
            self._end(linger=True)  # no peer answers that
            return
        self._phase = CLOSING
        self._since = -1.0
        self._forget_wait()
        self._resume(self._paused)  # the peer's close frame must be read
        self._mark()

    def _answer_close_by(self, code: int, reason: str) -> None:
        self._set_close(code, reason)
        self._end(linger=self._role == CLIENT)

    def _fail_or_cut(self, code: int, reason: str) -> None:
        """As `_fail`; without memory for a close frame the peer sees none."""
        try:
            self._fail(code, reason)
        except MemoryError as exc:
            self._turn._failed(self, exc)
            self._close_now()

    def _fail(self, code: int, reason: str) -> None:
        """The peer broke the protocol (RFC 6455 §7.1.7)."""
        if self._phase >= ENDING:
            return
        if self._phase == OPEN:
            self._set_close(code, reason)
            self.close_code, self.close_reason = code, reason
        self._end(linger=True)

    def _end(self, *, linger: bool) -> None:
        self._phase = ENDING
        self._linger = linger
        self._since = -1.0
        self._pending = bytearray()
        self._forget_message()
        self._forget_wait()
        if (self._paused or self._resuming) and self._sink is not None and not self._eof:
            self._sink.resume_reading()  # to hear the peer's end
        self._paused = 0
        self._mark()

    def _shut_down(self) -> None:
        """Everything has left a connection that is ENDING."""
        if not self._linger or self._eof:
            self._close_now()
        elif not self._shut:
            self._shut = True
            try:
                self._sink.shutdown()
            except OSError:
                self._close_now()

    def _forget_wait(self) -> None:
        """Whoever waits for room here waits no longer."""
        if self._wants_drain:
            self._drained()

    def _close_now(self) -> None:
        if self._phase == CLOSED:
            return
        if not self.close_code:
            self.close_code = ABNORMAL
        self._phase = CLOSED
        try:
            self._release()
            if self._turn._note(self._turn._closed, self):
                self._turn._connections.pop(self, None)
        except MemoryError:
            self._turn._has_missed = True
        self._turn.schedule()

    def _release(self) -> None:
        """Let go of all that it holds, and of the sink."""
        self._ring.clear()
        self._ring_bytes = 0
        self._begun, self._begun_offset, self._begun_frames = b"", 0, 0
        self._pong = self._ping_frame = self._close_frame = None
        self._pending = bytearray()
        self._forget_message()
        self._blocked = False
        self._forget_wait()
        if self._sink is not None:
            try:
                self._sink.close()
            except Exception as exc:
                self._turn._failed(self, exc)

    def _catch_up(self) -> None:
        """Note what there was no memory to note."""
        turn = self._turn
        if self._phase == CLOSED:
            self._release()
            if turn._note(turn._closed, self):
                turn._connections.pop(self, None)
        elif self._resuming and self not in turn._resumed:
            turn._note(turn._resumed, self)
        elif self._paused & PAUSE_TURN and self not in turn._rested:
            turn._note(turn._rested, self)
        if self._wants_drain and (self._phase > OPEN or self._has_room()):
            self._drained()
        if not self._blocked and self._has_output():
            self._mark()
        turn.schedule()

    # Time.

    def _sweep(self, now: float) -> None:
        limits = self._turn.limits
        # A full send buffer frees in big steps. What the peer has acknowledged tells of each.
        is_judged = self._blocked or self._phase in (CLOSING, ENDING)
        if is_judged and self._phase != ANSWERING:
            self._reckon(now)
        if self._since < 0 or self._since > now:  # nobody has time in store
            self._since = now
        waited = now - self._since
        if self._phase == OPEN:
            if self._blocked and waited >= limits.write_timeout:
                self._evict()
            elif limits.ping_interval:
                self._keep_alive(now)
        elif self._phase == ANSWERING:
            if waited >= limits.close_timeout:
                self._answer_close()
        elif self._phase in (CLOSING, ENDING):
            if waited >= limits.close_timeout:
                self.abort()
        elif self._blocked:
            if waited >= limits.write_timeout:
                self.abort()
        elif self._phase == OPENING and self._asked and self._rests(now):
            if now - self._since >= limits.keep_alive_timeout:
                self._finish()
        elif self._phase != HELD and now - self._since >= limits.head_timeout:
            if self._paused & PAUSE_BODY:
                self._since = now  # it waits for us
            elif self._pending or self._phase == BODY:
                self._refuse(408)
            else:
                self._finish()  # nothing was asked: nothing is answered

    def _rests(self, now: float) -> bool:
        """Whether it was served and asks for nothing; a head has its time once it has begun."""
        if not self._pending:
            self._asked = _RESTING
        elif self._asked == _RESTING:
            self._asked = _ASKED
            self._since = now
        return self._asked == _RESTING

    def _reckon(self, now: float) -> None:
        """Let what the peer has taken buy it time, and let none pass that is bought."""
        limits = self._turn.limits
        took = self._takes_more()
        if took > 0:
            self._since = -1.0
            if self._phase != OPEN or limits.queue_policy != BLOCK:  # else others wait for it
                begin = max(self._bought_until, now)
                self._bought_until = begin + took / MIN_READ_RATE
        self._bought_until = min(self._bought_until, now + limits.write_timeout * TIMES_STORED)
        if now < self._bought_until and (self._blocked or self._acknowledged < self.bytes_sent):
            self._since = -1.0

    def _takes_more(self) -> int:
        """The bytes that the peer has acknowledged since this was last asked."""
        before = self._acknowledged
        unsent = 0 if self._sink is None else self._sink.unsent()
        self._acknowledged = self.bytes_sent - unsent
        return self._acknowledged - before

    def _catches_up(self, now: float) -> bool:
        """Whether the peer still takes what lies before our ping, and cannot have answered it."""
        limits = self._turn.limits
        if self._blocked:  # the sweeps look, and judge by the write timeout, if that is no longer
            return now - self._since < limits.ping_interval * (limits.max_missed_pongs + 1)
        return self._takes_more() > 0 and self._acknowledged < self.bytes_sent

    def _keep_alive(self, now: float) -> None:
        if self._kind & TRANSLATED:
            return  # whoever translates pings
        interval = self._turn.limits.ping_interval
        if self._ping_at < 0:
            self._ping_at = now + interval
        elif now >= self._ping_at:
            self._ping_at = now + interval
            is_behind = self._catches_up(now)
            if is_behind and self.missed_pongs:
                self.missed_pongs = 1  # the latest is still to be answered
                return
            if self.missed_pongs:
                self._turn.counters.pongs_missed += 1
            if self.missed_pongs >= self._turn.limits.max_missed_pongs:
                self._begin_close(INTERNAL_ERROR, "keep-alive timed out")
            else:
                self._ping()
