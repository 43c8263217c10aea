# TLS between a poller's sockets and their connections.
#
# OpenSSL reads ciphertext from one memory buffer and writes it to another. Here these two are
# shared by all sessions of a poller: what comes of a peer is put in, and OpenSSL takes all of it in
# the same call (half a record stays in the session), and what it has to send is taken out at once.
# So an idle session holds no buffer, and nothing of one peer is left there when the next has its
# turn; after a failure, what may be left is thrown away first.
#
# What is encrypted has to leave, for records are numbered. So only a piece at a time is, and while
# the kernel has not taken the whole of its ciphertext, the sink owes: it does not own up to the
# last byte of the plaintext. To the connection that message is then partly written, as it would be
# on a plain socket, and everything that holds for those (what may be displaced, progress, when all
# has left) holds here.
#
# OpenSSL is the interpreter's own, by way of its `ssl` module: so there is one in the process, with
# the system's settings and mends, and nothing to link. No exception is made on the usual way: a
# session is asked for more only while there is ciphertext that it has not taken.
#
# Once hands are shaken, records go the direct way, past `ssl`, where that can be (`openssl.h`). The
# buffers of a thread then take the part of the two of a poller, and the same holds for them.

cdef enum:
    RECORD_SIZE = 16384         # RFC 8446 §5.1
    COLD_RECORD = 1369          # of plaintext: its record fits one segment, to be read as it comes
    COLD_BYTES = 32768          # sent in such records at first: then TCP's window has opened
    IDLE_SWEEPS = 2             # without a byte sent, after which it may have closed again
    MAX_REST = 262144           # bytes of ciphertext that wait, answers to a peer included who
                                # reads none
    MAX_SHAKES = 32             # steps of handshakes in one turn; each may be worth fifty messages
    MAX_IDLE = 32               # records of one reading in which there is no data
    MAX_HANDSHAKE = 20480       # bytes of a handshake, as in `records.py`
    SHAKE_BYTES = 1024          # of it so far, that make a step count as one more
    MAX_SILENT = 3 * RECORD_SIZE  # bytes of ciphertext without data, once hands are shaken
    TLS_TAG = 2                 # added to the address of a sink, for epoll
    PLAIN_SIZE = READ_SIZE + 2 * RECORD_SIZE  # what was read, and half a record of before


cdef class _Tls:
    """What the sessions of a poller share."""

    def __cinit__(self, context, describe, failed, preface):
        import ssl  # where there is no TLS, nobody needs it

        from .records import Records, long_handshake, silent

        self.context = context
        self.describe = describe
        self.failed = failed
        self.preface = preface
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.put_in = self.incoming.write
        self.take_out = self.outgoing.read
        self.records_type, self.silent = Records, silent
        self.long_handshake = long_handshake
        self.error = ssl.SSLError
        self.wants_more = ssl.SSLWantReadError
        self.is_over = ssl.SSLZeroReturnError
        if isinstance(context, ssl.SSLContext) and os.environ.get("GLYPH_FAST_DIRECT_TLS") != "0":
            self.direct_type = direct_type(context)

    cdef int purge(self) except -1:
        """Throw away what a session that failed has left in the buffers."""
        self.incoming.read()
        self.outgoing.read()
        return 0

    cdef object broken(self):
        """The exception that `ssl` would have raised."""
        cdef str text = gf_tls_reason().decode("ascii", "replace")
        failure = self.error(1, text)
        failure.reason = text.upper().replace(" ", "_")
        return failure


cdef object direct_type(context):
    """The type of the context's sessions, if they can be used without `ssl`; else None."""
    import _ssl
    import ssl

    if not gf_tls_find(os.fsencode(getattr(_ssl, "__file__", None) or "")):
        return None
    if context._msg_callback is not None:
        return None  # it would run amid a record
    session = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    made = getattr(session, "_sslobj", None)
    if type(made) is not getattr(_ssl, "_SSLSocket", None):
        return None
    return type(made) if gf_tls_fits(<PyObject*>made, <PyObject*>context) else None


cdef bytes take_waiting(Py_ssize_t sent):
    """What was encrypted and did not leave, or None. It is taken out before anybody else can run,
    whose own would come behind it."""
    cdef Py_ssize_t size
    cdef const char* data = gf_tls_waiting(&size)
    try:
        return PyBytes_FromStringAndSize(data + sent, size - sent) if sent < size else None
    finally:
        gf_tls_sent()


cdef class _TlsSink:
    """The sink of a connection that speaks TLS."""

    def __cinit__(self, Poller poller not None, _Tls tls not None, int fd):
        self.fd = fd
        self.is_made = True
        self.poller = poller
        self.settings = tls
        if tls.preface is not None:
            self.preface = b""
        self.cold_until = COLD_BYTES

    def __dealloc__(self):
        if self.is_made and self.fd >= 0:
            gf_close(self.fd)

    @property
    def tls(self):
        """What TLS tells about the peer."""
        return None if self.session is None else self.settings.describe(self.session)

    cdef int watch(self) except -1:
        """Tell epoll what to wait for; waiting for nothing means leaving it, see `Connection`."""
        cdef uint32_t events = 0
        cdef int operation
        if not self.is_paused:
            events |= EPOLLIN
        if self.is_full:
            events |= EPOLLOUT
        if events == self.events or self.is_retired:
            return 0
        operation = EPOLL_CTL_ADD if not self.events else (
            EPOLL_CTL_MOD if events else EPOLL_CTL_DEL
        )
        if gf_epoll_control(
            self.poller.epoll, operation, self.fd, events, <uintptr_t><void*>self | TLS_TAG
        ) < 0 and events:
            return self.conn.close_now()  # nobody would hear of it any more
        self.events = events
        return 0

    # What the poller calls.

    cdef int writable(self) except -1:
        """The kernel takes bytes again."""
        cdef Connection conn = self.conn
        self.push()
        if not self.is_full and conn._phase != CLOSED:
            conn.flush_now()
        return 0

    cdef int received(self, byte* data, Py_ssize_t size) except -1:
        """Ciphertext came: give the connection what it says, and send what TLS has to say."""
        cdef Connection conn = self.conn
        cdef bint is_end = False
        cdef Py_ssize_t plain
        if self.direct != NULL:
            plain = self.decrypt_directly(data, size, &is_end)
        elif self.preface is not None:
            whole = self.read_preface(self.preface + PyBytes_FromStringAndSize(<char*>data, size))
            if not whole:
                return 0
            plain = self.decrypt(whole, &is_end)
        else:
            plain = self.decrypt(PyMemoryView_FromMemory(<char*>data, size, PyBUF_READ), &is_end)
        failure, self.poller.failure = self.poller.failure, None
        if self.is_ready:
            self.silent = 0 if plain else self.silent + size
            if not plain or self.direct != NULL and gf_tls_is_idle():
                self.poller.shakes += 1
            if self.silent > MAX_SILENT and failure is None:
                failure = self.settings.silent()
        if plain:
            conn.take(self.poller.plain, plain)
        if is_end:
            self.hear_end()
        if conn._phase == CLOSED:
            return 0
        if failure is not None:
            self.fail(failure)
        elif self.rest is not None and not self.is_full and not conn.dirty:
            self.push()
        return 0

    cdef int fail(self, failure) except -1:
        """The session broke: nothing can follow but the alert that says so."""
        cdef Connection conn = self.conn
        self.push()
        self.is_shut = True
        if isinstance(failure, self.settings.error):
            try:
                self.settings.failed(conn, failure)
            except Exception as exc:
                conn._turn.failed(conn, exc)
        else:
            conn._turn.failed(conn, failure)
        return conn.close_now()

    cdef int hear_end(self) except -1:
        """The peer ended its side, of TLS or of TCP."""
        cdef Connection conn = self.conn
        if self.heard_end or conn is None or conn._phase == CLOSED:
            return 0
        self.end_waits = self.is_paused
        if not self.is_paused:
            self.heard_end = True
            self.is_paused = True  # there is nothing more to read
            self.watch()
            conn.hear_end()
        return 0

    # What the connection calls.

    cdef Py_ssize_t write(self, data, Py_ssize_t* offered) except -2:
        """Encrypt a piece and send it; return how much of it counts as taken, -1: nobody is there.

        Less than `offered` means that the kernel is full.
        """
        cdef Py_ssize_t size = len(data)
        cdef Py_ssize_t skipped = self.owes
        offered[0] = size
        self.owes = False
        if skipped:
            if size == 1:
                return 1
            data = PyMemoryView_FromObject(data)[1:]
        if self.encrypt(data, size - skipped) < 0 or self.send_rest() < 0:
            return -1
        self.owes = self.is_full
        return size - self.owes

    def unsent(self):
        """Bytes taken that the peer has not."""
        cdef Py_ssize_t waiting = gf_unacknowledged(self.fd)
        return waiting if self.rest is None else waiting + len(self.rest) - self.rest_offset

    def pause_reading(self):
        """Read no more for now."""
        self.is_paused = True
        self.watch()

    def resume_reading(self):
        """Read again."""
        if self.end_waits:  # not from here: who calls is not done with the connection
            self.is_paused = self.end_waits = False
            self.conn._turn.post(self.end_late)
        elif not self.heard_end:
            self.is_paused = False
            self.watch()

    def end_late(self):
        """The end was heard while what came before it was held back."""
        if self.conn is not None:
            self.conn.flush_now()
            self.hear_end()

    def shutdown(self):
        """End our side once everything taken has left."""
        self.end()
        if self.heard_end:
            raise BrokenPipeError("the peer has ended its side, too")
        if self.is_full:
            self.has_ended = True
        elif gf_shutdown(self.fd) < 0:
            PyErr_SetFromErrno(OSError)

    def close(self):
        """Close, with a word to the peer."""
        try:
            self.end()
        finally:
            self.poller.retire_tls(self)

    def abort(self):
        """Close at once, with a reset."""
        self.is_shut = True
        gf_reset(self.fd)

    # TLS.

    cdef bytes read_preface(self, bytes data):
        """What is left of `data` for TLS: nothing while the preface is not complete."""
        cdef Connection conn = self.conn
        cdef Py_ssize_t size = self.settings.preface(conn, data)
        self.preface = None if size else data
        if size < 0:
            conn.abort()
        return data[size:] if size > 0 else b""

    cdef Py_ssize_t decrypt(self, data, bint* is_end) except -1:
        """Decrypt all of it into the poller's buffer and return how many bytes that gave.

        `is_end` says whether it ends there, the poller's `failure` what went wrong.
        """
        cdef Poller poller = self.poller
        cdef _Tls tls = self.settings
        cdef Py_ssize_t size = 0
        cdef Py_ssize_t count
        cdef Py_ssize_t idle = 0
        cdef bint is_more = self.is_ready
        cdef bint was_ready = self.is_ready
        cdef object ahead = None  # what came beyond the longest handshake
        cdef Py_ssize_t room
        if not was_ready:
            room = MAX_HANDSHAKE - <Py_ssize_t>self.silent
            self.silent += <uint32_t>len(data)
            if len(data) > room:
                data, ahead = data[:room], data[room:]
        try:
            if tls.direct_type is None:
                if self.records is None:
                    self.records = tls.records_type()
                idle = self.records.count(data)
            tls.put_in(data)
            if not self.is_ready:
                self.shake_hands()
                if ahead is not None:
                    tls.put_in(ahead)
                if self.direct != NULL:
                    self.keep()
                    data = tls.incoming.read()
                    return self.decrypt_directly(data, len(data), is_end)
            while is_more or tls.incoming.pending:
                is_more = False
                count = self.raw.read(PLAIN_SIZE - size, PyMemoryView_FromMemory(
                    <char*>poller.plain + size, PLAIN_SIZE - size, PyBUF_WRITE
                ))
                if not count:
                    is_end[0] = True
                    break
                size += count
                idle -= 1
        except tls.wants_more:
            if ahead is not None and not self.is_ready:
                poller.failure = tls.long_handshake()
        except tls.is_over:  # both sides are ended
            is_end[0] = True
        except BaseException as exc:
            poller.failure = exc
        if was_ready and idle > MAX_IDLE and self.poller.failure is None:
            self.poller.failure = tls.silent()
        try:
            self.keep()
            if is_end[0] or poller.failure is not None:
                tls.purge()
        except BaseException as exc:
            poller.failure = poller.failure or exc
        return size

    cdef Py_ssize_t decrypt_directly(self, const byte* data, Py_ssize_t size, bint* is_end):
        """As `decrypt`, past `ssl`."""
        cdef int why
        cdef Py_ssize_t waiting
        cdef bytes answer
        size = gf_tls_read(self.direct, data, size, <char*>self.poller.plain, PLAIN_SIZE, &why)
        gf_tls_waiting(&waiting)
        if not waiting and why == GF_TLS_MORE:
            return size
        is_end[0] = why == GF_TLS_END
        try:
            answer = take_waiting(0)
            if why == GF_TLS_BROKEN:
                self.poller.failure = self.settings.broken()
            elif why == GF_TLS_SILENT:
                self.poller.failure = self.settings.silent()
            if answer is not None:
                self.add_rest(answer)
        except BaseException as exc:
            self.poller.failure = self.poller.failure or exc
        return size

    cdef int shake_hands(self) except -1:
        """Take a step; the session is there from the first byte on, for silence costs nothing."""
        cdef _Tls tls = self.settings
        if self.session is None:
            self.session = tls.context.wrap_bio(tls.incoming, tls.outgoing, server_side=True)
            # What lies below does the same and is a call less. A Python without it has the session.
            self.raw = getattr(self.session, "_sslobj", None) or self.session
        self.poller.shakes += 1 + <int>(self.silent // SHAKE_BYTES)
        self.raw.do_handshake()
        self.is_ready = True
        self.silent = 0
        if type(self.raw) is tls.direct_type:
            self.direct = gf_tls_take_over(<PyObject*>self.raw)
        return 0

    cdef bint needs_small(self, Py_ssize_t size):
        """Whether so much goes in small records, since the peer would wait for the end of large."""
        cdef Connection conn = self.conn
        if conn._turn.sweeps - self.sweep >= IDLE_SWEEPS:
            self.cold_until = conn.bytes_sent + COLD_BYTES
        self.sweep = conn._turn.sweeps
        return conn.bytes_sent < self.cold_until and size > COLD_RECORD

    cdef int encrypt(self, data, Py_ssize_t size) except -2:
        """Add records to the rest; -1: the session is broken."""
        cdef _Tls tls = self.settings
        cdef Py_ssize_t used = 0
        cdef bint is_cold = self.needs_small(size)
        cdef bint has_failed = False
        try:
            if not is_cold:
                used = self.raw.write(data)
            while used < size:
                view = PyMemoryView_FromObject(data)
                view = view[used:used + COLD_RECORD] if is_cold else view[used:]
                used += <Py_ssize_t>self.raw.write(view)
            self.keep()
        except BaseException as exc:
            self.is_shut = True
            tls.purge()
            if not isinstance(exc, tls.error):
                raise
            has_failed = True
        return -1 if has_failed else 0

    cdef Py_ssize_t write_directly(
        self, const char* data, Py_ssize_t size, Py_ssize_t* offered
    ) except -2:
        """As `write`, past `ssl`. Nobody else runs until it is encrypted."""
        cdef Py_ssize_t used = self.owes
        cdef Py_ssize_t count
        cdef bint is_cold = self.needs_small(size)
        offered[0] = size
        self.owes = False
        while used < size:
            count = min(size - used, <Py_ssize_t>COLD_RECORD) if is_cold else size - used
            if not gf_tls_write(self.direct, data + used, count):
                self.is_shut = True
                gf_tls_reason()
                gf_tls_sent()
                return -1
            used += count
        if self.send_waiting() < 0:
            return -1
        self.owes = self.is_full
        return size - self.owes

    cdef int send_waiting(self) except -2:
        """Send what was encrypted directly, after the rest; -1: nobody is there."""
        cdef Py_ssize_t size, sent = 0
        cdef const char* data = gf_tls_waiting(&size)
        cdef bytes left
        if size and self.rest is None:
            sent = gf_send(self.fd, data, size)
            if sent < 0:
                sent = refused()
            if sent < 0:
                gf_tls_sent()
                self.is_shut = True
                return -1
            if sent == size:
                gf_tls_sent()
                return 0
        left = take_waiting(sent)
        if self.rest is not None:
            if left is not None:
                self.add_rest(left)
            return self.send_rest()
        if left is not None:
            self.rest = left
            self.rest_offset = 0
            self.set_full(True)
        return 0

    cdef int keep(self) except -1:
        """Take out what OpenSSL has to send; it leaves with the next write."""
        cdef bytes more = self.settings.take_out()
        return self.add_rest(more) if more else 0

    cdef int add_rest(self, bytes more) except -1:
        if self.rest is not None:
            more = self.rest[self.rest_offset:] + more
            if len(more) > MAX_REST:
                raise self.settings.error("the peer reads none of the answers it causes")
        self.rest = more
        self.rest_offset = 0
        return 0

    cdef int push(self) except -1:
        if self.send_rest() < 0:
            self.conn.close_now()
        return 0

    cdef int send_rest(self) except -2:
        """Send ciphertext as far as the kernel takes it; -1: nobody is there."""
        cdef Py_ssize_t left, sent
        cdef bint is_full
        if self.rest is None:
            return 0
        left = len(self.rest) - self.rest_offset
        sent = gf_send(self.fd, PyBytes_AS_STRING(self.rest) + self.rest_offset, left)
        if sent < 0:
            sent = refused()
            if sent < 0:
                self.is_shut = True
                return -1
        is_full = sent < left
        self.rest_offset += sent
        if not is_full:
            self.rest = None
        self.set_full(is_full)
        if self.has_ended and not is_full:
            self.has_ended = False
            gf_shutdown(self.fd)
        return 0

    cdef int set_full(self, bint is_full) except -1:
        if is_full != self.is_full:
            self.is_full = is_full
            self.watch()
        return 0

    cdef int end(self) except -1:
        """Tell the peer that nothing more comes (RFC 8446 §6.1), unless it reads none."""
        cdef Connection conn = self.conn
        if not self.is_ready or self.is_shut:
            return 0
        self.is_shut = True
        if self.direct != NULL:
            gf_tls_end(self.direct)
            self.send_waiting()
            return 0
        try:
            try:
                self.session.unwrap()
            except self.settings.error:
                pass  # its own end has not come, or the session is broken: it was told all the same
            self.keep()
        except BaseException as exc:
            self.settings.purge()
            conn._turn.failed(conn, exc)
        self.send_rest()
        return 0
