"""The compiled twin of `numbers.py`, which tells what everything here is for."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_GET_LENGTH
from libc.math cimport isfinite

cdef extern from "Python.h":
    void* PyUnicode_DATA(object text)
    int PyUnicode_KIND(object text)
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef extern from "_c/integers.h":
    size_t GF_DIGITS
    bint gf_has_large_integer(const unsigned char* text, size_t size) nogil


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
    return gf_has_large_integer(<const unsigned char*>text, <size_t>size)


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
