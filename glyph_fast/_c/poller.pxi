# The sockets of a native engine.
#
# epoll remembers, for a connection, the address of its object (objects are aligned, so it is even),
# and for a listening socket twice its index plus one. A connection that closes leaves epoll at
# once, but its object and its descriptor live until the turn is over: events already fetched may
# name it.


cdef class Poller:
    """The sockets of a native engine: accepts, reads, writes, through one epoll descriptor.

    The loop watches `fileno()` and calls `run_turn` when it is readable. `accept_failed(exc)` is
    called once each time accepting has to pause, with the OSError (EMFILE, ENFILE, …).
    """

    def __cinit__(self):
        self.epoll = -1
        self.buffer = <byte*>malloc(READ_SIZE)
        self.events = <gf_event*>malloc(MAX_EVENTS * sizeof(gf_event))
        if self.buffer == NULL or self.events == NULL:
            raise MemoryError

    def __init__(self, Turn turn not None, accept_failed):
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

    def __dealloc__(self):
        if self.epoll >= 0:
            gf_close(self.epoll)
        free(self.buffer)
        free(self.events)

    def fileno(self):
        """The descriptor that becomes readable when a turn is due."""
        return self.epoll

    def listen(self, sock):
        """Accept from a bound, listening, non-blocking socket. It stays the caller's to close."""
        self.listeners.append(sock)
        self.watch_listener(len(self.listeners) - 1, EPOLL_CTL_ADD)

    def stop_listening(self):
        """Accept no more."""
        cdef Py_ssize_t index
        for index in range(len(self.listeners)):
            if self.listeners[index] is not None and index not in self.resting:
                self.watch_listener(index, EPOLL_CTL_DEL)
            self.listeners[index] = None
        self.resting.clear()

    def resume_listening(self):
        """Try again to accept after a failure. For the owner's sweep."""
        for index in self.resting:
            self.watch_listener(index, EPOLL_CTL_ADD)
        self.resting.clear()

    cdef int watch_listener(self, Py_ssize_t index, int operation) except -1:
        cdef int fd = self.listeners[index].fileno()
        if gf_epoll_control(self.epoll, operation, fd, EPOLLIN, 2 * index + 1) < 0:
            PyErr_SetFromErrno(OSError)
        return 0

    def run_turn(self):
        """Accept, read and handle what is there, then write once to each connection.

        Peers that answer at once are often there again by then, so it looks once more before it
        goes back to the loop, which costs more; but it serves a bounded number of events, and
        looks again only while what came is little.
        """
        cdef int count, i
        cdef int served = 0
        cdef uint64_t data
        cdef Counters counters = self.turn.counters
        cdef int64_t enough = counters.bytes_received + READ_SIZE
        while served < MAX_EVENTS and counters.bytes_received < enough:
            count = gf_epoll_poll(self.epoll, self.events, MAX_EVENTS)
            if count <= 0:
                break
            served += count
            self.turn.in_turn = True
            try:
                for i in range(count):
                    data = gf_event_data(&self.events[i])
                    if data & 1:
                        self.accept(data >> 1)
                    else:
                        self.serve(<Connection><void*><uintptr_t>data, self.events[i].events)
            finally:
                self.turn.in_turn = False
                self.turn.flush()
            if self.retired:  # `close` came meanwhile: the turn knows this poller no more
                self.close_retired()

    def close(self):
        """Abort every connection and close the epoll descriptor."""
        self.stop_listening()
        for conn in self.turn:
            if (<Connection>conn).fd >= 0:
                conn.abort()
        self.turn.flush()  # closes descriptors too, unless a turn runs: then that one does
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
            try:
                conn = self.turn.connection_type(self.turn, None)
            except Exception as exc:
                gf_close(fd)
                self.turn.handler.failed(None, exc)
                return 0
            conn.fd = fd
            conn.family = family
            conn.port = port
            memcpy(conn.address, address, 16)
            conn.watch()
        return 0

    cdef int serve(self, Connection conn, uint32_t events) except -1:
        cdef Py_ssize_t size
        if conn.phase == CLOSED:
            return 0
        if events & EPOLLOUT:
            conn.flush_now()
        if not events & ~EPOLLOUT or not conn.events & EPOLLIN or conn.phase == CLOSED:
            return 0
        size = gf_receive(conn.fd, self.buffer, READ_SIZE)
        if size > 0:
            conn.take(self.buffer, size)
        elif size == 0:
            conn.hear_end()
        elif errno != EAGAIN and errno != EWOULDBLOCK and errno != EINTR:
            conn.close_now()
        return 0

    cdef int retire(self, Connection conn) except -1:
        if conn.events:
            gf_epoll_control(self.epoll, EPOLL_CTL_DEL, conn.fd, 0, 0)
            conn.events = 0
        self.retired.append(conn)
        if not self.turn.in_turn:
            self.close_retired()
        return 0

    cdef int close_retired(self) except -1:
        cdef Connection conn
        for conn in self.retired:
            gf_close(conn.fd)
            conn.fd = -1
        self.retired.clear()
        return 0
