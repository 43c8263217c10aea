# What is told of every request, compiled where a compiler is.

import cython

cdef dict _HTTP_EXTENSIONS
cdef dict _VERSIONS

cdef class Scopes:
    cdef str _before
    cdef bytes _raw_before
    cdef str _root_path
    cdef dict _state
    cdef dict _http
    cdef public object server

    @cython.locals(scope=dict, raw_path=str, query=str, raw=bytes, path=str)
    cpdef dict http(self, object conn, object request)

cpdef client_of(object conn, object request)
