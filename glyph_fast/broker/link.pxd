# The way of every frame to another process of this server, compiled where a compiler is.

import cython

from .splitting cimport Splitter

cdef Py_ssize_t _READ_SIZE
cdef Py_ssize_t _JOINED
cdef Py_ssize_t _BUFFERS

cdef class Link:
    cdef object _loop
    cdef object _sock
    cdef object _heard
    cdef object _lost
    cdef Splitter _splitter
    cdef object _waiting
    cdef bint _is_open  # until this end has let the other go
    cdef bint _is_scheduled
    cdef object _drained
    cdef public object caught_up
    cdef public object crowded
    cdef public object emptied
    cdef long long _crowd  # bytes
    cdef bint _is_crowded  # somebody has been told, and not yet that it is over
    cdef public double heard_at
    cdef readonly long long waiting_bytes
    cdef readonly long long limit
    cdef readonly long long dropped  # frames
    cdef readonly bint is_behind

    @cython.locals(size=Py_ssize_t)
    cpdef bint send(self, bytes frame) except -1
    @cython.locals(size=Py_ssize_t)
    cpdef bint queue(self, bytes frame) except -1
    cdef _drop(self, long long frames)
    cpdef send_always(self, bytes frame)
    cdef _schedule(self)
    cdef _tell_crowd(self)
    cdef _end_crowd(self)
    cpdef flush_queued(self)
    @cython.locals(batch=list, sent=Py_ssize_t)
    cpdef flush(self)
    cdef list _take_batch(self)
    @cython.locals(i=Py_ssize_t, size=Py_ssize_t)
    cdef bint _put_back(self, list batch, Py_ssize_t sent) except -1
    @cython.locals(data=bytes, frames=list)
    cpdef read(self)
    cpdef close(self)
