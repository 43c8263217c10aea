# The connection: a machine between bytes and messages. The table of its end is in `_fallback.py`.


cdef class Connection:
    """One peer, from the first byte of its request head to the last byte of its close frame.

    `sink` is None for a connection that a `Poller` accepted until it has a descriptor. A client
    role connection masks what it sends and refuses masked frames (RFC 6455 §5.1).
    """

    def __cinit__(self):
        self.fd = -1

    def __init__(self, Turn turn not None, sink=None, int role=SERVER):
        self.turn = turn
        self.sink = sink
        self.role = role
        self.id = ""
        self.close_reason = ""
        self.since = -1.0
        self.ping_at = -1.0
        turn.link(self)

    def __dealloc__(self):
        self.free_buffers()
        if self.fd >= 0:
            gf_close(self.fd)

    # Views.

    @property
    def is_open(self):
        """Whether messages can be sent: after the upgrade, before either side closes."""
        return self.phase == OPEN

    @property
    def queued_messages(self):
        """Messages that have not left, the one partly written included."""
        cdef Outgoing* out = self.outgoing
        return self.ring_count + (out.begun_frames if out != NULL else 0)

    @property
    def queued_bytes(self):
        """Bytes of those messages that have not left."""
        cdef Outgoing* out = self.outgoing
        cdef Py_ssize_t begun = 0
        if out != NULL and out.begun_frames:
            begun = PyBytes_GET_SIZE(<object>out.begun) - out.begun_offset
        return self.ring_bytes + begun

    @property
    def is_full(self):
        """Whether the queue has reached one of its limits."""
        return (
            self.queued_messages >= self.turn.limits.queue_messages
            or self.queued_bytes >= self.turn.limits.queue_bytes
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

    def write(self, bytes data not None):
        """Send HTTP bytes. They leave before any frame and no queue limit applies to them."""
        if self.phase == CLOSED:
            return
        self.need_outgoing()
        cdef Outgoing* out = self.outgoing
        if out.begun != NULL:
            data = (<bytes>out.begun)[out.begun_offset:] + data
            Py_DECREF(<object>out.begun)
        Py_INCREF(data)
        out.begun = <PyObject*>data
        out.begun_offset = 0
        if not self.dirty:
            self.turn.mark(self)

    def upgrade(self):
        """From now on both sides speak frames (RFC 6455 §4.2.2, step 5)."""
        if self.phase > HELD:
            return
        self.phase = OPEN
        self.opened = True
        self.opened_at = self.turn.clock()
        self.since = -1.0
        self.resume(PAUSE_HELD)

    def use_codec(self, codec):
        """Compress messages (RFC 7692). To be called before `upgrade`.

        `codec` has `encode(frame) -> bytes`, the frame to queue; `decode(payload, limit) -> bytes`;
        and, if it compresses frames as they leave, `pack(frame_bytes) -> bytes`.
        """
        self.codec = codec
        self.packs = hasattr(codec, "pack")

    def write_through(self, int fd, is_closing):
        """Write to the sink's descriptor first, and give the sink only what that does not take.

        To be taken back, with -1, while bytes wait in the sink. `is_closing()` says whether the
        sink has closed the descriptor or is about to.
        """
        if self.fd < 0:
            self.fd = -2 - fd if fd >= 0 and GF_HAS_EPOLL else -1
            self._is_closing = is_closing

    def expect_head(self):
        """The request is answered; read the next one. A peer that ended its side is closed."""
        if self.eof:
            self.finish()
        elif self.phase < OPEN:
            self.phase = OPENING
            self.since = -1.0
            self.resume(PAUSE_HELD)

    def expect_body(self):
        """What follows the head goes to the handler's `data`."""
        if self.phase > HELD:
            return
        self.phase = BODY
        self.since = -1.0
        self.resume(PAUSE_HELD)

    def hold(self, bint until_end=False):
        """Keep what follows until the next step is known, and read no more.

        With `until_end` read on until something follows, to hear of the peer's end: one that ends
        its side before is closed. Else it may still read an answer, and its end waits.
        """
        if self.phase > HELD:
            return
        self.phase = HELD
        if not until_end:
            self.pause_reading(PAUSE_HELD)

    def finish(self):
        """Send what is queued, then close. For HTTP; a WebSocket is ended by `close`.

        One that waits for a request, with nothing asked or queued, is closed at once.
        """
        if self.phase < ENDING:
            is_idle = (self.phase == OPENING and self.outgoing == NULL
                       and (self.incoming == NULL or not self.incoming.pending.size))
            self.end(not is_idle)

    # Bytes in.

    def feed(self, data):
        """Take bytes of the peer, in any pieces, and call the handler for each whole thing."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self.take(<const byte*>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cdef int take(self, const byte* data, Py_ssize_t size) except -1:
        cdef Buffer held
        cdef Py_ssize_t used
        self.bytes_received += size
        self.turn.counters.bytes_received += size
        if self.phase >= ENDING:
            return 0
        if self.turn.limits.is_rated:
            self.turn.read_at = self.turn.clock()
        held.data = NULL
        if self.incoming != NULL and self.incoming.pending.size:
            buffer_append(&self.incoming.pending, data, size)
            held = self.incoming.pending
            memset(&self.incoming.pending, 0, sizeof(Buffer))
            data, size = held.data, held.size
        elif size == 0:
            return 0
        try:
            used = self.parse(data, size)
            if used < size and self.phase < ENDING:
                self.need_incoming()
                buffer_append(&self.incoming.pending, data + used, size - used)
        except ProtocolError as exc:
            self.fail(exc.code, exc.reason)
        except Exception as exc:  # a codec's, or no memory: where the stream stands is not known
            self.turn.handler.failed(self, exc)
            self.fail(INTERNAL_ERROR, "internal error")
        finally:
            free(held.data)
            self.turn.current = None
        self.trim_incoming()
        return 0

    cdef Py_ssize_t parse(self, const byte* data, Py_ssize_t size) except -1:
        """Go through `data` as far as possible and return how much of it was used.

        Tiny frames are many in one read, and compressed ones hold much; what a turn does for one
        peer is bounded by both, so that the others wait for a millisecond and not for all of it.
        """
        cdef Py_ssize_t used = 0
        cdef Py_ssize_t taken
        cdef Py_ssize_t count = 0
        self.turn.inflated = 0
        while not self.paused:
            if count + self.turn.inflated // INFLATED_FRAME >= MAX_FRAMES and used < size:
                self.pause_reading(PAUSE_TURN)
                self.turn.rested.append(self)
                self.turn.schedule()
                break
            count += 1
            if self.phase == OPEN or self.phase == CLOSING:
                taken = self.parse_frame(data + used, size - used)
            elif self.phase == OPENING:
                taken = self.parse_head(data + used, size - used)
                count += REQUEST_FRAMES - 1
            elif self.phase == BODY:
                taken = self.parse_body(data + used, size - used)
            elif self.phase == HELD:  # something follows
                if used < size:
                    self.pause_reading(PAUSE_HELD)
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
        elif line_is_too_long(data, end):
            self.refuse(414)
        elif self.answers_pile_up():
            self.pause_reading(PAUSE_WRITE)
            return skipped
        elif self.phase == OPENING:
            self.since = -1.0
            try:
                self.turn.handler.request(self, PyBytes_FromStringAndSize(<char*>data, end))
            except Exception as exc:
                self.turn.handler.failed(self, exc)
            return skipped + end
        return skipped + size

    cdef bint answers_pile_up(self) except -1:
        """Whether the peer must read answers before it may ask more.

        Pipelined requests of one read are answered within one turn: what is ready to leave is
        bounded here, the peer's reading elsewhere.
        """
        cdef Outgoing* out = self.outgoing
        if out != NULL and out.begun != NULL:
            if PyBytes_GET_SIZE(<object>out.begun) - out.begun_offset >= GATHER_SIZE:
                self.flush_now()
        return self.blocked

    cdef int refuse(self, int status) except -1:
        try:
            self.turn.handler.refuse(self, status)
        except Exception as exc:
            self.turn.handler.failed(self, exc)
        self.finish()
        return 0

    cdef Py_ssize_t parse_body(self, const byte* data, Py_ssize_t size) except -1:
        if not size:
            return 0
        cdef Py_ssize_t taken = 0
        try:
            taken = self.turn.handler.data(self, PyBytes_FromStringAndSize(<char*>data, size))
        except Exception as exc:
            self.turn.handler.failed(self, exc)
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
                and 0x80 <= data[1] < 0x80 | 126 and self.role == SERVER):
            limit = data[1] & 0x7F
            if size - 6 >= limit and limit <= self.turn.limits.max_message_size:
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
        if data[0] & 0x30 or (rsv1 and (self.codec is None or opcode & 8 or not opcode)):
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
        if masked == (self.role == CLIENT):
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
            before = incoming.message.size if incoming != NULL else 0
            limit = self.turn.limits.max_message_size
            if rsv1 or (incoming != NULL and incoming.rsv1):
                limit += (limit >> 8) + 64  # data that cannot be compressed grows by a little
            if length + before > <uint64_t>limit:
                raise ProtocolError(
                    TOO_BIG, f"message is larger than {self.turn.limits.max_message_size} bytes"
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
        # Room for the rest as well, where that is no more than is there: it saves a copy.
        if not buffer_reserve(&incoming.message, min(incoming.remaining, 2 * size)):
            raise MemoryError
        target = incoming.message.data + incoming.message.size
        if incoming.masked:
            bits = gf_mask(target, data, size, incoming.key, incoming.phase)
        else:
            bits = gf_copy(target, data, size)
        incoming.bits |= bits
        incoming.message.size += size
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
        cdef Buffer message
        cdef Py_ssize_t message_size
        cdef int opcode = incoming.opcode
        cdef bint rsv1 = incoming.rsv1
        incoming.remaining = -1
        if not incoming.fin:
            return 0
        if opcode == TEXT and not rsv1 and incoming.utf8.due:
            raise ProtocolError(INVALID_DATA, "text is not UTF-8")
        message = incoming.message
        message_size = message.size
        memset(&incoming.message, 0, sizeof(Buffer))
        incoming.opcode = 0
        incoming.rsv1 = False
        try:
            if rsv1:
                payload = self.codec.decode(
                    PyBytes_FromStringAndSize(<char*>message.data, message.size),
                    self.turn.limits.max_message_size,
                )
                message_size = len(payload)
                self.turn.inflated += message_size
                if opcode == TEXT:
                    payload = payload_text(
                        <const byte*>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), NULL
                    )
            elif opcode == TEXT and incoming.bits < 0x80:
                payload = payload_text(message.data, message.size, NULL)
            elif opcode == TEXT:
                payload = PyUnicode_DecodeUTF8(<char*>message.data, message.size, NULL)
            else:
                payload = PyBytes_FromStringAndSize(<char*>message.data, message.size)
        finally:
            free(message.data)
        self.deliver(opcode, payload, message_size)
        return 0

    cdef int deliver(self, int opcode, object message, Py_ssize_t size) except -1:
        # After our close frame the peer's messages have no one to go to.
        if self.phase != OPEN:
            return 0
        cdef Turn turn = self.turn
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
        except Exception as exc:
            turn.handler.failed(self, exc)
        return 0

    cdef bint is_within_rates(self, Py_ssize_t size) except -1:
        """Take a message of so many bytes from the buckets; False for one that is to be dropped.

        A message larger than the burst needs a full bucket and leaves it in debt. Nothing is taken
        for a message that is dropped, so a client that goes on too fast keeps its rate.
        """
        cdef Limits limits = self.turn.limits
        cdef double now = self.turn.read_at
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
        self.turn.counters.dropped_rate += 1
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
            self.turn.mark(self)
        return 0

    cdef int pong_received(self, bytes payload) except -1:
        """A pong answers the ping whose number it carries, and all before that one."""
        cdef uint32_t number
        if len(payload) != 4 or not self.missed_pongs:
            return 0
        number = int.from_bytes(payload, "big")
        if number <= self.ping_number and self.ping_number - number < self.missed_pongs:
            self.last_pong = self.turn.clock()
            if number == self.ping_number:
                self.ping_rtt = self.last_pong - self.ping_sent
                self.turn.counters.ping_rtt_seconds.add(self.ping_rtt, 1)
            self.missed_pongs = 0
            self.turn.counters.pongs_received += 1
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
        if self.phase == OPEN:
            # RFC 6455 §5.5.1: the endpoint typically echos the status code it received.
            self.close_code = code
            self.close_reason = reason
            self.set_close_frame(payload[:2])
        self.end(self.role == CLIENT)  # RFC 6455 §7.1.1: the server closes TCP first
        return 0

    def feed_eof(self):
        """The peer ended its side."""
        self.hear_end()

    cdef int hear_end(self) except -1:
        if self.phase == HELD and self.paused:
            self.eof = True
        elif self.phase == OPENING and self.outgoing != NULL:
            self.finish()  # a peer may shut its side after asking and still read the answer
        elif self.phase < CLOSED:
            self.close_now()
        return 0

    def lost(self):
        """The transport is gone."""
        if self.phase < CLOSED:
            self.close_now()

    cpdef pause_reading(self, int why):
        """Handle no more input until `resume_reading` has been called for every PAUSE_* bit."""
        cdef bint was_reading = not self.paused and not self.resuming
        self.paused |= why
        if was_reading:
            if self.fd >= 0:
                self.watch()
            elif self.sink is not None:
                self.sink.pause_reading()

    def resume_reading(self, int why):
        """Take back one PAUSE_* bit. Held-back input is handled at the end of the turn.

        New input is let in only after that: else more could come between two turns than one of
        them handles, and what is held would grow.
        """
        self.resume(why)

    cdef int resume(self, int why) except -1:
        if not self.paused & why:
            return 0
        self.paused &= ~why
        if not self.paused and not self.resuming and self.phase < ENDING:
            self.resuming = True
            self.turn.resumed.append(self)
            self.turn.schedule()
        return 0

    cdef int handle_held(self) except -1:
        """Handle the input that was held back, then read on, unless it made us pause again."""
        self.take(NULL, 0)
        self.resuming = False
        if not self.paused and self.phase < ENDING:
            if self.eof:  # heard while it was held, and nothing is left before it
                self.close_now()
            elif self.fd >= 0:
                self.watch()
            elif self.sink is not None:
                self.sink.resume_reading()
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
            not incoming.opcode and not incoming.pending.size or self.phase >= ENDING
        ):
            buffer_free(&incoming.pending)
            buffer_free(&incoming.message)
            free(incoming)
            self.incoming = NULL
        return 0

    # Messages out.

    def send(self, message):
        """Send str as a text frame, bytes as a binary one, a Message as its JSON.

        Never blocks; a full queue follows the queue policy. From another thread the message is
        handed over in order and None is returned. Raises ConnectionClosed when it is not open.
        """
        return self.send_now(message)

    cdef object send_now(self, object message):
        cdef int opcode
        cdef Turn turn = self.turn
        cdef const char* data
        cdef Py_ssize_t size
        if PyThread_get_thread_ident() != turn.owner:
            turn.post(self.send, message)
            return None
        if self.phase != OPEN:
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        if self.codec is not None:
            frame = Frame(message)
            if self.phase != OPEN:  # closed by the message's own `to_json`
                raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
            return RESULTS[self.push(self.codec.encode(frame))]
        payload = payload_of(message, &opcode)
        if self.phase != OPEN:  # closed by the message's own `to_json`
            raise ConnectionClosed(self.close_code or ABNORMAL, self.close_reason)
        if turn.current is self:
            size = payload_bytes_of(payload, &data)
            if size < DIRECT_SIZE and self.stage(opcode, data, size):
                return ACCEPTED_RESULT
        if (self.fd != -1 and self.role == SERVER and not self.blocked and not self.ring_count
                and self.outgoing == NULL and len(payload) >= DIRECT_SIZE
                and (self.fd >= 0 or not self._is_closing())):
            return RESULTS[self.send_directly(opcode, payload)]
        if self.role == CLIENT:
            return RESULTS[self.push(self.encode(opcode, payload))]
        return RESULTS[self.push(encode(0x80 | opcode, payload, None))]

    cdef bint stage(self, int opcode, const char* data, Py_ssize_t size) except -1:
        """Put a short reply behind the others of this turn; False where that cannot be.

        Replies to one peer are as a rule all that it is sent in a turn. They lie back to back, as
        they will leave, and no object is made for them. The first frame that takes the ring has
        them put there, each by itself, and from then on everything is as if they always had been.
        """
        cdef Turn turn = self.turn
        cdef Limits limits = turn.limits
        cdef Py_ssize_t frame = size + (2 if size < 126 else 4)
        if (self.ring != NULL or self.outgoing != NULL or self.blocked or self.codec is not None
                or self.role != SERVER or self.ring_count >= limits.queue_messages
                or turn.staged_size + frame > STAGE_SIZE):
            return False
        if not self.ring_count:
            self.ring_head = turn.staged_size
        elif (self.ring_head + self.ring_bytes != turn.staged_size
              or self.ring_bytes + frame > min(limits.queue_bytes, <Py_ssize_t>GATHER_SIZE)):
            return False
        memcpy(
            turn.staged + turn.staged_size
            + write_header(turn.staged + turn.staged_size, 0x80 | opcode, size, False), data, size
        )
        turn.staged_size += frame
        self.ring_count += 1
        self.ring_bytes += frame
        if not self.dirty:
            turn.mark(self)
        return True

    cdef int unstage(self) except -1:
        """Move the staged frames into the ring."""
        cdef const byte* at = self.turn.staged + self.ring_head
        cdef const byte* end = at + self.ring_bytes
        cdef Py_ssize_t frame
        self.ring_head = self.ring_count = 0
        self.ring_bytes = 0
        while at < end:
            frame = 2 + at[1] if at[1] < 126 else 4 + (<Py_ssize_t>at[2] << 8 | at[3])
            self.ring_append(PyBytes_FromStringAndSize(<const char*>at, frame))
            at += frame
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
            frame = self.encode(opcode, payload)
            self.ring_append(frame)
            self.since = -1.0
            self.taken(sent)
            if self.fd >= 0:
                self.blocked = True
                self.watch()
            elif not self.dirty:
                self.turn.mark(self)
            return ACCEPTED
        self.messages_sent += 1
        self.turn.counters.messages_sent += 1
        self.bytes_sent += sent
        self.turn.counters.bytes_sent += sent
        return ACCEPTED

    def ping(self):
        """Send a ping and count it as unanswered. A ping still waiting is replaced."""
        if self.phase == CLOSED:
            return
        self.ping_number += 1
        frame = self.encode(PING, int(self.ping_number).to_bytes(4, "big"))
        self.need_outgoing()
        Py_XDECREF(self.outgoing.ping)
        Py_INCREF(frame)
        self.outgoing.ping = <PyObject*>frame
        self.missed_pongs += 1
        self.ping_sent = self.turn.clock()
        self.turn.counters.pings_sent += 1
        if not self.dirty:
            self.turn.mark(self)

    def close(self, int code=NORMAL, str reason not None=""):
        """Begin the closing handshake; what is queued leaves first. Does nothing when it has begun.

        A reason longer than 123 bytes of UTF-8 is cut. Raises ValueError for a code that may not
        be sent (RFC 6455 §7.4). May be called from any thread.
        """
        if not is_sendable_code(code):
            raise ValueError(f"close code {code} may not be sent")
        if PyThread_get_thread_ident() != self.turn.owner:
            self.turn.post(self.close, code, reason)
        elif self.phase < OPEN:
            self.finish()
        elif self.phase == OPEN:
            self.begin_close(code, reason)

    def abort(self):
        """Drop the connection at once, without a close frame."""
        if self.phase < CLOSED:
            if self.fd >= 0:
                gf_reset(self.fd)
            elif self.sink is not None:
                self.sink.abort()
            self.close_now()

    def want_drain(self):
        """Have the handler's `drain` called once the queue has room again."""
        self.wants_drain = True

    cdef bytes encode(self, int opcode, object payload):
        key = self.turn.next_key() if self.role == CLIENT else None
        return encode(0x80 | opcode, payload, key)

    cdef bytes data_of(self, Frame frame):
        if self.codec is not None:
            return self.codec.encode(frame)
        return self.encode(frame.opcode, frame.payload) if self.role == CLIENT else frame.data

    cdef int push(self, bytes data) except -1:
        """Queue a frame; return the index of its SendResult. Runs no user code."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        if self.is_full_for(size, 1):
            self.flush_now()
            if self.phase != OPEN:
                return REFUSED
            if self.is_full_for(size, 1) and not self.make_room(size):
                self.messages_dropped += 1
                return REFUSED
        self.ring_append(data)
        if not self.dirty:
            self.turn.mark(self)
        return BEHIND if self.blocked else ACCEPTED

    cdef bint is_full_for(self, Py_ssize_t size, int times):
        """Whether `size` more bytes break a limit. One message is always taken when none waits."""
        cdef Limits limits = self.turn.limits
        cdef Outgoing* out = self.outgoing
        cdef Py_ssize_t messages = self.ring_count
        cdef Py_ssize_t waiting = self.ring_bytes
        if out != NULL and out.begun_frames:
            messages += out.begun_frames
            waiting += PyBytes_GET_SIZE(<object>out.begun) - out.begun_offset
        return messages >= limits.queue_messages * times or (
            messages > 0 and waiting + size > limits.queue_bytes * times
        )

    cdef int make_room(self, Py_ssize_t size) except -1:
        """Apply the policy to a queue the sink would not take; return whether there is room."""
        cdef Limits limits = self.turn.limits
        cdef Counters counters = self.turn.counters
        self.wants_drain = True
        if limits.queue_policy == DROP_OLDEST:
            while self.ring_count and self.is_full_for(size, 1):
                Py_XDECREF(self.ring_pop())
                self.messages_dropped += 1
                counters.dropped_oldest += 1
            return True
        if limits.queue_policy == DROP_NEWEST:
            counters.dropped_newest += 1
            return False
        if limits.queue_policy == DISCONNECT:
            counters.dropped_disconnect += 1
            self.evict()
            return False
        if self.is_full_for(size, 2):
            counters.dropped_block += 1
            return False
        try:
            self.turn.handler.full(self)
        except Exception as exc:
            self.turn.handler.failed(self, exc)
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
                grown = self.turn.take_ring()
                grown[0] = self.slot
                self.ring = grown
                self.ring_capacity = RING_START
            else:
                grown = <PyObject**>malloc(2 * capacity * sizeof(PyObject*))
                if grown == NULL:
                    raise MemoryError
                for i in range(self.ring_count):
                    grown[i] = self.ring[(self.ring_head + i) & (capacity - 1)]
                self.turn.give_ring(self.ring, capacity)
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
                self.turn.give_ring(ring, self.ring_capacity)
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
        if self.outgoing != NULL and self.outgoing.begun != NULL:
            return True
        packed = []
        while self.ring_count and size < GATHER_SIZE:
            frame = <bytes>self.ring[self.ring_head]
            Py_XDECREF(self.ring_pop())
            try:
                frame = self.codec.pack(frame)
            except Exception as exc:
                self.turn.handler.failed(self, exc)
                return False
            packed.append(frame)
            size += len(frame)
            frames += 1
        self.messages_sent += frames
        self.turn.counters.messages_sent += frames
        self.need_outgoing()
        joined = b"".join(packed)
        Py_INCREF(joined)
        self.outgoing.begun = <PyObject*>joined
        self.outgoing.begun_offset = 0
        self.outgoing.begun_frames = frames
        return True

    cdef int evict(self) except -1:
        """Close a slow consumer: all but the frame begun is dropped."""
        self.messages_dropped += self.ring_count
        self.turn.counters.dropped_disconnect += self.ring_count
        self.ring_clear()
        self.begin_close(SLOW_CONSUMER, CLOSE_REASONS[SLOW_CONSUMER])
        return 0

    # Bytes out.

    def flush(self):
        """Give the sink what is queued until it is full; return whether everything has left.

        Control frames go between data frames, never into one; the close frame goes last.
        """
        return bool(self.flush_now())

    cdef int flush_now(self) except -1:
        cdef bint was_blocked = self.blocked
        cdef Py_ssize_t taken, offered = 0
        self.blocked = False
        while (self.ring_count or self.outgoing != NULL) and not self.blocked:
            if self.packs and self.ring_count and not self.pack_ring():
                self.close_now()
                return True
            taken = self.write_some(&offered)
            if taken < 0 or self.phase == CLOSED:  # a sink may say that by `lost`, too
                self.close_now()
                return True
            self.blocked = taken < offered
            self.taken(taken)
        return self.flushed(was_blocked)

    cdef int sent_together(self, Py_ssize_t sent) except -1:
        """The kernel took `sent` bytes of a whole ring, in a batch; negative: the peer is gone."""
        try:
            if sent >= 0:
                self.blocked = sent < self.ring_bytes
                self.taken(sent)
                return self.flushed(False)
        except MemoryError as exc:  # the others have to hear of theirs all the same
            self.turn.handler.failed(self, exc)
        self.close_now()
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
        if self.phase == ENDING:
            self.shut_down()
        return True

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
            sent = gf_send(fd, self.turn.staged + self.ring_head, self.ring_bytes)
        elif self.ring_count == 1:
            frame = self.ring[self.ring_head]
            sent = gf_send(fd, PyBytes_AS_STRING(<object>frame), self.ring_bytes)
        else:
            self.turn.gather(self)
            sent = gf_send(fd, self.turn.gathered, self.ring_bytes)
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

    cdef Py_ssize_t write_sink(self, Py_ssize_t* offered) except -2:
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
                <const char*>self.turn.staged + self.ring_head, self.ring_bytes
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
        try:
            return min(<Py_ssize_t>self.sink.writev(buffers), size)
        except OSError:
            return -1
        except Exception as exc:
            self.turn.handler.failed(self, exc)
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
        self.turn.counters.bytes_sent += size
        if self.outgoing == NULL and size == self.ring_bytes:
            self.messages_sent += self.ring_count
            self.turn.counters.messages_sent += self.ring_count
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
        while size:
            data = self.pop_output(&frames)
            left = PyBytes_GET_SIZE(<object>data)
            if size < left:
                self.need_outgoing()
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
            self.messages_sent += 1
            self.turn.counters.messages_sent += 1
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
        """Whether the queue is down to half its limits, so that a waiting publisher may go on."""
        cdef Limits limits = self.turn.limits
        return (
            self.queued_messages * 2 <= limits.queue_messages
            and self.queued_bytes * 2 <= limits.queue_bytes
        )

    cdef int report_drained(self) except -1:
        self.wants_drain = False
        self.turn.drained.append(self)
        self.turn.schedule()
        return 0

    cdef int watch(self) except -1:
        """Tell epoll what to wait for.

        Waiting for nothing means leaving epoll: it would go on reporting a hang-up, turn after
        turn. So the last one to leave or the first to come back is an ADD or a DEL.
        """
        cdef uint32_t events = 0
        cdef int operation
        if not self.paused and not self.resuming or self.phase >= ENDING:
            events |= EPOLLIN
        if self.blocked:
            events |= EPOLLOUT
        if events == self.events or self.phase == CLOSED:
            return 0
        operation = EPOLL_CTL_ADD if not self.events else (
            EPOLL_CTL_MOD if events else EPOLL_CTL_DEL
        )
        self.events = events
        gf_epoll_control(self.turn.epoll, operation, self.fd, events, <uintptr_t><void*>self)
        return 0

    # The end.

    cdef int set_close_frame(self, bytes payload) except -1:
        frame = self.encode(CLOSE, payload)
        self.need_outgoing()
        Py_XDECREF(self.outgoing.close)
        Py_INCREF(frame)
        self.outgoing.close = <PyObject*>frame
        return 0

    cdef int begin_close(self, int code, str reason) except -1:
        self.close_code = code
        self.close_reason = reason
        self.set_close_frame(close_payload(code, reason))
        self.phase = CLOSING
        self.since = -1.0
        if self.wants_drain:
            self.report_drained()
        self.resume(self.paused)  # the peer's close frame must be read
        if not self.dirty:
            self.turn.mark(self)
        return 0

    cdef int fail(self, int code, str reason) except -1:
        """The peer broke the protocol (RFC 6455 §7.1.7)."""
        if self.phase >= ENDING:
            return 0
        if self.phase == OPEN:
            self.close_code = code
            self.close_reason = reason
            self.set_close_frame(close_payload(code, reason))
        self.end(True)
        return 0

    cdef int end(self, bint linger) except -1:
        cdef bint was_paused = self.paused or self.resuming
        self.phase = ENDING
        self.linger = linger
        self.since = -1.0
        if self.wants_drain:
            self.report_drained()
        self.paused = 0
        if was_paused:  # to hear the peer's end
            if self.fd >= 0:
                self.watch()
            elif self.sink is not None:
                self.sink.resume_reading()
        if not self.dirty:
            self.turn.mark(self)
        return 0

    cdef int shut_down(self) except -1:
        """Everything has left a connection that is ENDING."""
        if not self.linger:
            self.close_now()
        elif not self.shut:
            self.shut = True
            if self.fd >= 0:
                if gf_shutdown(self.fd) < 0:
                    self.close_now()
                return 0
            try:
                self.sink.shutdown()
            except OSError:
                self.close_now()
        return 0

    cdef int close_now(self) except -1:
        if self.phase == CLOSED:
            return 0
        if not self.close_code:
            self.close_code = ABNORMAL
        self.phase = CLOSED
        self.free_buffers()
        self.blocked = False
        if self.wants_drain:
            self.report_drained()
        if self.fd >= 0:
            (<Poller>self.turn.poller).retire(self)
        elif self.sink is not None:
            self.sink.close()
        self.turn.closed.append(self)
        self.turn.unlink(self)
        self.turn.schedule()
        return 0

    cdef int free_buffers(self) except -1:
        cdef Incoming* incoming = self.incoming
        cdef Outgoing* out = self.outgoing
        self.ring_clear()
        free(self.full_at)
        self.full_at = NULL
        if incoming != NULL:
            buffer_free(&incoming.pending)
            buffer_free(&incoming.message)
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
        cdef Limits limits = self.turn.limits
        cdef Py_ssize_t unsent
        cdef double waited
        if self.blocked and self.fd < 0:
            unsent = self.sink.unsent()
            if unsent != self.unsent:
                self.unsent = unsent
                self.since = -1.0
        if self.since < 0 or self.since > now:  # nobody has time in store
            self.since = now
        waited = now - self.since
        if self.phase == OPEN:
            if self.blocked and waited >= limits.write_timeout:
                self.evict()
            elif limits.ping_interval > 0:
                self.keep_alive(now)
        elif self.phase == CLOSING or self.phase == ENDING:
            if waited >= limits.close_timeout:
                self.abort()
        elif self.blocked:
            if waited >= limits.write_timeout:
                self.abort()
        elif self.phase != HELD and waited >= limits.head_timeout:
            if self.phase == BODY or (self.incoming != NULL and self.incoming.pending.size):
                self.refuse(408)
            else:
                self.finish()  # nothing was asked: nothing is answered
        return 0

    cdef int keep_alive(self, double now) except -1:
        if self.ping_at < 0:
            self.ping_at = now + self.turn.limits.ping_interval
        elif now >= self.ping_at:
            self.ping_at = now + self.turn.limits.ping_interval
            if self.missed_pongs:
                self.turn.counters.pongs_missed += 1
            if self.missed_pongs >= self.turn.limits.max_missed_pongs:
                self.begin_close(INTERNAL_ERROR, "keep-alive timed out")
            else:
                self.ping()
        return 0


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
