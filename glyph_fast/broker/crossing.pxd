# The way of every publication that leaves a process or comes to one, compiled where a compiler is.

import cython

cdef Py_ssize_t _NAME_AT
cdef long long _LONGEST_NAME
cdef long long _PUBLISH
cdef long long _TO_ROOMS
cdef long long _TEXT
cdef long long _JSON
cdef long long _LAST
cdef tuple _TARGETS
cdef dict _plain

cdef class EncodedText:
    cdef bytes _payload
    cdef readonly object kind

    cpdef bytes to_json(self)

@cython.locals(
    name=bytes, left_out=bytes, payload=bytes, head=bytes, n_name=cython.longlong,
    size=cython.longlong, key=cython.longlong, said=cython.longlong, text=str,
)
cpdef bytes pack(object publication)

cdef bytes _name(object kind, object name)

cdef bytes _ids(object exclude)

@cython.locals(
    kind=cython.longlong, said=cython.longlong, n_name=cython.longlong, n_left_out=cython.longlong,
    high=cython.longlong, view="const unsigned char *", size=Py_ssize_t,
    end_of_name=Py_ssize_t, start=Py_ssize_t, payload=bytes,
)
cpdef unpack(bytes frame)
