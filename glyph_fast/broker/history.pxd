# The way of every message to a room that remembers, compiled where a compiler is.

import cython

cdef long long _KEPT_BYTES

cdef class Stream:
    cdef public str name
    cdef public object terms
    cdef public str epoch
    cdef public long long offset
    cdef public object kept
    cdef public long long nbytes       # of the frames
    cdef public double at              # seconds since the epoch, as `used`
    cdef public double used
    cdef public bint is_open
    cdef public tuple newest
    cdef public long long most         # messages
    cdef public long long most_bytes

cdef class Histories:
    cdef public object clock
    cdef public long long limit
    cdef public object terms_of
    cdef public long long nbytes
    cdef public object free_others
    cdef dict _streams
    cdef readonly object _by_end
    cdef readonly object _by_last_end
    cdef readonly object _full_by_use
    cdef readonly object _by_use

    @cython.locals(stream=Stream)
    cpdef take(self, object publication, object user)

    @cython.locals(stream=Stream, size=cython.longlong, newest=tuple)
    cpdef Stream append(self, str name, bytes frame, object kind, object exclude=*, object user=*)

    @cython.locals(size=cython.longlong)
    cdef _drop(self, Stream stream)
