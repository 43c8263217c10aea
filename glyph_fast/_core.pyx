"""The compiled core: the fast twin of `_pure`, which tells what everything here is for.

The header page is `_core.pxd`. The parts, in the order in which they are read best:

    _c/bytes.h          masking and UTF-8, in C
    _c/sockets.h        system calls, in C
    _c/batch.h          many sends by one system call, in C
    _c/openssl.h        records by the interpreter's OpenSSL, in C
    _c/frames.pxi       frames, buffers
    _c/head.pxi         request heads that are plain
    _c/envelope.h       the plain envelope of an event, in C
    _c/calls.h          calls and attributes, in C
    _c/clock.h          a clock, in C
    _c/histogram.pxi    durations, counted by size
    _c/turn.pxi         what connections share; gathered writes
    _c/connection.pxi   the connection: bytes in, messages out, bytes out, the end, time
    _c/room.pxi         fan-out
    _c/dispatch.pxi     the short way of a message to its handlers
    _c/tls.pxi          TLS between the two
    _c/poller.pxi       epoll

No `return`, `break` or `continue` stands within an `except`: Cython then gives back a traceback
that may not be there, for without memory there is none.
"""

import os
import time
from collections import deque
from weakref import WeakSet

from .errors import ConnectionClosed, ProtocolError, RoomFull
from .wire import (
    CLOSE_REASONS, DROPPED, NOBODY, PENDING, QUEUED, SENT, SendResult, is_sendable_code
)

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.dict cimport PyDict_Next
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove, memset, strncmp

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    PyObject* make_text "PyUnicode_New"(Py_ssize_t size, Py_UCS4 maxchar) except NULL
    PyObject* make_bytes "PyBytes_FromStringAndSize"(const char* data, Py_ssize_t size) except NULL
    int PyUnicode_Resize(PyObject** text, Py_ssize_t size) except -1
    int _PyBytes_Resize(PyObject** data, Py_ssize_t size) except -1
    Py_UCS4 PyUnicode_READ_CHAR(object text, Py_ssize_t index)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    void* PyUnicode_DATA(object text)
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    const char* quiet_utf8 "PyUnicode_AsUTF8AndSize" (object text, Py_ssize_t* size)
    unsigned long PyThread_get_thread_ident() nogil
    PyObject* PyErr_SetFromErrno(object type) except NULL
    void PyErr_Fetch(PyObject** kind, PyObject** error, PyObject** trace)
    void PyErr_Restore(PyObject* kind, PyObject* error, PyObject* trace)
    void PyErr_Clear()
    bint PyErr_ExceptionMatches(object kind)
    PyObject* PyObject_CallNoArgs(object function)
    int quiet_append "PyList_Append" (object items, object item)  # -1 with an exception set
    object PyUnicode_FromString(const char* text)
    object PyMemoryView_FromMemory(char* data, Py_ssize_t size, int flags)
    object PyMemoryView_FromObject(object data)
    int PyBUF_READ, PyBUF_WRITE
    ctypedef object (*newfunc)(type, object, void*)
    ctypedef struct PyTypeObject:
        newfunc tp_new
    Py_ssize_t Py_REFCNT(PyObject* item)
    Py_ssize_t PyTuple_GET_SIZE(tuple items)
    PyObject* PyTuple_GET_ITEM(tuple items, Py_ssize_t index)

cdef extern from "_c/bytes.h" nogil:
    byte gf_mask(byte* target, const byte* source, size_t size, const byte* key, size_t phase)
    byte gf_copy(byte* target, const byte* source, size_t size)
    int gf_utf8_feed(gf_utf8* state, const byte* text, size_t size)
    bint gf_is_plain(const byte* text, size_t size)
    size_t gf_head_end(const byte* data, size_t size, size_t start)

cdef extern from "_c/calls.h":
    PyObject* gf_call(PyObject* function, PyObject* argument)
    int gf_failed() except -1
    void gf_prefetch(const void* object)
    void gf_read_plainly(type metaclass)
    int gf_set(object self, object name, PyObject* value) except -1

cdef extern from "_c/envelope.h" nogil:
    ctypedef struct gf_event_text:
        const char* name
        size_t name_size
        const char* data
        size_t data_size
    bint gf_read_event(const char* text, size_t size, gf_event_text* event)

cdef extern from "_c/clock.h" nogil:
    double gf_now()

cdef extern from "_c/sockets.h" nogil:
    ctypedef struct gf_iovec:
        void* iov_base
        size_t iov_len
    int GF_HAS_EPOLL
    uint32_t EPOLLIN, EPOLLOUT
    int EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD
    int errno, EAGAIN, EWOULDBLOCK, EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM
    int gf_epoll_create()
    int gf_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t data)
    int gf_epoll_poll(int epoll, gf_event* events, int size)
    uint64_t gf_event_data(const gf_event* event)
    int gf_accept(int listener, byte* family, byte* address, uint16_t* port)
    int AF_INET
    bint gf_address_text(int family, const byte* address, char* text)
    ssize_t gf_receive(int fd, void* data, size_t size)
    ssize_t gf_send(int fd, const void* data, size_t size)
    ssize_t gf_send_all(int fd, gf_iovec* buffers, size_t count)
    int gf_shutdown(int fd)
    ssize_t gf_unacknowledged(int fd)
    void gf_reset(int fd)
    int gf_end(int fd)
    int gf_close(int fd)

cdef extern from "_c/batch.h" nogil:
    int GF_UNSENT
    gf_batch* gf_batch_open(unsigned size)
    void gf_batch_close(gf_batch* batch)
    void gf_batch_add(gf_batch* batch, int fd, const void* data, size_t size)
    int gf_batch_send(gf_batch* batch)

cdef extern from "_c/openssl.h":
    int GF_TLS_MORE, GF_TLS_END, GF_TLS_BROKEN, GF_TLS_SILENT
    bint gf_tls_find(const char* path)
    bint gf_tls_fits(PyObject* session, PyObject* context)
    void* gf_tls_take_over(PyObject* session)
    Py_ssize_t gf_tls_read(
        void* session, const void* data, size_t size, char* target, size_t room, int* why)
    bint gf_tls_write(void* session, const char* data, size_t size)
    void gf_tls_end(void* session)
    const char* gf_tls_waiting(Py_ssize_t* size)
    void gf_tls_sent()
    bint gf_tls_is_idle()
    const char* gf_tls_reason()

# The numbers of `wire.py` as the C compiler wants them; a test compares the two.
cdef enum:
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10

    ADDRESS_TEXT = 46           # bytes of an address as text (INET6_ADDRSTRLEN)

    SERVER = 0
    CLIENT = 1

    DROP_OLDEST = 0
    DROP_NEWEST = 1
    BLOCK = 2
    DISCONNECT = 3

    OPENING = 0
    BODY = 1
    HELD = 2
    OPEN = 3
    CLOSING = 4
    ANSWERING = 5
    ENDING = 6
    CLOSED = 7

    WEBSOCKET = 0
    EVENTS = 1
    TRANSLATED = 2

    PAUSE_HELD = 1
    PAUSE_WRITE = 8
    PAUSE_TURN = 16
    PAUSE_BODY = 32

    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SLOW_CONSUMER = 4008

    MAX_CONTROL_PAYLOAD = 125
    MAX_CLOSE_REASON = 123
    MAX_REQUEST_LINE = 8192
    MAX_HEAD = 65536
    MAX_FIELDS = 256
    MIN_BODY_RATE = 1024
    MIN_READ_RATE = 16384
    TIMES_STORED = 12
    ANSWER_WINDOW = 262144

    READ_SIZE = 262144          # bytes taken from one peer in one turn
    GATHER_SIZE = 65536         # bytes of small frames joined for one write
    STAGE_SIZE = 262144         # bytes of replies of one turn, back to back
    DIRECT_SIZE = 4096          # characters from which a message may be written without a copy
    BATCH_SIZE = 1024           # sends of one system call, where there is io_uring; a power of two
    BATCH_LEAST = 8             # connections to write to from which it is used
    MAX_BUFFERS = 64            # of one write of large frames
    MAX_FRAMES = 256            # frames of one peer handled in one turn
    REQUEST_FRAMES = 32         # a request counts like so many
    SHORT_JSON = 1024           # characters of an event that is taken apart before it is read
    JSON_FRAMES = 4             # and a text that is read as JSON,
    JSON_FRAME = 256            # with one more for so many characters
    INFLATED_FRAME = 1024       # bytes inflated that count like one
    MAX_EVENTS = 256            # descriptors served in one turn
    MAX_ACCEPTS = 64            # connections accepted from one socket in one turn
    MAX_ROUNDS = 8              # write, report, write again; what is left waits for the next turn
    MAX_EMPTY_FRAGMENTS = 65536
    MAX_PONGS = 4096            # bytes of pongs that may leave with one write
    PREFETCH = 4                # members that a publish looks ahead
    RING_START = 16             # slots of a ring when it first holds something
    MAX_SPARE_RINGS = 1024
    HANDLER_SAMPLE = 16         # of so many calls one is timed; a power of two

    ACCEPTED = 0                # indexes of RESULTS
    BEHIND = 1
    REFUSED = 2

cdef double ROUNDING = 1e-6     # seconds that adding up times may be off by
cdef tuple RESULTS = (SENT, QUEUED, DROPPED)
cdef object ACCEPTED_RESULT = SENT
cdef object PENDING_RESULT = PENDING
cdef type result_type = SendResult
cdef object NO_TEXT = ""

ctypedef int (*quiet_sweep)(Connection, double) noexcept
# A call through one of these returns -1 with the exception set, which a `try` cannot be relied on
# to catch: without memory it may not come to its `except`.
ctypedef Py_ssize_t (*quiet_offer)(Connection, list) noexcept
ctypedef int (*quiet_push)(Connection, bytes) noexcept
ctypedef int (*quiet_publish)(Connection, Frame) noexcept
ctypedef int (*quiet_rest)(Connection, int, object, Py_ssize_t) noexcept
ctypedef int (*quiet_size)(Connection, Py_ssize_t) noexcept
ctypedef int (*quiet_move)(Connection, const byte*, const byte*) noexcept
ctypedef int (*quiet_take)(Connection, const byte*, Py_ssize_t) noexcept
ctypedef int (*quiet_write)(Connection) noexcept
ctypedef int (*quiet_handle)(Dispatch, Connection, int, object) noexcept
cdef tuple EMPTY = ()
cdef str ELSEWHERE = "{}() belongs to the thread of the server's loop, and this is another one"
cdef str FORKED = "this process was forked from the server's, whose connections are not for it"

HAS_POLLER = bool(GF_HAS_EPOLL)

include "_c/frames.pxi"
include "_c/head.pxi"
include "_c/histogram.pxi"
include "_c/turn.pxi"
include "_c/connection.pxi"
include "_c/room.pxi"
include "_c/dispatch.pxi"
include "_c/tls.pxi"
include "_c/poller.pxi"
