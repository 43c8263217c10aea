# What the connections of one loop share, and the work at the end of its turn.
#
# Who holds a connection. The turn does, from `link` to `unlink`, by a counted reference in a list
# that runs through the connections themselves: entering and leaving it takes no memory, so neither
# can fail. A place in `dirty` holds one more. So a connection that closes while something of this
# turn still names it is there until that is done, and the reference that ends it may be the last.
#
# Order in a turn. Messages are handled as they are read; each marks the connections it writes to
# (`mark`). `flush` then goes in rounds: calls of other threads, one write for each marked
# connection, reports. Reports run user code, which may mark, close and post again, hence rounds,
# and a bounded number of them: a program that answers each report with another message must not
# keep the loop from its other work. What is left is scheduled for the next turn.
#
# Memory may fail at each of these places. Nothing that must happen depends on an append: a
# connection that could not be noted sets `has_missed`, and the next sweep looks at all of them.

cdef enum:  # what is reported of a connection
    RESUMED
    DRAINED
    ENDED


cdef object turns = WeakSet()  # all there are: a child process has to disown its copies of them


def _disown():
    """After a fork, in the child: sockets, epoll and ring are the parent's, and it goes on."""
    cdef Turn turn
    for turn in list(turns):
        turn.owner = 0
        turn.is_forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown)


cdef class Limits:
    """The bounds of every connection of a server. Sizes are bytes, times are seconds, rates are per
    second; 0 is "off" for `ping_interval` and the two rates.

    A rate is a token bucket of `burst` tokens, which a message takes one of, or one for each byte.
    """

    def __init__(
        self,
        *,
        Py_ssize_t max_message_size=512 * 1024,
        Py_ssize_t queue_messages=256,
        Py_ssize_t queue_bytes=1024 * 1024,
        int queue_policy=DROP_OLDEST,
        double write_timeout=10.0,
        double close_timeout=5.0,
        double head_timeout=10.0,
        double keep_alive_timeout=75.0,
        double ping_interval=30.0,
        Py_ssize_t max_missed_pongs=3,
        double message_rate=0.0,
        Py_ssize_t message_burst=1,
        double byte_rate=0.0,
        Py_ssize_t byte_burst=1,
        bint rate_disconnects=False,
    ):
        self.max_message_size = max_message_size
        self.queue_messages = queue_messages
        self.queue_bytes = queue_bytes
        self.queue_policy = queue_policy
        self.write_timeout = write_timeout
        self.close_timeout = close_timeout
        self.head_timeout = head_timeout
        self.keep_alive_timeout = keep_alive_timeout
        self.ping_interval = ping_interval
        self.max_missed_pongs = max_missed_pongs
        self.message_rate = message_rate
        self.message_burst = message_burst
        self.byte_rate = byte_rate
        self.byte_burst = byte_burst
        self.rate_disconnects = rate_disconnects
        self.is_rated = message_rate > 0 or byte_rate > 0
        if message_rate > 0:
            self.message_depth = message_burst / message_rate
        if byte_rate > 0:
            self.byte_depth = byte_burst / byte_rate


cdef class Counters:
    """Sums over all connections of a server since it started."""

    def __cinit__(self):
        self.broadcast_seconds = Histogram()
        self.handler_seconds = Histogram()
        self.ping_rtt_seconds = Histogram()


cdef class Turn:
    """What the connections of one loop share, and the work left for the end of its turn.

    `wake` asks the loop to call `flush` soon; `wake_threadsafe` does so from any thread.
    `connection_type(turn, sink)` makes the connections a `Poller` accepts. The thread that
    makes a Turn owns it until another calls `bind`.
    """

    def __cinit__(self, Limits limits not None, handler, *, connection_type=None, wake=None,
                  wake_threadsafe=None, clock=time.monotonic):
        self.epoll = -1
        self.gathered = <byte*>malloc(GATHER_SIZE)
        self.staged = <byte*>malloc(STAGE_SIZE)
        self.spare_rings = <PyObject***>malloc(MAX_SPARE_RINGS * sizeof(PyObject**))
        self.batch_refused = os.environ.get("GLYPH_FAST_IO_URING", "") == "0"
        if self.gathered == NULL or self.staged == NULL or self.spare_rings == NULL:
            raise MemoryError
        self.limits = limits
        self.handler = handler
        owner = getattr(getattr(handler, "message", None), "__self__", None)
        if isinstance(owner, Dispatch):
            self.dispatch = owner
        self.connection_type = connection_type or Connection
        self.clock = clock
        self.counters = Counters()
        self.owner = PyThread_get_thread_ident()
        self._wake = wake
        self._wake_threadsafe = wake_threadsafe
        self._posted = deque()
        self.resumed = []
        self.rested = []
        self.drained = []
        self.closed = []
        self.keys = b""
        turns.add(self)

    def __init__(self, *_args, **_named):
        pass  # all is done: an object that exists is whole, and a second call changes nothing

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.dirty_count):
            Py_XDECREF(self.dirty[i])
        for i in range(self.run_count):
            Py_XDECREF(self.run[i])
        for i in range(self.spare_count):
            free(self.spare_rings[i])
        free(self.dirty)
        free(self.run)
        free(self.spare_rings)
        free(self.gathered)
        free(self.staged)
        gf_batch_close(self.batch)

    def __len__(self):
        """How many connections are not closed yet, in any phase."""
        return self.count

    def __iter__(self):
        """The connections that are not closed yet, as they are now."""
        conns = []
        cdef void* at = self.first
        while at != NULL:
            conns.append(<Connection>at)
            at = (<Connection>at).next
        return iter(conns)

    def bind(self):
        """Make the calling thread the owner: calls from others are handed over by `post`."""
        self.owner = PyThread_get_thread_ident()
        self.is_forked = False
        self.drop_batch()  # it belonged to the other thread

    def is_owner(self):
        """Whether the caller runs in the owner's thread."""
        return PyThread_get_thread_ident() == self.owner

    def post(self, function, *args):
        """Call `function(*args)` in the owner's thread, in the order of the posts of each thread.

        What it raises goes to the handler's `failed`, but for ConnectionClosed, which nobody
        could answer any more. Raises RuntimeError in a process forked from the owner's, where
        nobody would ever call it.
        """
        if self.is_forked:
            raise RuntimeError(FORKED)
        self._posted.append((function, args))
        # After the append, and taken back before the posts are run: whoever finds it set is heard.
        # With the two the other way round, a post between them would wait for the next wake.
        if not self.post_woken and self._wake_threadsafe is not None:
            self.post_woken = True
            self._wake_threadsafe()

    def hand_over(self, function, *args):
        """`post` a call, if the caller is in another thread; return whether it was."""
        if PyThread_get_thread_ident() == self.owner:
            return False
        self.post(function, *args)
        return True

    def charge(self, Py_ssize_t frames):
        """Let the message being handled count like so many frames more in its peer's share."""
        self.weight += frames

    cpdef int check_thread(self, str name) except -1:
        """Refuse a call that is for the owner's thread alone, in any other."""
        if PyThread_get_thread_ident() != self.owner:
            raise RuntimeError(FORKED if self.is_forked else ELSEWHERE.format(name))
        return 0

    cpdef schedule(self):
        """See that `flush` is called: at the end of this turn, or soon."""
        cdef PyObject* woken
        if not self.in_turn and not self.scheduled:
            self.scheduled = True
            if self._wake is not None:
                woken = PyObject_CallNoArgs(self._wake)
                if woken != NULL:
                    Py_DECREF(<object>woken)
                elif PyErr_ExceptionMatches(MemoryError):
                    PyErr_Clear()  # the next turn comes by itself, or with the next sweep
                    self.scheduled = False
                    self.has_missed = True
                else:
                    gf_failed()

    def flush(self):
        """Write once to every connection that has something to write, then report what happened.

        Reports (input held back, queues drained, connections closed) run user code, which may
        write again: so it goes in rounds, a bounded number of them. From another thread the call
        is handed over.
        """
        cdef int i
        if PyThread_get_thread_ident() != self.owner:
            if not self.is_forked:  # there, an end that unwinds the loop must come to its end
                self.post(bool)  # nothing; what runs the posts is a flush
            return
        # A handler may flush too. Then the turn around it still has descriptors fetched from epoll,
        # so nothing is retired here: a number that was closed now could be reused within the turn.
        cdef bint is_nested = self.in_turn
        self.scheduled = False
        self.in_turn = True
        try:
            for i in range(MAX_ROUNDS):
                if self._posted:
                    self.run_posted()
                self.write_all()
                if not (self.resumed or self.drained or self.closed or self._posted):
                    break
                self.report()
        finally:
            self.in_turn = is_nested
            self.forget_run()
            if not is_nested and self.poller is not None:
                (<Poller>self.poller).close_retired()
            if self.rested and not is_nested:
                self.go_on()
            if self.dirty_count or self.resumed or self.drained or self.closed or self._posted:
                self.schedule()

    cdef int failed(self, conn, exc) except -1:
        """Tell the handler; where it has no memory for that either, nobody hears of it."""
        try:
            self.handler.failed(conn, exc)
        except Exception:
            pass
        return 0

    cdef bint note(self, list conns, Connection conn) except -1:
        """Put it on a list for the end of the turn; without memory the next sweep does."""
        if quiet_append(conns, conn) < 0:
            PyErr_Clear()
            self.has_missed = True
            return False
        return True

    cdef int find_missed(self) except -1:
        """Catch up on what there was no memory to note."""
        cdef Connection conn
        self.has_missed = False
        for conn in self:
            conn.catch_up()
        return 0

    cdef int go_on(self) except -1:
        """Let those who had their share of this turn have one of the next."""
        cdef Connection conn
        cdef list conns
        conns, self.rested = self.rested, []
        for conn in conns:
            conn.resume(PAUSE_TURN)
        return 0

    cdef int run_posted(self) except -1:
        cdef Py_ssize_t i
        self.post_woken = False
        for i in range(len(self._posted)):
            if not self._posted:  # one of them has flushed, which ran the rest
                break
            function, args = self._posted.popleft()
            try:
                function(*args)
            except ConnectionClosed:
                pass
            except BaseException as exc:
                self.failed(None, exc)
        return 0

    cdef int write_all(self) except -1:
        if self.dirty_count >= BATCH_LEAST and self.epoll >= 0 and not self.batch_refused:
            self.write_together()
        # Writing may mark a connection again (it does when it begins to close), so the list is
        # walked by index and shrinks only when its end is reached.
        cdef Py_ssize_t i = 0
        cdef Connection conn
        while i < self.dirty_count:
            if self.dirty[i] == NULL:  # written by a walk that did not come to its end
                i += 1
                continue
            conn = <Connection>self.dirty[i]
            self.dirty[i] = NULL
            Py_DECREF(conn)
            i += 1
            if i < self.dirty_count:
                gf_prefetch(self.dirty[i])
            conn.dirty = False
            if conn._phase != CLOSED and (<quiet_write>write_now)(conn) < 0:
                conn.break_off()
        self.dirty_count = 0
        self.staged_size = 0  # whoever has staged something is dirty
        return 0

    # Sends by one system call. No user code runs between the first of them and its result, so all
    # rings stay as they are meanwhile, and nobody writes to these connections by another way. What
    # is sent lies in three places: a frame of its own in the frame (the ring holds it), replies of
    # this turn in `staged`, a ring of several frames in `gathered`. The last is written over by the
    # next connection with other frames, so the batch is sent before that. `places` says where in
    # `dirty` each send came from; a slot is emptied only when its result is known, so whoever the
    # kernel did not look at is found there by the walk that writes one by one.

    cdef int write_together(self) except -1:
        """Write to those with nothing but messages waiting, many by one system call.

        The others stay in `dirty`, and with them whoever the kernel did not look at.
        """
        cdef Py_ssize_t[BATCH_SIZE] places  # in `dirty`, of the connections of the batch
        cdef Py_ssize_t i
        cdef Connection conn
        cdef const char* data
        for i in range(self.dirty_count):
            if self.dirty[i] == NULL:
                continue
            conn = <Connection>self.dirty[i]
            if i + 1 < self.dirty_count:
                gf_prefetch(self.dirty[i + 1])
            if (conn._phase == CLOSED or conn.fd < 0 or conn.blocked or conn.packs
                    or not conn.ring_count or conn.outgoing != NULL):
                continue
            if conn.ring == NULL:
                data = <const char*>self.staged + conn.ring_head
            elif conn.ring_count == 1:
                data = PyBytes_AS_STRING(<object>conn.ring[conn.ring_head])
            elif conn.ring_bytes > GATHER_SIZE:
                continue
            else:
                if not self.is_gathered(conn):
                    if self.batch != NULL and self.batch.count:
                        self.send_batch(places)  # from what is about to be written over
                    if not self.gather(conn):
                        continue
                data = <const char*>self.gathered
            if self.batch == NULL and not self.batch_refused:
                self.batch = gf_batch_open(BATCH_SIZE)
            if self.batch == NULL:
                self.batch_refused = True
                return 0
            places[self.batch.count] = i
            gf_batch_add(self.batch, conn.fd, data, conn.ring_bytes)
            if self.batch.count == BATCH_SIZE:
                self.send_batch(places)
        if self.batch != NULL and self.batch.count:
            self.send_batch(places)
        return 0

    cdef int send_batch(self, Py_ssize_t* places) except -1:
        """Send what was added, and tell the connections at those places of `dirty`."""
        cdef gf_batch* batch = self.batch
        cdef Py_ssize_t count = batch.count
        cdef Py_ssize_t i
        cdef int sent
        cdef Connection conn
        cdef bint is_refused = gf_batch_send(batch) < 0
        batch.count = 0
        for i in range(count):
            sent = batch.results[i]
            if sent == GF_UNSENT:
                continue
            if i + 1 < count:
                gf_prefetch(self.dirty[places[i + 1]])
            conn = <Connection>self.dirty[places[i]]
            self.dirty[places[i]] = NULL
            Py_DECREF(conn)
            conn.dirty = False
            if sent == -EAGAIN or sent == -EWOULDBLOCK or sent == -EINTR:
                sent = 0
            conn.sent_together(sent)
        if is_refused:
            self.drop_batch()
            self.batch_refused = True
        return 0

    cdef int drop_batch(self) except -1:
        gf_batch_close(self.batch)
        self.batch = NULL
        return 0

    cdef int report(self) except -1:
        self.report_each(self.resumed, RESUMED)
        self.report_each(self.drained, DRAINED)
        self.report_each(self.closed, ENDED)
        return 0

    cdef int report_each(self, list conns, int what) except -1:
        """Report to each; who was not told, whatever happened, is told in the next round."""
        cdef Connection conn
        cdef list waiting = conns[::-1]
        conns.clear()
        try:
            while waiting:
                conn = waiting.pop()
                if what == RESUMED:
                    conn.handle_held()
                    continue
                try:
                    if what == DRAINED:
                        self.handler.drain(conn)
                    else:
                        code = conn.close_code or ABNORMAL
                        self.handler.close(conn, code, conn.close_reason)
                except BaseException as exc:
                    self.failed(conn, exc)
        finally:
            conns[:0] = waiting[::-1]
        return 0

    def sweep(self, double now):
        """Judge every deadline and send the pings that are due. `now` is `clock()`.

        The only place where time passes: a wait begins when a sweep first sees it, so a deadline
        is late by at most the time between two sweeps, and never early.
        """
        cdef Connection conn
        self.check_thread("sweep")
        self.sweeps += 1
        if self.has_missed:
            self.find_missed()
        self.cursor = self.first
        while self.cursor != NULL:
            conn = <Connection>self.cursor
            # Judging one may close it, and user code that is called then may close any other:
            # `unlink` moves the cursor on when that is where it stands.
            self.cursor = conn.next
            if (<quiet_sweep>sweep_now)(conn, now) < 0:  # the others are judged all the same
                conn.break_off()

    cdef int link(self, Connection conn) except -1:
        Py_INCREF(conn)
        conn.next = self.first
        conn.previous = NULL
        if self.first != NULL:
            (<Connection>self.first).previous = <void*>conn
        self.first = <void*>conn
        self.count += 1
        return 0

    cdef int unlink(self, Connection conn) except -1:
        if self.cursor == <void*>conn:
            self.cursor = conn.next
        if conn.previous != NULL:
            (<Connection>conn.previous).next = conn.next
        else:
            self.first = conn.next
        if conn.next != NULL:
            (<Connection>conn.next).previous = conn.previous
        conn.previous = conn.next = NULL
        self.count -= 1
        Py_DECREF(conn)
        return 0

    cdef int mark(self, Connection conn) except -1:
        cdef PyObject** grown
        cdef Py_ssize_t capacity
        if self.dirty_count == self.dirty_capacity:
            capacity = max(<Py_ssize_t>64, 2 * self.dirty_capacity)
            grown = <PyObject**>realloc(self.dirty, capacity * sizeof(PyObject*))
            if grown == NULL:
                self.has_missed = True  # the next sweep marks it
                return 0
            self.dirty = grown
            self.dirty_capacity = capacity
        conn.dirty = True
        Py_INCREF(conn)
        self.dirty[self.dirty_count] = <PyObject*>conn
        self.dirty_count += 1
        if not self.in_turn:
            self.schedule()
        return 0

    # Members of one room mostly have the same frames waiting at the end of a turn, so the frames
    # gathered for one connection are kept until the next has other ones. Two runs are compared by
    # the addresses of their frames, which is why references are held meanwhile: a freed frame's
    # address could come back as another frame. `flush` lets them go, so no frame outlives its turn.

    cdef bint is_gathered(self, Connection conn):
        """Whether the whole ring of `conn` lies in `gathered`."""
        cdef uint32_t i
        cdef uint32_t wrap = conn.ring_capacity - 1
        if conn.ring_count != self.run_count:
            return False
        for i in range(conn.ring_count):
            if conn.ring[(conn.ring_head + i) & wrap] != self.run[i]:
                return False
        return True

    cdef Py_ssize_t gather(self, Connection conn) except -1:
        """Have the whole ring of `conn` in `gathered`; return its size. It must fit.

        Returns 0 where there is no memory to remember what lies there.
        """
        cdef uint32_t i
        cdef uint32_t wrap = conn.ring_capacity - 1
        cdef uint32_t count = conn.ring_count
        cdef PyObject* frame
        cdef PyObject** grown
        cdef Py_ssize_t size = 0
        cdef Py_ssize_t length
        if self.is_gathered(conn):
            return conn.ring_bytes
        self.forget_run()
        if count > self.run_capacity:
            grown = <PyObject**>realloc(self.run, conn.ring_capacity * sizeof(PyObject*))
            if grown == NULL:
                return 0
            self.run = grown
            self.run_capacity = conn.ring_capacity
        for i in range(count):
            frame = conn.ring[(conn.ring_head + i) & wrap]
            length = PyBytes_GET_SIZE(<object>frame)
            memcpy(self.gathered + size, PyBytes_AS_STRING(<object>frame), length)
            size += length
            Py_INCREF(<object>frame)
            self.run[i] = frame
        self.run_count = count
        return size

    cdef int forget_run(self) except -1:
        cdef Py_ssize_t i
        cdef Py_ssize_t count = self.run_count
        self.run_count = 0
        self.run_data = None
        for i in range(count):
            Py_DECREF(<object>self.run[i])
        return 0

    cdef PyObject** take_ring(self) except NULL:
        cdef PyObject** ring
        if self.spare_count:
            self.spare_count -= 1
            return self.spare_rings[self.spare_count]
        ring = <PyObject**>malloc(RING_START * sizeof(PyObject*))
        if ring == NULL:
            raise MemoryError
        return ring

    cdef int give_ring(self, PyObject** ring, Py_ssize_t capacity) except -1:
        if capacity == RING_START and self.spare_count < MAX_SPARE_RINGS:
            self.spare_rings[self.spare_count] = ring
            self.spare_count += 1
        else:
            free(ring)
        return 0

    cdef bytes next_key(self):
        """Four bytes nobody can guess (RFC 6455 §10.3), drawn from the system in larger lots."""
        if self.keys_used == PyBytes_GET_SIZE(self.keys):
            self.keys = os.urandom(4096)
            self.keys_used = 0
        self.keys_used += 4
        return self.keys[self.keys_used - 4:self.keys_used]
