import cython

cdef long long _doubts

@cython.locals(size=cython.longlong)
cpdef bint can_write(object value, object plain) except -1

@cython.locals(size=cython.longlong, before=cython.longlong)
cpdef int weigh(object value, object plain) except -1

@cython.locals(size=cython.longlong, fields=dict, number=cython.double)
cdef long long _to_write(object value, object plain, long long depth, long long left) except -1
