# The way of every publication that leaves a process or comes to one, compiled where a compiler is.

import cython

cdef Py_ssize_t _NAME_AT

cdef class EncodedText:
    cdef bytes _payload
    cdef readonly object kind

    cpdef bytes to_json(self)

@cython.locals(name=bytes, left_out=bytes, payload=bytes)
cpdef bytes pack(object publication)

cdef bytes _name(object kind, object name)

cdef bytes _ids(object exclude)

@cython.locals(
    kind=cython.longlong, said=cython.longlong, n_name=cython.longlong, n_left_out=cython.longlong,
    high=cython.longlong,
    end_of_name=Py_ssize_t, start=Py_ssize_t, payload=bytes, name=bytes,
)
cpdef unpack(bytes frame)
