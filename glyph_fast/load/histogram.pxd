cdef class Histogram:
    cdef long long[::1] _counts     # by bucket
    cdef readonly long long count
    cdef readonly long long total   # ns
    cdef readonly long long minimum # ns
    cdef readonly long long maximum # ns

    cpdef record(self, long long value)
    cpdef add(self, Histogram other)
