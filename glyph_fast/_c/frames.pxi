# Frames and growing buffers.


cdef int buffer_append(Buffer* buffer, const byte* data, Py_ssize_t size) except -1:
    """Append a copy. The capacity doubles, so what is announced and never sent costs nothing."""
    if not buffer_reserve(buffer, size):
        raise MemoryError
    if size:  # memcpy must not be told to read from NULL, not even nothing
        memcpy(buffer.data + buffer.size, data, size)
        buffer.size += size
    return 0


cdef int buffer_prepend(Buffer* buffer, const byte* data, Py_ssize_t size) except -1:
    """Put a copy before what is there."""
    if not buffer_reserve(buffer, size):
        raise MemoryError
    memmove(buffer.data + size, buffer.data, buffer.size)
    memcpy(buffer.data, data, size)
    buffer.size += size
    return 0


cdef bint buffer_reserve(Buffer* buffer, Py_ssize_t size) noexcept:
    """Have room for `size` more bytes."""
    cdef Py_ssize_t needed = buffer.size + size
    cdef Py_ssize_t capacity
    cdef byte* data
    if needed > buffer.capacity:
        capacity = max(needed, 2 * buffer.capacity, <Py_ssize_t>64)
        data = <byte*>realloc(buffer.data, capacity)
        if data == NULL:
            return False
        buffer.data = data
        buffer.capacity = capacity
    return True


cdef void buffer_free(Buffer* buffer) noexcept:
    free(buffer.data)
    buffer.data = NULL
    buffer.size = buffer.capacity = 0


# A message that comes in parts is unmasked straight into the object that the handler is given.
# While it grows nobody else has that object, so the core may write into it. Its size is its
# capacity.

cdef byte* message_data(Incoming* incoming) noexcept:
    if incoming.opcode == TEXT and not incoming.rsv1:
        return <byte*>PyUnicode_DATA(<object>incoming.message)
    return <byte*>PyBytes_AS_STRING(<object>incoming.message)


cdef int message_resize(Incoming* incoming, Py_ssize_t size) except -1:
    """Give the object that size, of at least one byte."""
    cdef bint is_text = incoming.opcode == TEXT and not incoming.rsv1
    if incoming.message == NULL:
        incoming.message = make_text(size, 127) if is_text else make_bytes(NULL, size)
    elif is_text:
        PyUnicode_Resize(&incoming.message, size)
    else:
        try:
            _PyBytes_Resize(&incoming.message, size)
        except BaseException:  # the object is gone
            incoming.message_size = 0
            raise
    return 0


cdef int message_reserve(Incoming* incoming, Py_ssize_t more) except -1:
    """Have room for so many more bytes; what is announced and never sent costs nothing."""
    cdef Py_ssize_t needed = incoming.message_size + more
    cdef Py_ssize_t capacity = 0
    if incoming.message != NULL:
        capacity = len(<object>incoming.message)
    if needed > capacity:
        message_resize(incoming, max(needed, 2 * capacity))
    return 0


cdef object take_message(Incoming* incoming):
    """The whole message, as it came; the next one can begin."""
    cdef Py_ssize_t size = incoming.message_size
    cdef bint is_text = incoming.opcode == TEXT and not incoming.rsv1
    try:
        if not size:
            return "" if is_text else b""
        if is_text and incoming.bits >= 0x80:
            return PyUnicode_DecodeUTF8(<char*>message_data(incoming), size, NULL)
        if len(<object>incoming.message) != size:
            message_resize(incoming, size)
        return <object>incoming.message
    finally:
        message_free(incoming)
        incoming.opcode = 0
        incoming.rsv1 = False


cdef void message_free(Incoming* incoming) noexcept:
    Py_XDECREF(incoming.message)
    incoming.message = NULL
    incoming.message_size = 0


def apply_mask(buffer, bytes key not None, Py_ssize_t phase=0):
    """Mask or unmask a writable buffer in place (RFC 6455 §5.3).

    `key` is four bytes; `phase` says how many bytes of the payload came before this buffer.
    Raises ValueError for a key of another length.
    """
    if len(key) != 4:
        raise ValueError(f"a masking key has 4 bytes, not {len(key)}")
    cdef Py_buffer view
    PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
    gf_mask(<byte*>view.buf, <byte*>view.buf, view.len, <byte*>PyBytes_AS_STRING(key), phase & 3)
    PyBuffer_Release(&view)


def reset_socket(int fd):
    """Reset a connected socket at once, whoever else holds a copy of its descriptor.

    Where the system cannot (not TCP, not Linux), the close that has to follow does.
    """
    gf_reset(fd)


def unacknowledged(int fd):
    """Bytes in a socket's send buffer that the peer has not acknowledged; 0 where none can tell."""
    return gf_unacknowledged(fd)


def encode_frame(int opcode, payload, *, bint fin=True, bint rsv1=False, bytes key=None):
    """Return one frame (RFC 6455 §5.2), masked when `key` (four bytes) is given.

    A str payload is encoded as UTF-8. Raises ValueError for a control frame that is fragmented or
    longer than 125 bytes, and for an opcode outside 0 to 15.
    """
    if not isinstance(payload, str):
        payload = bytes(payload)
    if not 0 <= opcode <= 15:
        raise ValueError(f"an opcode is between 0 and 15, not {opcode}")
    if opcode & 8 and (not fin or len(payload if isinstance(payload, bytes) else payload.encode())
                       > MAX_CONTROL_PAYLOAD):
        raise ValueError("a control frame has at most 125 bytes and is not fragmented")
    if key is not None and len(key) != 4:
        raise ValueError(f"a masking key has 4 bytes, not {len(key)}")
    return encode((0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode, payload, key)


cdef Py_ssize_t payload_bytes_of(object payload, const char** data) except -1:
    """Where the bytes of a str or bytes payload lie, and how many there are."""
    cdef Py_ssize_t size
    if isinstance(payload, str):
        data[0] = PyUnicode_AsUTF8AndSize(payload, &size)
        return size
    data[0] = PyBytes_AS_STRING(payload)
    return PyBytes_GET_SIZE(payload)


cdef Py_ssize_t write_header(byte* out, int first, Py_ssize_t size, bint masked) noexcept:
    """Write a frame's header without its key; return its bytes, the four of a key included."""
    cdef int i
    cdef byte mask = 0x80 if masked else 0
    cdef Py_ssize_t head
    out[0] = first
    if size < 126:
        out[1] = mask | size
        head = 2
    elif size < 65536:
        out[1] = mask | 126
        out[2] = size >> 8
        out[3] = size & 0xFF
        head = 4
    else:
        out[1] = mask | 127
        for i in range(8):
            out[2 + i] = (<uint64_t>size >> (56 - 8 * i)) & 0xFF
        head = 10
    return head + 4 if masked else head


cdef bytes encode(int first, object payload, bytes key):
    """One frame. `payload` is str or bytes and is copied once."""
    cdef byte header[14]
    cdef byte* out
    cdef const char* data
    cdef Py_ssize_t size = payload_bytes_of(payload, &data)
    cdef Py_ssize_t head = write_header(header, first, size, key is not None)
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, head + size)
    out = <byte*>PyBytes_AS_STRING(frame)
    memcpy(out, header, head)
    if key is not None:
        memcpy(out + head - 4, PyBytes_AS_STRING(key), 4)
        gf_mask(out + head, <const byte*>data, size, <byte*>PyBytes_AS_STRING(key), 0)
    else:
        memcpy(out + head, data, size)
    return frame


cdef object payload_of(object message, int* opcode):
    """The payload of a message, as str or bytes, and its opcode."""
    if isinstance(message, str):
        opcode[0] = TEXT
        return message
    if isinstance(message, bytes):
        opcode[0] = BINARY
        return message
    if isinstance(message, (bytearray, memoryview)):
        opcode[0] = BINARY
        return bytes(message)
    if hasattr(message, "to_json"):
        opcode[0] = TEXT
        return bytes(message.to_json())
    raise TypeError(
        f"a message is str, bytes or Message, not {type(message).__name__}: "
        "send_json and broadcast_json take values"
    )


cdef bytes close_payload(int code, str reason):
    """The payload of a close frame; a reason longer than 123 bytes is cut at a character."""
    if code == NO_STATUS:
        return b""
    text = reason.encode()[:MAX_CLOSE_REASON].decode(errors="ignore").encode()
    return code.to_bytes(2, "big") + text


@cython.freelist(64)
cdef class Frame:
    """One message, encoded once and shared by reference by everyone who receives it.

    `message` is str (a text frame), bytes (binary) or an object with `to_json() -> bytes` (text).
    Raises TypeError for anything else. `variants` is for codecs that keep their own encoding
    here; one that `is_final` they never get: it is sent as it is.
    """

    def __cinit__(self, message):
        payload = payload_of(message, &self.opcode)
        self.data = encode(0x80 | self.opcode, payload, None)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(self.data)
        self.head = 2 if size < 128 else 4 if size < 65540 else 10

    @property
    def payload(self):
        cdef const char *data = self.data
        return data[self.head:len(self.data)]
