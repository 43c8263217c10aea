# What is known of each request, compiled where a compiler is.

cdef class Exchange:
    cdef public object request
    cdef public double started         # clock reading
    cdef public object match
    cdef public object reader
    cdef public object body
    cdef public object call
    cdef public bint is_answered
    cdef public bint is_answering
    cdef public bint is_read
    cdef public object task
    cdef public object grace
    cdef public bint in_pieces
    cdef public bint is_endless
    cdef public bint has_client_ended
    cdef object __weakref__

    cpdef stop_waiting(self)
