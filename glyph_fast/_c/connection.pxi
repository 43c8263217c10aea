# The connection: a machine between bytes and messages. `_pure/connection.py` begins with the table
# of its end.
#
# Where what waits to leave lies. Frames wait in `ring`, whose capacity is a power of two, as
# counted references: a broadcast puts the same frame into every member's. A connection without a
# ring may have its replies of this turn `staged`: they lie back to back in a buffer of the turn,
# and `ring_head` is their offset there. They move into a ring (`unstage`) when anything else has
# to wait with them. Everything that leaves outside this order is in `outgoing`, which exists only
# while there is some: the frame that is partly written (`begun`), one pong, one ping, the close
# frame. It leaves in that order: begun, pong, ping, ring, close.
#
# What may be taken back. Once a byte of a frame has left, the rest must follow, or the peer reads
# the next frame's head out of the middle of this one. So policies displace only what waits in the
# ring, and where a frame cannot be finished (`break_off`) the connection ends instead. The
# functions that end in `_now`, called through a `quiet_` type, give -1 with the exception set and
# let the caller decide: a `try` needs memory to get to its `except`, and may not.
#
# Who may run meanwhile. Any call into the handler can come back: it may send, close, join, and
# drop the last reference but the caller's. So phases are read again after each, and no pointer
# into a Python object is kept across one.

cdef enum:  # `asked`
    NOT_YET
    ASKED       # a request has come
    RESTING     # a sweep saw the connection wait for the next

cdef enum:  # `reading`
    NOT_READING
    READING         # what came is being handled
    INTERRUPTED     # and more has come meanwhile, by a loop that a handler runs inside the server's


cdef class Connection:
    """One peer, from the first byte of its request head to the last byte of its close frame.

    `sink` is None for a connection that a `Poller` accepted until it has a descriptor. A client
    role connection masks what it sends and refuses masked frames (RFC 6455 §5.1).
    """

    def __cinit__(self, Turn turn not None, sink=None, int role=SERVER):
        self.fd = -1
        self.is_made = True
        self._turn = turn
        self._sink = sink
        self._role = role
        self.id = ""
        self.close_reason = ""
        self.since = -1.0
        self.ping_at = -1.0
        turn.link(self)

    def __init__(self, *_args, **_named):
        pass  # see `Turn`

    def __dealloc__(self):
        self.free_buffers()
        if self.is_made and self.fd >= 0:  # not where the arguments were refused
            gf_close(self.fd)

    # Views.

    @property
    def is_open(self):
        """Whether messages can be sent: after the upgrade, before either side closes."""
        return self._phase == OPEN

    @property
    def queued_messages(self):
        """Messages that have not left, the one partly written included."""
        cdef Outgoing* out = self.outgoing
        return self.ring_count + (out.begun_frames if out != NULL else 0)

    @property
    def queued_bytes(self):
        """Bytes of those messages that have not left."""
        return self.waiting_bytes()

    cdef Py_ssize_t waiting_bytes(self):
        cdef Outgoing* out = self.outgoing
        cdef Py_ssize_t begun = 0
        if out != NULL and out.begun_frames:
            begun = PyBytes_GET_SIZE(<object>out.begun) - out.begun_offset
        return self.ring_bytes + begun

    @property
    def _is_full(self):
        """Whether the queue has reached one of its limits."""
        return self.is_full_for(1)

    @property
    def _needs_drain(self):
        """Whether `drain` waits: more than half of a limit has not left."""
        return (
            self.queued_messages * 2 > self._turn.limits.queue_messages
            or self.queued_bytes * 2 > self._turn.limits.queue_bytes
        )

    @property
    def peername(self):
        """The peer's address as socket.getpeername gives it, or None."""
        if self._peername is None and self.family:
            return peer_address(self.family, self.address, self.port)
        return self._peername

    @peername.setter
    def peername(self, value):
        self._peername = value

    @property
    def remote(self):
        """The client's address as text: what was set, else the peer's; None for a Unix socket."""
        cdef char text[ADDRESS_TEXT]
        if self._remote is not None:
            return self._remote
        if self._peername is None and gf_address_text(self.family, self.address, text):
            return address_text(PyUnicode_FromString(text))
        return address_text(self._peername[0]) if isinstance(self._peername, tuple) else None

    @remote.setter
    def remote(self, value):
        self._remote = value

    # Steps of the opening, for the handler's `request` and `data`.

    def _write(self, bytes data not None):
        """Send HTTP bytes behind those that wait; return whether more may be written at once.

        They are taken in any case, and leave before any frame. After False the writer should wait
        until the handler's `drain`, which it asks for by `want_drain`.
        """
        self._turn.check_thread("write")
        if self._phase >= OPEN:
            return True
        self.ring_append(data)
        if not self.dirty:
            self._turn.mark(self)
        if self.waiting_bytes() >= ANSWER_WINDOW:
            self.flush_now()
        return self.waiting_bytes() < ANSWER_WINDOW

    def _upgrade(self, int kind=WEBSOCKET):
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
        self.keep_answer_apart()
        self._kind = kind
        self._phase = OPEN
        self._opened = True
        self._opened_at = self._turn.clock()
        self.since = -1.0
        self.resume(PAUSE_HELD)

    cdef int keep_answer_apart(self) except -1:
        """Take what HTTP has queued out of the ring, which is the messages' from now on.

        No limit, policy or codec of theirs touches it there, and no pong goes before it.
        """
        cdef uint32_t i
        cdef Outgoing* out
        if self.ring_count:
            self.need_outgoing()
            out = self.outgoing
            if out.begun == NULL and self.ring_count == 1:
                out.begun = self.ring_pop()
            else:
                parts = [] if out.begun == NULL else [(<bytes>out.begun)[out.begun_offset:]]
                for i in range(self.ring_count):
                    parts.append(<object>self.ring[(self.ring_head + i) & (self.ring_capacity - 1)])
                whole = b"".join(parts)
                Py_INCREF(whole)
                Py_XDECREF(out.begun)
                out.begun = <PyObject*>whole
                out.begun_offset = 0
            self.ring_clear()
        if self.outgoing != NULL:
            self.outgoing.begun_frames = 0
        return 0

    def _use_codec(self, codec):
        """Compress messages (RFC 7692), or write events. Of a WebSocket called before `upgrade`.

        `codec` has `encode(frame) -> bytes`, the frame to queue; `decode(payload, limit) -> bytes`;
        and, if it compresses frames as they leave, `pack(frame_bytes) -> bytes`.
        """
        self._turn.check_thread("use_codec")
        self._codec = codec
        self.packs = hasattr(codec, "pack")

    def _write_through(self, int fd, is_closing):
        """Write to the sink's descriptor first, and give the sink only what that does not take.

        To be taken back, with -1, while bytes wait in the sink. `is_closing()` says whether the
        sink has closed the descriptor or is about to.
        """
        self._turn.check_thread("write_through")
        if self.fd < 0:
            self.fd = -2 - fd if fd >= 0 and GF_HAS_EPOLL else -1
            self._is_closing = is_closing

    def _expect_head(self):
        """The request is answered; read the next one. A peer that ended its side is closed."""
        self._turn.check_thread("expect_head")
        if self.eof:
            self._finish()
        elif self._phase < OPEN:
            self._phase = OPENING
            self.since = -1.0
            self.resume(PAUSE_HELD)

    def _expect_body(self):
        """What follows the head goes to the handler's `data`."""
        self._turn.check_thread("expect_body")
        if self._phase > HELD:
            return
        self._phase = BODY
        self.since = -1.0
        self.resume(PAUSE_HELD)

    def _hold(self):
        """Keep what follows until the next step is known, and read no more once something does.

        Until then the peer's end is heard, and told to the handler by `ended`: a peer may end its
        side and still read an answer.
        """
        self._turn.check_thread("hold")
        if self._phase <= HELD:
            self._phase = HELD

    def _finish(self):
        """Send what is queued, then close. For HTTP; a WebSocket is ended by `close`.

        One that waits for a request, with nothing asked or queued, is closed at once.
        """
        self._turn.check_thread("finish")
        if self._phase < ENDING:
            is_idle = (self._phase == OPENING and self.outgoing == NULL and not self.ring_count
                       and (self.incoming == NULL or not self.incoming.pending.size))
            self.end(not is_idle)

    # Bytes in.

    def _feed(self, data):
        """Take bytes of the peer, in any pieces, and call the handler for each whole thing."""
        self._turn.check_thread("feed")
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self.take(<const byte*>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cdef int take(self, const byte* data, Py_ssize_t size) except -1:
        if (<quiet_take>take_now)(self, data, size) < 0:
            self.break_off()
        return 0

    cdef int take_in(self, const byte* data, Py_ssize_t size) except -1:
        cdef Buffer held
        cdef Py_ssize_t used
        cdef bint was_interrupted
        self.bytes_received += size
        self._turn.counters.bytes_received += size
        if self._phase >= ENDING:
            return 0
        if self.reading:
            return self.keep_for_later(data, size)
        if self._turn.limits.is_rated:
            self._turn.read_at = self._turn.clock()
        held.data = NULL
        if self.incoming != NULL and self.incoming.pending.size:
            if not buffer_reserve(&self.incoming.pending, size):
                self._turn.failed(self, MemoryError())
                return self.fail_or_cut(INTERNAL_ERROR, "internal error")
            buffer_append(&self.incoming.pending, data, size)
            # Taken out while it is read: what is left, or comes meanwhile by a nested loop, is put
            # into a fresh buffer, and `incoming` itself may go. Nobody but this call frees it.
            held = self.incoming.pending
            memset(&self.incoming.pending, 0, sizeof(Buffer))
            data, size = held.data, held.size
        elif size == 0:
            return 0
        self.reading = READING
        try:
            used = self.parse(data, size)
            if used < size and self._phase < ENDING:
                self.need_incoming()
                if self.reading == INTERRUPTED:
                    buffer_prepend(&self.incoming.pending, data + used, size - used)
                else:
                    buffer_append(&self.incoming.pending, data + used, size - used)
        except ProtocolError as exc:
            self.fail_or_cut(exc.code, exc.reason)
        except BaseException as exc:  # a codec's, no memory: where the stream stands is unknown
            self._turn.failed(self, exc)
            self.fail_or_cut(INTERNAL_ERROR, "internal error")
        finally:
            free(held.data)
            self._turn.current = None
            was_interrupted = self.reading == INTERRUPTED
            self.reading = NOT_READING
        self.trim_incoming()
        if was_interrupted and self._phase < ENDING:
            self._turn.note(self._turn.resumed, self)
            self._turn.schedule()
        return 0

    cdef int keep_for_later(self, const byte* data, Py_ssize_t size) except -1:
        """Put what a nested loop brings behind what is being read, and read no more until then.

        It is handled at the end of a turn, once the call of `take` that is under way is over.
        """
        if size:
            self.need_incoming()
            buffer_append(&self.incoming.pending, data, size)
        self.interrupt()
        return 0

    cdef int interrupt(self) except -1:
        """Have `handle_held` come, and no more input before it."""
        self.reading = INTERRUPTED
        if not self.resuming:
            self.resuming = True
            if self.paused:
                pass  # nothing is read as it is
            elif self.fd >= 0:
                self.watch()
            elif self._sink is not None:
                self._sink.pause_reading()
        return 0

    cdef Py_ssize_t parse(self, const byte* data, Py_ssize_t size) except -1:
        """Go through `data` as far as possible and return how much of it was used.

        Tiny frames are many in one read, compressed ones hold much, and some ask for much; what a
        turn does for one peer is bounded by all of it, counted in frames (`Turn.charge`), so that
        the others wait for a millisecond and not for all that came. A request that is held goes on
        with the share it has begun: its answer may come within the turn, and then the next.
        """
        cdef Py_ssize_t used = 0
        cdef Py_ssize_t taken
        cdef Py_ssize_t count = 0
        if self.incoming != NULL:
            count, self.incoming.spent = self.incoming.spent, 0
        self._turn.weight = 0
        while not self.paused:
            if count + self._turn.weight >= MAX_FRAMES and used < size:
                self._pause_reading(PAUSE_TURN)
                self._turn.note(self._turn.rested, self)
                self._turn.schedule()
                break
            count += 1
            if self._phase == OPEN or self._phase == CLOSING:
                if self._kind & EVENTS:
                    return size
                taken = self.parse_frame(data + used, size - used)
            elif self._phase == OPENING:
                taken = self.parse_head(data + used, size - used)
                count += REQUEST_FRAMES - 1
            elif self._phase == BODY:
                taken = self.parse_body(data + used, size - used)
                if self._phase == BODY and taken < size - used:
                    count += MAX_FRAMES  # the handler gave it the share that is its
            elif self._phase == HELD:  # something follows
                if used < size:
                    self._pause_reading(PAUSE_HELD)
                    self.need_incoming()
                    self.incoming.spent = count - 1 + self._turn.weight
                break
            else:
                return size
            if not taken:
                break
            used += taken
        return used

    cdef Py_ssize_t parse_head(self, const byte* data, Py_ssize_t size) except -1:
        cdef Py_ssize_t skipped = 0
        cdef Py_ssize_t searched = 0
        cdef Py_ssize_t end, i
        # RFC 9112 §2.2: empty lines before a request line are ignored.
        while skipped + 2 <= size and data[skipped] == 13 and data[skipped + 1] == 10:
            skipped += 2
        data += skipped
        size -= skipped
        if self.incoming != NULL and not skipped:
            searched = min(self.incoming.searched, size)
        if size and not begins_request(data[0]):
            end = 1  # of a hello of TLS, say, which has no line that ends: refused at once
        else:
            end = gf_head_end(data, min(size, <Py_ssize_t>MAX_HEAD), searched)
        if self.incoming != NULL:
            self.incoming.searched = 0
        if not end and searched < MAX_REQUEST_LINE + 2 <= size and line_is_too_long(data, size):
            self.refuse(414)
        elif not end and size >= MAX_HEAD:
            self.refuse(431)
        elif not end:
            if size > 2:
                self.need_incoming()
                self.incoming.searched = size - 2  # the end may straddle two pieces
            return skipped
        elif end > 1 and line_is_too_long(data, end):
            self.refuse(414)
        elif self.answers_pile_up():
            self._pause_reading(PAUSE_WRITE)
            return skipped
        elif self._phase == OPENING:
            self.since = -1.0
            self.asked = ASKED
            try:
                self._turn.handler.request(self, PyBytes_FromStringAndSize(<char*>data, end))
            except BaseException as exc:
                self._turn.failed(self, exc)
            return skipped + end
        return skipped + size

    cdef bint answers_pile_up(self) except -1:
        """Whether the peer must read answers before it may ask more.

        Pipelined requests of one read are answered within one turn: what is ready to leave is
        bounded here, the peer's reading elsewhere.
        """
        if self.ring_bytes >= GATHER_SIZE:
            self.flush_now()
        return self.blocked

    cdef int refuse(self, int status) except -1:
        try:
            self._turn.handler.refuse(self, status)
        except BaseException as exc:
            self._turn.failed(self, exc)
        self._finish()
        return 0

    cdef Py_ssize_t parse_body(self, const byte* data, Py_ssize_t size) except -1:
        if not size:
            return 0
        cdef Py_ssize_t taken = 0
        try:
            taken = self._turn.handler.data(self, PyBytes_FromStringAndSize(<char*>data, size))
        except BaseException as exc:
            self._turn.failed(self, exc)
        if taken > 0 and self.since >= 0:  # bytes buy time, and few buy little
            self.since += <double>taken / MIN_BODY_RATE
        return min(max(taken, <Py_ssize_t>0), size)

    cdef Py_ssize_t parse_frame(self, const byte* data, Py_ssize_t size) except -1:
        """Read one frame, or as much of it as is there.

        Everything wrong with a frame that its header can tell is refused as early as its bytes
        allow, before anything is allocated for its payload.
        """
        cdef Incoming* incoming = self.incoming
        cdef int opcode, current
        cdef bint fin, rsv1, masked
        cdef uint64_t length
        cdef Py_ssize_t head, extended, i, limit, before = 0
        cdef const byte* key
        if incoming != NULL and incoming.remaining >= 0:
            return self.read_payload(data, size)
        # The common case: a short message of a client's, all of it here.
        if (incoming == NULL and size >= 6 and (data[0] == 0x80 | TEXT or data[0] == 0x80 | BINARY)
                and 0x80 <= data[1] < 0x80 | 126 and self._role == SERVER):
            limit = data[1] & 0x7F
            if size - 6 >= limit and limit <= self._turn.limits.max_message_size:
                if data[0] == 0x80 | TEXT:
                    self.deliver(TEXT, payload_text(data + 6, limit, data + 2), limit)
                else:
                    self.deliver(BINARY, payload_bytes(data + 6, limit, data + 2), limit)
                return 6 + limit
        if size < 1:
            return 0
        current = incoming.opcode if incoming != NULL else 0
        opcode = data[0] & 0x0F
        fin = data[0] & 0x80 != 0
        rsv1 = data[0] & 0x40 != 0
        if data[0] & 0x30 or (rsv1 and (self._codec is None or opcode & 8 or not opcode)):
            raise ProtocolError(PROTOCOL_ERROR, "reserved bits must be 0")
        if 3 <= opcode <= 7 or opcode > PONG:
            raise ProtocolError(PROTOCOL_ERROR, f"unknown opcode {opcode}")
        if opcode & 8 and not fin:
            raise ProtocolError(PROTOCOL_ERROR, "control frame is fragmented")
        if opcode == CONTINUATION and not current:
            raise ProtocolError(PROTOCOL_ERROR, "continuation without a message")
        if current and (opcode == TEXT or opcode == BINARY):
            raise ProtocolError(PROTOCOL_ERROR, "new message inside a fragmented one")
        if size < 2:
            return 0
        masked = data[1] & 0x80 != 0
        length = data[1] & 0x7F
        if masked == (self._role == CLIENT):
            rule = "must not" if masked else "must"
            raise ProtocolError(PROTOCOL_ERROR, f"frame {rule} be masked")
        if opcode & 8 and length > MAX_CONTROL_PAYLOAD:
            raise ProtocolError(PROTOCOL_ERROR, "control frame is too long")
        extended = 2 if length == 126 else 8 if length == 127 else 0
        head = 2 + extended + (4 if masked else 0)
        if extended:
            if size < 2 + extended:
                return 0
            length = 0
            for i in range(extended):
                length = length << 8 | data[2 + i]
            if length < <uint64_t>(126 if extended == 2 else 65536):
                raise ProtocolError(PROTOCOL_ERROR, "payload length is not in its shortest form")
            if length >> 63:
                raise ProtocolError(PROTOCOL_ERROR, "payload length has its highest bit set")
        if not opcode & 8:
            before = incoming.message_size if incoming != NULL else 0
            limit = self._turn.limits.max_message_size
            if rsv1 or (incoming != NULL and incoming.rsv1):
                limit += (limit >> 8) + 64  # data that cannot be compressed grows by a little
            if length + before > <uint64_t>limit:
                raise ProtocolError(
                    TOO_BIG, f"message is larger than {self._turn.limits.max_message_size} bytes"
                )
        if size < head:
            return 0
        key = data + head - 4 if masked else NULL
        if opcode & 8:
            if <uint64_t>(size - head) < length:
                return 0
            self.control(opcode, payload_bytes(data + head, length, key))
            return head + length
        # The common case: a whole message in one frame, all of it here.
        if fin and opcode and not rsv1 and <uint64_t>(size - head) >= length:
            if opcode == TEXT:
                self.deliver(TEXT, payload_text(data + head, length, key), length)
            else:
                self.deliver(BINARY, payload_bytes(data + head, length, key), length)
            return head + length
        self.need_incoming()
        incoming = self.incoming
        if opcode:
            incoming.opcode = opcode
            incoming.rsv1 = rsv1
            incoming.empty_fragments = 0
            incoming.bits = 0
            memset(&incoming.utf8, 0, sizeof(gf_utf8))
        if not length and not fin:
            incoming.empty_fragments += 1
            if incoming.empty_fragments > MAX_EMPTY_FRAGMENTS:
                raise ProtocolError(POLICY_VIOLATION, "too many empty fragments")
        incoming.remaining = length
        incoming.fin = fin
        incoming.masked = masked
        incoming.phase = 0
        if masked:
            memcpy(incoming.key, key, 4)
        if not length:
            self.end_payload()
            return head
        return head + self.read_payload(data + head, size - head)

    cdef Py_ssize_t read_payload(self, const byte* data, Py_ssize_t size) except -1:
        """Take what is there of the frame's payload; text is checked as it comes."""
        cdef Incoming* incoming = self.incoming
        cdef byte* target
        cdef byte bits
        size = min(size, incoming.remaining)
        if not size:
            return 0
        # Room for the rest as well, where that is no more than is there: it saves a copy.
        message_reserve(incoming, min(incoming.remaining, 2 * size))
        target = message_data(incoming) + incoming.message_size
        if incoming.masked:
            bits = gf_mask(target, data, size, incoming.key, incoming.phase)
        else:
            bits = gf_copy(target, data, size)
        incoming.bits |= bits
        incoming.message_size += size
        incoming.remaining -= size
        incoming.phase = (incoming.phase + size) & 3
        if incoming.opcode == TEXT and not incoming.rsv1 and (bits >= 0x80 or incoming.utf8.due):
            if not gf_utf8_feed(&incoming.utf8, target, size):
                raise ProtocolError(INVALID_DATA, "text is not UTF-8")
        if not incoming.remaining:
            self.end_payload()
        return size

    cdef int end_payload(self) except -1:
        cdef Incoming* incoming = self.incoming
        cdef int opcode = incoming.opcode
        cdef bint rsv1 = incoming.rsv1
        cdef Py_ssize_t size = incoming.message_size
        incoming.remaining = -1
        if not incoming.fin:
            return 0
        if opcode == TEXT and not rsv1 and incoming.utf8.due:
            raise ProtocolError(INVALID_DATA, "text is not UTF-8")
        payload = take_message(incoming)
        if rsv1:
            payload = self._codec.decode(payload, self._turn.limits.max_message_size)
            size = len(payload)
            self._turn.weight += size // INFLATED_FRAME
            if opcode == TEXT:
                payload = payload_text(<const byte*>PyBytes_AS_STRING(payload), size, NULL)
        self.deliver(opcode, payload, size)
        return 0

    cdef int deliver(self, int opcode, object message, Py_ssize_t size) except -1:
        # After our close frame the peer's messages have no one to go to.
        if self._phase != OPEN:
            return 0
        cdef Turn turn = self._turn
        self.messages_received += 1
        turn.counters.messages_received += 1
        if turn.limits.is_rated and not self.is_within_rates(size):
            return 0
        if turn.current is not self:
            turn.current = self  # until the end of `take`
        cdef bint is_short = turn.dispatch is not None and self._inbox is None
        if is_short and (<quiet_handle>handle_now)(turn.dispatch, self, opcode, message) >= 0:
            return 0
        try:
            if is_short:
                gf_failed()
            else:
                turn.handler.message(self, opcode, message)
        except BaseException as exc:
            turn.failed(self, exc)
        return 0

    def _receive(self, message not None):
        """Take a message of the peer's that came by another way than this wire.

        False when it is not to come now, because reading is paused or the rate is used up: nothing
        has happened then. Raises ConnectionClosed when not open.
        """
        cdef Turn turn = self._turn
        cdef bint is_text = isinstance(message, str)
        cdef Py_ssize_t size
        turn.check_thread("receive")
        if self._phase != OPEN:
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        if self.paused:
            return False
        size = len((<str>message).encode() if is_text else <bytes?>message)
        if turn.limits.is_rated:
            turn.read_at = turn.clock()
            is_within = False
            try:
                is_within = self.is_within_rates(size)
            except ProtocolError as exc:
                self.begin_close(exc.code, exc.reason)
            if not is_within:
                return False
        self.bytes_received += size
        turn.counters.bytes_received += size
        self.messages_received += 1
        turn.counters.messages_received += 1
        before, turn.current = turn.current, self
        try:
            turn.handler.message(self, TEXT if is_text else BINARY, message)
        except BaseException as exc:
            turn.failed(self, exc)
        turn.current = before
        return True

    cdef bint is_within_rates(self, Py_ssize_t size) except -1:
        """Take a message of so many bytes from the buckets; False for one that is to be dropped.

        A message larger than the burst needs a full bucket and leaves it in debt. Nothing is taken
        for a message that is dropped, so a client that goes on too fast keeps its rate.
        """
        cdef Limits limits = self._turn.limits
        cdef double now = self._turn.read_at
        cdef double messages_full, bytes_full
        cdef bint is_within = True
        if self.full_at == NULL:
            self.full_at = <double*>malloc(2 * sizeof(double))
            if self.full_at == NULL:
                raise MemoryError
            self.full_at[0] = self.full_at[1] = now
        messages_full = max(self.full_at[0], now)
        bytes_full = max(self.full_at[1], now)
        if limits.message_rate > 0:
            messages_full += 1 / limits.message_rate
            is_within = messages_full - now <= limits.message_depth + ROUNDING
        if limits.byte_rate > 0:
            is_within = is_within and (
                bytes_full + min(size, limits.byte_burst) / limits.byte_rate - now
                <= limits.byte_depth + ROUNDING
            )
            bytes_full += size / limits.byte_rate
        if is_within:
            self.full_at[0] = messages_full
            self.full_at[1] = bytes_full
            return True
        self._turn.counters.dropped_rate += 1
        if limits.rate_disconnects:
            raise ProtocolError(POLICY_VIOLATION, "rate limit exceeded")
        return False

    cdef int control(self, int opcode, bytes payload) except -1:
        if opcode == PING:
            self.answer_ping(self.encode(PONG, payload))
        elif opcode == PONG:
            self.pong_received(payload)
        else:
            self.close_received(payload)
        return 0

    cdef int answer_ping(self, bytes pong) except -1:
        """Every ping is answered while the sink takes bytes, and pings come at a sane rate.

        Else only the latest is, which RFC 6455 §5.5.3 allows, so that pongs need no queue.
        """
        self.need_outgoing()
        cdef Outgoing* out = self.outgoing
        if out.pong != NULL:
            if not self.blocked and PyBytes_GET_SIZE(<object>out.pong) <= MAX_PONGS:
                pong = <bytes>out.pong + pong
            Py_DECREF(<object>out.pong)
        Py_INCREF(pong)
        out.pong = <PyObject*>pong
        if not self.dirty:
            self._turn.mark(self)
        return 0

    cdef int pong_received(self, bytes payload) except -1:
        """A pong answers the ping whose number it carries, and all before that one."""
        cdef uint32_t number
        if len(payload) != 4 or not self.missed_pongs:
            return 0
        number = int.from_bytes(payload, "big")
        if number <= self.ping_number and self.ping_number - number < self.missed_pongs:
            self._last_pong = self._turn.clock()
            if number == self.ping_number:
                self._ping_rtt = self._last_pong - self._ping_sent
                self._turn.counters.ping_rtt_seconds.add(self._ping_rtt, 1)
            self.missed_pongs = 0
            self._turn.counters.pongs_received += 1
        return 0

    cdef int close_received(self, bytes payload) except -1:
        cdef int code = NO_STATUS
        reason = ""
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
            self.close_code = code
            self.close_reason = reason
            if self._holds_close:
                return self.ask_closing()
            self.set_close_frame(payload if self._role == SERVER else payload[:2])
        self.end(self._role == CLIENT)  # RFC 6455 §7.1.1: the server closes TCP first
        return 0

    cdef int ask_closing(self) except -1:
        self._phase = ANSWERING
        self.since = -1.0
        if self.wants_drain:
            self.report_drained()
        try:
            self._turn.handler.closing(self, self.close_code, self.close_reason)
        except BaseException as exc:
            self._turn.failed(self, exc)
        return 0

    def _feed_eof(self):
        """The peer ended its side."""
        self._turn.check_thread("feed_eof")
        self.hear_end()

    cdef int hear_end(self) except -1:
        if self.eof:
            return 0
        if self._phase == HELD:
            self.eof = True
            self._pause_reading(PAUSE_HELD)  # there is nothing more to read
            try:
                self._turn.handler.ended(self)
            except BaseException as exc:
                self._turn.failed(self, exc)
        elif self.reading and self._phase < ENDING:
            self.eof = True
            self.interrupt()
        elif self._phase == OPENING and (self.outgoing != NULL or self.ring_count):
            self._finish()  # a peer may shut its side after asking and still read the answer
        elif self._phase < CLOSED:
            self.close_now()
        return 0

    def _lost(self):
        """The transport is gone."""
        self._turn.check_thread("lost")
        if self._phase < CLOSED:
            self.close_now()

    cpdef _pause_reading(self, int why):
        """Handle no more input until `resume_reading` has been called for every PAUSE_* bit."""
        self._turn.check_thread("pause_reading")
        cdef bint was_reading = not self.paused and not self.resuming
        self.paused |= why
        if was_reading:
            if self.fd >= 0:
                self.watch()
            elif self._sink is not None:
                self._sink.pause_reading()

    def _resume_reading(self, int why):
        """Take back one PAUSE_* bit. Held-back input is handled at the end of the turn.

        New input is let in only after that: else more could come between two turns than one of
        them handles, and what is held would grow.
        """
        self._turn.check_thread("resume_reading")
        self.resume(why)

    cdef int resume(self, int why) except -1:
        if not self.paused & why:
            return 0
        if why & PAUSE_BODY:
            self.since = -1.0  # what was not read meanwhile was not late
        self.paused &= ~why
        if not self.paused and not self.resuming and self._phase < ENDING:
            self.resuming = True
            self._turn.note(self._turn.resumed, self)
            self._turn.schedule()
        return 0

    cdef int handle_held(self) except -1:
        """Handle the input that was held back, then read on, unless it made us pause again."""
        if self.reading:
            return self.interrupt()
        self.take(NULL, 0)
        self.resuming = False
        if not self.paused and self._phase < ENDING:
            if self.eof:  # heard while it was held, and nothing is left before it
                self.close_now()
            elif self.fd >= 0:
                self.watch()
            elif self._sink is not None:
                self._sink.resume_reading()
        return 0

    cdef int need_incoming(self) except -1:
        if self.incoming == NULL:
            self.incoming = <Incoming*>malloc(sizeof(Incoming))
            if self.incoming == NULL:
                raise MemoryError
            memset(self.incoming, 0, sizeof(Incoming))
            self.incoming.remaining = -1
        return 0

    cdef int trim_incoming(self) except -1:
        """Give the memory back between messages, when nothing is held, and once nothing counts."""
        cdef Incoming* incoming = self.incoming
        if incoming != NULL and (
            not incoming.opcode and not incoming.pending.size or self._phase >= ENDING
        ):
            buffer_free(&incoming.pending)
            message_free(incoming)
            free(incoming)
            self.incoming = NULL
        return 0

    # Messages out.

    def send(self, message):
        """Send str as a text frame, bytes as a binary one, a Message as its JSON.

        Never blocks; a full queue follows the queue policy. From another thread the message is
        handed over in order, and the result is pending. Raises ConnectionClosed when not open.
        """
        return self.send_now(message, False)

    cdef object send_now(self, object message, bint is_json):
        """As `send`; bytes that are JSON are text."""
        cdef int opcode
        cdef Turn turn = self._turn
        cdef const char* data
        cdef Py_ssize_t size
        if PyThread_get_thread_ident() != turn.owner:
            turn.post(self.send, (<bytes>message).decode() if is_json else message)
            return PENDING_RESULT
        if self._phase != OPEN:
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        if self._codec is not None:
            frame = Frame((<bytes>message).decode() if is_json else message)
            if self._phase != OPEN:  # closed by the message's own `to_json`
                raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
            return self.send_frame(self._codec.encode(frame))
        if is_json:
            payload, opcode = message, TEXT
        else:
            payload = payload_of(message, &opcode)
        if self._phase != OPEN:  # closed by the message's own `to_json`
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        if turn.current is self:
            size = payload_bytes_of(payload, &data)
            if size < DIRECT_SIZE and self.stage(opcode, data, size):
                return ACCEPTED_RESULT
        if (self.fd != -1 and self._role == SERVER and not self.blocked and not self.ring_count
                and self.outgoing == NULL and len(payload) >= DIRECT_SIZE
                and (self.fd >= 0 or not self._is_closing())):
            return RESULTS[self.send_directly(opcode, payload)]
        if self._role == CLIENT:
            return self.send_frame(self.encode(opcode, payload))
        return self.send_frame(encode(0x80 | opcode, payload, None))

    cdef object send_frame(self, bytes data):
        """Queue a frame; return its SendResult."""
        cdef int fate = self.push(data)
        if self._turn.displaced:
            return self.displacing(fate)
        if fate == ACCEPTED:
            return ACCEPTED_RESULT
        return RESULTS[fate]

    cdef object displacing(self, int fate):
        cdef Py_ssize_t displaced = self._turn.displaced
        self._turn.displaced = 0
        return SendResult(*RESULTS[fate], displaced=displaced)

    cdef bint stage(self, int opcode, const char* data, Py_ssize_t size) except -1:
        """Put a short reply behind the others of this turn; False where that cannot be.

        Replies to one peer are as a rule all that it is sent in a turn. They lie back to back, as
        they will leave, and no object is made for them. The first frame that takes the ring has
        them put there, each by itself, and from then on everything is as if they always had been.
        """
        cdef Turn turn = self._turn
        cdef Limits limits = turn.limits
        cdef Py_ssize_t frame = size + (2 if size < 126 else 4)
        if (self.ring != NULL or self.outgoing != NULL or self.blocked or self._codec is not None
                or self._role != SERVER or self.ring_count >= limits.queue_messages
                or turn.staged_size + frame > STAGE_SIZE):
            return False
        if not self.ring_count:
            self.ring_head = turn.staged_size
        elif (self.ring_head + self.ring_bytes != turn.staged_size
              or self.ring_bytes + frame > min(limits.queue_bytes, <Py_ssize_t>GATHER_SIZE)):
            return False
        if not self.dirty:
            turn.mark(self)
            if not self.dirty:
                return False  # nobody would write it before the next takes its place
        memcpy(
            turn.staged + turn.staged_size
            + write_header(turn.staged + turn.staged_size, 0x80 | opcode, size, False), data, size
        )
        turn.staged_size += frame
        self.ring_count += 1
        self.ring_bytes += frame
        return True

    cdef int unstage(self) except -1:
        """Move the staged frames into the ring."""
        cdef const byte* at = self._turn.staged + self.ring_head
        cdef const byte* end = at + self.ring_bytes
        cdef uint32_t head = self.ring_head
        cdef uint32_t count = self.ring_count
        cdef Py_ssize_t size = self.ring_bytes
        self.ring_head = self.ring_count = 0
        self.ring_bytes = 0
        if (<quiet_move>move_staged)(self, at, end) < 0:  # they are all staged still
            self.ring_clear()
            self.ring_head = head
            self.ring_count = count
            self.ring_bytes = size
            gf_failed()
        return 0

    cdef int send_directly(self, int opcode, object payload) except -1:
        """Write a large message at once from where it lies: nothing waits, and a copy costs more
        than the system call that several small messages would share."""
        cdef byte header[14]
        cdef gf_iovec buffers[2]
        cdef const char* data
        cdef Py_ssize_t size = payload_bytes_of(payload, &data)
        cdef Py_ssize_t head = write_header(header, 0x80 | opcode, size, False)
        cdef Py_ssize_t sent
        buffers[0].iov_base = header
        buffers[0].iov_len = head
        buffers[1].iov_base = <void*>data
        buffers[1].iov_len = size
        sent = gf_send_all(self.fd if self.fd >= 0 else -2 - self.fd, buffers, 2)
        if sent < 0:
            sent = refused() if self.fd >= 0 else 0  # a lent one: the sink will see what is wrong
        if sent < 0:
            self.close_now()
            return REFUSED
        if sent < head + size:
            # What the kernel left waits as if the queue had been written: the frame is begun.
            if (<quiet_rest>keep_rest)(self, opcode, payload, sent) < 0:
                self.break_off()  # half a message has left, and the rest cannot
                return REFUSED
            self.since = -1.0
            if self.fd >= 0:
                self.blocked = True
                self.watch()
            elif not self.dirty:
                self._turn.mark(self)
            return ACCEPTED
        self.messages_sent += 1
        self._turn.counters.messages_sent += 1
        self.bytes_sent += sent
        self._turn.counters.bytes_sent += sent
        return ACCEPTED

    def _answer(self, message):
        """Send what must not be lost: no policy drops it, nor what waits before it.

        While it waits for a peer that does not read, nothing is read from that. Returns whether
        more may be sent so; after False whoever does should `drain` first, for there is no limit.
        Raises ConnectionClosed when not open.
        """
        self._turn.check_thread("answer")
        if self._phase != OPEN:
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        cdef bytes data = self.data_of(Frame(message))
        if self._phase != OPEN:  # closed by the message's own `to_json`
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        self.need_outgoing()
        self.ring_append(data)
        cdef bint is_kept = False
        try:
            self.keep_ring()
            is_kept = True
        except BaseException as exc:  # a codec's: nothing can be sent any more
            self._turn.failed(self, exc)
            self.close_now()
        if not is_kept:
            return False
        if not self.dirty:
            self._turn.mark(self)
        cdef Outgoing* out = self.outgoing
        if self.blocked or PyBytes_GET_SIZE(<object>out.begun) - out.begun_offset >= GATHER_SIZE:
            self.flush_now()
            if self.blocked:
                self._pause_reading(PAUSE_WRITE)
                return False
        return True

    cdef int keep_ring(self) except -1:
        """Take what is queued for begun, so that it leaves whatever comes."""
        cdef Outgoing* out = self.outgoing
        cdef Py_ssize_t frames = self.ring_count
        parts = [] if out.begun == NULL else [(<bytes>out.begun)[out.begun_offset:]]
        while self.ring_count:
            frame = <bytes>self.ring[self.ring_head]
            Py_XDECREF(self.ring_pop())
            parts.append(self._codec.pack(frame) if self.packs else frame)
        self.ring_clear()
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        self.messages_sent += frames
        self._turn.counters.messages_sent += frames
        Py_INCREF(whole)
        Py_XDECREF(out.begun)
        out.begun = <PyObject*>whole
        out.begun_offset = 0
        out.begun_frames += frames
        return 0

    def _ping(self):
        """Send a ping and count it as unanswered. A ping still waiting is replaced.

        Does nothing unless the connection is open. May be called from any thread.
        """
        if self._turn.hand_over(self._ping) or self._phase != OPEN:
            return
        if self._kind == WEBSOCKET:
            self.ping_number += 1
            frame = self.encode(PING, int(self.ping_number).to_bytes(4, "big"))
        else:  # which no pong answers
            frame = <bytes?>self._codec.comment
        self.need_outgoing()
        Py_XDECREF(self.outgoing.ping)
        Py_INCREF(frame)
        self.outgoing.ping = <PyObject*>frame
        if self._kind == WEBSOCKET:
            self.missed_pongs += 1
        self._ping_sent = self._turn.clock()
        self._turn.counters.pings_sent += 1
        if not self.dirty:
            self._turn.mark(self)

    def close(self, int code=NORMAL, str reason not None=""):
        """Begin the closing handshake; what is queued leaves first. Does nothing when it has begun.

        It answers the peer's close where that waits for an answer, see `Handler.closing`. A reason
        longer than 123 bytes of UTF-8 is cut. Raises ValueError for a code that may not be sent
        (RFC 6455 §7.4). May be called from any thread.
        """
        if not is_sendable_code(code):
            raise ValueError(f"close code {code} may not be sent")
        if PyThread_get_thread_ident() != self._turn.owner:
            self._turn.post(self.close, code, reason)
        elif self._phase < OPEN:
            self._finish()
        elif self._phase == OPEN:
            self.begin_close(code, reason)
        elif self._phase == ANSWERING:
            self.answer_close_by(code, reason)

    def _answer_close(self):
        """Answer the peer's close by what it said, if the handler's `closing` left it unanswered.

        May be called from any thread.
        """
        if not self._turn.hand_over(self._answer_close) and self._phase == ANSWERING:
            self.answer_close_by(self.close_code, self.close_reason)

    def abort(self):
        """Drop the connection at once, without a close frame. May be called from any thread."""
        if not self._turn.hand_over(self.abort) and self._phase < CLOSED:
            if self.fd >= 0:
                gf_reset(self.fd)
            elif self._sink is not None:
                self._sink.abort()
            self.close_now()

    def _want_drain(self):
        """Have the handler's `drain` called once the queue has room again."""
        self._turn.check_thread("want_drain")
        self.wants_drain = True

    cdef bytes encode(self, int opcode, object payload):
        key = self._turn.next_key() if self._role == CLIENT else None
        return encode(0x80 | opcode, payload, key)

    cdef bytes data_of(self, Frame frame):
        if self._codec is not None and not frame.is_final:
            return self._codec.encode(frame)
        return self.encode(frame.opcode, frame.payload) if self._role == CLIENT else frame.data

    cdef int push(self, bytes data) except -1:
        """Queue a frame; return the index of its SendResult. Runs no user code."""
        if self.is_full_for(1):
            self.flush_now()
            if self._phase != OPEN:
                return REFUSED
            if self.is_full_for(1) and not self.make_room():
                self.messages_dropped += 1
                return REFUSED
        self.ring_append(data)
        if not self.dirty:
            self._turn.mark(self)
        return BEHIND if self.blocked else ACCEPTED

    cdef int push_or_cut(self, Frame frame) except -1:
        """As `push`, for one of many: without memory this one ends, and the others get theirs."""
        cdef int result = (<quiet_publish>publish_now)(self, frame)
        if result >= 0:
            return result
        if not PyErr_ExceptionMatches(MemoryError):
            gf_failed()
        self.break_off()
        return REFUSED

    cdef bint is_full_for(self, int times):
        """Whether the queue has reached so many times one of its limits.

        Bytes of what is being sent do not count, for its reader takes them: it is one message. Nor
        do those of the newest message that alone is larger than the limit: it comes next, or soon,
        and until then it must not make those that follow it displace each other.
        """
        cdef Limits limits = self._turn.limits
        cdef Outgoing* out = self.outgoing
        cdef Py_ssize_t messages = self.ring_count
        cdef Py_ssize_t waiting = self.ring_bytes
        cdef Py_ssize_t large
        if out != NULL and out.begun_frames:
            messages += 1
        if messages >= limits.queue_messages * times:
            return True
        if waiting < limits.queue_bytes * times:
            return False
        large = self.outsize()
        if large >= 0:
            waiting -= self.frame_size(large)
        return waiting >= limits.queue_bytes * times

    cdef Py_ssize_t frame_size(self, Py_ssize_t place):
        """Bytes of a frame of the ring; the oldest is at 0."""
        return PyBytes_GET_SIZE(
            <object>self.ring[(self.ring_head + place) & (self.ring_capacity - 1)]
        )

    cdef Py_ssize_t outsize(self):
        """Where the newest frame is that is larger than `queue_bytes`; -1: there is none."""
        cdef Py_ssize_t place = self.ring_count if self.ring != NULL else 0
        while place > 0:
            place -= 1
            if self.frame_size(place) > self._turn.limits.queue_bytes:
                return place
        return -1

    cdef int displace(self) except -1:
        """Drop the oldest message that counts against the limits."""
        cdef uint32_t wrap = self.ring_capacity - 1
        cdef uint32_t second = (self.ring_head + 1) & wrap
        cdef PyObject* kept
        if self.ring_count > 1 and self.outsize() == 0:
            kept = self.ring[self.ring_head]
            self.ring[self.ring_head] = self.ring[second]
            self.ring[second] = kept
        Py_XDECREF(self.ring_pop())
        self.messages_dropped += 1
        self._turn.displaced += 1
        self._turn.counters.dropped_oldest += 1
        return 0

    cdef int make_room(self) except -1:
        """Apply the policy to a queue the sink would not take; return whether there is room."""
        cdef Limits limits = self._turn.limits
        cdef Counters counters = self._turn.counters
        cdef int policy = DISCONNECT if self._kind & TRANSLATED else limits.queue_policy
        self.wants_drain = True
        if policy == DROP_OLDEST:
            if self.ring == NULL and self.ring_count:
                self.unstage()
            while self.ring_count and self.is_full_for(1):
                self.displace()
            return True
        if policy == DROP_NEWEST:
            counters.dropped_newest += 1
            return False
        if policy == DISCONNECT:
            counters.dropped_disconnect += 1
            self._turn.displaced += self.ring_count
            self.evict()
            return False
        if self.is_full_for(2):
            counters.dropped_block += 1
            return False
        try:
            self._turn.handler.full(self)
        except BaseException as exc:
            self._turn.failed(self, exc)
        return True

    cdef int ring_append(self, bytes data) except -1:
        cdef PyObject** grown
        cdef uint32_t i
        cdef uint32_t capacity = self.ring_capacity
        if self.ring_count >= capacity:
            if self.ring_count > capacity:  # 0: they are staged
                self.unstage()
                return self.ring_append(data)
            if not capacity:
                self.ring = &self.slot
                self.ring_head = 0
                self.ring_capacity = 1
            elif capacity == 1:
                grown = self._turn.take_ring()
                grown[0] = self.slot
                self.ring = grown
                self.ring_capacity = RING_START
            else:
                grown = <PyObject**>malloc(2 * capacity * sizeof(PyObject*))
                if grown == NULL:
                    raise MemoryError
                for i in range(self.ring_count):
                    grown[i] = self.ring[(self.ring_head + i) & (capacity - 1)]
                self._turn.give_ring(self.ring, capacity)
                self.ring = grown
                self.ring_head = 0
                self.ring_capacity = 2 * capacity
        Py_INCREF(data)
        self.ring[(self.ring_head + self.ring_count) & (self.ring_capacity - 1)] = <PyObject*>data
        self.ring_count += 1
        self.ring_bytes += PyBytes_GET_SIZE(data)
        return 0

    cdef PyObject* ring_pop(self):
        """Take the oldest frame out; the caller owns the reference. The ring must hold one."""
        cdef PyObject* data = self.ring[self.ring_head]
        self.ring_head = (self.ring_head + 1) & (self.ring_capacity - 1)
        self.ring_count -= 1
        self.ring_bytes -= PyBytes_GET_SIZE(<object>data)
        return data

    cdef int ring_clear(self) except -1:
        """Drop every frame and give the slots back."""
        cdef uint32_t i
        cdef uint32_t count = self.ring_count
        cdef PyObject** ring = self.ring
        if ring != NULL:
            for i in range(count):
                Py_DECREF(<object>ring[(self.ring_head + i) & (self.ring_capacity - 1)])
            if ring != &self.slot:
                self._turn.give_ring(ring, self.ring_capacity)
            self.ring = NULL
        self.ring_head = self.ring_count = self.ring_capacity = 0
        self.ring_bytes = 0
        return 0

    cdef bint pack_ring(self) except -1:
        """Compress frames that leave now, for a codec whose output depends on what left before.

        Not earlier: a frame the queue policy displaces must not have touched the codec's context.
        False when the codec fails: then nothing can be sent any more.
        """
        cdef Py_ssize_t size = 0
        cdef Py_ssize_t frames = 0
        cdef bint is_packed
        if self.outgoing != NULL and self.outgoing.begun != NULL:
            return True
        packed = []
        self.need_outgoing()  # before the codec's context knows of frames that cannot leave
        while self.ring_count and size < GATHER_SIZE:
            frame = <bytes>self.ring[self.ring_head]
            Py_XDECREF(self.ring_pop())
            is_packed = False
            try:
                frame = self._codec.pack(frame)
                is_packed = True
            except BaseException as exc:
                self._turn.failed(self, exc)
            if not is_packed:
                return False
            packed.append(frame)
            size += len(frame)
            frames += 1
        self.messages_sent += frames
        self._turn.counters.messages_sent += frames
        joined = b"".join(packed)
        Py_INCREF(joined)
        self.outgoing.begun = <PyObject*>joined
        self.outgoing.begun_offset = 0
        self.outgoing.begun_frames = frames
        return True

    cdef int evict(self) except -1:
        """Close a slow consumer: all but the frame begun is dropped."""
        self.messages_dropped += self.ring_count
        self._turn.counters.dropped_disconnect += self.ring_count
        self.ring_clear()
        self.bought_until = 0.0
        self.begin_close(SLOW_CONSUMER, CLOSE_REASONS[SLOW_CONSUMER])
        return 0

    # Bytes out.

    def _flush(self):
        """Give the sink what is queued until it is full; return whether everything has left.

        Control frames go between data frames, never into one; the close frame goes last. From
        another thread the call is handed over and None is returned.
        """
        if self._turn.hand_over(self._flush):
            return None
        return bool(self.flush_now())

    cdef int flush_now(self) except -1:
        cdef int has_left = (<quiet_write>write_now)(self)
        return self.break_off() if has_left < 0 else has_left

    cdef int break_off(self) except -1:
        """End a connection at once for the exception that is set: what it has sent of a message,
        or what has come of one, is not known any more, and nothing may follow a hole."""
        cdef PyObject* kind
        cdef PyObject* error
        cdef PyObject* trace
        PyErr_Fetch(&kind, &error, &trace)
        if (<quiet_write>close_quietly)(self) < 0:
            PyErr_Clear()
            self._turn.has_missed = True
        PyErr_Restore(kind, error, trace)
        if kind != NULL and (<quiet_write>tell_failure)(self) < 0:
            PyErr_Clear()
        return True

    cdef int sent_together(self, Py_ssize_t sent) except -1:
        """The kernel took `sent` bytes of a whole ring, in a batch; negative: the peer is gone."""
        if sent < 0:
            self.close_now()
        elif (<quiet_size>sent_now)(self, sent) < 0:
            self.break_off()  # the others have to hear of theirs all the same
        return True

    cdef int flushed(self, bint was_blocked) except -1:
        """What follows from a write: everything has left, or the kernel is full."""
        if self.wants_drain and self.has_room():
            self.report_drained()
        if self.blocked != was_blocked:
            self.since = -1.0
            if self.fd >= 0:
                self.watch()
        if self.blocked:
            return False
        if self.paused:
            self.resume(PAUSE_WRITE)
        if self._phase == ENDING:
            self.shut_down()
        return True

    # `fd` tells who writes. 0 and above: the core does, the descriptor is its own. -1: the sink,
    # and nobody else. Below: the sink owns the descriptor -2 - fd and lends it, as long as it has
    # nothing waiting itself, which the order of bytes depends on; the rest goes to the sink.

    cdef Py_ssize_t write_some(self, Py_ssize_t* offered) except -2:
        """Offer the next bytes to whatever takes them; -1 when the peer is gone."""
        if self.ring == NULL and self.ring_count and self.outgoing != NULL:
            self.unstage()  # what is outside the ring goes first or last
        if self.fd < -1:
            return self.write_lent(offered)
        if self.fd < 0:
            return self.write_sink(offered)
        if self.outgoing == NULL and (self.ring_count == 1 or self.ring_bytes <= GATHER_SIZE):
            return self.write_small(self.fd, offered)
        return self.write_large(self.fd, offered)

    cdef Py_ssize_t write_lent(self, Py_ssize_t* offered) except -2:
        """As `write_some`, by the sink's descriptor; the sink gets what that does not take."""
        cdef int fd = -2 - self.fd
        cdef Py_ssize_t sent = -1
        if not self._is_closing():  # else the number may be another's by now
            if self.outgoing == NULL and (self.ring_count == 1 or self.ring_bytes <= GATHER_SIZE):
                sent = self.write_small(fd, offered)
            else:
                sent = self.write_large(fd, offered)
        if sent <= 0:
            return self.write_sink(offered)
        offered[0] = sent  # whether the sink is full, it has to say itself
        return sent

    cdef Py_ssize_t write_small(self, int fd, Py_ssize_t* offered) except -2:
        """One frame from where it lies, or several copied together: one `send` either way."""
        cdef Py_ssize_t sent
        cdef PyObject* frame
        offered[0] = self.ring_bytes
        if self.ring == NULL:
            sent = gf_send(fd, self._turn.staged + self.ring_head, self.ring_bytes)
        elif self.ring_count == 1:
            frame = self.ring[self.ring_head]
            sent = gf_send(fd, PyBytes_AS_STRING(<object>frame), self.ring_bytes)
        elif not self._turn.gather(self):
            return self.write_large(fd, offered)
        else:
            sent = gf_send(fd, self._turn.gathered, self.ring_bytes)
        return sent if sent >= 0 else refused()

    cdef Py_ssize_t write_large(self, int fd, Py_ssize_t* offered) except -2:
        """Frames of any size and the rest of what was begun, from where they lie."""
        cdef gf_iovec buffers[MAX_BUFFERS]
        cdef size_t count = 0
        cdef Py_ssize_t size = 0
        cdef uint32_t i
        cdef Outgoing* out = self.outgoing
        if out != NULL and out.begun != NULL:
            size += add_buffer(buffers, &count, out.begun, out.begun_offset)
        if out != NULL and out.pong != NULL:
            size += add_buffer(buffers, &count, out.pong, 0)
        if out != NULL and out.ping != NULL:
            size += add_buffer(buffers, &count, out.ping, 0)
        for i in range(self.ring_count):
            if self.packs or count == MAX_BUFFERS or size >= 4 * GATHER_SIZE:
                break
            size += add_buffer(
                buffers, &count, self.ring[(self.ring_head + i) & (self.ring_capacity - 1)], 0
            )
        else:
            if out != NULL and out.close != NULL and count < MAX_BUFFERS:
                size += add_buffer(buffers, &count, out.close, 0)
        offered[0] = size
        cdef Py_ssize_t sent = gf_send_all(fd, buffers, count)
        return sent if sent >= 0 else refused()

    cdef Py_ssize_t write_tls(self, _TlsSink sink, Py_ssize_t* offered) except -2:
        """As `write_some`, encrypted: as much as is worth one write, however many frames."""
        if not sink.is_ready:
            return -1
        if sink.is_full:
            if sink.send_rest() < 0:
                return -1
            if sink.is_full:
                offered[0] = 1
                return 0
        if sink.direct == NULL:
            return sink.write(self.plaintext(), offered)
        return self.write_directly(sink, offered)

    cdef Py_ssize_t write_directly(self, _TlsSink sink, Py_ssize_t* offered) except -2:
        """As `write_tls`, from where the bytes lie."""
        cdef Py_buffer view
        cdef PyObject* frame
        if self.outgoing == NULL and self.ring == NULL:
            return sink.write_directly(
                <const char*>self._turn.staged + self.ring_head, self.ring_bytes, offered
            )
        if self.outgoing == NULL and self.ring_bytes <= GATHER_SIZE and self.ring_count:
            if self.ring_count == 1:
                frame = self.ring[self.ring_head]
                return sink.write_directly(
                    PyBytes_AS_STRING(<object>frame), self.ring_bytes, offered
                )
            if self._turn.gather(self):
                return sink.write_directly(
                    <const char*>self._turn.gathered, self.ring_bytes, offered
                )
        PyObject_GetBuffer(self.plaintext(), &view, PyBUF_SIMPLE)
        try:
            return sink.write_directly(<const char*>view.buf, view.len, offered)
        finally:
            PyBuffer_Release(&view)

    cdef object plaintext(self):
        """The next bytes to encrypt: one frame where it lies, or those that wait joined.

        An object, for what is done with them may call for others' memory. Members of one room
        mostly share it.
        """
        cdef Turn turn = self._turn
        cdef Outgoing* out = self.outgoing
        cdef list parts = []
        cdef Py_ssize_t size = 0
        cdef uint32_t i
        if out == NULL:
            if self.ring == NULL:
                return PyBytes_FromStringAndSize(
                    <const char*>turn.staged + self.ring_head, self.ring_bytes
                )
            if self.ring_count > 1 and self.ring_bytes <= GATHER_SIZE and turn.gather(self):
                if turn.run_data is None:
                    turn.run_data = PyBytes_FromStringAndSize(
                        <const char*>turn.gathered, self.ring_bytes
                    )
                return turn.run_data
        else:
            if out.begun != NULL:
                size = add_part(parts, <object>out.begun, out.begun_offset, size)
            if out.pong != NULL:
                size = add_part(parts, <object>out.pong, 0, size)
            if out.ping != NULL:
                size = add_part(parts, <object>out.ping, 0, size)
        for i in range(self.ring_count):
            if self.packs or size >= GATHER_SIZE:
                break
            size = add_part(
                parts, <object>self.ring[(self.ring_head + i) & (self.ring_capacity - 1)], 0, size
            )
        else:
            if out != NULL and out.close != NULL and size < GATHER_SIZE:
                size = add_part(parts, <object>out.close, 0, size)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    cdef Py_ssize_t write_sink(self, Py_ssize_t* offered) except -2:
        if isinstance(self._sink, _TlsSink):
            return self.write_tls(<_TlsSink>self._sink, offered)
        cdef list buffers = []
        cdef Py_ssize_t size = 0
        cdef uint32_t i
        cdef Outgoing* out = self.outgoing
        if out != NULL and out.begun != NULL:
            begun = <object>out.begun
            if out.begun_offset:
                begun = memoryview(begun)[out.begun_offset:]
            size = len(begun)
            buffers.append(begun)
        if out != NULL and out.pong != NULL:
            buffers.append(<object>out.pong)
        if out != NULL and out.ping != NULL:
            buffers.append(<object>out.ping)
        if self.ring == NULL and self.ring_count:
            buffers.append(PyBytes_FromStringAndSize(
                <const char*>self._turn.staged + self.ring_head, self.ring_bytes
            ))
        for i in range(self.ring_count if self.ring != NULL else 0):
            if self.packs or size >= GATHER_SIZE:
                break
            frame = <object>self.ring[(self.ring_head + i) & (self.ring_capacity - 1)]
            size += PyBytes_GET_SIZE(frame)
            buffers.append(frame)
        else:
            if out != NULL and out.close != NULL:
                buffers.append(<object>out.close)
        size = 0
        for frame in buffers:
            size += len(frame)
        offered[0] = size
        cdef Py_ssize_t taken = (<quiet_offer>offer_sink)(self, buffers)
        if taken >= 0:
            return min(taken, size)
        if PyErr_ExceptionMatches(OSError):
            PyErr_Clear()
        else:
            self.break_off()
        return -1

    cdef int taken(self, Py_ssize_t size) except -1:
        """Forget `size` bytes, in the order in which they were written."""
        cdef Outgoing* out
        cdef PyObject* data
        cdef Py_ssize_t left
        cdef Py_ssize_t frames
        if self.ring == NULL and self.ring_bytes > size:
            self.unstage()  # what is left outlives this turn
        if not size:
            return 0
        self.since = -1.0
        self.bytes_sent += size
        self._turn.counters.bytes_sent += size
        if self.outgoing == NULL and size == self.ring_bytes:
            if self._opened:
                self.messages_sent += self.ring_count
                self._turn.counters.messages_sent += self.ring_count
            return self.ring_clear()
        out = self.outgoing
        if out != NULL and out.begun != NULL:
            left = PyBytes_GET_SIZE(<object>out.begun) - out.begun_offset
            if size < left:
                out.begun_offset += size
                return 0
            size -= left
            Py_DECREF(<object>out.begun)
            out.begun = NULL
            out.begun_offset = 0
            out.begun_frames = 0
        if size:
            self.need_outgoing()  # first: what is popped is nobody's
        while size:
            data = self.pop_output(&frames)
            left = PyBytes_GET_SIZE(<object>data)
            if size < left:
                self.outgoing.begun = data
                self.outgoing.begun_offset = size
                self.outgoing.begun_frames = frames
                break
            size -= left
            Py_DECREF(<object>data)
        self.trim_outgoing()
        if not self.ring_count:
            self.ring_clear()
        return 0

    cdef PyObject* pop_output(self, Py_ssize_t* frames):
        cdef Outgoing* out = self.outgoing
        cdef PyObject* data
        frames[0] = 0
        if out != NULL and out.pong != NULL:
            data, out.pong = out.pong, NULL
        elif out != NULL and out.ping != NULL:
            data, out.ping = out.ping, NULL
        elif self.ring_count:
            data = self.ring_pop()
            frames[0] = 1
            if self._opened:
                self.messages_sent += 1
                self._turn.counters.messages_sent += 1
        else:
            data, out.close = out.close, NULL
        return data

    cdef int need_outgoing(self) except -1:
        if self.outgoing == NULL:
            self.outgoing = <Outgoing*>malloc(sizeof(Outgoing))
            if self.outgoing == NULL:
                raise MemoryError
            memset(self.outgoing, 0, sizeof(Outgoing))
        return 0

    cdef int trim_outgoing(self) except -1:
        """Give the memory back when nothing is held: `outgoing` is NULL exactly then."""
        cdef Outgoing* out = self.outgoing
        if (out != NULL and out.begun == NULL and out.pong == NULL and out.ping == NULL
                and out.close == NULL):
            free(out)
            self.outgoing = NULL
        return 0

    cdef bint has_room(self):
        """Whether the queue is down to a quarter of its limits: who waits for room may go on."""
        cdef Limits limits = self._turn.limits
        if not self._opened:
            return self.waiting_bytes() * 2 <= ANSWER_WINDOW
        return (
            self.queued_messages * 4 <= limits.queue_messages
            and self.queued_bytes * 4 <= limits.queue_bytes
        )

    cdef int report_drained(self) except -1:
        self.wants_drain = not self._turn.note(self._turn.drained, self)
        self._turn.schedule()
        return 0

    cdef int watch(self) except -1:
        """Tell epoll what to wait for.

        Waiting for nothing means leaving epoll: it would go on reporting a hang-up, turn after
        turn. So the last one to leave or the first to come back is an ADD or a DEL.
        """
        cdef uint32_t events = 0
        cdef int operation
        if not self.eof and (not self.paused and not self.resuming or self._phase >= ENDING):
            events |= EPOLLIN
        if self.blocked:
            events |= EPOLLOUT
        if events == self.events or self._phase == CLOSED:
            return 0
        operation = EPOLL_CTL_ADD if not self.events else (
            EPOLL_CTL_MOD if events else EPOLL_CTL_DEL
        )
        if gf_epoll_control(
            self._turn.epoll, operation, self.fd, events, <uintptr_t><void*>self
        ) < 0 and events:
            return self.close_now()  # nobody would hear of it any more
        self.events = events
        return 0

    # The end.

    cdef int set_close_frame(self, bytes payload) except -1:
        return self.set_end(self.encode(CLOSE, payload))

    cdef int set_end(self, bytes frame) except -1:
        self.need_outgoing()
        Py_XDECREF(self.outgoing.close)
        Py_INCREF(frame)
        self.outgoing.close = <PyObject*>frame
        return 0

    cdef int set_close(self, int code, str reason) except -1:
        if self._kind == WEBSOCKET:
            return self.set_close_frame(close_payload(code, reason))
        return self.set_end(<bytes?>self._codec.end(code, reason))

    cdef int begin_close(self, int code, str reason) except -1:
        self.set_close(code, reason)
        self.close_code = code
        self.close_reason = reason
        if self._kind & EVENTS:
            return self.end(True)  # no peer answers that
        self._phase = CLOSING
        self.since = -1.0
        if self.wants_drain:
            self.report_drained()
        self.resume(self.paused)  # the peer's close frame must be read
        if not self.dirty:
            self._turn.mark(self)
        return 0

    cdef int answer_close_by(self, int code, str reason) except -1:
        self.set_close(code, reason)
        return self.end(self._role == CLIENT)

    cdef int fail_or_cut(self, int code, str reason) except -1:
        """As `fail`; without memory for a close frame the peer sees none."""
        try:
            self.fail(code, reason)
        except MemoryError as exc:
            self.close_now()
            self._turn.failed(self, exc)
        return 0

    cdef int fail(self, int code, str reason) except -1:
        """The peer broke the protocol (RFC 6455 §7.1.7)."""
        if self._phase >= ENDING:
            return 0
        if self._phase == OPEN:
            self.set_close(code, reason)
            self.close_code = code
            self.close_reason = reason
        self.end(True)
        return 0

    cdef int end(self, bint linger) except -1:
        cdef bint was_paused = (self.paused or self.resuming) and not self.eof
        self._phase = ENDING
        self.linger = linger
        self.since = -1.0
        if self.wants_drain:
            self.report_drained()
        self.paused = 0
        if was_paused:  # to hear the peer's end
            if self.fd >= 0:
                self.watch()
            elif self._sink is not None:
                self._sink.resume_reading()
        if not self.dirty:
            self._turn.mark(self)
        return 0

    cdef int shut_down(self) except -1:
        """Everything has left a connection that is ENDING."""
        if not self.linger or self.eof:
            self.close_now()
        elif not self.shut:
            self.shut = True
            if self.fd >= 0:
                if gf_shutdown(self.fd) < 0:
                    self.close_now()
                return 0
            try:
                self._sink.shutdown()
            except OSError:
                self.close_now()
        return 0

    cdef int close_now(self) except -1:
        if self._phase == CLOSED:
            return 0
        if not self.close_code:
            self.close_code = ABNORMAL
        self._phase = CLOSED
        self.free_buffers()
        self.blocked = False
        if self.wants_drain:
            self.report_drained()
        if self.fd >= 0:
            if not (<Poller>self._turn.poller).retire(self):
                self._turn.schedule()
                return 0  # `catch_up` goes on
        elif self._sink is not None:
            try:
                self._sink.close()
            except Exception as exc:
                self._turn.failed(self, exc)
        if self._turn.note(self._turn.closed, self):
            self._turn.unlink(self)
        self._turn.schedule()
        return 0

    cdef int catch_up(self) except -1:
        """Note what there was no memory to note."""
        cdef Turn turn = self._turn
        if self._phase == CLOSED:
            if self.fd >= 0 and self not in (<Poller>turn.poller).retired:
                if not (<Poller>turn.poller).retire(self):
                    return 0
            if turn.note(turn.closed, self):
                turn.unlink(self)
        elif self.resuming and self not in turn.resumed:
            turn.note(turn.resumed, self)
        elif self.paused & PAUSE_TURN and self not in turn.rested:
            turn.note(turn.rested, self)
        if self.wants_drain and (self._phase > OPEN or self.has_room()):
            self.report_drained()
        if not self.dirty and not self.blocked and (self.ring_count or self.outgoing != NULL):
            turn.mark(self)
        turn.schedule()
        return 0

    cdef int free_buffers(self) except -1:
        cdef Incoming* incoming = self.incoming
        cdef Outgoing* out = self.outgoing
        self.ring_clear()
        free(self.full_at)
        self.full_at = NULL
        if incoming != NULL:
            buffer_free(&incoming.pending)
            message_free(incoming)
            free(incoming)
            self.incoming = NULL
        if out != NULL:
            Py_XDECREF(out.begun)
            Py_XDECREF(out.pong)
            Py_XDECREF(out.ping)
            Py_XDECREF(out.close)
            free(out)
            self.outgoing = NULL
        return 0

    # Time.

    cdef int sweep(self, double now) except -1:
        cdef Limits limits = self._turn.limits
        cdef double waited
        # A full send buffer frees in big steps. What the peer has acknowledged tells of each.
        cdef bint is_judged = self.blocked or self._phase == CLOSING or self._phase == ENDING
        if is_judged and self._phase != ANSWERING:
            self.reckon(now)
        if self.since < 0 or self.since > now:  # nobody has time in store
            self.since = now
        waited = now - self.since
        if self._phase == OPEN:
            if self.blocked and waited >= limits.write_timeout:
                self.evict()
            elif limits.ping_interval > 0:
                self.keep_alive(now)
        elif self._phase == ANSWERING:
            if waited >= limits.close_timeout:
                self._answer_close()
        elif self._phase == CLOSING or self._phase == ENDING:
            if waited >= limits.close_timeout:
                self.abort()
        elif self.blocked:
            if waited >= limits.write_timeout:
                self.abort()
        elif self._phase == OPENING and self.asked and self.rests(now):
            if now - self.since >= limits.keep_alive_timeout:
                self._finish()
        elif self._phase != HELD and now - self.since >= limits.head_timeout:
            if self.paused & PAUSE_BODY:
                self.since = now  # it waits for us
            elif self._phase == BODY or (self.incoming != NULL and self.incoming.pending.size):
                self.refuse(408)
            else:
                self._finish()  # nothing was asked: nothing is answered
        return 0

    cdef bint rests(self, double now) except -1:
        """Whether it was served and asks for nothing; a head has its time once it has begun."""
        if self.incoming == NULL or not self.incoming.pending.size:
            self.asked = RESTING
        elif self.asked == RESTING:
            self.asked = ASKED
            self.since = now
        return self.asked == RESTING

    cdef int reckon(self, double now) except -1:
        """Let what the peer has taken buy it time, and let none pass that is bought."""
        cdef Limits limits = self._turn.limits
        cdef int64_t took = self.takes_more()
        if took > 0:
            self.since = -1.0
            if self._phase != OPEN or limits.queue_policy != BLOCK:  # else others wait for it
                self.bought_until = max(self.bought_until, now) + <double>took / MIN_READ_RATE
        self.bought_until = min(self.bought_until, now + limits.write_timeout * TIMES_STORED)
        if now < self.bought_until and (self.blocked or self.acknowledged < self.bytes_sent):
            self.since = -1.0
        return 0

    cdef int64_t takes_more(self) except? -1:
        """The bytes that the peer has acknowledged since this was last asked."""
        cdef int64_t before = self.acknowledged
        cdef Py_ssize_t unsent = 0
        if self.fd >= 0:
            unsent = gf_unacknowledged(self.fd)
        elif self._sink is not None:
            unsent = self._sink.unsent()
        self.acknowledged = self.bytes_sent - unsent
        return self.acknowledged - before

    cdef bint catches_up(self, double now) except -1:
        """Whether the peer still takes what lies before our ping, and cannot have answered it."""
        cdef Limits limits = self._turn.limits
        if self.blocked:  # the sweeps look, and judge by the write timeout, if that is no longer
            return now - self.since < limits.ping_interval * (limits.max_missed_pongs + 1)
        return self.takes_more() > 0 and self.acknowledged < self.bytes_sent

    cdef int keep_alive(self, double now) except -1:
        cdef bint is_behind
        if self._kind & TRANSLATED:
            return 0  # whoever translates pings
        if self.ping_at < 0:
            self.ping_at = now + self._turn.limits.ping_interval
        elif now >= self.ping_at:
            self.ping_at = now + self._turn.limits.ping_interval
            is_behind = self.catches_up(now)
            if is_behind and self.missed_pongs:
                self.missed_pongs = 1  # the latest is still to be answered
                return 0
            if self.missed_pongs:
                self._turn.counters.pongs_missed += 1
            if self.missed_pongs >= self._turn.limits.max_missed_pongs:
                self.begin_close(INTERNAL_ERROR, "keep-alive timed out")
            else:
                self._ping()
        return 0


cdef int write_now(Connection conn) except -1:
    """As `Connection.flush_now`, for which what is raised here ends the connection."""
    cdef bint was_blocked = conn.blocked
    cdef Py_ssize_t taken, offered = 0
    conn.blocked = False
    while (conn.ring_count or conn.outgoing != NULL) and not conn.blocked:
        if conn.packs and conn.ring_count and not conn.pack_ring():
            conn.close_now()
            return True
        taken = conn.write_some(&offered)
        if taken < 0 or conn._phase == CLOSED:  # a sink may say that by `lost`, too
            conn.close_now()
            return True
        conn.blocked = taken < offered
        conn.taken(taken)
    return conn.flushed(was_blocked)


cdef Py_ssize_t offer_sink(Connection conn, list buffers) except -1:
    return conn._sink.writev(buffers)


cdef int sent_now(Connection conn, Py_ssize_t sent) except -1:
    conn.blocked = sent < conn.ring_bytes
    conn.taken(sent)
    return conn.flushed(False)


cdef int keep_rest(Connection conn, int opcode, object payload, Py_ssize_t sent) except -1:
    conn.ring_append(conn.encode(opcode, payload))
    return conn.taken(sent)


cdef int move_staged(Connection conn, const byte* at, const byte* end) except -1:
    cdef Py_ssize_t frame
    while at < end:
        frame = 2 + at[1] if at[1] < 126 else 4 + (<Py_ssize_t>at[2] << 8 | at[3])
        conn.ring_append(PyBytes_FromStringAndSize(<const char*>at, frame))
        at += frame
    return 0


cdef int publish_now(Connection conn, Frame frame) except -1:
    return conn.push(conn.data_of(frame))


cdef int take_now(Connection conn, const byte* data, Py_ssize_t size) except -1:
    return conn.take_in(data, size)


cdef int close_quietly(Connection conn) except -1:
    return conn.close_now()


cdef int tell_failure(Connection conn) except -1:
    try:
        gf_failed()
    except BaseException as exc:
        conn._turn.failed(conn, exc)
    return 0


cdef int append_now(Connection conn, bytes data) except -1:
    return conn.ring_append(data)


cdef int sweep_now(Connection conn, double now) except -1:
    return conn.sweep(now)


cdef bint begins_request(byte first):
    """Whether it may be a method's, or that of an empty line."""
    return 32 < first < 127 or first == 13 or first == 10


cdef bint line_is_too_long(const byte* data, Py_ssize_t size):
    """Whether no line ends where MAX_REQUEST_LINE bytes and their CRLF must have ended."""
    cdef Py_ssize_t i
    for i in range(min(size, <Py_ssize_t>MAX_REQUEST_LINE + 2)):
        if data[i] == 10:
            return False
    return True


cdef bytes payload_bytes(const byte* data, Py_ssize_t size, const byte* key):
    cdef bytes payload = PyBytes_FromStringAndSize(NULL, size)
    if key != NULL:
        gf_mask(<byte*>PyBytes_AS_STRING(payload), data, size, key, 0)
    else:
        memcpy(PyBytes_AS_STRING(payload), data, size)
    return payload


cdef str payload_text(const byte* data, Py_ssize_t size, const byte* key):
    """The str a payload says. ASCII, the common case, is unmasked straight into the str."""
    cdef object text
    cdef byte bits
    cdef byte* target
    if not size:
        return ""
    text = PyUnicode_New(size, 127)
    target = <byte*>PyUnicode_DATA(text)
    if key != NULL:
        bits = gf_mask(target, data, size, key, 0)
    else:
        bits = gf_copy(target, data, size)
    if bits < 0x80:
        return <str>text
    payload = payload_bytes(data, size, key)
    try:
        return PyUnicode_DecodeUTF8(PyBytes_AS_STRING(payload), size, NULL)
    except UnicodeDecodeError:
        raise ProtocolError(INVALID_DATA, "text is not UTF-8") from None


cdef Py_ssize_t add_buffer(
    gf_iovec* buffers, size_t* count, PyObject* data, Py_ssize_t offset
) noexcept:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(<object>data) - offset
    buffers[count[0]].iov_base = PyBytes_AS_STRING(<object>data) + offset
    buffers[count[0]].iov_len = size
    count[0] += 1
    return size


cdef Py_ssize_t add_part(list parts, bytes data, Py_ssize_t offset, Py_ssize_t size) except -1:
    """Add what is left of `data`, as far as the parts together stay within a write; their size."""
    cdef Py_ssize_t left = min(len(data) - offset, GATHER_SIZE - size)
    if left <= 0:
        return size
    if left == len(data):
        parts.append(data)
    else:
        parts.append(PyMemoryView_FromObject(data)[offset:offset + left])
    return size + left


cdef Py_ssize_t refused() noexcept:
    """What a failed send means: 0 the kernel is full, -1 the peer is gone."""
    return 0 if errno == EAGAIN or errno == EWOULDBLOCK or errno == EINTR else -1


cdef object peer_address(int family, const byte* address, int port):
    cdef char text[ADDRESS_TEXT]
    if not gf_address_text(family, address, text):
        return ""
    host = PyUnicode_FromString(text)
    return (host, port) if family == AF_INET else (host, port, 0, 0)


cdef str address_text(str host):
    """An IPv4 address that came through an IPv6 socket reads as what it is."""
    return host.removeprefix("::ffff:") if "." in host else host
