# Fan-out.


cdef class Room:
    """A set of connections that receive the same frames, in the same order.

    `limit` is the greatest number of members, 0 for none.
    """

    def __cinit__(self):
        self.members = {}
        self.roll_count = -1

    def __init__(self, Py_ssize_t limit=0):
        self.limit = limit

    def __dealloc__(self):
        free(self.roll)

    def __len__(self):
        return len(self.members)

    def __contains__(self, conn):
        return isinstance(conn, Connection) and self.members.get((<Connection>conn).id) is conn

    def __iter__(self):
        """The members as they are now; the room may change meanwhile."""
        return iter(list(self.members.values()))

    def add(self, Connection conn not None):
        """Add a member; adding it twice changes nothing. Raises RoomFull at the limit.

        From another thread the call is handed over.
        """
        if PyThread_get_thread_ident() != conn._turn.owner:
            conn._turn.post(self.add, conn)
            return
        if conn.id not in self.members:
            if self.limit and len(self.members) >= self.limit:
                raise RoomFull("", self.limit)
            self.members[conn.id] = conn
            self.roll_count = -1

    def discard(self, Connection conn not None):
        """Remove a member, if it is one. From another thread the call is handed over."""
        if PyThread_get_thread_ident() != conn._turn.owner:
            conn._turn.post(self.discard, conn)
            return
        self.members.pop(conn.id, None)
        self.roll_count = -1

    def publish(self, Frame frame not None, exclude=None):
        """Give every open member but those with an excluded id a reference to `frame`.

        Runs no user code, so the members cannot change meanwhile. Members that are closing are
        passed over and not counted. From another thread the call is handed over: it is pending.
        """
        cdef int64_t counts[3]
        cdef Turn turn = None
        cdef double started = gf_now()
        counts[0] = counts[1] = counts[2] = 0
        cdef Connection conn
        cdef list skipped = None
        if exclude is not None and not isinstance(exclude, str):
            exclude = frozenset(exclude)  # what cannot be an id is refused before anyone is marked
        if self.roll_count < 0:
            self.call_roll()
        if not self.roll_count:
            return NOBODY
        turn = (<Connection>self.roll[0])._turn
        if PyThread_get_thread_ident() != turn.owner:
            turn.post(self.publish, frame, exclude)
            return PENDING_RESULT
        if exclude is not None:
            skipped = self.named((exclude,) if isinstance(exclude, str) else exclude)
            for conn in skipped:
                conn.is_skipped = True
        try:
            turn = self.publish_to_all(frame, counts)
        finally:
            if skipped is not None:
                for conn in skipped:
                    conn.is_skipped = False
        if turn is None:
            return NOBODY
        turn.counters.broadcast_seconds.add(gf_now() - started, 1)
        if turn.displaced:
            displaced, turn.displaced = turn.displaced, 0
            return SendResult(counts[0], counts[1], counts[2], displaced=displaced)
        # Without its own `__new__`, which takes thrice as long.
        fates = (counts[0], counts[1], counts[2])
        return (<PyTypeObject*>tuple).tp_new(result_type, (fates,), NULL)

    cdef Turn publish_to_all(self, Frame frame, int64_t* counts):
        """Publish to the members not marked to be skipped; None when there was nobody."""
        cdef Py_ssize_t i = 0
        cdef Connection conn
        cdef Turn turn = None
        cdef bytes data = frame.data
        cdef bint is_final = frame.is_final
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t most_messages = 0
        cdef Py_ssize_t most_bytes = 0
        while i < self.roll_count:
            if i + PREFETCH < self.roll_count:
                gf_prefetch(self.roll[i + PREFETCH])
            conn = <Connection>self.roll[i]
            i += 1
            if conn._phase != OPEN or conn.is_skipped:
                continue
            if turn is None:
                turn = conn._turn
                turn.displaced = 0
                most_messages = turn.limits.queue_messages
                most_bytes = turn.limits.queue_bytes
            if (conn._codec is not None and not is_final) or conn._role != SERVER:
                counts[conn.push_or_cut(frame)] += 1
            elif (conn.outgoing == NULL and conn.ring_count < most_messages
                    and conn.ring_bytes < most_bytes):
                # What `push` does with a queue that has room.
                if conn.ring_count < conn.ring_capacity:
                    Py_INCREF(data)
                    conn.ring[(conn.ring_head + conn.ring_count) & (conn.ring_capacity - 1)] = (
                        <PyObject*>data
                    )
                    conn.ring_count += 1
                    conn.ring_bytes += size
                elif (<quiet_push>append_now)(conn, data) < 0:
                    conn.break_off()
                    counts[REFUSED] += 1
                    continue
                if not conn.dirty:
                    turn.mark(conn)
                counts[BEHIND if conn.blocked else ACCEPTED] += 1
            else:
                counts[conn.push_or_cut(frame)] += 1
        return turn

    cdef int call_roll(self) except -1:
        """Write the members down in a row, which is walked faster than a dict."""
        cdef Py_ssize_t position = 0
        cdef Py_ssize_t count = 0
        cdef PyObject* name
        cdef PyObject* member
        cdef PyObject** roll = <PyObject**>realloc(
            self.roll, max(<Py_ssize_t>1, len(self.members)) * sizeof(PyObject*)
        )
        if roll == NULL:
            raise MemoryError
        self.roll = roll
        while PyDict_Next(self.members, &position, &name, &member):
            roll[count] = member
            count += 1
        self.roll_count = count
        return 0

    cdef list named(self, names):
        """The members with these ids, so that the others need no comparison of ids."""
        cdef list found = []
        for name in names:
            member = self.members.get(name)
            if member is not None:
                found.append(member)
        if self.roll_count < 0:  # changed by the `__eq__` of something that is no id
            self.call_roll()
        return found
