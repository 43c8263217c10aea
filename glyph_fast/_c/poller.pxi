# The sockets of a native engine.
#
# epoll remembers, for a connection, the address of its object (objects are aligned, so it is even),
# for the sink of one that speaks TLS that address plus TLS_TAG, and for a listening socket four
# times its index plus one. A connection that closes leaves epoll at
# once, but its object and its descriptor live until the turn is over: events already fetched may
# name it.


cdef class Poller:
    """The sockets of a native engine: accepts, reads, writes, through one epoll descriptor.

    The loop watches `fileno()` and calls `run_turn` when it is readable. `accept_failed(exc)` is
    called once each time accepting has to pause, with the OSError (EMFILE, ENFILE, …).
    """

    def __cinit__(self, Turn turn not None, accept_failed):
        self.epoll = -1
        self.is_made = True
        self.buffer = <byte*>malloc(READ_SIZE)
        self.events = <gf_event*>malloc(MAX_EVENTS * sizeof(gf_event))
        if self.buffer == NULL or self.events == NULL:
            raise MemoryError
        self.turn = turn
        self.accept_failed = accept_failed
        self.listeners = []
        self.resting = []
        self.retired = []
        self.epoll = gf_epoll_create()
        if self.epoll < 0:
            PyErr_SetFromErrno(OSError)
        turn.epoll = self.epoll
        turn.poller = self

    def __init__(self, *_args, **_named):
        pass  # see `Turn`

    def __dealloc__(self):
        if self.is_made and self.epoll >= 0:
            gf_close(self.epoll)
        free(self.buffer)
        free(self.plain)
        free(self.events)

    def fileno(self):
        """The descriptor that becomes readable when a turn is due."""
        return self.epoll

    def use_tls(self, context, *, describe, failed, preface=None):
        """Speak TLS with those who come from now on; called again, with other settings.

        `describe(session)` makes what `conn._sink.tls` gives, `failed(conn, exc)` is told why a
        session broke. `preface(conn, data)` reads what stands before TLS: given all that came so
        far, it says how many bytes that was, 0 while it cannot tell, -1 to abort the connection.
        """
        self.turn.check_thread("use_tls")
        if self.plain == NULL:
            self.plain = <byte*>malloc(PLAIN_SIZE)
            if self.plain == NULL:
                raise MemoryError
        self.tls = _Tls(context, describe, failed, preface)

    def listen(self, sock):
        """Accept from a bound, listening, non-blocking socket. It stays the caller's to close."""
        self.turn.check_thread("listen")
        self.listeners.append(sock)
        self.watch_listener(len(self.listeners) - 1, EPOLL_CTL_ADD)

    def stop_listening(self):
        """Accept no more."""
        cdef Py_ssize_t index
        if self.turn.is_forked:
            return  # epoll is shared with the parent, which goes on
        self.turn.check_thread("stop_listening")
        for index in range(len(self.listeners)):
            if self.listeners[index] is not None and index not in self.resting:
                self.watch_listener(index, EPOLL_CTL_DEL)
            self.listeners[index] = None
        self.resting.clear()

    def resume_listening(self):
        """Try again to accept after a failure. For the owner's sweep."""
        self.turn.check_thread("resume_listening")
        for index in self.resting:
            self.watch_listener(index, EPOLL_CTL_ADD)
        self.resting.clear()

    cdef int watch_listener(self, Py_ssize_t index, int operation) except -1:
        cdef int fd = self.listeners[index].fileno()
        if gf_epoll_control(self.epoll, operation, fd, EPOLLIN, 4 * index + 1) < 0:
            PyErr_SetFromErrno(OSError)
        return 0

    def run_turn(self):
        """Accept, read and handle what is there, then write once to each connection.

        Peers that answer at once are often there again by then, so it looks once more before it
        goes back to the loop, which costs more; but it serves a bounded number of events, and
        looks again only while what came is little and nobody's input was left for the next turn:
        that comes by the loop, in which others have timers. Within a turn it does nothing: a loop
        that a handler runs inside its own (nest_asyncio) would write over what is being read.
        """
        cdef int count, i
        cdef int served = 0
        cdef uint64_t data
        if self.turn.in_turn:
            return
        self.shakes = 0
        cdef Counters counters = self.turn.counters
        cdef int64_t enough = counters.bytes_received + READ_SIZE
        self.turn.check_thread("run_turn")
        while (served < MAX_EVENTS and counters.bytes_received < enough
               and self.shakes < MAX_SHAKES):
            count = gf_epoll_poll(self.epoll, self.events, MAX_EVENTS)
            if count <= 0:
                break
            served += count
            self.turn.in_turn = True
            try:
                for i in range(count):
                    data = gf_event_data(&self.events[i])
                    if data & 3:
                        self.serve_other(data, self.events[i].events)
                    else:
                        self.serve(<Connection><void*><uintptr_t>data, self.events[i].events)
            finally:
                self.turn.in_turn = False
                self.turn.flush()
            if self.retired or self.retired_tls != NULL:
                # `close` came meanwhile: the turn knows this poller no more
                self.close_retired()
            if self.turn.scheduled:
                break

    def close(self):
        """Abort every connection and close the epoll descriptor."""
        if not self.turn.is_forked:  # there, all connections are the parent's
            self.turn.check_thread("close")
            self.stop_listening()
            for conn in self.turn:
                if (<Connection>conn).fd >= 0 or isinstance((<Connection>conn)._sink, _TlsSink):
                    conn.abort()
            self.turn.flush()  # closes descriptors too, unless a turn runs: then that one does
        if self.epoll >= 0:
            gf_close(self.epoll)
        self.epoll = self.turn.epoll = -1
        self.turn.poller = None
        self.turn.drop_batch()

    cdef int accept(self, Py_ssize_t index) except -1:
        cdef int fd, i, error
        cdef byte family
        cdef byte address[16]
        cdef uint16_t port
        cdef Connection conn
        sock = self.listeners[index]
        if sock is None:
            return 0
        cdef int listener = sock.fileno()
        for i in range(MAX_ACCEPTS):
            family = port = 0
            fd = gf_accept(listener, &family, address, &port)
            if fd < 0:
                error = errno
                if error in (EMFILE, ENFILE, ENOBUFS, ENOMEM):
                    self.watch_listener(index, EPOLL_CTL_DEL)
                    self.resting.append(index)
                    self.accept_failed(OSError(error, os.strerror(error)))
                return 0
            conn = None
            try:
                sink = None if self.tls is None else _TlsSink(self, self.tls, fd)
                conn = self.turn.connection_type(self.turn, sink)
            except BaseException as exc:
                if sink is not None:
                    (<_TlsSink>sink).fd = -1
                gf_end(fd)
                self.turn.failed(None, exc)
            if conn is None:
                return 0
            conn.family = family
            conn.port = port
            memcpy(conn.address, address, 16)
            if sink is None:
                conn.fd = fd
                conn.watch()
            else:
                (<_TlsSink>sink).conn = conn
                (<_TlsSink>sink).watch()
        return 0

    cdef int serve_other(self, uint64_t data, uint32_t events) except -1:
        if data & 1:
            return self.accept(data >> 2)
        return self.serve_tls(<_TlsSink><void*><uintptr_t>(data ^ TLS_TAG), events)

    cdef int serve_tls(self, _TlsSink sink, uint32_t events) except -1:
        cdef Connection conn = sink.conn
        cdef Py_ssize_t size
        if conn._phase == CLOSED:
            return 0
        if events & EPOLLOUT:
            sink.writable()
        if not events & ~EPOLLOUT or not sink.events & EPOLLIN or conn._phase == CLOSED:
            return 0
        if self.shakes >= MAX_SHAKES and not (sink.is_ready and conn.bytes_received):
            return 0  # it is readable in the next turn, too
        size = gf_receive(sink.fd, self.buffer, READ_SIZE)
        if size > 0:
            self.shakes += sink.is_ready and not conn.bytes_received
            sink.received(self.buffer, size)
        elif size == 0:
            sink.hear_end()
        elif errno != EAGAIN and errno != EWOULDBLOCK and errno != EINTR:
            sink.is_shut = True
            conn.close_now()
        return 0

    cdef int serve(self, Connection conn, uint32_t events) except -1:
        cdef Py_ssize_t size
        if conn._phase == CLOSED:
            return 0
        if events & EPOLLOUT:
            conn.flush_now()
        if not events & ~EPOLLOUT or not conn.events & EPOLLIN or conn._phase == CLOSED:
            return 0
        if self.shakes >= MAX_SHAKES and not conn.bytes_received:
            return 0  # it is readable in the next turn, too
        size = gf_receive(conn.fd, self.buffer, READ_SIZE)
        if size > 0:
            self.shakes += not conn.bytes_received
            conn.take(self.buffer, size)
        elif size == 0:
            conn.hear_end()
        elif errno != EAGAIN and errno != EWOULDBLOCK and errno != EINTR:
            conn.close_now()
        return 0

    cdef bint retire(self, Connection conn) except -1:
        """Take it out of epoll, and close its descriptor once the turn is over; False without
        memory to remember that."""
        if conn.events:
            gf_epoll_control(self.epoll, EPOLL_CTL_DEL, conn.fd, 0, 0)
            conn.events = 0
        if not self.turn.note(self.retired, conn):
            return False
        if not self.turn.in_turn:
            self.close_retired()
        return True

    cdef int retire_tls(self, _TlsSink sink) except -1:
        """As `retire`, without the need for memory."""
        if sink.is_retired:
            return 0
        sink.is_retired = True
        if sink.events:
            gf_epoll_control(self.epoll, EPOLL_CTL_DEL, sink.fd, 0, 0)
            sink.events = 0
        Py_INCREF(sink)
        sink.next = self.retired_tls
        self.retired_tls = <void*>sink
        if not self.turn.in_turn:
            self.close_retired()
        return 0

    cdef int close_retired(self) except -1:
        cdef Connection conn
        cdef _TlsSink sink
        while self.retired_tls != NULL:
            sink = <_TlsSink>self.retired_tls
            self.retired_tls = sink.next
            gf_end(sink.fd)
            sink.fd = -1
            sink.conn._sink = None
            sink.conn = None
            sink.direct = NULL
            sink.session = sink.raw = None
            Py_DECREF(sink)
        for conn in self.retired:
            gf_end(conn.fd)
            conn.fd = -1
        self.retired.clear()
        return 0
