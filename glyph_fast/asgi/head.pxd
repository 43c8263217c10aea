# The head of every answer of an application, compiled where a compiler is.

import cython

cdef class Head:
    cdef public long long status
    cdef public bint has_body
    cdef public long long length       # bytes, -1: not announced
    cdef public bint wants_close
    cdef public bint is_chunked
    cdef bytes _lines                  # each with its end, without the blank one

    @cython.locals(framing=bytes, connection=bytes)
    cpdef bytes encode(self, object version, bint is_head, bint keep_alive, bytes body=*)
