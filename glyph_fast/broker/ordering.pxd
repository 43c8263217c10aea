# The way of every publication to a room that remembers, over links and brokers, compiled where a
# compiler is.

import cython

@cython.locals(
    kind=cython.longlong, opcode=cython.longlong, n_epoch=cython.longlong,
    n_name=cython.longlong, n_exclude=cython.longlong, n_user=cython.longlong,
    n_id=cython.longlong, n_answered=cython.longlong, n_kept=cython.longlong,
    start=Py_ssize_t, end=Py_ssize_t, answered_at=Py_ssize_t, kept_at=Py_ssize_t,
    epoch=bytes, name=bytes, payload=bytes,
)
cpdef read_placed(bytes frame)

@cython.locals(
    name=bytes, left_out=bytes, whose=bytes, key=bytes, answered=bytes, kept=bytes, payload=bytes,
    size=Py_ssize_t, sizes=bytes, head=bytes,
)
cpdef bytes order_of(object publication, object user, object number, object id)

cdef object _excluded(bytes ids)

cdef object _text(bytes data)
