# Fan-out.


cdef class Room:
    """A set of connections that receive the same frames, in the same order.

    `limit` is the greatest number of members, 0 for none.
    """

    def __init__(self, Py_ssize_t limit=0):
        self.limit = limit
        self.members = {}

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
        """Add a member; adding it twice changes nothing. Raises RoomFull at the limit."""
        if conn.id not in self.members:
            if self.limit and len(self.members) >= self.limit:
                raise RoomFull("", self.limit)
            self.members[conn.id] = conn
            self.roll_count = -1

    def discard(self, Connection conn not None):
        """Remove a member, if it is one."""
        self.members.pop(conn.id, None)
        self.roll_count = -1

    def publish(self, Frame frame not None, exclude=None):
        """Give every open member but those with an excluded id a reference to `frame`.

        Runs no user code, so the members cannot change meanwhile. Members that are closing are
        passed over and not counted.
        """
        cdef int64_t counts[3]
        cdef Turn turn = None
        cdef double started = gf_now()
        counts[0] = counts[1] = counts[2] = 0
        self.skip(exclude, True)
        try:
            turn = self.publish_to_all(frame, counts)
        finally:
            self.skip(exclude, False)
        if turn is None:
            return NOBODY
        turn.counters.broadcast_seconds.add(gf_now() - started, 1)
        return SendResult(counts[0], counts[1], counts[2])

    cdef Turn publish_to_all(self, Frame frame, int64_t* counts):
        """Publish to the members not marked to be skipped; None when there was nobody."""
        cdef Py_ssize_t i = 0
        cdef Connection conn
        cdef Turn turn = None
        cdef bytes data = frame.data
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t most_messages = 0
        cdef Py_ssize_t most_bytes = 0
        if self.roll_count < 0:
            self.call_roll()
        while i < self.roll_count:
            if i + PREFETCH < self.roll_count:
                gf_prefetch(self.roll[i + PREFETCH])
            conn = <Connection>self.roll[i]
            i += 1
            if conn.phase != OPEN or conn.is_skipped:
                continue
            if turn is None:
                turn = conn.turn
                most_messages = turn.limits.queue_messages
                most_bytes = turn.limits.queue_bytes - size
            if conn.codec is not None or conn.role != SERVER:
                counts[conn.push(conn.data_of(frame))] += 1
            elif (conn.outgoing == NULL and conn.ring_count < most_messages
                    and (conn.ring_bytes <= most_bytes or not conn.ring_count)):
                # What `push` does with a queue that has room.
                if conn.ring_count < conn.ring_capacity:
                    Py_INCREF(data)
                    conn.ring[(conn.ring_head + conn.ring_count) & (conn.ring_capacity - 1)] = (
                        <PyObject*>data
                    )
                    conn.ring_count += 1
                    conn.ring_bytes += size
                else:
                    conn.ring_append(data)
                if not conn.dirty:
                    turn.mark(conn)
                counts[BEHIND if conn.blocked else ACCEPTED] += 1
            else:
                counts[conn.push(data)] += 1
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

    cdef int skip(self, exclude, bint skipped) except -1:
        """Mark the excluded members, so that the others need no comparison of ids."""
        if exclude is None:
            return 0
        for name in (exclude,) if isinstance(exclude, str) else exclude:
            member = self.members.get(name)
            if member is not None:
                (<Connection>member).is_skipped = skipped
        return 0
