from .histogram cimport Histogram

cdef class Tally:
    cdef public Histogram latency
    cdef public long long delivered
    cdef public long long outstanding
    cdef public bint is_closed_loop
    cdef object _mismatch


cdef class Flow:
    cdef public Tally tally
    cdef public object publisher
    cdef public list script
    cdef public Py_ssize_t mask
    cdef public Py_ssize_t audience
    cdef public long long sent
    cdef public long long done
    cdef long long[::1] _since
    cdef long long[::1] _missing

    cpdef send(self, long long since)
    cpdef arrived(self, Py_ssize_t index)


cdef class Seat:
    cdef public Flow flow
    cdef public long long position

    cpdef hear(self, object peer, object payload)


cdef class AnsweredSeat(Seat):
    cdef list _beginnings

    cpdef hear(self, object peer, object payload)
