# Durations, counted by size.

cdef double[22] BOUNDS = [
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3,
    5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
]


cdef class Histogram:
    """How often something took how long.

    `bounds` are seconds; `counts` has one more: an entry for each bound (durations up to it and
    above the one before), and one for what took longer than the last.
    """

    bounds = tuple(BOUNDS)

    @property
    def counts(self):
        """How many durations fell between each bound and the one before."""
        return tuple(self.buckets)

    def observe(self, double seconds, int64_t weight=1):
        """Count a duration; as so many, when it stands for others that were not measured."""
        self.add(seconds, weight)

    cdef int add(self, double seconds, int64_t weight) except -1:
        cdef Py_ssize_t i = 0
        while i < 22 and seconds > BOUNDS[i]:
            i += 1
        self.buckets[i] += weight
        self.total += seconds * weight
        return 0
