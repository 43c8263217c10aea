# The way of every publication to a room that remembers, over links and brokers, compiled where a
# compiler is.

import cython

cdef Py_ssize_t _SIZES_SIZE
cdef Py_ssize_t _EPOCH_AT
cdef long long _NO_USER
cdef dict _plain

@cython.locals(
    size=Py_ssize_t, start=Py_ssize_t, name_at=Py_ssize_t, end=Py_ssize_t, answered_at=Py_ssize_t,
    kept_at=Py_ssize_t, kind=cython.longlong, opcode=cython.longlong, n_exclude=cython.longlong,
    n_user=cython.longlong, n_id=cython.longlong, n_answered=cython.longlong,
    n_kept=cython.longlong, epoch=bytes, name=bytes, payload=bytes,
)
cpdef read_placed(bytes frame)

@cython.locals(high=cython.longlong)
cdef long long _uint32(bytes frame, Py_ssize_t at) except -1

cpdef bytes order_of(object publication, object user, object number, object id)

@cython.locals(
    kind=cython.longlong, opcode=cython.longlong, n_name=cython.longlong, n_user=cython.longlong,
    key=cython.longlong, name=bytes, whose=bytes, left_out=bytes, under=bytes, told=bytes,
    kept=bytes, sizes=bytes,
)
cpdef bytes parts_of(object publication, object user, object id)

cdef object _excluded(bytes ids)

cdef object _text(bytes data)
