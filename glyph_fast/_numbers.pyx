"""The compiled twin of `numbers.py`, which tells what everything here is for."""

from os import urandom

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_GET_LENGTH
from libc.math cimport isfinite
from libc.string cimport memset

cdef extern from "Python.h":
    void* PyUnicode_DATA(object text)
    int PyUnicode_KIND(object text)
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef extern from "_c/integers.h":
    size_t GF_DIGITS
    ctypedef struct gf_search:
        size_t start, end
    bint gf_next_large(gf_search* search, const unsigned char* text, size_t size) nogil

# Goes before the digits of an integer in a string that takes its place; nobody can guess it.
cdef str MARK = urandom(16).hex() + ":"
cdef bytes MARK_BYTES = MARK.encode()


def has_large_integer(data):
    """Return whether some integer outside of strings does not fit 64 bits; False without UTF-8."""
    cdef const char* text
    cdef Py_ssize_t size
    if isinstance(data, str):
        size = PyUnicode_GET_LENGTH(data)
        if size < <Py_ssize_t>GF_DIGITS:
            return False
        if PyUnicode_KIND(data) == 1:  # bytes, which are those of UTF-8 where it matters
            text = <const char*>PyUnicode_DATA(data)
        else:
            try:
                text = PyUnicode_AsUTF8AndSize(data, &size)  # the string keeps it, for orjson too
            except UnicodeEncodeError:  # a lone surrogate: no JSON
                text = NULL
            if text is NULL:
                return False
    else:
        data = data if isinstance(data, bytes) else bytes(data)
        text = PyBytes_AS_STRING(data)
        size = PyBytes_GET_SIZE(data)
    cdef gf_search search
    memset(&search, 0, sizeof(search))
    return gf_next_large(&search, <const unsigned char*>text, <size_t>size)


def read_large(data, quick, careful):
    """Return the value of a text with integers beyond 64 bits; ValueError when it is no JSON.

    `careful` reads any text; `quick` is quicker, and may be given one where these are strings.
    """
    return restored(quick(with_strings(data.encode() if isinstance(data, str) else bytes(data))))


cdef bytes with_strings(bytes text):
    """The text with a string in the place of each integer that is too large."""
    cdef list parts = []
    cdef Py_ssize_t done = 0, first
    cdef const unsigned char* start = <const unsigned char*>PyBytes_AS_STRING(text)
    cdef gf_search search
    memset(&search, 0, sizeof(search))
    while gf_next_large(&search, start, <size_t>PyBytes_GET_SIZE(text)):
        first = <Py_ssize_t>search.start
        if start[first + (start[first] == 45)] == 48:  # a minus, a zero
            raise ValueError("an integer begins with a zero")
        parts += (text[done:first], b'"', MARK_BYTES, text[first:search.end], b'"')
        done = <Py_ssize_t>search.end
    parts.append(text[done:])
    return b"".join(parts)


cdef object restored(object value):
    """What was read, with the integers in the place of their strings."""
    cdef list nodes = [value] if isinstance(value, (list, dict)) else []
    cdef Py_ssize_t at
    cdef list items
    if not nodes:
        return integer_of(<str>value) if isinstance(value, str) else value
    while nodes:
        node = nodes.pop()
        if type(node) is list:
            items = node
            for at in range(len(items)):
                item = items[at]
                if type(item) is str:
                    if (<str>item).startswith(MARK):
                        items[at] = integer_of(item)
                elif type(item) is list or type(item) is dict:
                    nodes.append(item)
            continue
        for key, item in (<dict>node).items():
            if (<str>key).startswith(MARK):
                raise ValueError("an integer is no key of an object")
            if type(item) is str:
                if (<str>item).startswith(MARK):
                    (<dict>node)[key] = integer_of(item)
            elif type(item) is list or type(item) is dict:
                nodes.append(item)
    return value


cdef object integer_of(str text):
    """The integer that a string stands for; the string, where that is none of ours."""
    return int(text[len(MARK):]) if text.startswith(MARK) else text


def is_finite(value, plain):
    """Return whether no float in `value`, which orjson wrote, so not circular, is NaN or ∞.

    `plain(value)` stands for what JSON does not know.
    """
    cdef list nodes = [value]
    cdef Py_ssize_t at = 0
    while at < len(nodes):  # grows while it is walked
        node = nodes[at]
        at += 1
        if node is None or isinstance(node, (str, int)):
            continue
        if isinstance(node, float):
            if not isfinite(<double>node):
                return False
        elif isinstance(node, dict):
            nodes += (<dict>node).values()
        elif isinstance(node, (list, tuple)):
            nodes += node
        else:
            nodes.append(plain(node))
    return True
