# Fan-out.


cdef class Room:
    """A set of connections that receive the same frames, in the same order.

    `limit` is the greatest number of members, 0 for none.
    """

    def __init__(self, Py_ssize_t limit=0):
        self.limit = limit
        self.members = {}

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

    def discard(self, Connection conn not None):
        """Remove a member, if it is one."""
        self.members.pop(conn.id, None)

    def publish(self, Frame frame not None, exclude=None):
        """Give every open member but those with an excluded id a reference to `frame`.

        Runs no user code, so the members cannot change meanwhile. Members that are closing are
        passed over and not counted.
        """
        cdef Py_ssize_t position = 0
        cdef PyObject* name
        cdef PyObject* member
        cdef Connection conn = None
        cdef int64_t counts[3]
        cdef bytes data = frame.data
        cdef bint is_one = isinstance(exclude, str)
        cdef double started = gf_now()
        counts[0] = counts[1] = counts[2] = 0
        while PyDict_Next(self.members, &position, &name, &member):
            if exclude is not None and (
                <object>name == exclude if is_one else <object>name in exclude
            ):
                continue
            conn = <Connection>member
            if conn.phase != OPEN:
                continue
            if conn.codec is None and conn.role == SERVER:
                counts[conn.push(data)] += 1
            else:
                counts[conn.push(conn.data_of(frame))] += 1
        if not (counts[0] or counts[1] or counts[2]):
            return NOBODY
        conn.turn.counters.broadcast_seconds.add(gf_now() - started, 1)
        return SendResult(counts[0], counts[1], counts[2])
