# Request heads in which there is nothing to judge.

cdef enum:
    IN_TOKEN = 1
    IN_TARGET = 2
    IN_VALUE = 4
    IN_NAME = 8
    IN_BASE64 = 16

cdef byte[256] USES  # of each byte; none of them for the NUL behind every bytes object
for _byte in range(128):
    _is_alnum = chr(_byte).isalnum()
    USES[_byte] = (
        (IN_TOKEN if _is_alnum or chr(_byte) in "!#$%&'*+-.^_`|~" else 0)
        | (IN_TARGET if 33 <= _byte <= 126 and chr(_byte) not in "#%" else 0)
        | (IN_VALUE if 32 <= _byte <= 126 else 0)
        | (IN_NAME if _is_alnum or chr(_byte) in "-." else 0)
        | (IN_BASE64 if _is_alnum or chr(_byte) in "+/" else 0)
    )


cdef struct Span:
    const byte* at  # NULL: none
    Py_ssize_t size


# No step looks further than the first byte that does not fit, and the NUL at the end fits none.


cdef const byte* scan_line(bytes head, Span* target) noexcept:
    """What follows the request line of a plain head; NULL for another line."""
    cdef const byte* begin = <const byte*>PyBytes_AS_STRING(head)
    cdef const byte* at = begin + 4
    target.at = at
    if PyBytes_GET_SIZE(head) > MAX_HEAD or strncmp(<const char*>begin, b"GET /", 5) != 0:
        return NULL
    while USES[at[0]] & IN_TARGET:
        at += 1
    target.size = at - target.at
    if strncmp(<const char*>at, b" HTTP/1.1\r\n", 11) != 0:
        return NULL
    at += 11
    return at if at - begin <= MAX_REQUEST_LINE + 2 else NULL


cdef const byte* scan_field(const byte* at, Span* name, Span* value) noexcept:
    """What follows a field; NULL for one that is not plain."""
    cdef const byte* last
    name.at = at
    while USES[at[0]] & IN_TOKEN:
        at += 1
    name.size = at - name.at
    if name.size == 0 or at[0] != c":":
        return NULL
    at += 1
    while at[0] == c" ":
        at += 1
    value.at = last = at
    while USES[at[0]] & IN_VALUE:
        if at[0] != c" ":
            last = at + 1
        at += 1
    value.size = last - value.at
    return at + 2 if at[0] == c"\r" and at[1] == c"\n" else NULL


cdef bint is_end(bytes head, const byte* at) noexcept:
    """Whether a head ends here with the blank line."""
    cdef const byte* end = <const byte*>PyBytes_AS_STRING(head) + PyBytes_GET_SIZE(head)
    return at + 2 == end and at[0] == c"\r" and at[1] == c"\n"


cdef bytes bytes_of(Span text):
    return PyBytes_FromStringAndSize(<const char*>text.at, text.size)


cdef str text_of(Span text):
    return PyUnicode_DecodeASCII(<const char*>text.at, text.size, NULL)


def read_plain_head(bytes head not None):
    """Target, fields as sent, and values by name in lower case of a plain request head, else None.

    Plain is a whole head of a GET in HTTP/1.1 whose target is a path in visible ASCII without
    escapes, whose fields are in printable ASCII, and in which no name stands twice (RFC 9112 §3,
    §5). It says nothing about what the fields mean. Other heads are not bad: nobody has read them.
    """
    cdef Span target, name, value
    cdef const byte* at = scan_line(head, &target)
    cdef list fields = []
    cdef dict values = {}
    if at == NULL:
        return None
    while at[0] != c"\r":
        at = scan_field(at, &name, &value)
        if at == NULL:
            return None
        field = bytes_of(name), bytes_of(value)
        fields.append(field)
        values[in_lower_case(field[0])] = field[1]
    if not is_end(head, at) or len(values) != len(fields):
        return None
    return text_of(target), fields, values


cdef bytes in_lower_case(bytes name):
    """A token in lower case; ASCII letters have no other ones to mind."""
    cdef Py_ssize_t i, size = PyBytes_GET_SIZE(name)
    cdef bytes lowered = PyBytes_FromStringAndSize(NULL, size)
    cdef const byte* source = <const byte*>PyBytes_AS_STRING(name)
    cdef byte* target = <byte*>PyBytes_AS_STRING(lowered)
    for i in range(size):
        target[i] = in_lower(source[i])
    return lowered


cdef byte in_lower(byte it) noexcept:
    return it | 0x20 if c"A" <= it <= c"Z" else it


cdef enum:  # the fields that decide whether and how a WebSocket is opened
    FIELD_HOST
    FIELD_UPGRADE
    FIELD_CONNECTION
    FIELD_KEY
    FIELD_VERSION
    FIELD_ORIGIN
    FIELD_SUBPROTOCOLS
    FIELD_EXTENSIONS
    FIELD_LENGTH
    FIELD_CODING
    NDECIDING

ctypedef const char* const_text

cdef const_text[NDECIDING] DECIDING = [
    b"host", b"upgrade", b"connection", b"sec-websocket-key", b"sec-websocket-version", b"origin",
    b"sec-websocket-protocol", b"sec-websocket-extensions", b"content-length", b"transfer-encoding",
]


def read_plain_upgrade(bytes head not None):
    """What a request says that asks soundly for a WebSocket, as nearly all clients do; else None.

    It says target, path and query, and in a tuple host, key, origin (None where no browser asks)
    and the values, none or one, of Sec-WebSocket-Protocol and Sec-WebSocket-Extensions; what those
    mean, nobody has looked at. The head is plain as for `read_plain_head`, but that fields which
    decide nothing may repeat; it is what RFC 6455 §4.2.1 asks for, and has no body. Other requests
    may be sound as well.
    """
    cdef Span target, path, query, name, value
    cdef Span[NDECIDING] said
    cdef const byte* at = scan_line(head, &target)
    cdef int which, nfields = 0
    if at == NULL:
        return None
    memset(said, 0, sizeof(said))
    while at[0] != c"\r":
        at = scan_field(at, &name, &value)
        if at == NULL:
            return None
        nfields += 1
        which = deciding(name)
        if which != NDECIDING:
            if said[which].at != NULL:
                return None
            said[which] = value
    if not is_end(head, at) or nfields > MAX_FIELDS:
        return None
    if said[FIELD_LENGTH].at != NULL or said[FIELD_CODING].at != NULL:
        return None
    if not spells(said[FIELD_UPGRADE], b"websocket") or not spells(said[FIELD_VERSION], b"13"):
        return None
    if not spells(said[FIELD_CONNECTION], b"upgrade"):
        if not spells(said[FIELD_CONNECTION], b"keep-alive, upgrade"):  # as Firefox has it
            return None
    if not is_plain_authority(said[FIELD_HOST]) or not is_key(said[FIELD_KEY]):
        return None
    split_target(target, &path, &query)
    return text_of(target), text_of(path), text_of(query), (
        text_of(said[FIELD_HOST]),
        text_of(said[FIELD_KEY]),
        None if said[FIELD_ORIGIN].at == NULL else text_of(said[FIELD_ORIGIN]),
        [] if said[FIELD_SUBPROTOCOLS].at == NULL else [text_of(said[FIELD_SUBPROTOCOLS])],
        [] if said[FIELD_EXTENSIONS].at == NULL else [text_of(said[FIELD_EXTENSIONS])],
    )


cdef void split_target(Span target, Span* path, Span* query) noexcept:
    """The two sides of the first question mark; without one there is no query."""
    cdef const byte* mark = <const byte*>memchr(target.at, c"?", target.size)
    cdef const byte* end = target.at + target.size
    path.at = target.at
    path.size = (end if mark == NULL else mark) - target.at
    query.at = end if mark == NULL else mark + 1
    query.size = end - query.at


cdef int deciding(Span name) noexcept:
    """Which field it is; NDECIDING when none that decides."""
    cdef int which
    for which in range(NDECIDING):
        if spells(name, DECIDING[which]):
            return which
    return NDECIDING


cdef bint spells(Span text, const char* lower) noexcept:
    """Whether a printable text is `lower`, but for the case of its letters."""
    cdef Py_ssize_t i = 0
    while i < text.size and in_lower(text.at[i]) == lower[i]:
        i += 1
    return i == text.size and lower[i] == 0


cdef bint is_plain_authority(Span text) noexcept:
    """Whether it is a host name or IPv4 address, perhaps with a port (RFC 3986 §3.2.2)."""
    cdef Py_ssize_t i = 0, port
    while i < text.size and USES[text.at[i]] & IN_NAME:
        i += 1
    if i == 0 or i == text.size:
        return i > 0
    port = i + 1
    for i in range(port, text.size):
        if not c"0" <= text.at[i] <= c"9":
            return False
    return text.at[port - 1] == c":" and text.size - port <= 5


cdef bint is_key(Span text) noexcept:
    """Whether it is 16 bytes in base64 (RFC 6455 §4.1)."""
    cdef Py_ssize_t i
    for i in range(22):
        if i == text.size or not USES[text.at[i]] & IN_BASE64:
            return False
    return text.size == 24 and text.at[22] == c"=" and text.at[23] == c"="
