# The way of every frame between processes of one server, compiled where a compiler is.

import cython

cdef long long _HEAD
cdef long long _LARGEST
cdef long long _PUBLISH
cdef long long _TO_ROOM
cdef long long _NAME_AT

cdef class Splitter:
    cdef bint _joins
    cdef list _parts
    cdef long long _size
    cdef long long _needed

    @cython.locals(
        begin=Py_ssize_t, at=Py_ssize_t, end=Py_ssize_t, needed=Py_ssize_t, name=bytes,
        view="const unsigned char *",
    )
    cpdef list split(self, bytes data)

@cython.locals(at=Py_ssize_t, found=Py_ssize_t)
cpdef count(bytes run)

@cython.locals(length=cython.longlong, high=cython.longlong)
cdef Py_ssize_t _size_of(bytes data, Py_ssize_t at) except -1

@cython.locals(length=Py_ssize_t, view="const unsigned char *")
cdef bytes _room_in(bytes data, Py_ssize_t at, Py_ssize_t size)

@cython.locals(length=Py_ssize_t)
cdef bint _is_for(bytes data, Py_ssize_t at, Py_ssize_t size, bytes name) except -1
