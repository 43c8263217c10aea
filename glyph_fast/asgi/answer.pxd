# The answer to every request of an application, compiled where a compiler is.

import cython

from ..opening.pending cimport Exchange
from .head cimport Head

cdef int _WAITED_FOR, _BEGUN, _LEAVING, _WHOLE, _ENDING

cdef class Answer:
    cdef public object _mount
    cdef public object _conn
    cdef public Exchange _exchange
    cdef public object _request
    cdef public int _state
    cdef public bint _is_read
    cdef public bint _has_left
    cdef public Head _head
    cdef public bint _sends_body
    cdef public bint _keeps_alive
    cdef public object _trailers
    cdef public object _instead
    cdef public bint _holds_head
    cdef public long long _sent           # bytes of the body
    cdef public long long _at_once        # bytes, since it last waited
    cdef public long long _pieces_at_once
    cdef public object _vain
    cdef public object _waiters
    cdef public dict scope

    @cython.locals(state=cython.int, body=object)
    cpdef bint takes(self, object message) except -1

    @cython.locals(head=Head)
    cdef _begin(self, object message)

    @cython.locals(head=Head, is_head=cython.bint)
    cpdef _write_head(self, bytes body)

    @cython.locals(head=Head, size=cython.longlong)
    cdef _send_whole(self, bytes body)

    @cython.locals(exchange=Exchange, keeps_alive=cython.bint)
    cpdef _finish(self)

    cpdef _wake(self)
