# Request heads in which there is nothing to judge.

cdef enum:
    IN_TOKEN = 1
    IN_TARGET = 2
    IN_VALUE = 4

cdef byte[256] USES  # of each byte; none of them for the NUL behind every bytes object
for _byte in range(256):
    USES[_byte] = (
        (IN_TOKEN if chr(_byte) in "!#$%&'*+-.^_`|~" or chr(_byte).isalnum() and _byte < 128 else 0)
        | (IN_TARGET if 33 <= _byte <= 126 and chr(_byte) not in "#%" else 0)
        | (IN_VALUE if 32 <= _byte <= 126 else 0)
    )


def read_plain_head(bytes head not None):
    """Target, fields as sent, and values by name in lower case of a plain request head, else None.

    Plain is a whole head of a GET in HTTP/1.1 whose target is a path in visible ASCII without
    escapes, whose fields are in printable ASCII, and in which no name stands twice (RFC 9112 §3,
    §5). It says nothing about what the fields mean. Other heads are not bad: nobody has read them.
    """
    cdef Py_ssize_t size = PyBytes_GET_SIZE(head)
    # No step looks further than the first byte that does not fit, and the NUL at the end fits none.
    cdef const byte* begin = <const byte*>PyBytes_AS_STRING(head)
    cdef const byte* at = begin + 4
    cdef const byte* start = at
    cdef const byte* last
    cdef list fields = []
    cdef dict values = {}
    if size > MAX_HEAD or strncmp(<const char*>begin, b"GET /", 5) != 0:
        return None
    while USES[at[0]] & IN_TARGET:
        at += 1
    if strncmp(<const char*>at, b" HTTP/1.1\r\n", 11) != 0:
        return None
    target = PyUnicode_DecodeASCII(<const char*>start, at - start, NULL)
    at += 11
    if at - begin > MAX_REQUEST_LINE + 2:
        return None
    while at[0] != c"\r":
        start = at
        while USES[at[0]] & IN_TOKEN:
            at += 1
        if at == start or at[0] != c":":
            return None
        name = PyBytes_FromStringAndSize(<const char*>start, at - start)
        at += 1
        while at[0] == c" ":
            at += 1
        start = last = at
        while USES[at[0]] & IN_VALUE:
            if at[0] != c" ":
                last = at + 1
            at += 1
        if at[0] != c"\r" or at[1] != c"\n":
            return None
        value = PyBytes_FromStringAndSize(<const char*>start, last - start)
        fields.append((name, value))
        values[in_lower_case(name)] = value
        at += 2
    if at[1] != c"\n" or at + 2 != begin + size or len(values) != len(fields):
        return None
    return target, fields, values


cdef bytes in_lower_case(bytes name):
    """A token in lower case; ASCII letters have no other ones to mind."""
    cdef Py_ssize_t i, size = PyBytes_GET_SIZE(name)
    cdef bytes lowered = PyBytes_FromStringAndSize(NULL, size)
    cdef const byte* source = <const byte*>PyBytes_AS_STRING(name)
    cdef byte* target = <byte*>PyBytes_AS_STRING(lowered)
    for i in range(size):
        target[i] = source[i] | 0x20 if c"A" <= source[i] <= c"Z" else source[i]
    return lowered
